"""Words outside the dictionary that are written in capitals: abbreviations, each a noun that does not inflect.

For «БПЛА» pymorphy3's predictor offers «бпл» and «бплый», for «МФТИ» «мфть»: it takes the last letters for an ending.
A heading in capitals looks the same, but then the text has the word in small letters too.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import polars as pl

from hypertok.lexicon.grammemes import concept_pos
from hypertok.lexicon.morphology import Analyses

#: Share of capitals from which a word is written in nothing else: one «бпла» in ten is a slip.
_ALONE = 0.9
#: Some abbreviations are masculine, some feminine; in which case they stand, only their neighbours say.
_TAGS = [f"NOUN,inan,Ms-f,Fixd,Abbr sing,{case}" for case in ("nomn", "gent", "datv", "accs", "ablt", "loct")]
#: Prior of these readings beside predicted ones in which the form is a noun in its base form.
_PRIOR = 0.5


def with_abbreviations(
    analyses: Analyses, vocabulary: pl.DataFrame, spared: Collection[tuple[str, str]] = ()
) -> Analyses:
    """`analyses` in which an abbreviation outside the dictionary is its own lemma, in every case.

    Of its predicted readings those stay in which the form is a noun in its base form: they know further forms.

    Args:
        vocabulary: columns form, lower, title, upper, in the order of `analyses.forms`.
        spared: lemmas with their parts of speech whose forms are left as they are.
    """
    forms, lemmas, tags = analyses.forms, list(analyses.lemmas), list(analyses.tags)
    found = _abbreviations(analyses, vocabulary, spared)
    if not len(found):
        return analyses
    index, size = analyses.form_index(), len(found)
    lemma_ids = {lemma: n for n, lemma in enumerate(lemmas)}
    own = np.array([lemma_ids.setdefault(forms[n], len(lemma_ids)) for n in found.tolist()])
    own_of = np.full(len(forms), -1)
    own_of[found] = own
    nouns = np.array([tag.startswith("NOUN") for tag in tags])
    chosen = own_of[index] >= 0
    stays = ~chosen | ((analyses.lemma == own_of[index]) & nouns[analyses.tag])
    left = np.bincount(index, analyses.prior * (stays & chosen), len(forms))
    # What stays of a form's own readings shares one half, the new ones the other; they have all where nothing stays.
    scale = np.where(chosen, (1 - _PRIOR) / np.where(left > 0, left, 1)[index], 1)
    prior = np.where(left[found] > 0, _PRIOR, 1) / len(_TAGS)
    tag_ids = {tag: n for n, tag in enumerate(tags)}
    new_tags = [tag_ids.setdefault(tag, len(tag_ids)) for tag in _TAGS]
    places = np.concatenate([index[stays], np.repeat(found, len(_TAGS))])
    order = np.argsort(places, kind="stable")
    return replace(
        analyses,
        offsets=np.concatenate([[0], np.cumsum(np.bincount(places, minlength=len(forms)))]),
        tag=np.concatenate([analyses.tag[stays], np.tile(new_tags, size)])[order].astype(np.int32),
        lemma=np.concatenate([analyses.lemma[stays], np.repeat(own, len(_TAGS))])[order].astype(np.int32),
        prior=np.concatenate([(analyses.prior * scale)[stays], np.repeat(prior, len(_TAGS))])[order].astype(np.float32),
        known=np.concatenate([analyses.known[stays], np.zeros(size * len(_TAGS), np.bool_)])[order],
        lexeme=np.concatenate([analyses.lexeme[stays], np.full(size * len(_TAGS), -1)])[order].astype(np.int32),
        tags=list(tag_ids),
        lemmas=list(lemma_ids),
    )


def _abbreviations(
    analyses: Analyses, vocabulary: pl.DataFrame, spared: Collection[tuple[str, str]]
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Numbers of the forms that are abbreviations outside the dictionary, rising."""
    # Other patterns say nothing: «ЕГРИПом» is how an abbreviation is inflected.
    uses = vocabulary.select("upper", uses=pl.sum_horizontal("lower", "title", "upper")).with_row_index("form")
    parts = pl.Series([concept_pos(tag) for tag in analyses.tags], dtype=pl.String)
    readings = pl.DataFrame(
        {
            "form": analyses.form_index(),
            "lemma": pl.Series(analyses.lemmas, dtype=pl.String).gather(analyses.lemma),
            "pos": parts.gather(analyses.tag),
            "known": analyses.known,
        }
    ).join(uses.cast({"form": pl.Int64}), on="form", how="left", maintain_order="left")
    alone = (pl.col("upper") > 0) & (pl.col("upper") >= _ALONE * pl.col("uses"))
    key = ["lemma", "pos"]
    lemmas = readings.unique(["form", *key]).group_by(key).agg(pl.col("upper", "uses").sum())
    left_alone = pl.DataFrame(sorted(spared), schema={"lemma": pl.String, "pos": pl.String}, orient="row")
    lemmas = lemmas.filter(alone).join(left_alone, on=key, how="anti").select(*key, alone=True)
    found = (
        readings.filter(alone)
        .join(lemmas, on=key, how="left")
        .group_by("form")
        .agg(all=(pl.col("alone").fill_null(False) & ~pl.col("known")).all())
        .filter("all")["form"]
        .sort()
    )
    return found.to_numpy()
