"""Bits of new units apart by how often they were trained on: unseen, rare and frequent ones, and stock tokens.

A row that no text has trained shows what it was made of, and what other rows have told it. Two things are asked of each
group: what it costs to *predict* its tokens, and what the token *after* one costs, which tells whether the model
understands it as input. Every token is in one group, so the groups' bits add up to those of the texts; the first token
of a text comes after none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from hypertok.errors import InputError
from hypertok.measure.quality import Scored
from hypertok.measure.scoring import Bits, Ids
from hypertok.tokenizer.hyper import HyperTokenizer

#: A new unit is rare when the training text has it, but no more often than this: with fewer than ten places to learn
#: from, what others have taught its row should tell.
RARE = 9

FormName = Literal["frequent", "rare", "unseen", "stock"]
NAMES: tuple[FormName, ...] = get_args(FormName)


@dataclass(frozen=True)
class FormBits:
    """Sums over the tokens of a group, and over the tokens that come right after one of them.

    Characters are those of the text as the tokenizer keeps it; a character of several tokens counts for the first one.
    """

    tokens: int
    characters: int
    bits: float
    next_tokens: int
    next_characters: int
    next_bits: float


@dataclass(frozen=True)
class FormGroup:
    """A group of tokens in some texts.

    Attributes:
        name: of the group.
        units: different ids of it.
        total: sums over all texts.
        bits_per_character, next_bits_per_character: what predicting costs; None without characters.
        documents: sums of each text, in their order.
    """

    name: FormName
    units: int
    total: FormBits
    bits_per_character: float | None
    next_bits_per_character: float | None
    documents: tuple[FormBits, ...]

    @classmethod
    def of(cls, name: FormName, units: int, documents: Sequence[FormBits]) -> FormGroup:
        """Sum up documents."""
        columns = zip(*((d.tokens, d.characters, d.next_tokens, d.next_characters) for d in documents), strict=True)
        tokens, characters, next_tokens, next_characters = map(sum, columns)
        bits, next_bits = sum(d.bits for d in documents), sum(d.next_bits for d in documents)
        return cls(
            name,
            units,
            FormBits(tokens, characters, bits, next_tokens, next_characters, next_bits),
            bits / characters if characters else None,
            next_bits / next_characters if next_characters else None,
            tuple(documents),
        )

    @property
    def sums(self) -> tuple[Bits, Bits]:
        """(bits, characters) of its tokens by document, shapes (documents,): what the bootstrap takes."""
        return _columns([(one.bits, one.characters) for one in self.documents])

    @property
    def next_sums(self) -> tuple[Bits, Bits]:
        """The same of the tokens that follow."""
        return _columns([(one.next_bits, one.next_characters) for one in self.documents])


@dataclass(frozen=True)
class Forms:
    """All groups, in the order of `NAMES`; `rare` is the most that a rare unit was seen."""

    rare: int
    groups: tuple[FormGroup, ...]

    def group(self, name: FormName) -> FormGroup:
        """The group of this name."""
        return next(one for one in self.groups if one.name == name)


def measure_forms(scored: Sequence[Scored], tokenizer: HyperTokenizer, seen: Ids) -> Forms:
    """Group the tokens of scored texts.

    Args:
        tokenizer: of the model that scored them.
        seen: how often each id is in the training text, shape (rows,).
    """
    ends = [np.array([token.end for token in tokenizer.tokens(one.text)], np.int64) for one in scored]
    documents = [(one.ids, one.bits, np.diff(own, prepend=0)) for one, own in zip(scored, ends, strict=True)]
    return grouped(documents, tokenizer.new_ids, seen)


def grouped(documents: Sequence[tuple[Ids, Bits, Ids]], new_ids: frozenset[int], seen: Ids) -> Forms:
    """Group tokens.

    Args:
        documents: of each text the ids, and the bits and characters of each id, shapes (tokens,).
        new_ids: ids of new units.
        seen: how often each id is in the training text, shape (rows,).

    Raises:
        InputError: ids that were not counted, or unequal numbers of ids, bits and characters.
    """
    numbers = np.full(len(seen), NAMES.index("stock"))  # of its group, for each id
    units = np.array(sorted(new_ids), np.int64)
    if len(units) and units[-1] >= len(seen):
        raise InputError(f"unit {units[-1]} was not counted: counts are given for {len(seen)} ids")
    kinds = [NAMES.index(name) for name in ("unseen", "rare", "frequent")]
    numbers[units] = np.select([seen[units] == 0, seen[units] <= RARE], kinds[:2], kinds[2])
    rows = [_sums(numbers[ids], bits, characters) for ids, bits, characters in documents]
    used = np.unique(np.concatenate([np.zeros(0, np.int64), *(ids for ids, _, _ in documents)]))
    different = np.bincount(numbers[used], minlength=len(NAMES))
    groups = [
        FormGroup.of(name, int(different[number]), [row[number] for row in rows]) for number, name in enumerate(NAMES)
    ]
    return Forms(RARE, tuple(groups))


def _sums(numbers: Ids, bits: Bits, characters: Ids) -> list[FormBits]:
    """Sums of one text for each group; `numbers` says the group of each token."""
    if not len(numbers) == len(bits) == len(characters):
        raise InputError(f"{len(numbers)} ids have {len(bits)} bits and {len(characters)} lengths")

    def summed(values: np.ndarray[Any, Any] | None, of: Ids) -> list[float]:
        found: list[float] = np.bincount(of, weights=values, minlength=len(NAMES)).tolist()
        return found

    before = numbers[:-1]
    columns = (
        summed(None, numbers), summed(characters, numbers), summed(bits, numbers),
        summed(None, before), summed(characters[1:], before), summed(bits[1:], before),
    )  # fmt: skip
    return [FormBits(int(a), int(b), c, int(d), int(e), f) for a, b, c, d, e, f in zip(*columns, strict=True)]


def _columns(pairs: Sequence[tuple[float, int]]) -> tuple[Bits, Bits]:
    rows = np.array(pairs, np.float64).reshape(-1, 2)
    return rows[:, 0], rows[:, 1]
