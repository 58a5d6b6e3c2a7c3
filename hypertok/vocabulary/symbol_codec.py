"""Symbol text for tokenizers: a codec that knows the chosen concepts only, and the pattern of a run of its words.

Other words stay as they are, so that stock tokens and ordinary units cover them. The space before a coded word is left
out where it can be told from what stands before it: a stock tokenizer would glue it to the first bytes of the symbol
and lose characters that are one token to it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

import polars as pl

from hypertok.codec import marks
from hypertok.codec.book import Code
from hypertok.codec.codec import Codec
from hypertok.codec.marks import ESCAPE
from hypertok.corpus.elements import SIMPLE_WORD, WORD_END
from hypertok.corpus.words import LETTERS
from hypertok.lexicon.book import Book

#: Stands between a coded word and what it touches without the space that is expected there. The codec writes no such
#: character and escapes it in text, as all of the marks' block.
GLUE = "\ue005"
#: After these characters, as after a coded word, a coded word is expected to follow a space.
_SPACED = rf"{LETTERS}A-Za-z0-9,;:.!?…—–»”)%"
#: Ranges in one character class at most: Oniguruma takes 10,000 in all parts of a class.
_CLASS = 4_000
#: Words in a run at most; the rest is another run.
_WORDS_IN_RUN = 64
_RUSSIAN = SIMPLE_WORD + WORD_END


class _Restricted:
    """A code book that knows some of the symbols only."""

    def __init__(self, book: Book, symbols: frozenset[str]) -> None:
        self._book = book
        self.symbols = symbols

    def is_reserved(self, character: str) -> bool:
        return False  # the codec lies beside its tokenizer and does not grow

    def code_of(self, form: str) -> Code | None:
        return self._book.code_of(form)  # the codec itself leaves words of other symbols alone

    def form_at(self, symbol: str, inflection: int, variant: int) -> tuple[str, tuple[int, ...]] | None:
        return self._book.form_at(symbol, inflection, variant)

    def longest_phrase(self, first_word: str) -> int:
        return self._book.longest_phrase(first_word)


class SymbolCodec(Codec):
    """A codec for tokenizers: writes some concepts only, and leaves out the spaces that coded words imply."""

    def __init__(self, book: Book, symbols: frozenset[str]) -> None:
        """Raises CodecError as `Codec` does."""
        super().__init__(_Restricted(book, symbols))
        self.symbols = symbols
        low = marks.low_symbols(symbols)
        starts = f"{marks.CASE_RANGE}{_ranges(symbols)}"
        # The wide range comes first because the exact one is slow to say no.
        start = f"(?=[{re.escape(low)}{chr(marks.SYMBOLS_FIRST)}-\U0010ffff])(?=[{starts}])"
        before = f"[{_SPACED}{marks.INFLECTION_RANGE}{marks.VARIANT_RANGE}{_ranges(symbols)}]"
        self._closing = re.compile(f"{ESCAPE}.|({before})( ?){start}", re.DOTALL)
        self._opening = re.compile(f"{ESCAPE}.|({before})({GLUE}?){start}", re.DOTALL)

    def encode(self, text: str) -> str:
        """Symbol text of `text` without implied spaces; `decode` restores the text exactly."""
        return self.close(super().encode(text)) if self.symbols else super().encode(text)

    def decode(self, symbols: str) -> str:
        """The text whose symbol text this is.

        Raises:
            CodecError: a mark without its symbol, or an inflection that the concept does not have.
        """
        return super().decode(self.open(symbols) if self.symbols else symbols)

    def close(self, symbols: str) -> str:
        """Plain symbol text without the spaces that are implied."""
        return self._closing.sub(_closed, symbols)

    def open(self, symbols: str) -> str:
        """Plain symbol text again."""
        return self._opening.sub(_opened, symbols)


def _closed(match: re.Match[str]) -> str:
    before, space = match.groups()
    if before is None:
        return match[0]
    return before if space else before + GLUE


def _opened(match: re.Match[str]) -> str:
    before, glue = match.groups()
    if before is None:
        return match[0]
    return before if glue else f"{before} "


def _ranges(characters: Iterable[str]) -> str:
    """The inside of a character class of exactly these characters."""
    return "".join(_range_list(characters))


def _range_list(characters: Iterable[str]) -> list[str]:
    found: list[list[int]] = []
    for place in sorted(map(ord, characters)):
        if found and place == found[-1][1] + 1:
            found[-1][1] = place
        else:
            found.append([place, place])
    return [re.escape(chr(a)) + (f"-{re.escape(chr(b))}" if b > a else "") for a, b in found]


def restricted_codec(concepts: pl.DataFrame, forms: pl.DataFrame, symbols: frozenset[str]) -> SymbolCodec:
    """A lossless codec that writes the concepts of `symbols`; every other word stays as it is written.

    Raises:
        CodecError: a symbol that cannot be one.
    """
    return SymbolCodec(Book(concepts, forms), symbols)


def symbol_run_pattern(symbols: Collection[str]) -> str:
    """The regular expression of a run of words of symbol text, at least one of them coded or Russian.

    It is meant to stand before the stock pattern in an alternation. A run has no space before a coded word and may
    have one before its first Russian word.

    Args:
        symbols: the symbols in use.
    """
    parts = _range_list(symbols)
    one_of = "|".join(f"[{''.join(parts[at : at + _CLASS])}]" for at in range(0, len(parts), _CLASS)) or "(?!)"
    coded = f"(?:[{marks.CASE_RANGE}]?(?:{one_of})[{marks.INFLECTION_RANGE}]?[{marks.VARIANT_RANGE}]?)"
    signs = "".join(_range_list(symbol for symbol in symbols if not symbol.isalpha()))
    first = rf"(?:{coded}|[^\r\n\p{{L}}\p{{M}}\p{{N}}{marks.BLOCK_RANGE}{signs}]?{_RUSSIAN})"
    further = rf"(?:(?:[,;:]?(?: (?:[—–]|- ))?|-){coded}|(?:[,;:]? (?:[—–-] )?|-){_RUSSIAN})"
    return f"{first}{further}{{0,{_WORDS_IN_RUN - 1}}}"
