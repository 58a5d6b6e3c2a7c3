"""Which candidates are terms: association, independence of what surrounds them, and variety of use."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from hypertok.lexicon.phrase_counts import Candidates, Numbers, sub_candidates
from hypertok.lexicon.phrase_grammar import WordTable
from hypertok.lexicon.phrase_readings import CONCEPT, KEYS

Floats = npt.NDArray[np.float64]


def collect_concepts(resolved: Sequence[pl.DataFrame], min_count: int) -> tuple[pl.DataFrame, list[Numbers]]:
    """Concepts that occur `min_count` times, and for each candidate table the concept of every row (-1: none).

    Columns: concept, length, shape, k0 … k3, head, count, sure (share of uses whose head is no genitive).
    """
    rows = pl.concat([r.with_columns(length=pl.lit(n, pl.Int8)) for n, r in enumerate(resolved, 2)])
    concepts = (
        rows.group_by(CONCEPT)
        .agg(
            pl.col("length", "head").first(),
            pl.col("count").sum(),
            sure=(pl.col("count") * pl.col("sure")).sum() / pl.col("count").sum(),
        )
        .filter(pl.col("count") >= min_count)
        .sort(CONCEPT)
        .with_row_index("concept")
        .with_columns(pl.col("concept").cast(pl.Int64))
    )
    numbers = []
    for table in resolved:
        found = table.join(concepts.select("concept", *CONCEPT), on=CONCEPT)
        of_row = np.full(int(table["row"].max() or 0) + 1, -1, np.int64)  # type: ignore[arg-type]
        of_row[found["row"]] = found["concept"]
        numbers.append(of_row)
    return concepts, numbers


def pad(of_row: Numbers, size: int) -> Numbers:
    """`of_row` lengthened to `size` with -1."""
    return np.concatenate([of_row, np.full(size - len(of_row), -1, np.int64)])


def associate(
    concepts: pl.DataFrame,
    of_row: Sequence[Numbers],
    tables: Sequence[Candidates],
    words: WordTable,
    fixed_counts: Floats,
    total: float,
) -> Floats:
    """How firmly each concept holds together, 0 (chance) to 1 (its words never occur apart). (C,)

    Normalised pointwise mutual information of the weaker of two splits, first word against the rest and
    last word against the rest, discounted for rare words (Pantel and Lin 2002), because one meeting of two
    words that occur once proves nothing.
    """
    count = concepts["count"].to_numpy().astype(np.float64)
    length = concepts["length"].to_numpy()
    head = concepts["shape"].str.find("N", literal=True).to_numpy()
    keys = concepts.select(KEYS).to_numpy()
    word_counts = words.words["count"].to_numpy()

    def single(position: npt.NDArray[np.integer]) -> Floats:
        key = keys[np.arange(len(keys)), position]
        before = position <= head
        result = np.empty(len(keys))
        result[before] = word_counts[key[before]]
        result[~before] = fixed_counts[key[~before]]
        return np.maximum(result, count)

    first, last = single(np.zeros_like(head)), single(length - 1)
    prefix, suffix = first.copy(), last.copy()
    for n, part, rows in sub_candidates(tables[0], tables[1], tables[2]):
        if part != n - 1:
            continue
        used = pad(of_row[n - 2], len(rows))
        for column, into in ((0, prefix), (1, suffix)):
            pairs = pl.DataFrame({"concept": used, "part": rows[:, column]}).filter(
                (pl.col("concept") >= 0) & (pl.col("part") >= 0)
            )
            pairs = pairs.unique()
            sums = np.bincount(
                pairs["concept"].to_numpy(), tables[part - 2].counts[pairs["part"].to_numpy()], len(count)
            )
            into[length == n] = sums[length == n]
    one = _npmi(count, first, np.maximum(suffix, count), total)
    other = _npmi(count, np.maximum(prefix, count), last, total)
    return np.minimum(one, other)


def _npmi(both: Floats, left: Floats, right: Floats, total: float) -> Floats:
    smaller = np.minimum(left, right)
    raw = np.log(both * total / (left * right)) / np.log(np.maximum(total / both, 2.0))
    return np.clip(raw, 0.0, 1.0) * both / (both + 1) * smaller / (smaller + 1)


def nesting(of_row: Sequence[Numbers], tables: Sequence[Candidates]) -> pl.DataFrame:
    """How often each concept is a part of a longer one. Columns: part, whole, count."""
    found = []
    for n, part, rows in sub_candidates(tables[0], tables[1], tables[2]):
        whole = pad(of_row[n - 2], len(rows))
        inner = pad(of_row[part - 2], len(tables[part - 2].counts))
        for column in rows.T:
            found.append(
                pl.DataFrame(
                    {"part": np.append(inner, -1)[column], "whole": whole, "count": tables[n - 2].counts}
                )
            )
    return (
        pl.concat(found)
        .filter((pl.col("part") >= 0) & (pl.col("whole") >= 0))
        .group_by("part", "whole")
        .agg(pl.col("count").sum())
        .sort("part", "whole")
    )
