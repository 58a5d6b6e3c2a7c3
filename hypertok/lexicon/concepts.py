"""From analyses with corpus weights to concepts: which there are, how frequent, and what a form means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from hypertok.codec.marks import EACH
from hypertok.lexicon.grammemes import OUTSIDE, concept_pos, inflection_of, kind_of
from hypertok.lexicon.inflections import Inflections
from hypertok.lexicon.morphology import Analyses
from hypertok.lexicon.overrides import Overrides

#: «я-то», «скажи-ка», «да-с»: a word and a particle, which the codec writes as two concepts. Words in which
#: they have grown together («кто-то») are in the dictionary.
_WITH_PARTICLE = r"-(?:то|ка|с|де|таки|тко)$"
CASES = ("lower", "title", "upper", "other")
KEY = ["lemma", "pos", "kind"]
#: A word that is no dictionary word must be seen this often to be a concept; below lie mostly misprints.
MIN_UNKNOWN = 3
#: A concept that is no form's commonest reading is kept if some form means it at least this often.
MIN_SHARE = 0.1
#: Share of capitalised uses from which a dictionary word counts as usually capitalised. Words that often
#: begin a sentence reach 0.6 («однако»).
USUALLY_TITLE = 0.9


@dataclass(frozen=True)
class Readings:
    """What every form may mean.

    Attributes:
        rows: one row per (form, concept, inflection): form, lemma, pos, kind, inflection (id), weight
            (expected count), count (of the form), lexeme.
        concepts: one row per concept: lemma, pos, kind, count, case (usual case pattern).
    """

    rows: pl.DataFrame
    concepts: pl.DataFrame


def read_concepts(
    vocabulary: pl.DataFrame,
    analyses: Analyses,
    weights: npt.NDArray[np.float64],
    inflections: Inflections,
    *,
    overrides: Overrides,
    min_count: int = 1,
    base: pl.DataFrame | None = None,
) -> Readings:
    """Group weighted analyses into concepts and choose the dominant concept of every form.

    Args:
        vocabulary: columns form, lower, title, upper, other, in the order of `analyses.forms`.
        weights: (A,) expected count of each analysis in the corpus.
        overrides: added concepts are kept whatever their count; forbidden and merged ones are gone.
        min_count: concepts with a smaller expected count are left out.
        base: concepts of the base lexicon: a word outside the dictionary keeps the kind it has there.
    """
    rows = _rows(vocabulary, analyses, weights, inflections, overrides, base)
    choice = dominant(rows)
    concepts = _kept(rows, choice, overrides, min_count)
    rows = rows.join(concepts, on=KEY, how="semi", maintain_order="left")
    main = dominant(rows)
    return Readings(rows, _with_case(concepts, main, vocabulary))


def _rows(
    vocabulary: pl.DataFrame,
    analyses: Analyses,
    weights: npt.NDArray[np.float64],
    inflections: Inflections,
    overrides: Overrides,
    base: pl.DataFrame | None,
) -> pl.DataFrame:
    """One row per form, concept and inflection."""
    tags = pl.DataFrame(
        [
            (number, known, concept_pos(tag), kind_of(tag, known), inflections.id_of(inflection_of(tag)))
            for number, tag in enumerate(analyses.tags)
            for known in (False, True)
        ],
        schema={
            "tag": pl.Int32,
            "known": pl.Boolean,
            "pos": pl.String,
            "kind": pl.String,
            "inflection": pl.UInt16,
        },
        orient="row",
    )
    forms = vocabulary.select(
        "form",
        count=pl.sum_horizontal(CASES),
        # A word the dictionary does not know, written in capitals, is an abbreviation: «АТФ».
        capitals=pl.col("upper") * 2 > pl.sum_horizontal(CASES),
    )
    rows = pl.DataFrame(
        {
            "number": analyses.form_index(),
            "lemma": pl.Series(analyses.lemmas, dtype=pl.String)[analyses.lemma],
            "tag": analyses.tag,
            "known": analyses.known,
            "weight": weights,
            "prior": analyses.prior,
            "lexeme": analyses.lexeme,
        }
    ).join(tags, on=["tag", "known"], how="left", maintain_order="left")
    numbered = forms.with_row_index("number").cast({"number": pl.Int64})
    rows = rows.join(numbered, on="number", how="left", maintain_order="left")
    rows = rows.filter((pl.col("kind") != "unknown") | ~pl.col("form").str.contains(_WITH_PARTICLE))
    had = _kinds_of(base)
    rows = rows.join(had, on=["lemma", "pos"], how="left", maintain_order="left")
    by_case = pl.when("capitals").then(pl.lit("abbreviation")).otherwise(pl.lit("unknown"))
    outside = pl.col("kind") == "unknown"
    rows = rows.with_columns(kind=pl.when(outside).then(pl.coalesce("had", by_case)).otherwise("kind"))
    uses = pl.col("weight").sum().over("form")
    rows = overrides.apply(rows.with_columns(uses=uses))
    # What a forbidden reading loses goes to the other readings of the form.
    return (
        rows.with_columns(weight=pl.col("uses") * share_of("weight"))
        .group_by("form", *KEY, "inflection", maintain_order=True)
        .agg(pl.col("weight", "prior").sum(), pl.col("count").first(), pl.col("lexeme").max())
    )


def share_of(column: str) -> pl.Expr:
    """Each reading's share of `column` (weights) within its form; of the prior where all are 0."""
    total, prior = pl.col(column).sum().over("form"), pl.col("prior").cast(pl.Float64)
    return pl.when(total > 0).then(pl.col(column) / total).otherwise(prior / prior.sum().over("form"))


def _kinds_of(base: pl.DataFrame | None) -> pl.DataFrame:
    """Lemma, part of speech and kind (`had`) of the base's words outside the dictionary.

    Case decides between the two kinds, and more text may show another case; the concept stays the same one.
    """
    if base is None:
        return pl.DataFrame(schema={"lemma": pl.String, "pos": pl.String, "had": pl.String})
    outside = base.filter(pl.col("kind").is_in(OUTSIDE))
    return outside.unique(["lemma", "pos"], keep="first", maintain_order=True).select("lemma", "pos", had="kind")


def dominant(rows: pl.DataFrame) -> pl.DataFrame:
    """For every form the concept with the largest weight: form, key, share of the form's uses."""
    concepts = rows.group_by("form", *KEY, maintain_order=True).agg(
        pl.col("weight", "prior").sum(), pl.col("count").first()
    )
    order = ["form", "weight", "prior", *KEY]
    return (
        concepts.sort(order, descending=[False, True, True, False, False, False])
        .unique("form", keep="first", maintain_order=True)
        .select("form", *KEY, "count")
    )


def _kept(rows: pl.DataFrame, choice: pl.DataFrame, overrides: Overrides, min_count: int) -> pl.DataFrame:
    """Concepts frequent enough that some form means mainly, or at least now and then."""
    share = pl.col("weight") / pl.col("count").clip(1)
    concepts = (
        rows.group_by("form", *KEY, maintain_order=True)
        .agg(pl.col("weight").sum(), pl.col("count").first())
        .group_by(KEY, maintain_order=True)  # sums in row order: the last bit must not depend on threads
        .agg(pl.col("weight").sum(), share=share.max())
        .join(choice.group_by(KEY).agg(seen=pl.col("count").max() > 0), on=KEY, how="left")
    )
    enough = pl.when(pl.col("kind") == "unknown").then(max(MIN_UNKNOWN, min_count)).otherwise(min_count)
    meant = pl.col("seen").is_not_null() | (pl.col("share") >= MIN_SHARE)
    # Of three readings each may have less than half a use, which would round to none; the one that was chosen has one.
    uses = pl.max_horizontal(pl.col("weight").round(), pl.col("seen").cast(pl.Float64))
    concepts = concepts.join(overrides.added.with_columns(added=True), on=["lemma", "pos"], how="left")
    kept = pl.col("added").fill_null(False) | ((uses >= enough) & meant)
    return concepts.filter(kept).select(*KEY, count=uses.cast(pl.Int64))


def _with_case(concepts: pl.DataFrame, main: pl.DataFrame, vocabulary: pl.DataFrame) -> pl.DataFrame:
    """Adds `case`, the usual one of the concept's forms: 0 lower, 1 Title, 2 UPPER, 3 Title-In-Parts."""
    counts = main.join(vocabulary, on="form", how="left").group_by(KEY).agg(pl.col(CASES).sum())
    total = pl.sum_horizontal(CASES).clip(1)
    # One more use, imagined in lower case: a word seen twice, both times at the start of a sentence, is not
    # usually capitalised.
    title = pl.col("title") / (total + pl.when(pl.col("kind") == "word").then(1).otherwise(0))
    # «Санкт-Петербург» is neither lower, Title nor UPPER: Title in every part.
    each = pl.col("lemma").str.contains("-", literal=True) & (pl.col("other") / total > 0.5)
    threshold = pl.when(pl.col("kind") == "word").then(USUALLY_TITLE).otherwise(0.5)
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
