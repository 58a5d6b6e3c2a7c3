"""What the codec asks of a lexicon."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Code(NamedTuple):
    """What a form is to the codec: its concept's symbol and usual case, its inflection and variant."""

    symbol: str
    inflection: int
    variant: int
    cases: tuple[int, ...]


class CodeBook(Protocol):
    """What the codec asks of a lexicon. Forms are lower case; a phrase's words are joined by one space."""

    @property
    def symbols(self) -> frozenset[str]:
        """All symbols in use."""

    def is_reserved(self, character: str) -> bool:
        """Whether a character is escaped although it is no symbol: it may be one where symbol text is decoded later."""

    def code_of(self, form: str) -> Code | None:
        """The code of a form, None for an unknown one."""

    def form_at(self, symbol: str, inflection: int, variant: int) -> tuple[str, tuple[int, ...]] | None:
        """The (form, usual case of each word) behind a code, None for an unknown one."""

    def longest_phrase(self, first_word: str) -> int:
        """Number of words of the longest phrase that starts with this word; 0 if there is none."""
