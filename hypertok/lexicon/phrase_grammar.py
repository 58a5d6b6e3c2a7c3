"""Agreement and government as bit masks: which forms may stand side by side in a term.

A term is a noun (its head) with agreeing adjectives before it and genitives after it: «жёсткий диск»,
«цикл Кребса», «система управления базами данных». Every tag becomes one mask of the (case, gender or plural)
slots it can fill, so that agreement is a single AND over whole arrays.
"""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np

#: Accusatives of living and lifeless things are told apart because adjectives agree with that too.
CASES = ("nomn", "gent", "datv", "accs-anim", "accs-inan", "ablt", "loct")
GENDERS = ("masc", "femn", "neut", "plur")
_CASE_OF = {"gen2": "gent", "gen1": "gent", "loc2": "loct", "loc1": "loct", "acc2": "accs"}
ADJECTIVE, NOUN = 0, 1
#: Everything that may be read as a term of 2, 3 and 4 words: A adjective or participle, N noun.
SHAPES = {n: ["".join(s) + "N" for s in product("AN", repeat=n - 1)] for n in (2, 3, 4)}


def _bits(*cases: str) -> np.uint32:
    return np.uint32(sum(0b1111 << 4 * CASES.index(case) for case in cases))


ALL, GENITIVE, ABLATIVE = _bits(*CASES), _bits("gent"), _bits("ablt")
#: Slots in which a head is surely not a genitive: what tells «цикл Кребса» from «князя Андрея».
NOT_GENITIVE = _bits("nomn", "datv", "accs-inan", "ablt", "loct")
SINGULAR = np.uint32(sum(0b0111 << 4 * case for case in range(len(CASES))))


@cache
def slot_mask(tag: str) -> tuple[int, int]:
    """(role, slots) of an OpenCorpora tag; slots 0 where the form cannot be part of a term.

    >>> role, slots = slot_mask("NOUN,inan,femn sing,loct")
    >>> role == NOUN, slots == 0b10 << 4 * CASES.index("loct")
    (True, True)
    """
    grammemes = tag.replace(" ", ",").split(",")
    have = set(grammemes)
    if grammemes[0] == "NOUN":
        role, barred = NOUN, {"Init", "voct"}
    elif grammemes[0] in ("ADJF", "PRTF"):
        role, barred = ADJECTIVE, {"Apro", "Anum", "Supr", "Init"}
    else:
        return ADJECTIVE, 0
    if have & barred:
        return role, 0
    genders = [g for g in GENDERS if g in have]
    if "plur" in have:
        genders = ["plur"]
    elif "Ms-f" in have:
        genders = ["masc", "femn"]
    cases = []
    for grammeme in grammemes:
        case = _CASE_OF.get(grammeme, grammeme)
        if case == "accs":
            living = [a for a in ("anim", "inan") if a in have] or ["anim", "inan"]
            cases += [f"accs-{animacy}" for animacy in living]
        elif case in CASES:
            cases.append(case)
    return role, sum(1 << 4 * CASES.index(c) + GENDERS.index(g) for c in cases for g in genders)


def participle_of(tag: str) -> str:
    """The grammemes that make a participle a word of its own («pres,actv»), '' for other parts of speech."""
    if not tag.startswith("PRTF"):
        return ""
    return ",".join(g for g in tag.split(" ")[0].split(",") if g in ("pres", "past", "futr", "actv", "pssv"))
