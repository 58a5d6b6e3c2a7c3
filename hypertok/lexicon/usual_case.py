"""The usual case of a concept: how its forms are mostly written, which its symbol then says without a mark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import polars as pl

from hypertok.codec.marks import EACH
from hypertok.corpus.elements import HYPHEN, Ids
from hypertok.lexicon.symbols import KEY

#: Share of capitalised uses from which a dictionary word counts as usually capitalised. Words that often
#: begin a sentence reach 0.6 («однако»).
USUALLY_TITLE = 0.9


def with_case(concepts: pl.DataFrame, main: pl.DataFrame, vocabulary: pl.DataFrame) -> pl.DataFrame:
    """Adds `case`, the usual one of the concept's forms: 0 lower, 1 Title, 2 UPPER, 3 Title-In-Every-Part.

    Args:
        concepts: columns lemma, pos, kind, count.
        main: every form with the lemma, pos and kind that it mainly means.
        vocabulary: columns form, lower, title, upper, other, each; `each` are those of the others that
            `with_every_part` counts.
    """
    patterns = ["lower", "title", "upper"]
    counts = main.join(vocabulary, on="form", how="left").group_by(KEY).agg(pl.col(*patterns, "other", "each").sum())
    # Uses in none of the three patterns («ГОСТом») are left out: whatever the usual case is, it does not give them.
    total = pl.sum_horizontal(patterns).clip(1)
    # One more use, imagined in lower case: a word seen twice, both times at the start of a sentence, is not
    # usually capitalised.
    title = pl.col("title") / (total + pl.when(pl.col("kind") == "word").then(1).otherwise(0))
    threshold = pl.when(pl.col("kind") == "word").then(USUALLY_TITLE).otherwise(0.5)
    # «Санкт-Петербург», not «Ростов-на-Дону» or «ВИЧ-инфекция»; «Северо-Американский» has a lemma of one part.
    each = pl.col("lemma").str.contains(HYPHEN, literal=True)
    each &= pl.col("each") * 2 > pl.sum_horizontal(*patterns, "other")
    return (
        concepts.join(counts, on=KEY, how="left")
        .with_columns(
            case=pl.when(each)
            .then(EACH)
            .when(pl.col("upper") / total > 0.5)
            .then(2)
            .when(title > threshold)
            .then(1)
            .otherwise(0)
            .cast(pl.UInt8)
        )
        .select(*KEY, "count", "case")
    )


def with_every_part(vocabulary: pl.DataFrame, segments: Iterable[tuple[Ids, object, pl.Series]]) -> pl.DataFrame:
    """Adds `each`: how often a form was written with a capital in each of its parts, and nowhere else.

    Args:
        vocabulary: has the column form.
        segments: elements of runs, something, and the elements' names by number; see `CountedCorpus.element_streams`.
    """
    uses: Counter[str] = Counter()
    for ids, _, names in segments:
        words = names.str.strip_chars_start(" ")
        title = words.str.contains("^[А-ЯЁ][а-яё]*$").to_numpy()
        hyphen = (names == HYPHEN).to_numpy()  # not « -», a dash
        joins = np.flatnonzero(hyphen[ids])  # a word stands on either side
        begins = title[ids[joins - 1]] & title[ids[joins + 1]] & ~hyphen[ids[joins - 2]]
        for at in joins[begins].tolist():
            parts = [ids[at - 1]]
            while hyphen[ids[at]]:
                parts.append(ids[at + 1])
                at += 2
            if title[parts].all():
                uses[HYPHEN.join(words[int(part)] for part in parts).lower()] += 1
    schema = {"form": pl.String, "each": pl.Int64}
    each = pl.DataFrame(list(uses.items()), schema=schema, orient="row")
    return vocabulary.join(each, on="form", how="left", maintain_order="left").with_columns(pl.col("each").fill_null(0))
