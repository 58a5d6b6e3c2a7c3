"""All inflected forms of a multiword concept: the head goes through its paradigm, its adjectives agree.

Dependents after the head stay as they are most often written. A surface that the corpus shows and the
paradigm does not («съемки» without ё, «имена файлов» beside «имя файла») is added with the inflection of its
head, so every attested surface is in the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl

from hypertok.lexicon.grammemes import inflection_of
from hypertok.lexicon.morphology import Analyses, paradigm
from hypertok.lexicon.phrase_grammar import NOUN, participle_of, slot_mask
from hypertok.lexicon.phrase_words import WordTable

#: Marks of a second, rarer or older form of the same slot («весною»); such forms are listed only when seen.
_RARE = {"Arch", "Infr", "Erro", "Dist", "Litr"}
_RARE |= {"V-be", "V-bi", "V-oy", "V-ey", "V-ie", "V-en", "V-sh", "V-ej"}
#: A concept met in the singular less often than this has a plural base form: «хлебные крошки».
_PLURAL_ONLY = 0.03

Slots = int
Row = tuple[str, str, int, bool]
#: (word, form number) -> [(inflection, weight)], likeliest first.
HeadReadings = dict[tuple[int, int], list[tuple[str, float]]]
#: word -> (prefix, stem, paradigm, participle); see `morphology.Analyses.lexemes`.
Lexemes = dict[int, tuple[str, str, int, str]]


@dataclass(frozen=True)
class Term:
    """One concept to inflect.

    Attributes:
        words: its words up to the head (numbers of a `WordTable`).
        surfaces: (form numbers, count) of every surface, commonest first.
        singular: share of uses that may be singular.
    """

    words: tuple[int, ...]
    surfaces: Sequence[tuple[tuple[int, ...], int]]
    singular: float


class Inflector:
    """Builds the form tables of terms over one vocabulary."""

    def __init__(
        self, analyses: Analyses, weights: npt.NDArray[np.float64], table: WordTable, words: Iterable[int]
    ) -> None:
        """`words` are all words of the terms up to and including their heads."""
        self._forms = analyses.forms
        self._lexemes, self._readings = _look_up(analyses, weights, table, sorted(set(words)))

    def inflect(self, term: Term) -> list[Row]:
        """Rows (form, inflection, count, attested) without repetition, the base form first."""
        *adjectives, head = term.words
        place = len(adjectives)
        tail = [self._forms[f] for f in term.surfaces[0][0][place + 1 :]]
        inflections: dict[str, dict[str, None]] = {}  # surface -> inflections, in order
        for form, slots, inflection in self._paradigm(head):
            agreeing = [self._agree(adjective, slots) for adjective in adjectives]
            if None not in agreeing:
                surface = " ".join([*(a for a in agreeing if a), form, *tail])
                inflections.setdefault(surface, {})[inflection] = None
        counts: dict[str, int] = {}
        weights: dict[tuple[str, str], float] = {}
        for numbers, count in term.surfaces:
            surface = " ".join(self._forms[f] for f in numbers)
            counts[surface] = counts.get(surface, 0) + count
            readings = self._readings.get((head, numbers[place]), [])
            weights.update({(surface, inflection): weight for inflection, weight in readings})
            if surface not in inflections:
                inflections[surface] = {readings[0][0] if readings else "sing,nomn": None}
        rows: list[Row] = []
        for surface, found in inflections.items():
            shares = _divide(counts.get(surface, 0), [weights.get((surface, i), 0.0) for i in found])
            rows += [(surface, i, n, surface in counts) for i, n in zip(found, shares, strict=True)]
        base = _base(rows, "plur,nomn" if term.singular < _PLURAL_ONLY else "sing,nomn")
        return [base, *(row for row in rows if row is not base)]

    @cache  # noqa: B019 -- an inflector lives for one call of find_phrases
    def _paradigm(self, word: int) -> list[tuple[str, Slots, str]]:
        """(form, slots, inflection) of a word in all its forms, rare variants left out."""
        if word not in self._lexemes:
            return []
        prefix, stem, number, participle = self._lexemes[word]
        found = []
        for form, tag in paradigm(prefix, stem, number):
            _, slots = slot_mask(tag)
            rare = not _RARE.isdisjoint(tag.replace(" ", ",").split(","))
            if slots and not rare and participle_of(tag) == participle:
                found.append((form, slots, inflection_of(tag)))
        return found

    @cache  # noqa: B019
    def _agree(self, word: int, slots: Slots) -> str | None:
        """The form of an adjective for a noun in these slots, None where the paradigm has none."""
        return next((form for form, mine, _ in self._paradigm(word) if mine & slots), None)


def _divide(count: int, weights: list[float]) -> list[int]:
    """`count` shared out in proportion to `weights`; what rounding leaves goes to the heaviest."""
    total = sum(weights)
    if not total:
        return [count, *[0] * (len(weights) - 1)]
    shares = [int(count * weight / total) for weight in weights]
    shares[weights.index(max(weights))] += count - sum(shares)
    return shares


def _base(rows: list[Row], wanted: str) -> Row:
    """The first row with the wanted inflection, else the first nominative, else the first."""
    nominative = next((row for row in rows if row[1].endswith("nomn")), rows[0])
    return next((row for row in rows if row[1] == wanted), nominative)


def _look_up(
    analyses: Analyses, weights: npt.NDArray[np.float64], table: WordTable, words: list[int]
) -> tuple[Lexemes, HeadReadings]:
    """For each word its likeliest lexeme (prefix, stem, paradigm, participle), and its forms' readings."""
    role = np.array([slot_mask(tag)[0] for tag in analyses.tags], np.int8)
    inflects = np.array([slot_mask(tag)[1] != 0 for tag in analyses.tags], np.bool_)
    participle = pl.Series([participle_of(tag) for tag in analyses.tags], dtype=pl.String)
    key = ["lemma_number", "role", "participle"]
    wanted = table.words.filter(pl.col("word").is_in(words))
    lemmas = np.zeros(len(analyses.lemmas), np.bool_)
    lemmas[wanted["lemma_number"].to_numpy()] = True
    rows = np.flatnonzero(lemmas[analyses.lemma] & inflects[analyses.tag])
    tag = analyses.tag[rows]
    frame = pl.DataFrame(
        {
            "lemma_number": analyses.lemma[rows],
            "role": role[tag],
            "participle": participle.gather(tag),
            "form": analyses.form_index()[rows],
            "tag": tag,
            "lexeme": analyses.lexeme[rows],
            "weight": weights[rows],
        }
    ).join(wanted.select("word", *key), on=key)
    best = (
        frame.filter(pl.col("lexeme") >= 0)
        .sort("word", "lexeme", "form", "tag")
        .group_by("word", "lexeme", "participle", maintain_order=True)
        .agg(pl.col("weight").sum().round(6))
        .sort("word", "weight", "lexeme", descending=[False, True, False])
        .unique("word", keep="first", maintain_order=True)
    )
    lexemes: Lexemes = {}
    for word, lexeme, name in best.select("word", "lexeme", "participle").iter_rows():
        prefix, stem, number = analyses.lexemes.row(lexeme)
        lexemes[word] = (prefix, stem, number, name)
    readings: HeadReadings = {}
    falling = [False, False, True, False]
    heads = frame.filter(role=NOUN).sort("word", "form", "weight", "tag", descending=falling)
    for word, form, number, weight in heads.select("word", "form", "tag", "weight").iter_rows():
        readings.setdefault((word, form), []).append((inflection_of(analyses.tags[number]), weight))
    return lexemes, readings
