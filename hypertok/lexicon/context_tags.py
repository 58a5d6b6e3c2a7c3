"""Coarser tags for contexts: what a neighbour can see of a reading.

OpenCorpora's 4,600 tags are too many to learn a context for each. A *reduced tag* (about 250) keeps part of
speech, case, number, gender, tense and person; a *neighbour tag* (about 130) also forgets what a neighbour
does not react to: whether a noun is a name, whether an adjective is a participle.
"""

from __future__ import annotations

from functools import cache

from hypertok.lexicon.grammemes import concept_pos

_CASES = {
    "nomn": "nom", "voct": "nom", "gent": "gen", "gen1": "gen", "gen2": "gen", "datv": "dat",
    "accs": "acc", "acc2": "acc", "ablt": "ins", "loct": "loc", "loc1": "loc", "loc2": "loc",
}  # fmt: skip
_PERSONS = ("1per", "2per", "3per")
_NAMES = {"Name", "Surn", "Patr"}
_PLACES = {"Geox", "Orgn", "Trad"}
_NOUNS = {"N", "Nname", "Nplace", "Nabbr"}
#: Parts of speech with open paradigms: other forms of the lemma in the corpus speak for a reading. Pronouns
#: are left out: «этот» is frequent in all its forms, which says nothing about «это».
_INFLECTING = _NOUNS | {"ADJF", "ADJS", "COMP", "PRTF", "PRTS", "VERB", "INFN", "GRND"}


@cache
def reduced_tag(tag: str) -> str:
    """The reduced tag of an OpenCorpora tag.

    >>> reduced_tag("NOUN,inan,femn sing,gent")
    'N gen f'
    >>> reduced_tag("ADJF,Fixd,Apro,Anph femn,sing,gent")
    'APRO fix'
    """
    grammemes = tag.replace(" ", ",").split(",")
    given, pos = set(grammemes), grammemes[0]
    case = next((_CASES[g] for g in grammemes if g in _CASES), "")
    number = "pl" if "plur" in given else "sg" if "sing" in given else ""
    person = next((g for g in grammemes if g in _PERSONS), "")
    gender = "pl" if number == "pl" else next((g[0] for g in grammemes if g in ("masc", "femn", "neut")), "")
    if pos == "NOUN":
        kind = "name" if given & _NAMES else "place" if given & _PLACES else "abbr" if "Abbr" in given else ""
        return f"N{kind} fix" if "Fixd" in given else f"N{kind} {case} {gender or 'm'}"
    if pos in ("ADJF", "PRTF"):
        head = "APRO" if "Apro" in given else pos
        if "Fixd" in given:
            return f"{head} fix"
        if case == "acc" and gender in ("m", "pl"):
            case += "-anim" if "anim" in given else "-inan" if "inan" in given else ""
        return f"{head} {case} {gender}"
    if pos == "NPRO":
        return f"NPRO {case} {person} {number}"
    if pos in ("ADJS", "PRTS"):
        return f"{pos} {gender}"
    if pos == "NUMR":
        return f"NUMR {case}"
    if pos == "VERB":
        if "impr" in given:
            return f"VERB impr {number}"
        return f"VERB past {gender}" if "past" in given else f"VERB fin {person} {number}"
    return pos


@cache
def neighbour_tag(reduced: str) -> str:
    """What the words beside a reading can see of its reduced tag."""
    head, *rest = reduced.split(" ")
    if head in _NOUNS:
        return " ".join(["N", *rest])
    if head == "PRTF":
        return " ".join(["ADJF", *rest])
    if head == "NPRO" and rest[0] != "nom":
        return f"NPRO {rest[0]}"
    return reduced


@cache
def inflects(reduced: str) -> bool:
    """Whether a reading's lemma has other forms that count as evidence for it."""
    return reduced.split(" ")[0] in _INFLECTING


@cache
def pos_of(reduced: str) -> str:
    """Part of speech of the concept that a reduced tag belongs to."""
    head = reduced.split(" ")[0]
    return concept_pos({"APRO": "ADJF"}.get(head, "NOUN" if head in _NOUNS else head))
