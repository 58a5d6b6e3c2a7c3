"""Which words may stand side by side in a term: agreement and government as bit masks over word forms.

A term is a noun (its head) with agreeing adjectives before it and genitives after it: «жёсткий диск»,
«цикл Кребса», «система управления базами данных». Every form gets one mask of the (case, gender or plural)
slots it can fill as an adjective and one as a noun, so that agreement is a single AND over whole arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
import numpy.typing as npt
import polars as pl

from hypertok.data import data_file, read_rows
from hypertok.errors import InputError
from hypertok.lexicon.morphology import Analyses

Mask = npt.NDArray[np.uint32]

#: Accusatives of living and lifeless things are told apart because adjectives agree with that too.
CASES = ("nomn", "gent", "datv", "accs-anim", "accs-inan", "ablt", "loct")
GENDERS = ("masc", "femn", "neut", "plur")
_CASE_OF = {"gen2": "gent", "gen1": "gent", "loc2": "loct", "loc1": "loct", "acc2": "accs"}


def _bits(*cases: str) -> np.uint32:
    return np.uint32(sum(0b1111 << 4 * CASES.index(case) for case in cases))


ALL, GENITIVE, ABLATIVE = _bits(*CASES), _bits("gent"), _bits("ablt")
#: Slots in which a head is surely not a genitive: what tells «цикл Кребса» from «князя Андрея».
NOT_GENITIVE = _bits("nomn", "datv", "accs-inan", "ablt", "loct")
SINGULAR = np.uint32(sum(0b0111 << 4 * case for case in range(len(CASES))))
#: Nouns whose object stands in the ablative: «управление базами данных».
GOVERN_ABLATIVE = frozenset({"управление", "обмен", "владение", "заведование", "торговля", "руководство"})
#: An analysis below this share of its form's occurrences is no reading for a phrase («уже» as a snake).
MIN_SHARE = 0.05
ADJECTIVE, NOUN = 0, 1
#: Everything that may be read as a term of 2, 3 and 4 words: A adjective or participle, N noun.
SHAPES = {n: ["".join(s) + "N" for s in product("AN", repeat=n - 1)] for n in (2, 3, 4)}


@dataclass(frozen=True)
class Stopwords:
    """Lemmas that make no term: as adjectives, as nouns anywhere, and as nouns that head a genitive.

    `soft` adjectives make a term only with a noun they are bound to very firmly («исходный код»).
    """

    adjectives: frozenset[str]
    soft: frozenset[str]
    nouns: frozenset[str]
    heads: frozenset[str]


@dataclass(frozen=True)
class WordTable:
    """The words that forms may be inside a phrase. F forms, W words.

    A word is a lemma in one role; a participle is a word of its own, named after its own base grammemes.

    Attributes:
        adjective, noun: (F,) slots the form can fill in that role, 0 where it cannot stand in a term.
        governs: (F,) whether an ablative may follow the form.
        head: (F,) whether a genitive may follow the form.
        readings: columns form, role, word, mask, share (of the form's occurrences), likeliest first.
        words: columns word, lemma, lemma_number, role, participle, name (of a person), animate, loose (an
            adjective that describes rather than names: qualitative, soft or a participle), count (expected).
        adjective_word: (F,) the word of the form as an adjective, -1 for none.
        dependent_word: (F,) the likeliest word of the form as a noun that depends on another, -1 for none.
    """

    adjective: Mask
    noun: Mask
    governs: npt.NDArray[np.bool_]
    head: npt.NDArray[np.bool_]
    readings: pl.DataFrame
    words: pl.DataFrame
    adjective_word: npt.NDArray[np.int32]
    dependent_word: npt.NDArray[np.int32]


def load_stopwords() -> Stopwords:
    """The shipped list `lexicon/ru/phrase_stopwords.tsv`.

    Raises:
        InputError: a row has an unknown part of speech.
    """
    path = data_file("phrase_stopwords.tsv")
    groups: dict[str, set[str]] = {pos: set() for pos in ("ADJ", "SOFT", "PART", "NOUN", "HEAD")}
    for line, row in read_rows(path, ("lemma", "pos", "reason")):
        if row["pos"] not in groups:
            raise InputError(f"{path}:{line}: pos is {row['pos']!r}; expected one of {', '.join(groups)}")
        groups[row["pos"]].add(row["lemma"])
    # A participle goes by its verb, which is never an adjective's lemma, so the two lists can be one.
    return Stopwords(
        frozenset(groups["ADJ"] | groups["PART"]),
        *(frozenset(groups[pos]) for pos in ("SOFT", "NOUN", "HEAD")),
    )


@lru_cache(maxsize=None)
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


def tabulate_words(
    analyses: Analyses, weights: npt.NDArray[np.floating], stopwords: Stopwords
) -> WordTable:
    """Masks and readings of all forms, from `weights` (A,), the expected count of each analysis."""
    size = len(analyses.forms)
    tags = [slot_mask(tag) for tag in analyses.tags]
    role = np.array([r for r, _ in tags], dtype=np.int8)
    mask = np.array([m for _, m in tags], dtype=np.uint32)
    participle = np.array([participle_of(tag) for tag in analyses.tags])
    name = np.array([bool({"Name", "Surn", "Patr"} & set(tag.split(" ")[0].split(","))) for tag in analyses.tags])
    animate = np.array([",anim," in tag for tag in analyses.tags], np.bool_)
    stop = _stop_flags(analyses.lemmas, stopwords)
    soft = np.array([lemma in stopwords.soft for lemma in analyses.lemmas], np.bool_)
    describing = np.array([",Qual" in tag or tag.startswith("PRTF") for tag in analyses.tags], np.bool_)

    form = analyses.form_index()
    totals = np.bincount(form, weights, size)
    short = np.array([len(f) for f in analyses.forms]) < 2
    use = (mask[analyses.tag] != 0) & ~short[form] & (weights > 0)
    stopped = stop[role[analyses.tag], analyses.lemma]
    # «текущий» is stopped as an adjective, so it must not come back as the participle of «течь».
    plain = np.array([tag.startswith("ADJF") for tag in analyses.tags], np.bool_)[analyses.tag]
    barred = np.bincount(form, stopped & plain, size) > 0
    use &= ~stopped & ~((role[analyses.tag] == ADJECTIVE) & barred[form])
    use &= totals[form] > 0
    rows = pl.DataFrame(
        {
            "form": form[use].astype(np.int32),
            "role": role[analyses.tag[use]],
            "lemma": analyses.lemma[use],
            "participle": pl.Series(participle[analyses.tag[use]]),
            "name": name[analyses.tag[use]],
            "animate": animate[analyses.tag[use]],
            "loose": describing[analyses.tag[use]] | soft[analyses.lemma[use]],
            "mask": mask[analyses.tag[use]],
            "share": weights[use] / totals[form[use]],
            "count": weights[use],
        }
    )
    key, flags = ["lemma", "role", "participle"], ["name", "animate", "loose"]
    readings = (
        rows.group_by("form", *key)
        .agg(pl.col("mask").bitwise_or(), pl.col("share", "count").sum(), pl.col(flags).any())
        .filter(pl.col("share") >= MIN_SHARE)
    )
    # Summed in a fixed order: floating-point sums must not depend on how a hash table was filled.
    words = (
        readings.sort(*key, "form")
        .group_by(key, maintain_order=True)
        .agg(pl.col("count").sum(), pl.col(flags).any())
        .with_row_index("word")
        .with_columns(pl.col("word").cast(pl.Int32))
    )
    readings = (
        readings.join(words.select("word", *key), on=key)
        .sort("form", "share", "word", descending=[False, True, False])
        .select("form", "role", "word", "mask", "share", "lemma")
    )
    # Only the commoner adjective of a form counts: «текстовой» belongs to «текстовый», which most forms show,
    # and one adjective per form keeps the agreement test a single AND.
    best = (
        readings.filter(role=ADJECTIVE)
        .join(words.select("word", "count"), on="word")
        .sort("form", "count", "word", descending=[False, True, False])
        .unique("form", keep="first", maintain_order=True)
        .drop("count")
    )
    nouns = readings.filter(role=NOUN)
    adjective, noun = np.zeros(size, np.uint32), np.zeros(size, np.uint32)
    adjective[best["form"]] = best["mask"]
    adjective_word, dependent_word = np.full(size, -1, np.int32), np.full(size, -1, np.int32)
    adjective_word[best["form"]] = best["word"]
    dependents = nouns.filter((pl.col("mask") & pl.lit(int(GENITIVE | ABLATIVE), pl.UInt32)) != 0)
    dependents = dependents.unique("form", keep="first", maintain_order=True)
    dependent_word[dependents["form"]] = dependents["word"]
    np.bitwise_or.at(noun, nouns["form"].to_numpy(), nouns["mask"].to_numpy())
    return WordTable(
        adjective,
        noun,
        _any_form(nouns, [lemma in GOVERN_ABLATIVE for lemma in analyses.lemmas], size),
        _any_form(nouns, [lemma not in stopwords.heads for lemma in analyses.lemmas], size),
        pl.concat([best, nouns]).drop("lemma"),
        words.rename({"lemma": "lemma_number"}).with_columns(
            lemma=pl.Series(analyses.lemmas, dtype=pl.String).gather(words["lemma"])
        ),
        adjective_word,
        dependent_word,
    )


def _stop_flags(lemmas: Sequence[str], stopwords: Stopwords) -> npt.NDArray[np.bool_]:
    """(2, lemmas): whether a lemma is stopped as an adjective and as a noun."""
    groups = (stopwords.adjectives, stopwords.nouns)
    return np.array([[lemma in group for lemma in lemmas] for group in groups], np.bool_)


def _any_form(nouns: pl.DataFrame, flags: list[bool], size: int) -> npt.NDArray[np.bool_]:
    found = np.zeros(size, np.bool_)
    found[nouns["form"].to_numpy()[np.array(flags, np.bool_)[nouns["lemma"].to_numpy()]]] = True
    return found


def read_as(shape: str, forms: npt.NDArray[np.int64], table: WordTable) -> Mask:
    """Slots that the head of each row of `forms` (R, n) fills when read in a shape such as «ANN»; 0: impossible.

    The last letter of the shape may be A for a beginning that another word completes. Shape (R,).
    """
    head_slots = open_slots = np.full(len(forms), ALL, np.uint32)
    possible = np.ones(len(forms), np.bool_)
    in_tail = False
    for position, role in enumerate(shape):
        column = forms[:, position]
        open_slots = open_slots & (table.noun if role == "N" else table.adjective)[column]
        possible &= open_slots != 0
        if role == "N":
            if not in_tail:
                head_slots, in_tail = open_slots, True
            open_slots = np.where(table.governs[column], GENITIVE | ABLATIVE, GENITIVE)
            if position + 1 < len(shape):
                possible &= table.head[column]
    if not in_tail:
        head_slots = open_slots
    return np.where(possible, head_slots, 0).astype(np.uint32)
