"""From sequences of forms to concepts: every sequence is read as one term, and all its inflected forms meet.

A concept is a shape («AN», «NAN» …), the words up to its head, and the dependents after the head as they are
written: «базы данных» and «базами данных» are both (NN, база, данных).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from hypertok.lexicon.phrase_counts import Candidates
from hypertok.lexicon.phrase_grammar import ADJECTIVE, NOT_GENITIVE, NOUN, SHAPES, WordTable, read_as

#: Words a concept may have; each has a key column.
KEYS = ["k0", "k1", "k2", "k3"]
CONCEPT = ["shape", *KEYS]


def read_candidates(found: Candidates, table: WordTable, shapes: list[str]) -> pl.DataFrame:
    """All readings of all sequences: one row per (sequence, shape, head word).

    Columns: row (of `found`), shape, k0 … k3, head (word number), share (probability of the reading's words
    in their roles), sure (whether the head is surely not a genitive), count.
    """
    share = {
        role: _by_form(table.readings.filter(role=role), len(table.fixed)) for role in (ADJECTIVE, NOUN)
    }
    nouns = table.readings.filter(role=NOUN).select("form", word="word", slots="mask", likely="share")
    adjective_word = np.full(len(table.fixed), -1, np.int32)
    adjectives = table.readings.filter(role=ADJECTIVE)
    adjective_word[adjectives["form"]] = adjectives["word"]

    tables = [_NO_READINGS]
    for shape in shapes:
        slots, _ = read_as(shape, found.forms, table)
        rows = np.flatnonzero(slots)
        forms = found.forms[rows]
        head = shape.find("N") if "N" in shape else len(shape)
        columns: dict[str, npt.NDArray[np.generic]] = {"row": rows, "slots_left": slots[rows]}
        probability = np.ones(len(rows))
        for position, role in enumerate(shape):
            column = forms[:, position]
            if position != head:
                probability = probability * share[ADJECTIVE if role == "A" else NOUN][column]
            if position < head:
                columns[KEYS[position]] = adjective_word[column]
            elif position > head:
                columns[KEYS[position]] = table.fixed[column]
        frame = pl.DataFrame({**columns, "probability": probability, "count": found.counts[rows]})
        if head < len(shape):
            frame = frame.with_columns(form=pl.Series(forms[:, head], dtype=pl.Int32))
            frame = frame.join(nouns, on="form", how="inner").with_columns(
                pl.col("slots") & pl.col("slots_left"), pl.col("probability") * pl.col("likely")
            )
            frame = frame.filter(pl.col("slots") != 0).with_columns(pl.col("word").alias(KEYS[head]))
        else:
            frame = frame.with_columns(slots=pl.col("slots_left"), word=pl.lit(-1, pl.Int32))
        missing = [pl.lit(-1, pl.Int32).alias(key) for key in KEYS if key not in frame.columns]
        tables.append(
            frame.with_columns(
                *missing,
                shape=pl.lit(shape),
                sure=(pl.col("slots") & ~pl.lit(~NOT_GENITIVE, pl.UInt32)) == pl.col("slots"),
            ).select(
                pl.col("row").cast(pl.Int64), "shape", *(pl.col(k).cast(pl.Int32) for k in KEYS),
                pl.col("word").cast(pl.Int32).alias("head"), pl.col("probability").alias("share"),
                "sure", pl.col("count").cast(pl.Int64),
            )
        )  # fmt: skip
    return pl.concat(tables)


def resolve(readings: pl.DataFrame) -> pl.DataFrame:
    """One reading per sequence: the one whose concept explains most occurrences in the whole corpus."""
    # Order matters twice: sums of fractions, and which of two equal readings wins.
    readings = readings.sort("row", *CONCEPT)
    soft = readings.with_columns(
        expected=pl.col("count") * pl.col("share") / pl.col("share").sum().over("row")
    )
    totals = soft.group_by(CONCEPT, maintain_order=True).agg(total=pl.col("expected").sum().round(6))
    return (
        soft.join(totals, on=CONCEPT, maintain_order="left")
        .sort("row", pl.col("total") * pl.col("share"), *CONCEPT, descending=[False, True, *[False] * len(CONCEPT)])
        .unique("row", keep="first", maintain_order=True)
        .drop("expected", "total")
    )


def frequent_links(pairs: Candidates, table: WordTable, min_count: int) -> npt.NDArray[np.bool_]:
    """Which pairs may be part of a longer term: their words, in any form, meet `min_count` times. (R,)

    A term cannot be commoner than the pairs it is made of, so nothing is lost.
    """
    readings = read_candidates(pairs, table, ["AA", "AN", "NA", "NN"])
    totals = readings.group_by(CONCEPT).agg(total=pl.col("count").sum()).filter(pl.col("total") >= min_count)
    rows = readings.join(totals, on=CONCEPT, how="semi")["row"].to_numpy()
    keep = np.zeros(len(pairs.counts), np.bool_)
    keep[rows] = True
    return keep


def shapes_of(length: int) -> list[str]:
    """The shapes a term of this many words can have."""
    return SHAPES[length]


def _by_form(readings: pl.DataFrame, size: int) -> npt.NDArray[np.float64]:
    return np.bincount(readings["form"].to_numpy(), readings["share"].to_numpy(), size)


_NO_READINGS = pl.DataFrame(
    schema={
        "row": pl.Int64, "shape": pl.String, **dict.fromkeys(KEYS, pl.Int32), "head": pl.Int32,
        "share": pl.Float64, "sure": pl.Boolean, "count": pl.Int64,
    }
)  # fmt: skip
