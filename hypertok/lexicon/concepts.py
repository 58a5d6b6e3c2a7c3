"""From analyses with corpus weights to concepts: which there are, how frequent, and what a form means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from hypertok.corpus.segments import CASES
from hypertok.lexicon.grammemes import OUTSIDE, concept_pos, inflection_of, kind_of
from hypertok.lexicon.inflections import Inflections
from hypertok.lexicon.morphology import Analyses
from hypertok.lexicon.overrides import Overrides
from hypertok.lexicon.symbols import KEY
from hypertok.lexicon.usual_case import with_case

#: «я-то», «скажи-ка», «да-с»: a word and a particle, which the codec writes as two concepts. Words in which
#: they have grown together («кто-то») are in the dictionary.
WITH_PARTICLE = r"-(?:то|ка|с|де|таки|тко)$"
#: A word that is no dictionary word must be seen this often to be a concept; below lie mostly misprints.
MIN_UNKNOWN = 3
#: A concept that is no form's commonest reading is kept if some form means it at least this often.
MIN_SHARE = 0.1


@dataclass(frozen=True)
class Readings:
    """What every form may mean.

    Attributes:
        rows: one row per (form, concept, inflection): form, lemma, pos, kind, inflection (id), weight
            (expected count), prior (the dictionary's probability), count (of the form), lexeme, known (whether some
            analysis stands in the dictionary).
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
        vocabulary: columns form, lower, title, upper, other, each, in the order of `analyses.forms`.
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
    return Readings(rows, with_case(concepts, main, vocabulary))


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
    forms = vocabulary.select("form", "upper", count=pl.sum_horizontal(CASES))
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
    rows = rows.filter((pl.col("kind") != "unknown") | ~pl.col("form").str.contains(WITH_PARTICLE))
    for kinds in (_kinds_of(base), _kinds_by_case(rows)):
        rows = rows.join(kinds, on=["lemma", "pos"], how="left", maintain_order="left")
    outside = pl.col("kind") == "unknown"
    rows = rows.with_columns(kind=pl.when(outside).then(pl.coalesce("had", "by_case")).otherwise("kind"))
    uses = pl.col("weight").sum().over("form")
    rows = overrides.apply(rows.with_columns(uses=uses))
    # What a forbidden reading loses goes to the other readings of the form.
    return (
        rows.with_columns(weight=pl.col("uses") * share_of_form())
        .group_by("form", *KEY, "inflection", maintain_order=True)
        .agg(pl.col("weight", "prior").sum(), pl.col("count").first(), pl.col("lexeme").max(), pl.col("known").any())
    )


def share_of_form() -> pl.Expr:
    """Each reading's share of the weight of its form; of the prior where all weights are 0."""
    total, prior = pl.col("weight").sum().over("form"), pl.col("prior").cast(pl.Float64)
    return pl.when(total > 0).then(pl.col("weight") / total).otherwise(prior / prior.sum().over("form"))


def _kinds_of(base: pl.DataFrame | None) -> pl.DataFrame:
    """Lemma, part of speech and kind (`had`) of the base's words outside the dictionary.

    Case decides between the two kinds, and more text may show another case; the concept stays the same one.
    """
    if base is None:
        return pl.DataFrame(schema={"lemma": pl.String, "pos": pl.String, "had": pl.String})
    outside = base.filter(pl.col("kind").is_in(OUTSIDE))
    return outside.unique(["lemma", "pos"], keep="first", maintain_order=True).select("lemma", "pos", had="kind")


def _kinds_by_case(rows: pl.DataFrame) -> pl.DataFrame:
    """Lemma, part of speech and kind (`by_case`) of words outside the dictionary: in capitals an abbreviation, «АТФ».

    All forms count together: a heading in capitals makes no abbreviation of a word that the text inflects.
    """
    upper = pl.col("weight") * pl.col("upper") / pl.col("count").clip(1)
    uses = (
        rows.filter(pl.col("kind") == "unknown")
        .group_by("lemma", "pos", maintain_order=True)
        .agg(pl.col("weight").sum(), upper=upper.sum())
    )
    capitals = pl.col("upper") * 2 > pl.col("weight")
    by_case = pl.when(capitals).then(pl.lit("abbreviation")).otherwise(pl.lit("unknown"))
    return uses.select("lemma", "pos", by_case=by_case)


def dominant(rows: pl.DataFrame) -> pl.DataFrame:
    """For every form the concept with the largest weight: form, key, count (of the form)."""
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
        .agg(pl.col("weight").sum(), pl.col("count").first(), pl.col("known").any())
        .group_by(KEY, maintain_order=True)  # sums in row order: the last bit must not depend on threads
        .agg(pl.col("weight").sum(), pl.col("known").any(), share=share.max())
        .join(choice.group_by(KEY).agg(seen=pl.col("count").max() > 0), on=KEY, how="left")
    )
    # Abbreviations too: what is met once in capitals may be a misprint in a heading.
    predicted = (pl.col("kind") == "unknown") | ((pl.col("kind") == "abbreviation") & ~pl.col("known"))
    enough = pl.when(predicted).then(max(MIN_UNKNOWN, min_count)).otherwise(min_count)
    meant = pl.col("seen").is_not_null() | (pl.col("share") >= MIN_SHARE)
    # Of three readings each may have less than half a use, which would round to none; the one that was chosen has one.
    uses = pl.max_horizontal(pl.col("weight").round(), pl.col("seen").cast(pl.Float64))
    concepts = concepts.join(overrides.added.with_columns(added=True), on=["lemma", "pos"], how="left")
    kept = pl.col("added").fill_null(False) | ((uses >= enough) & meant)
    return concepts.filter(kept).select(*KEY, count=uses.cast(pl.Int64))
