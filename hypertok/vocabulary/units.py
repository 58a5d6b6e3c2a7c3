"""What learning a vocabulary needs and gives: a stock tokenizer's view, new tokens, and the merges that make them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from hypertok.errors import InputError

Span = Literal["word", "phrase"]
Method = Literal["concept", "bpe"]


class StockTokenizer(Protocol):
    """What learning asks of a stock tokenizer; `hypertok.tokenizer.stock.Stock` is one."""

    @property
    def vocabulary(self) -> Mapping[str, int]:
        """Id of each vocabulary string."""

    @property
    def token_of(self) -> Mapping[int, str]:
        """The vocabulary string of each id."""

    @property
    def merges(self) -> list[tuple[str, str]]:
        """The merges in rank order."""

    def segment(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text as if it stood inside running text."""

    def bytes_of(self, token: str) -> bytes:
        """The bytes of text that a vocabulary string stands for."""

    @property
    def spelled(self) -> Mapping[str, bytes]:
        """`bytes_of` each token of the vocabulary but added ones outside of the model's."""

    @property
    def unmergeable(self) -> Collection[str]:
        """Tokens that no new merge may take or make."""


@dataclass(frozen=True)
class Units:
    """New vocabulary entries for one stock tokenizer, with the merges that make them.

    Attributes:
        tokens: vocabulary strings in the stock tokenizer's own alphabet, in id order.
        merges: pairs of vocabulary strings in rank order; all rank after every stock merge. A pair makes a unit or,
            at no cost, a token that the stock tokenizer has already; several may make the same one.
        counts: how often each token is emitted on the learning text.
        constituents: the stock ids that each token is made of, in order.
    """

    tokens: tuple[str, ...]
    merges: tuple[tuple[str, str], ...]
    counts: tuple[int, ...]
    constituents: tuple[tuple[int, ...], ...] = ()

    def first(self, number: int) -> Units:
        """The first `number` units, with the merges that do without the others."""
        later = set(self.tokens[number:])
        merges = (pair for pair in self.merges if later.isdisjoint((*pair, pair[0] + pair[1])))
        return Units(
            self.tokens[:number],
            tuple(merges) if number else (),
            self.counts[:number],
            self.constituents[:number],
        )


class TooFewRows(InputError):
    """More new rows are asked for than can be had.

    Attributes:
        found: how many can be had.
        what: what there is for so many, in words that the number follows.
        remedy: what helps besides asking for fewer.
    """

    what: ClassVar[str]
    remedy: ClassVar[str]

    def __init__(self, message: str, found: int) -> None:
        super().__init__(message)
        self.found = found


class TooFewUnits(TooFewRows):
    """The corpus has units for fewer rows."""

    what = "your texts have units for"
    remedy = "build the lexicon from more text"

    def __init__(self, rows: int, found: int) -> None:
        remedy = f"ask for at most {found} (--rows {found}), or build" if found else "build"
        super().__init__(
            f"{rows} new rows are more than the lexicon's corpus has units for ({found}); {remedy} the lexicon from "
            "more text",
            found,
        )
