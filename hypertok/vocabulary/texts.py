"""What units are learned from: texts with weights, made from the lexicon's runs and forms."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from hypertok.lexicon.lexicon import Lexicon
from hypertok.lexicon.runs import WEIGHT_UNIT
from hypertok.vocabulary.general import general_words
from hypertok.vocabulary.units import Span

#: Weights are rounded to whole numbers of this fraction, because merges are learned from counts.
_PART = 3
_WORD = " ?[А-ЯЁа-яё]+"


@dataclass(frozen=True)
class Texts:
    """Texts to learn from; `counts` are proportional to their weights, `frequency` is how often each was seen."""

    texts: list[str]
    counts: npt.NDArray[np.int64]
    frequency: npt.NDArray[np.int64]


def seen_texts(runs: pl.DataFrame, span: Span, apart: Collection[str] = ()) -> Texts:
    """The corpus as it is: runs, or for span "word" their words, with plain counts."""
    table = _spanned(runs, span, apart).sort("count", "run", descending=[True, False])
    counts = table["count"].cast(pl.Int64).to_numpy()
    return Texts(table["run"].to_list(), counts, counts)


def concept_texts(lexicon: Lexicon, span: Span, *, general: float, apart: Collection[str] = ()) -> Texts:
    """The corpus by weight, with general Russian added.

    Args:
        general: how much is added, as a share of the corpus's words.
        apart: words at which runs are cut, because the stock tokenizer looks them up whole.
    """
    words = word_table(lexicon.runs)
    total = words["weight"].sum()
    added = pl.DataFrame(schema={"run": pl.String, "weight": pl.Float64})
    if general:
        added = general_words(words).select("run", weight=pl.col("share") * total * general)
    return weighted_texts(lexicon.runs, span, added, apart)


def weighted_texts(runs: pl.DataFrame, span: Span, added: pl.DataFrame, apart: Collection[str] = ()) -> Texts:
    """Runs (or words) by weight, and words from elsewhere added.

    Args:
        runs: columns run, count, weight; no run twice.
        span: "word" takes the runs apart.
        added: columns run, weight: words that the corpus showed rarely or not at all; no word twice.
        apart: words at which runs are cut, because the stock tokenizer looks them up whole.
    """
    table = _spanned(runs, span, apart)
    # Nearly all of the two million words added are no runs, so a join is faster than grouping all by their text; and it
    # leaves them in their order, which is nearly the one they are sorted to.
    more = added.select("run", more=pl.col("weight").cast(pl.Float64))
    table = table.join(more, on="run", how="full", coalesce=True, maintain_order="left_right").fill_null(0)
    table = table.select("run", "count", weight=pl.col("weight") + pl.col("more"))
    table = table.sort("weight", "run", descending=[True, False])
    counts = rounded(table["weight"].to_numpy() * _PART)
    kept = counts > 0
    texts = table.filter(pl.Series(kept))["run"].to_list()
    return Texts(texts, counts[kept], table["count"].to_numpy()[kept])


def word_table(runs: pl.DataFrame) -> pl.DataFrame:
    """The words of all runs, each with the space before it: run, count, weight."""
    parts = runs.select(pl.col("run").str.extract_all(_WORD), pl.col("count").cast(pl.Int64), "weight").explode("run")
    return _summed(parts.drop_nulls("run"))


def _spanned(runs: pl.DataFrame, span: Span, apart: Collection[str]) -> pl.DataFrame:
    if span == "word":
        return word_table(runs)
    table = runs.select("run", pl.col("count").cast(pl.Int64), pl.col("weight").cast(pl.Float64))
    if not apart:
        return table
    # One without its space or hyphen stands at the beginning of a run alone: elsewhere it is the end of another word.
    places = [re.escape(word) if not word[0].isalpha() else f"^{word}" for word in sorted(apart, key=len, reverse=True)]
    # The word itself is a piece of its own then; what follows it begins with its space or joiner.
    pattern = rf"(?:{'|'.join(places)})(?P<end>[\n ,;:-]|$)"
    marked = pl.col("run")
    for _ in range(2):  # the end of one word may be the beginning of the next, which the first pass steps over
        marked = marked.str.replace_all(pattern, "\n${end}")
    parts = marked.str.replace_all(r"\n[,;:-]", "\n").str.split("\n")
    cut = table.with_columns(run=parts).explode("run").filter(pl.col("run") != "")
    return _summed(cut)


def _summed(table: pl.DataFrame) -> pl.DataFrame:
    # Whole numbers, because the order in which floats are summed is not fixed.
    whole = table.with_columns((pl.col("weight") / WEIGHT_UNIT).round().cast(pl.Int64))
    total = whole.group_by("run").agg(pl.col("count").sum(), pl.col("weight").sum())
    return total.select("run", "count", weight=pl.col("weight") * WEIGHT_UNIT)


def rounded(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Weights as whole numbers; of many small ones, as many round up as their sum says."""
    golden = (5**0.5 - 1) / 2
    return np.floor(weights + np.arange(len(weights)) * golden % 1).astype(np.int64)
