"""What a unit of symbol text stands for, in stock tokens: what its row is made of.

Merges make a symbol of the bytes of a character, and no stock row of these knows the concept. The stock model knows
the words, so the rows of a tokenizer for symbol text are made of the words that a person would read there. What merges
make stays in `constituents`; what is found here stands beside it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass

import polars as pl

from hypertok.codec import marks
from hypertok.errors import CodecError
from hypertok.lexicon.lexicon import Lexicon
from hypertok.tokenizer.delta import characters_ending
from hypertok.tokenizer.stock import Stock
from hypertok.tokenizer.symbol_text import GROUP
from hypertok.vocabulary.symbol_codec import restricted_codec

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "surface": pl.String,
    "surface_constituents": pl.List(pl.UInt32),
    "surface_lengths": pl.List(pl.UInt16),
}
#: Texts that stand for a lone mark. With one alone many marks would share a row: «а» is the commonest ending of a
#: dozen inflections.
_EXAMPLES = 4
#: Letters of a word that show its case: two tell UPPER from Title.
_BEGINNING = 2


def row_columns(columns: Collection[str]) -> tuple[str, str, str]:
    """Which columns of a delta table rows are made of: a text, its stock ids, the characters that end in each."""
    if "surface" in columns:
        return "surface", "surface_constituents", "surface_lengths"
    return "text", "constituents", "lengths"


def with_surface(delta: pl.DataFrame, stock: Stock, lexicon: Lexicon, symbols: frozenset[str]) -> pl.DataFrame:
    """The delta table of a tokenizer for symbol text, with what rows are to be made of.

    Columns: surface, the text that the unit stands for inside running text (« печени» for 肝⟨sing,gent⟩), null if it
    has none of its own, because it holds a lone mark or a part of a character; surface_constituents, the stock ids of
    that text; surface_lengths, for each of them the characters that end in it. Of a unit without a surface what can be
    read is taken, with examples for lone marks, and if nothing can, its own constituents.

    Args:
        symbols: those that the codec writes.
    """
    reader = _Reader(lexicon, symbols)
    read = [reader.read(stock.bytes_of(token).decode("utf-8", "ignore")) for token in delta["token"]]
    texts = list(dict.fromkeys(text for found in read for text in found.texts))
    cut = dict(zip(texts, stock.segment(texts), strict=True))
    rows = []
    for found, (own, ids, lengths) in zip(read, delta.select("text", "constituents", "lengths").rows(), strict=True):
        parts = [cut[text] for text in found.texts]
        if any(parts):
            ids = [number for part in parts for number in part]
            lengths = [
                n for part in parts for n in characters_ending([stock.bytes_of(stock.token_of[i]) for i in part])
            ]
        rows.append((found.texts[0] if found.whole and own is not None else None, ids, lengths))
    return delta.hstack(pl.DataFrame(rows, schema=SCHEMA, orient="row"))


@dataclass(frozen=True)
class _Read:
    """Texts to be cut each on its own, and whether they are one text without an example in it."""

    texts: list[str]
    whole: bool


class _Reader:
    """Reads symbol text that was cut anywhere."""

    def __init__(self, lexicon: Lexicon, symbols: frozenset[str]) -> None:
        self._codec = restricted_codec(lexicon.concepts, lexicon.forms, symbols)
        self._examples = _examples(lexicon)

    def read(self, text: str) -> _Read:
        """Of symbol text that follows a word, as most of it does: a symbol at its beginning is a space and a word."""
        opened = self._codec.open(f"а{text}")[1:]
        texts, whole = [""], True
        for group in GROUP.findall(opened):
            try:
                texts[-1] += self._codec.decode(group)
            except CodecError:  # a lone mark; the space that is implied before one of case stands in its examples
                texts[-1:] = [texts[-1].rstrip(" "), *self._examples.get(group, ()), ""]
                whole = False
        texts = [text for text in texts if text]
        return _Read(texts, whole and bool(texts))


def _examples(lexicon: Lexicon) -> dict[str, list[str]]:
    """For each mark the texts that stand for it, the commonest first.

    An inflection or variant mark comes where words as they are written have an ending, so its row is made of those of
    the endings that it writes most often, which follow a stem and are predicted after one. (The mean difference
    between forms that have the inflection and base forms would be an offset, much shorter than any row, and as an
    output row it would have no level of its own.) A case mark comes where a word begins, so it gets beginnings.
    """
    words = lexicon.concepts.with_row_index("concept").filter(pl.col("kind") != "phrase")
    seen = lexicon.forms.filter(pl.col("main") & (pl.col("count") > 0))
    forms = seen.join(words.select("concept", "base", "lemma"), on="concept", how="inner", maintain_order="left")
    endings: defaultdict[str, Counter[str]] = defaultdict(Counter)
    beginnings: Counter[str] = Counter()
    columns = forms.select("form", "lemma", "base", "inflection", "variant", "count")
    for form, lemma, base, inflection, variant, count in columns.iter_rows():
        beginnings[form[:_BEGINNING]] += count
        for mark in marks.inflection_mark(0 if inflection == base else inflection) + marks.variant_mark(variant):
            endings[mark][_ending(form, lemma)] += count
    examples = {mark: _commonest(found) for mark, found in endings.items()}
    for mark in marks.CASE_MARKS:
        cases = marks.cases_of(mark, (0,))
        examples[mark] = [f" {marks.apply_case(beginning, cases)}" for beginning in _commonest(beginnings)]
    return examples


def _ending(form: str, lemma: str) -> str:
    """What follows the letters that a form shares with its lemma, which may be nothing."""
    place = next((at for at, (one, other) in enumerate(zip(form, lemma, strict=False)) if one != other), len(lemma))
    return form[place:]


def _commonest(found: Counter[str]) -> list[str]:
    ordered = sorted(found.items(), key=lambda one: (-one[1], one[0]))
    return [text for text, _ in ordered if text][:_EXAMPLES]
