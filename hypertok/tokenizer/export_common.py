"""What exports into formats that merge by ids or scores, whatever two tokens make a third, have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hypertok.errors import InputError
from hypertok.tokenizer.stock import Family, Stock

#: Scores are 32-bit floats: beyond this, neighbouring whole numbers are one.
LOWEST_SCORE = -(2.0**24)
_Token = TypeVar("_Token")


def scores_below(lowest: float, new: Sequence[_Token], path: Path, remedy: str) -> dict[_Token, float]:
    """Scores of new tokens below all that are there: the lower, the later in their order.

    Raises:
        InputError: they are too many; the message names `path` and the remedy.
    """
    if lowest - len(new) < LOWEST_SCORE:
        raise InputError(
            f"{path}: {len(new)} new tokens below the score {lowest:.0f} are too many for 32-bit floats; {remedy}"
        )
    return {token: lowest - 1 - place for place, token in enumerate(new)}


@dataclass(frozen=True)
class MergeAgreement:
    """How far merging by ids or scores (tiktoken, sentencepiece) must agree with merging by the list of merges.

    Attributes:
        out_of_order: merges whose token ranks before the token of a merge above them: by its id, or, of units in
            SentencePiece style, by its score, which the first merge that makes it gives it.
        free_pairs: pairs of tokens that make a token and are no merge.
    """

    out_of_order: int
    free_pairs: int

    @classmethod
    def of(cls, tokenizer: Stock, units: Iterable[int]) -> MergeAgreement:
        """Count over the merges and pairs that have to do with the ids `units`: make one of them or are made of one.

        Both 0 is the proof that the new merges act alike in both; then only the stock part can differ.
        """
        vocabulary, asked = tokenizer.vocabulary, frozenset(units)
        new = {token for token, identifier in vocabulary.items() if identifier in asked}
        merges = {pair: vocabulary[pair[0] + pair[1]] for pair in tokenizer.merges}
        scored = tokenizer.family is Family.SENTENCEPIECE
        places: dict[int, int] = {}
        highest, out_of_order = (-1, -1), 0
        for place, ((left, right), identifier) in enumerate(merges.items()):
            first = places.setdefault(identifier, place)
            rank = (1, first) if scored and identifier in asked else (0, identifier)
            out_of_order += (identifier in asked or left in new or right in new) and rank < highest
            highest = max(highest, rank)
        free_pairs = sum(
            (left in new or right in new or token in new) and (left, right) not in merges
            for token in tokenizer.data["model"]["vocab"]
            for cut in range(1, len(token))
            if (left := token[:cut]) in vocabulary and (right := token[cut:]) in vocabulary
        )
        return cls(out_of_order, free_pairs)
