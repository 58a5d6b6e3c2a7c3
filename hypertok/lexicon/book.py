"""The lexicon's tables as the codec asks them: form -> code and code -> form, straight from columns.

A million forms as Python strings in a dictionary would take 200 MB and most of the load time. Here they stay
in one byte string with offsets, found by bisection (about 5 µs, once per distinct word: the codec caches).
"""

from __future__ import annotations

from bisect import bisect_left
from functools import cached_property

import numpy as np
import polars as pl

from hypertok.codec.book import Code
from hypertok.lexicon.symbols import is_symbol

#: Distance of the landmarks that speed up the search; 64 makes 24,000 of them for 1.5 million forms (2 MB).
_BLOCK = 64
#: Forms kept in a dictionary: 300,000 take 45 MB and 0.15 s on first use.
_FREQUENT = 300_000


class StringColumn:
    """Strings of a column as one byte string with offsets."""

    def __init__(self, column: pl.Series) -> None:
        """`column` must hold no nulls."""
        ends = np.zeros(len(column) + 1, dtype=np.int64)
        np.cumsum(column.str.len_bytes(), out=ends[1:])
        self._ends = ends.data  # of the string before, from 0 on
        self._bytes = (column.str.join("").item() if len(column) else "").encode()

    def __len__(self) -> int:
        return len(self._ends) - 1

    def bytes_at(self, row: int) -> bytes:
        """UTF-8 bytes of one string."""
        return self._bytes[self._ends[row] : self._ends[row + 1]]

    def __getitem__(self, row: int) -> str:
        return self.bytes_at(row).decode()


class Book:
    """A `CodeBook` over the tables concepts and forms (columns: see docs/lexicon-format.md)."""

    def __init__(self, concepts: pl.DataFrame, forms: pl.DataFrame) -> None:
        """`forms` must be sorted as `forms.number_variants` leaves it and have the column by_form."""
        self._concepts = concepts
        self._table = forms
        self.forms = StringColumn(forms["form"])
        self._order = _numbers(forms["by_form"])
        self._concept = _numbers(forms["concept"])
        self._inflection = _numbers(forms["inflection"])
        self._variant = _numbers(forms["variant"])
        self._main = _numbers(forms["main"])
        self._base = _numbers(concepts["base"])
        self._starts = np.searchsorted(forms["concept"].to_numpy(), np.arange(concepts.height + 1)).data
        self._symbols: list[str] = concepts["symbol"].to_list()
        cases = {cases: tuple(map(int, cases)) for cases in concepts["cases"].unique().to_list()}
        self._cases = list(map(cases.__getitem__, concepts["cases"].to_list()))
        self._concept_of = {symbol: number for number, symbol in enumerate(self._symbols)}

    @cached_property
    def symbols(self) -> frozenset[str]:
        """All symbols in use."""
        return frozenset(self._symbols)

    def is_reserved(self, character: str) -> bool:
        """Whether a character may be a symbol in a lexicon that is built over this one."""
        return is_symbol(character)

    def rows_of(self, form: str) -> list[int]:
        """Rows of the table forms with exactly this form."""
        key = form.encode("utf-8", "surrogatepass")
        order, at = self._order, self.forms.bytes_at
        block = bisect_left(self._landmarks, key)
        last = min(block * _BLOCK, len(order))
        place = bisect_left(order, key, max(0, block - 1) * _BLOCK, last, key=at)
        rows = []
        while place < len(order) and at(order[place]) == key:
            rows.append(order[place])
            place += 1
        return rows

    def rows_of_concept(self, concept: int) -> range:
        """Rows of the table forms that belong to a concept."""
        return range(self._starts[concept], self._starts[concept + 1])

    def main_row(self, form: str) -> int | None:
        """The row by which the codec writes a form."""
        row = self._frequent.get(form)
        if row is None:
            row = next((row for row in self.rows_of(form) if self._main[row]), None)
        return row

    def concept_at(self, row: int) -> int:
        """The concept of a row of forms."""
        return self._concept[row]

    def concept_of_symbol(self, symbol: str) -> int | None:
        """The concept behind a symbol."""
        return self._concept_of.get(symbol)

    def code_of(self, form: str) -> Code | None:
        """The code of a form, None for an unknown one."""
        row = self.main_row(form)
        if row is None:
            return None
        concept = self.concept_at(row)
        inflection = self._inflection[row]
        if inflection == self._base[concept]:
            inflection = 0
        return Code(self._symbols[concept], inflection, self._variant[row], self.cases_of(concept))

    def form_at(self, symbol: str, inflection: int, variant: int) -> tuple[str, tuple[int, ...]] | None:
        """The (form, usual case of each word) behind a code, None for an unknown one.

        A bare symbol always says its lemma, also where that spelling is written as another concept («мочь»
        the verb, beside the noun).
        """
        concept = self._concept_of[symbol]
        wanted, rows = inflection or self._base[concept], self.rows_of_concept(concept)
        # The forms of one inflection lie together in the order of their variants.
        row = bisect_left(self._inflection, wanted, rows.start, rows.stop) + variant
        # Main or not: what a text encoded with an older lexicon says may have become another concept's since.
        if row < rows.stop and self._inflection[row] == wanted:
            return self.forms[row], self.cases_of(concept)
        if inflection == variant == 0:
            return self._concepts["lemma"][concept], self.cases_of(concept)
        return None

    def cases_of(self, concept: int) -> tuple[int, ...]:
        """The usual case of each word of a concept."""
        return self._cases[concept]

    @cached_property
    def _frequent(self) -> dict[str, int]:
        """Main rows of the forms that texts are made of: encoding new text is 1.5 times faster with them."""
        seen = pl.col("main") & pl.col("attested")
        rows = self._table.select("form", "main", "attested", "count").with_row_index("row").filter(seen)
        if len(rows) > _FREQUENT:
            rows = rows.top_k(_FREQUENT, by="count")
        return dict(rows.select("form", "row").iter_rows())

    @cached_property
    def _landmarks(self) -> list[bytes]:
        """Every 64th form in order: bisection is quick in a list and leaves six slow steps in the table."""
        at = self.forms.bytes_at
        return [at(row) for row in self._order[::_BLOCK]]

    @cached_property
    def _first_words(self) -> dict[str, int]:
        phrases = self._concepts.with_row_index("concept").filter(pl.col("kind") == "phrase")["concept"]
        first = (
            self._table.filter(pl.col("main") & pl.col("concept").is_in(phrases.implode()))
            .select(words=pl.col("form").str.split(" "))
            .select(first=pl.col("words").list.first(), words=pl.col("words").list.len())
            .group_by("first")
            .agg(pl.col("words").max())
        )
        return dict(first.iter_rows())

    def longest_phrase(self, first_word: str) -> int:
        """Number of words of the longest phrase that starts with this word; 0 if there is none."""
        return self._first_words.get(first_word, 0)


def _numbers(column: pl.Series) -> memoryview[int]:
    """A column to be read one value at a time: a memory view is three times faster at that than numpy."""
    return column.to_numpy().data
