"""From sequences of forms to concepts: every sequence is read as one term, and all its inflected forms meet.

A concept is a shape («AN», «NAN» …) and one word per letter of it: «базы данных» and «базами данных» are both
(NN, база, данные). The first N is the head.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from hypertok.lexicon.phrase_counts import Candidates, Numbers
from hypertok.lexicon.phrase_grammar import (
    ABLATIVE,
    ADJECTIVE,
    ALL,
    GENITIVE,
    NOT_GENITIVE,
    NOUN,
    SHAPES,
    SINGULAR,
)
from hypertok.lexicon.phrase_words import WordTable

#: Words a concept may have; each has a key column.
KEYS = ["k0", "k1", "k2", "k3"]
CONCEPT = ["shape", *KEYS]
_SCHEMA = {
    "row": pl.Int64, "shape": pl.String, **dict.fromkeys(KEYS, pl.Int32), "slots": pl.UInt32,
    "share": pl.Float64, "count": pl.Int64,
}  # fmt: skip


def read_candidates(found: Candidates, table: WordTable, shapes: list[str]) -> pl.DataFrame:
    """All readings of all sequences: one row per (sequence, shape, head word).

    Columns: row (of `found`), shape, k0 … k3 (words, -1 for none), slots (what the head may be here), share
    (how likely the words are to stand in these roles, 0 to 1), count.
    """
    share = {role: _role_share(table, role) for role in (ADJECTIVE, NOUN)}
    nouns = table.readings.filter(role=NOUN).select("form", "word", "mask", likely="share")
    tables = [pl.DataFrame(schema=_SCHEMA)]
    for shape in shapes:
        slots = read_as(shape, found.forms, table)
        rows = np.flatnonzero(slots)
        forms = found.forms[rows]
        head = shape.find("N") % (len(shape) + 1)  # a beginning without a noun has its head yet to come
        columns: dict[str, npt.NDArray[np.generic]] = {
            "row": rows.astype(np.int64), "slots": slots[rows], "count": found.counts[rows],
        }  # fmt: skip
        likely = np.ones(len(rows))
        for position, role in enumerate(shape):
            column = forms[:, position]
            words = table.adjective_word if role == "A" else table.dependent_word
            columns[KEYS[position]] = words[column]
            if position != head:
                likely *= share[ADJECTIVE if role == "A" else NOUN][column]
        frame = pl.DataFrame({**columns, "share": likely}).with_columns(shape=pl.lit(shape))
        if head < len(shape):
            frame = (
                frame.with_columns(form=pl.Series(forms[:, head], dtype=pl.Int32))
                .join(nouns, on="form")
                .with_columns(
                    pl.col("slots") & pl.col("mask"),
                    pl.col("share") * pl.col("likely"),
                    pl.col("word").alias(KEYS[head]),
                )
                .filter(pl.col("slots") != 0)
            )
        frame = frame.with_columns(pl.lit(-1, pl.Int32).alias(k) for k in KEYS if k not in frame.columns)
        tables.append(frame.select(pl.col(name).cast(kind) for name, kind in _SCHEMA.items()))
    return pl.concat(tables)


def read_as(shape: str, forms: npt.NDArray[np.int64], table: WordTable) -> npt.NDArray[np.uint32]:
    """Slots that the head of each row of `forms` (R, n) fills when read in a shape such as «ANN»; 0: none.

    The last letter of the shape may be A for a beginning that another word completes. Shape (R,).
    """
    head_slots = open_slots = np.full(len(forms), ALL, np.uint32)
    possible = np.ones(len(forms), np.bool_)
    in_tail = False
    for position, role in enumerate(shape):
        column = forms[:, position]
        open_slots = open_slots & (table.noun if role == "N" else table.adjective)[column]
        possible &= open_slots != 0
        if role == "N":
            if not in_tail:
                head_slots, in_tail = open_slots, True
            open_slots = np.where(table.governs[column], GENITIVE | ABLATIVE, GENITIVE)
            if position + 1 < len(shape):
                possible &= (table.head if len(shape) == 2 else table.inner_head)[column]
    if not in_tail:
        head_slots = open_slots
    return np.where(possible, head_slots, 0).astype(np.uint32)


def resolve(readings: pl.DataFrame) -> pl.DataFrame:
    """One reading per sequence: the one whose concept explains most occurrences in the whole corpus."""
    # Order matters twice: for sums of fractions, and for which of two equal readings wins.
    readings = readings.sort("row", *CONCEPT)
    soft = readings.with_columns(expected=pl.col("count") * pl.col("share") / pl.col("share").sum().over("row"))
    totals = soft.group_by(CONCEPT, maintain_order=True).agg(total=pl.col("expected").sum().round(6))
    return (
        soft.join(totals, on=CONCEPT, maintain_order="left")
        .with_columns(evidence=pl.col("total") * pl.col("share"))
        .sort("row", "evidence", *CONCEPT, descending=[False, True, *[False] * len(CONCEPT)])
        .unique("row", keep="first", maintain_order=True)
        .select(name for name in _SCHEMA if name != "share")
    )


def frequent_pairs(pairs: Candidates, table: WordTable, min_count: int) -> Candidates:
    """The pairs that may be, or be part of, a term: their words, in any form, meet `min_count` times.

    A term cannot be commoner than the pairs it is made of, so nothing is lost.
    """
    readings = read_candidates(pairs, table, ["AA", "AN", "NA", "NN"])
    totals = readings.group_by(CONCEPT).agg(pl.col("count").sum()).filter(pl.col("count") >= min_count)
    keep = np.zeros(len(pairs.counts), np.bool_)
    keep[readings.join(totals, on=CONCEPT, how="semi")["row"]] = True
    return Candidates(pairs.keys[keep], pairs.forms[keep], pairs.counts[keep])


def read_all(tables: tuple[Candidates, Candidates, Candidates], words: WordTable) -> pl.DataFrame:
    """The reading of every sequence of two, three and four words; columns as above and `length`."""
    return pl.concat(
        resolve(read_candidates(table, words, SHAPES[n])).with_columns(length=pl.lit(n, pl.Int8))
        for n, table in enumerate(tables, 2)
    )


def collect_concepts(
    readings: pl.DataFrame, tables: tuple[Candidates, Candidates, Candidates], min_count: int
) -> tuple[pl.DataFrame, list[Numbers]]:
    """Concepts that occur `min_count` times, and for each table the concept of every row (-1 for none).

    Columns: concept, shape, k0 … k3, length, count, top_form (share of the commonest),
    no_genitive (share of uses whose head is surely no genitive), singular (share that may be singular).
    """
    slots = pl.col("slots")
    sure = (slots & pl.lit(int(~NOT_GENITIVE), pl.UInt32)) == 0
    single = (slots & pl.lit(int(SINGULAR), pl.UInt32)) != 0
    total = pl.col("count").sum()
    concepts = (
        readings.group_by(CONCEPT)
        .agg(
            pl.col("length").first(),
            total,
            top_form=pl.col("count").max() / total,
            no_genitive=(pl.col("count") * sure).sum() / total,
            singular=(pl.col("count") * single).sum() / total,
        )
        .filter(pl.col("count") >= min_count)
        .sort(CONCEPT)
        .with_columns(concept=pl.int_range(pl.len(), dtype=pl.Int64))
    )
    numbered = readings.join(concepts.select("concept", *CONCEPT), on=CONCEPT)
    of_row = []
    for length, table in enumerate(tables, 2):
        mine = numbered.filter(length=length)
        rows = np.full(len(table.counts), -1, np.int64)
        rows[mine["row"].to_numpy()] = mine["concept"].to_numpy()
        of_row.append(rows)
    return concepts, of_row


def _role_share(table: WordTable, role: int) -> npt.NDArray[np.float64]:
    readings = table.readings.filter(role=role)
    shares: npt.NDArray[np.float64] = readings["share"].to_numpy()
    return np.bincount(readings["form"].to_numpy(), shares, len(table.noun)).astype(np.float64)
