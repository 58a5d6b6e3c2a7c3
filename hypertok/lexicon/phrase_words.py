"""The words of a vocabulary that may stand in a term, and what each form can be there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from hypertok.data import data_file, read_rows
from hypertok.errors import InputError
from hypertok.lexicon.morphology import Analyses
from hypertok.lexicon.phrase_grammar import ABLATIVE, ADJECTIVE, GENITIVE, NOUN, participle_of, slot_mask

Mask = npt.NDArray[np.uint32]
Flags = npt.NDArray[np.bool_]

#: Nouns whose object stands in the ablative: «управление базами данных».
GOVERN_ABLATIVE = frozenset(
    {
        "управление", "обмен", "владение", "заведование", "торговля", "руководство", "отравление", "злоупотребление",
        "лечение", "снабжение", "занятие", "заражение", "командование", "пользование",
    }
)  # fmt: skip
#: An analysis below this share of its form's occurrences is no reading for a phrase («уже» as a snake).
MIN_SHARE = 0.05
#: Parts of speech of function words. A form that is one of them more often than not is nothing else here:
#: «по» is too rarely the abbreviation ПО to count what follows it.
_FUNCTION = ("PREP", "CONJ", "PRCL", "INTJ", "NPRO", "NUMR")
#: What makes a reading: lemma, role, and for participles which one.
_KEY = ["lemma", "role", "participle"]
_FLAGS = ["name", "animate", "loose"]


@dataclass(frozen=True)
class Stopwords:
    """Lemmas that make no term: as adjectives, as nouns anywhere, and as nouns that head a genitive.

    `soft` adjectives, and nouns that are `frames` before a genitive, make a term only with a noun they are bound to
    very firmly («исходный код», «день рождения»).
    """

    adjectives: frozenset[str]
    soft: frozenset[str]
    nouns: frozenset[str]
    heads: frozenset[str]
    frames: frozenset[str]


@dataclass(frozen=True)
class WordTable:
    """The words that forms may be inside a phrase. F forms, W words.

    A word is a lemma in one role; a participle is a word of its own, named after its own base grammemes.

    Attributes:
        adjective, noun: (F,) slots the form can fill in that role, 0 where it cannot stand in a term.
        governs: (F,) whether an ablative may follow the form.
        head, inner_head: (F,) whether a genitive may follow the form, and whether it may inside a longer term.
        readings: columns form, role, word, mask, share (of the form's occurrences), likeliest first.
        words: columns word, lemma, lemma_number, role, participle, name (of a person), animate, loose (an
            adjective that describes rather than names: qualitative, soft or a participle; a noun that is a frame),
            count (expected).
        adjective_word: (F,) the word of the form as an adjective, -1 for none.
        dependent_word: (F,) the likeliest word of the form as a noun that depends on another, -1 for none.
    """

    adjective: Mask
    noun: Mask
    governs: npt.NDArray[np.bool_]
    head: npt.NDArray[np.bool_]
    inner_head: npt.NDArray[np.bool_]
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
    groups: dict[str, set[str]] = {pos: set() for pos in ("ADJ", "SOFT", "PART", "NOUN", "HEAD", "FRAME")}
    for line, row in read_rows(path, ("lemma", "pos", "reason")):
        if row["pos"] not in groups:
            raise InputError(f"{path}:{line}: pos is {row['pos']!r}; expected one of {', '.join(groups)}")
        groups[row["pos"]].add(row["lemma"])
    # A participle goes by its verb, which is never an adjective's lemma, so the two lists can be one.
    return Stopwords(
        frozenset(groups["ADJ"] | groups["PART"]),
        *(frozenset(groups[pos]) for pos in ("SOFT", "NOUN", "HEAD", "FRAME")),
    )


def tabulate_words(analyses: Analyses, weights: npt.NDArray[np.float64], stopwords: Stopwords) -> WordTable:
    """Masks and readings of all forms, from `weights` (A,), the expected count of each analysis."""
    size = len(analyses.forms)
    readings = _read_forms(analyses, weights, stopwords)
    # Summed in a fixed order: floating-point sums must not depend on how a hash table was filled.
    words = (
        readings.sort(*_KEY, "form")
        .group_by(_KEY, maintain_order=True)
        .agg(pl.col("count").sum(), pl.col(_FLAGS).any())
        .with_columns(word=pl.int_range(pl.len(), dtype=pl.Int32))
    )
    readings = (
        readings.drop("count")
        .join(words.select("word", "count", *_KEY), on=_KEY)
        .sort("form", "share", "word", descending=[False, True, False])
    )
    # Only the commoner adjective of a form counts: «текстовой» belongs to «текстовый», which most forms show,
    # and one adjective per form keeps the agreement test a single AND.
    adjectives = (
        readings.filter(role=ADJECTIVE)
        .sort("form", "count", "word", descending=[False, True, False])
        .unique("form", keep="first", maintain_order=True)
    )
    nouns = readings.filter(role=NOUN)
    dependents = nouns.filter(pl.col("mask") & pl.lit(int(GENITIVE | ABLATIVE), pl.UInt32) != 0)
    dependents = dependents.unique("form", keep="first", maintain_order=True)
    noun = np.zeros(size, np.uint32)
    np.bitwise_or.at(noun, nouns["form"].to_numpy(), nouns["mask"].to_numpy())
    participles = pl.Series(_participles(analyses), dtype=pl.String)
    return WordTable(
        adjective=_spread(adjectives["form"], adjectives["mask"].to_numpy(), size, 0),
        noun=noun,
        governs=_flag_forms(nouns, [lemma in GOVERN_ABLATIVE for lemma in analyses.lemmas], size),
        head=_flag_forms(nouns, [lemma not in stopwords.heads for lemma in analyses.lemmas], size),
        inner_head=_flag_forms(
            nouns, [lemma not in stopwords.heads | stopwords.frames for lemma in analyses.lemmas], size
        ),
        adjective_word=_spread(adjectives["form"], adjectives["word"].to_numpy(), size, -1),
        dependent_word=_spread(dependents["form"], dependents["word"].to_numpy(), size, -1),
        readings=pl.concat([adjectives, nouns]).select("form", "role", "word", "mask", "share"),
        words=words.with_columns(
            lemma_number="lemma",
            lemma=pl.Series(analyses.lemmas, dtype=pl.String).gather(words["lemma"]),
            participle=participles.gather(words["participle"]),
        ),
    )


def _read_forms(analyses: Analyses, weights: npt.NDArray[np.float64], stopwords: Stopwords) -> pl.DataFrame:
    """One row per form and word: form, lemma and participle (numbers), role, mask, share, count and flags."""
    slots = [slot_mask(tag) for tag in analyses.tags]
    role = np.array([r for r, _ in slots], np.int8)[analyses.tag]
    mask = np.array([m for _, m in slots], np.uint32)[analyses.tag]
    names = _participles(analyses)
    participle = np.array([names.index(participle_of(tag)) for tag in analyses.tags], np.int8)

    form, size = analyses.form_index(), len(analyses.forms)
    totals = np.bincount(form, weights, size)
    no_word = _among(analyses.forms, lambda f: len(f) < 2)
    stopped = np.where(
        role == ADJECTIVE,
        _among(analyses.lemmas, stopwords.adjectives.__contains__)[analyses.lemma],
        _among(analyses.lemmas, stopwords.nouns.__contains__)[analyses.lemma],
    )
    # «текущий» is stopped as an adjective, so it must not come back as the participle of «течь».
    plain = _among(analyses.tags, lambda tag: tag.startswith("ADJF"))[analyses.tag]
    barred = np.bincount(form, stopped & plain, size) > 0
    function = _among(analyses.tags, lambda tag: tag.startswith(_FUNCTION))[analyses.tag]
    no_word |= np.bincount(form, weights * function, size) > totals / 2
    use = (mask != 0) & ~stopped & ~((role == ADJECTIVE) & barred[form]) & (weights > 0) & ~no_word[form]
    tag, lemma = analyses.tag[use], analyses.lemma[use]
    describing = _among(analyses.tags, lambda tag: ",Qual" in tag or tag.startswith("PRTF"))
    soft = _among(analyses.lemmas, stopwords.soft.__contains__)
    frames = _among(analyses.lemmas, stopwords.frames.__contains__)
    persons = _among(analyses.tags, lambda tag: any(mark in tag for mark in (",Name", ",Surn", ",Patr")))
    rows = pl.DataFrame(
        {
            "form": form[use].astype(np.int32), "role": role[use], "lemma": lemma,
            "participle": participle[tag], "mask": mask[use], "count": weights[use],
            "share": weights[use] / totals[form[use]], "name": persons[tag],
            "animate": _among(analyses.tags, lambda tag: ",anim," in tag)[tag],
            "loose": np.where(role[use] == NOUN, frames[lemma], describing[tag] | soft[lemma]),
        }
    )  # fmt: skip
    return (
        rows.group_by("form", *_KEY, maintain_order=True)
        .agg(pl.col("mask").bitwise_or(), pl.col("share", "count").sum(), pl.col(_FLAGS).any())
        .filter(pl.col("share") >= MIN_SHARE)
    )


def _participles(analyses: Analyses) -> list[str]:
    """The kinds of participles among the tags, '' first."""
    return sorted({"", *(participle_of(tag) for tag in analyses.tags)})


def _among(values: Sequence[str], test: Callable[[str], bool]) -> Flags:
    return np.fromiter(map(test, values), np.bool_, len(values))


def _spread(forms: pl.Series, values: npt.NDArray[Any], size: int, missing: int) -> npt.NDArray[Any]:
    """`values` laid out by form number, `missing` elsewhere. Shape (size,)."""
    result = np.full(size, missing, values.dtype)
    result[forms.to_numpy()] = values
    return result


def _flag_forms(nouns: pl.DataFrame, flags: list[bool], size: int) -> Flags:
    """Forms of which some reading as a noun has a flagged lemma. Shape (size,)."""
    found = np.zeros(size, np.bool_)
    found[nouns["form"].to_numpy()[np.array(flags, np.bool_)[nouns["lemma"].to_numpy()]]] = True
    return found
