"""The delta: for every new id what it is made of and what it means, in one Parquet table.

What the model side needs to know of a row is here; to compose rows of words it reads the lexicon, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl

from hypertok.codec.marks import INFLECTION_FIRST, INFLECTION_LAST, inflection_id
from hypertok.corpus.elements import HYPHENATED
from hypertok.corpus.words import form_of
from hypertok.lexicon.lexicon import Lexicon
from hypertok.tokenizer.stock import Stock
from hypertok.vocabulary.units import Units

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "id": pl.UInt32,
    "token": pl.String,
    "text": pl.String,
    "constituents": pl.List(pl.UInt32),
    "lengths": pl.List(pl.UInt16),
    "concepts": pl.List(pl.UInt32),
    "inflections": pl.List(pl.UInt16),
    "count": pl.Int64,
    "saved": pl.Int64,
}
#: Words that may be a multiword concept: what stands between them is one space.
_WORDS = re.compile(f"{HYPHENATED}(?: {HYPHENATED})*")


def delta_table(stock: Stock, units: Units, ids: list[int], lexicon: Lexicon) -> pl.DataFrame:
    """One row per new id.

    Columns: id; token, the vocabulary string; text, null if it is only a part of a character; constituents, the
    stock ids it is made of; lengths, for each constituent the characters that end in it (their sum is the length of
    the text); concepts and inflections (see docs/lexicon-format.md), in order, of the words and multiword concepts that
    the unit holds whole, of the main reading; count, how often it is emitted on the learning text; saved, the stock
    tokens that this saves. For symbol text `surface.with_surface` adds what rows are to be made of.
    """
    meaning = _Meaning(lexicon)
    rows = []
    for number, token, parts, count in zip(ids, units.tokens, units.constituents, units.counts, strict=True):
        pieces = [stock.bytes_of(stock.token_of[part]) for part in parts]
        try:
            text: str | None = b"".join(pieces).decode()
        except UnicodeDecodeError:
            text = None
        concepts, inflections = meaning.of(text) if text else ([], [])
        lengths = characters_ending(pieces)
        rows.append((number, token, text, parts, lengths, concepts, inflections, count, count * (len(parts) - 1)))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def characters_ending(pieces: list[bytes]) -> list[int]:
    """For each piece the number of UTF-8 characters whose last byte is in it."""
    lengths, done = [], 0
    joined = b""
    for piece in pieces:
        joined += piece
        characters = len(joined.decode("utf-8", "ignore"))
        lengths.append(characters - done)
        done = characters
    return lengths


def _inflection(character: str) -> int:
    """The number of an inflection mark, 0 for any other character."""
    return inflection_id(character) if INFLECTION_FIRST <= ord(character) <= INFLECTION_LAST else 0


class _Meaning:
    """Concepts and inflections of the whole words of a unit."""

    def __init__(self, lexicon: Lexicon) -> None:
        main = lexicon.forms.filter("main")
        self._of = {form: (c, i) for form, c, i in main.select("form", "concept", "inflection").iter_rows()}
        self._longest = lexicon.book.longest_phrase
        self._symbol = {symbol: number for number, symbol in enumerate(lexicon.concepts["symbol"])}
        self._base = lexicon.concepts["base"].to_list()

    def of(self, text: str) -> tuple[list[int], list[int]]:
        """Longest multiword concepts first, as the codec reads; a piece of a word that is no form means nothing.

        In symbol text every symbol is a concept, in the inflection of the mark behind it or else in its base form.
        """
        marked = [(self._symbol[a], b) for a, b in zip(text, text[1:] + " ", strict=True) if a in self._symbol]
        if marked:
            concepts = [number for number, _ in marked]
            return concepts, [_inflection(mark) or self._base[number] for number, mark in marked]
        found = [one for words in _WORDS.findall(text) for one in self._read(words)]
        return [concept for concept, _ in found], [inflection for _, inflection in found]

    def _read(self, text: str) -> Iterator[tuple[int, int]]:
        """Concept and inflection of each word or phrase, of words joined by single spaces."""
        words, place = [form_of(word) for word in text.split(" ")], 0
        while place < len(words):
            size = max(1, min(self._longest(words[place]), len(words) - place))
            while size > 1 and " ".join(words[place : place + size]) not in self._of:
                size -= 1
            found = self._of.get(" ".join(words[place : place + size]))
            if found:
                yield found
            place += size
