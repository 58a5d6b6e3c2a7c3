"""The reading that pymorphy3's predictor leaves out: an unknown word that is simply in its base form.

For «Крэйг» the predictor offers only the genitive plural of «крэйга», for «Рэу» nothing at all. Foreign
names, the commonest unknown words, are mostly met in the nominative, so a noun in its base form is added.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from hypertok.lexicon.morphology import Analyses

#: Endings that are more often an oblique case or an adjective than the end of a stem. A guess for these and
#: for vowels too undid the gain («Филлипсу», «фармакотерапию»).
_INFLECTED = re.compile(r"(?:[оеёая]м|[ая]х|[ыи][хмй]|[оеё]в|[ое]й|[аеёиоуыэюя])$")
_CONSONANT, _NONE = "NOUN,inan,masc sing,nomn", "NOUN,inan,neut,Fixd sing,nomn"
#: Prior of the guess; the predicted readings share the rest.
_PRIOR = 0.5


def guessed_tag(form: str, predicted: list[str]) -> str | None:
    """Tag of the base-form reading to add to an unknown `form` with the `predicted` tags, or None.

    >>> guessed_tag("крэйг", ["NOUN,anim,femn,Name plur,gent"])
    'NOUN,inan,masc sing,nomn'
    >>> guessed_tag("рэу", ["UNKN"])
    'NOUN,inan,neut,Fixd sing,nomn'
    >>> guessed_tag("филлипсом", ["NOUN,anim,masc,Name sing,ablt"])
    """
    if len(form) < 2:
        return None
    if predicted == ["UNKN"]:
        return _NONE
    return None if _INFLECTED.search(form) else _CONSONANT


def with_guesses(analyses: Analyses) -> Analyses:
    """`analyses` with a base-form reading added, last, to unknown forms that have none; twice is as once."""
    tags, lemmas = list(analyses.tags), list(analyses.lemmas)
    tag_ids, lemma_ids = {t: n for n, t in enumerate(tags)}, {t: n for n, t in enumerate(lemmas)}
    nouns = np.array([t.startswith("NOUN") for t in tags], dtype=bool)
    offsets = analyses.offsets
    places, new_tags, new_lemmas = [], [], []
    unknown = ~np.logical_or.reduceat(analyses.known, offsets[:-1]) if len(analyses.known) else np.zeros(0, bool)
    for number in np.flatnonzero(unknown).tolist():
        form, rows = analyses.forms[number], slice(offsets[number], offsets[number + 1])
        tag = guessed_tag(form, [tags[t] for t in analyses.tag[rows]])
        is_base = nouns[analyses.tag[rows]] & (analyses.lemma[rows] == lemma_ids.get(form, -1))
        if tag and not is_base.any():
            places.append(number)
            new_tags.append(tag_ids.setdefault(tag, len(tag_ids)))
            new_lemmas.append(lemma_ids.setdefault(form, len(lemma_ids)))
    if not places:
        return analyses
    at = offsets[np.array(places) + 1]
    extra = np.zeros(len(analyses.forms), np.int64)
    extra[places] = 1
    prior = analyses.prior * np.where(np.repeat(extra, np.diff(offsets)) == 1, np.float32(1 - _PRIOR), np.float32(1))
    return replace(
        analyses,
        offsets=offsets + np.concatenate([[0], np.cumsum(extra)]),
        tag=np.insert(analyses.tag, at, new_tags),
        lemma=np.insert(analyses.lemma, at, new_lemmas),
        prior=np.insert(prior, at, np.float32(_PRIOR)).astype(np.float32),
        known=np.insert(analyses.known, at, False),
        lexeme=np.insert(analyses.lexeme, at, -1),
        tags=list(tag_ids),
        lemmas=list(lemma_ids),
    )
