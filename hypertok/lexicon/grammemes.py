"""From an OpenCorpora tag to what hypertok keeps: the concept's part of speech, its kind, and the inflection.

An OpenCorpora tag such as «PRTF,impf,tran,pres,actv femn,sing,accs» mixes what belongs to the concept
(imperfective, transitive) with what belongs to the form (present active participle, feminine singular
accusative). The *inflection* is the second part: «PRTF pres,actv,femn,sing,accs». Nouns and full
adjectives, the commonest, leave their part of speech out, so that «sing,gent» is one inflection for all
nouns, and any two concepts share as many inflections as their paradigms allow.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

Kind = Literal["word", "name", "abbreviation", "unknown", "phrase"]

#: Part of speech of the concept for each OpenCorpora part of speech.
POS = {
    "NOUN": "NOUN",
    "ADJF": "ADJ",
    "ADJS": "ADJ",
    "COMP": "ADJ",
    "VERB": "VERB",
    "INFN": "VERB",
    "PRTF": "VERB",
    "PRTS": "VERB",
    "GRND": "VERB",
    "NUMR": "NUM",
    "ADVB": "ADV",
    "NPRO": "PRON",
    "PRED": "PRED",
    "PREP": "PREP",
    "CONJ": "CONJ",
    "PRCL": "PRCL",
    "INTJ": "INTJ",
}
OTHER_POS = "X"

_UNNAMED_POS = {"NOUN", "ADJF", "VERB", "NUMR", "ADVB", "NPRO", "PRED", "PREP", "CONJ", "PRCL", "INTJ"}
_GENDERED = {"Patr", "Surn"}
_NAMES = {"Name", "Surn", "Patr", "Geox", "Orgn", "Trad"}
#: Grammemes of the constant part of a tag that still tell forms of one paradigm apart.
_INFLECTING_CONSTANTS = {
    "PRTF": {"pres", "past", "futr", "actv", "pssv"},
    "PRTS": {"pres", "past", "futr", "pssv"},
    "GRND": {"pres", "past", "futr"},
}
_ALWAYS_INFLECTING = {"Supr", "Cmp2", "V-ej", "V-oy", "V-ey", "V-ie", "V-be", "V-en", "V-sh", "V-bi", "Fimp"}
#: Notes on style or on the dictionary, not on the form.
_NOTES = {"Infr", "Slng", "Arch", "Litr", "Erro", "Dist", "Prnt", "Poss", "Ques", "Dmns", "Anph", "Init",
          "Abbr", "Coun", "Coll", "Af-p", "Vpre", "Prdx", "Fixd", "Subx", "Qual", "Apro", "Anum", "Hypo",
          "Impe", "Impx", "Mult", "Refl", "Inmx", "Adjx", "GNdr", "Ms-f", "Sgtm", "Pltm"}  # fmt: skip


@cache
def concept_pos(tag: str) -> str:
    """Part of speech of the concept a tag belongs to; `OTHER_POS` where pymorphy3 knows none."""
    return POS.get(tag.split(" ", 1)[0].split(",", 1)[0], OTHER_POS)


#: Kinds that a word outside the dictionary can have: case decides between the two.
OUTSIDE: tuple[Kind, ...] = ("unknown", "abbreviation")


@cache
def kind_of(tag: str, known: bool) -> Kind:
    """Name, abbreviation, dictionary word or unknown (a predicted analysis)."""
    grammemes = set(tag.replace(" ", ",").split(","))
    if not known or concept_pos(tag) == OTHER_POS:
        return "unknown"
    if "Abbr" in grammemes and "Name" not in grammemes and "Patr" not in grammemes:
        return "abbreviation"
    return "name" if grammemes & _NAMES else "word"


@cache
def inflection_of(tag: str) -> str:
    """The grammemes that tell this form from the other forms of its concept.

    >>> inflection_of("NOUN,inan,femn sing,gent")
    'sing,gent'
    >>> inflection_of("PRTF,impf,tran,pres,actv femn,sing,accs")
    'PRTF pres,actv,femn,sing,accs'
    >>> inflection_of("CONJ")
    ''
    """
    constant, _, variable = tag.partition(" ")
    pos, *constants = constant.split(",")
    kept = _INFLECTING_CONSTANTS.get(pos, set()) | _ALWAYS_INFLECTING
    grammemes = [g for g in constants if g in kept]
    # Men's and women's patronymics and surnames share one paradigm: «Иванович», «Ивановна».
    if "femn" in constants and not _GENDERED.isdisjoint(constants):
        grammemes.append("femn")
    grammemes += [g for g in variable.split(",") if g and g not in _NOTES]
    named = [] if pos in _UNNAMED_POS else [pos]
    return " ".join([*named, ",".join(grammemes)]).strip()
