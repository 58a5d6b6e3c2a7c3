"""How well a reduced tag (`hypertok.lexicon.context_tags`) fits one of Universal Dependencies, as a tagger gives it."""

from __future__ import annotations

import math

#: How far a Universal Dependencies part of speech speaks for the head of a reduced tag.
_NAME = {"PROPN": 1, "NOUN": 0.4, "X": 0.1}
HEADS: dict[str, dict[str, float]] = {
    "N": {"NOUN": 1, "PROPN": 0.7, "X": 0.05, "ADJ": 0.05}, "Nname": _NAME, "Nplace": _NAME,
    "Nabbr": {"NOUN": 1, "PROPN": 1, "X": 0.5}, "NPRO": {"PRON": 1, "DET": 0.1},
    "ADJF": {"ADJ": 1, "NOUN": 0.1, "DET": 0.3, "NUM": 0.3, "PROPN": 0.2},
    "APRO": {"DET": 1, "PRON": 0.7, "ADJ": 0.5, "NUM": 0.5}, "PRTF": {"VERB": 1, "ADJ": 0.2},
    "ADJS": {"ADJ": 1}, "PRTS": {"VERB": 1, "ADJ": 0.2}, "COMP": {"ADV": 1, "ADJ": 1, "NUM": 0.5},
    "VERB": {"VERB": 1, "AUX": 1}, "INFN": {"VERB": 1, "AUX": 1}, "GRND": {"VERB": 1, "ADP": 0.2, "ADV": 0.1},
    "NUMR": {"NUM": 1, "DET": 0.2, "ADV": 0.2},
    "ADVB": {"ADV": 1, "PART": 0.4, "SCONJ": 0.3, "CCONJ": 0.2, "PRON": 0.2, "ADP": 0.1},
    "PRED": {"ADV": 0.5, "VERB": 1, "ADJ": 0.3, "PART": 0.4, "NOUN": 0.1}, "PREP": {"ADP": 1},
    "CONJ": {"CCONJ": 1, "SCONJ": 1, "PART": 0.3, "ADV": 0.15},
    "PRCL": {"PART": 1, "CCONJ": 0.25, "ADV": 0.25, "INTJ": 0.3, "AUX": 0.2, "PRON": 0.1},
    "INTJ": {"INTJ": 1, "PART": 0.3},
}  # fmt: skip
CASES = {"Nom": "nom", "Gen": "gen", "Par": "gen", "Dat": "dat", "Acc": "acc", "Ins": "ins", "Loc": "loc",
         "Voc": "nom"}  # fmt: skip
GENDERS = {"Masc": "m", "Fem": "f", "Neut": "n"}
VERB_FORMS = {"INFN": "Inf", "GRND": "Conv", "VERB": "Fin", "PRTF": "Part", "PRTS": "Part"}


def agreement(label_tag: str, reduced: str) -> float:
    """How well a reduced tag fits a tag of the tagger, 0 to 1; each feature that differs costs a factor."""
    pos, _, rest = label_tag.partition("|")
    feats = dict(f.split("=") for f in rest.split("|")) if rest else {}
    head, *parts = reduced.split(" ")
    weight = HEADS.get(head, {"X": 1}).get(pos, 0)
    short = feats.get("Variant") in ("Short", "Brev")
    comparative = feats.get("Degree") == "Cmp"
    if head in VERB_FORMS and pos in ("VERB", "AUX"):
        wrong_length = head in ("PRTF", "PRTS") and short != (head == "PRTS")
        if feats.get("VerbForm") != VERB_FORMS[head] or wrong_length:
            return 0.0
    if head in ("ADJF", "ADJS") and pos == "ADJ" and short != (head == "ADJS"):
        return 0.0
    if head == "COMP" and not comparative:
        weight *= 0.05
    if head == "ADVB" and comparative:
        weight *= 0.3
    return weight * math.exp(-1.5 * _differences(head, parts, feats))


def _differences(head: str, parts: list[str], feats: dict[str, str]) -> float:
    case = CASES.get(feats.get("Case", ""))
    gender = "pl" if feats.get("Number") == "Plur" else GENDERS.get(feats.get("Gender", ""), "")
    cost = 0.0
    if head in ("N", "Nname", "Nplace", "Nabbr", "ADJF", "APRO", "PRTF") and parts[0] != "fix":
        mine, _, animacy = parts[0].partition("-")
        cost += 3 * (case != mine) if case else 1
        if animacy and feats.get("Animacy"):
            cost += 0.5 * (feats["Animacy"].lower() != animacy)
        if gender and gender != parts[1]:
            cost += 1.5 if "pl" in (gender, parts[1]) else 0.5
    elif head in ("NPRO", "NUMR"):
        cost += 3 * (case != (parts or [""])[0]) if case else 1
    elif head in ("ADJS", "PRTS"):
        cost += gender != (parts or [""])[0]
    elif head == "VERB":
        tense = "past" if feats.get("Tense") == "Past" else "fin"
        kind = "impr" if feats.get("Mood") == "Imp" else tense
        if kind != parts[0]:
            return cost + 2.5
        if kind == "past":
            return cost + (gender != parts[1])
        cost += ("pl" if feats.get("Number") == "Plur" else "sg") != parts[-1]
        if kind == "fin" and feats.get("Person"):
            cost += not parts[1].startswith(feats["Person"])
    return cost
