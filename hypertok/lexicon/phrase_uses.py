"""How concepts of several words are used, summed up stream by stream.

Memory depends on the number of concepts and of their different neighbours, not on the length of the corpus.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from hypertok.corpus.stream import LOWER, TITLE, UPPER

#: Case patterns of a word that are counted, by place; the longest concept has four words.
PATTERNS = (LOWER, TITLE, UPPER)
_PLACES = 4
#: Rows held before they are summed, and at least as many as there are sums.
_ROWS = 1_000_000


@dataclass(frozen=True)
class Uses:
    """Sums over all uses of concepts; no row twice.

    Attributes:
        concepts: concept, uses, joined, inside (see `gather_uses`), title (the second word has a capital), titles (each
            of the first two has), titles_inside, and the counts of `case_counts`.
        left, right: concept, left or right (form number of a neighbour, words alone), uses.
    """

    concepts: pl.DataFrame
    left: pl.DataFrame
    right: pl.DataFrame

    def case_counts(self) -> npt.NDArray[np.int64]:
        """How often each word has each of `PATTERNS`; the first word counts only inside a sentence. (C, 4, 3)"""
        return self.concepts.select(_case_counts().keys()).to_numpy().reshape(-1, _PLACES, len(PATTERNS))


def sum_uses(tables: Iterable[pl.DataFrame]) -> Uses:
    """Sum the tables of `gather_uses`, of which there is at least one."""
    first, second, inside = _case(0) == TITLE, _case(1) == TITLE, pl.col("inside")
    numbers = {
        "uses": pl.lit(1), "joined": pl.col("joined"), "inside": inside,
        "title": second, "titles": first & second, "titles_inside": first & second & inside, **_case_counts(),
    }  # fmt: skip
    concepts, left, right = _Sums("concept"), _Sums("concept", "left"), _Sums("concept", "right")
    for table in tables:
        concepts.add(table.select("concept", **numbers))
        left.add(table.filter(pl.col("left") >= 0).select("concept", "left", uses=1))
        right.add(table.filter(pl.col("right") >= 0).select("concept", "right", uses=1))
    return Uses(concepts.total(), left.total(), right.total())


def _case(place: int) -> pl.Expr:
    case: pl.Expr = (pl.col("cases") // 4**place) & 3
    return case


def _case_counts() -> dict[str, pl.Expr]:
    valid = [pl.col("inside"), *[pl.lit(True)] * (_PLACES - 1)]
    return {
        f"case_{place}_{pattern}": (_case(place) == pattern) & valid[place]
        for place in range(_PLACES)
        for pattern in PATTERNS
    }


class _Sums:
    """Sums of all other columns by `keys`, over tables that are added one by one."""

    def __init__(self, *keys: str) -> None:
        self._keys = keys
        self._tables: list[pl.DataFrame] = []
        self._sums = self._waiting = 0  # rows of the first table, and of the others

    def add(self, table: pl.DataFrame) -> None:
        self._tables.append(self._summed(table.with_columns(pl.exclude(self._keys).cast(pl.Int64))))
        self._waiting += self._tables[-1].height
        if self._waiting > max(_ROWS, self._sums):
            self._tables = [self.total()]
            self._sums, self._waiting = self._tables[0].height, 0

    def total(self) -> pl.DataFrame:
        return self._summed(pl.concat(self._tables))

    def _summed(self, table: pl.DataFrame) -> pl.DataFrame:
        return table.group_by(self._keys).agg(pl.all().sum())
