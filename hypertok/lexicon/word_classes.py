"""Class and lemma of a word for the archive's statistics.

The class is what the next words depend on: part of speech, number, case, gender, tense, person, mood, voice.
It joins the lexicon's inflection with the gender and animacy of the concept, for agreement needs both.
"""

from __future__ import annotations

from functools import cache

from hypertok.lexicon.morphology import analyzer

_NUMBER_AND_CASE = {"sing", "plur", "nomn", "gent", "datv", "accs", "ablt", "loct", "voct", "gen1", "gen2"}
_KEPT = _NUMBER_AND_CASE | {
    "acc2", "loc1", "loc2", "anim", "inan", "masc", "femn", "neut",
    "past", "pres", "futr", "1per", "2per", "3per", "indc", "impr", "actv", "pssv",
}  # fmt: skip


@cache
def class_of(tag: str) -> str:
    """Class of an OpenCorpora tag, part of speech first; "" for tags that name none.

    >>> class_of("NOUN,inan,femn sing,gent")
    'NOUN inan femn sing gent'
    """
    grammemes = tag.replace(" ", ",").split(",")
    # Parts of speech are four capitals (UNKN and LATN, which are none, are left out with the empty class).
    if not grammemes[0].isupper() or grammemes[0] in ("UNKN", "LATN", "PNCT", "NUMB", "ROMN"):
        return ""
    return " ".join([grammemes[0], *(g for g in grammemes[1:] if g in _KEPT)])


def analyse_word(form: str) -> tuple[str, str] | None:
    """Class and lemma by the dictionary's first analysis, None where it has none."""
    parse = analyzer().parse(form)[0]
    class_ = class_of(str(parse.tag))
    return (class_, str(parse.normal_form)) if class_ else None
