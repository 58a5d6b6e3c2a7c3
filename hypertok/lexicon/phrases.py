"""Multiword concepts: terms such as «цикл Кребса» and «оперативная память», with all their inflected forms.

Found by morphological pattern (adjectives that agree with a noun, genitives after it, up to four words) and
by strength of association, counted over all inflected forms. `phrase_grammar` and `phrase_words` say which
words may stand together, `phrase_counts` reads the corpus, `phrase_readings` makes concepts of what was read,
`phrase_uses` sums up how these are used, `phrase_selection` chooses the terms, `phrase_forms` inflects them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from hypertok.lexicon.morphology import Analyses
from hypertok.lexicon.phrase_counts import Candidates, Streams, count_pairs, count_runs, gather_uses
from hypertok.lexicon.phrase_forms import Inflector, Term
from hypertok.lexicon.phrase_readings import CONCEPT, KEYS, collect_concepts, frequent_pairs, read_all
from hypertok.lexicon.phrase_selection import associate, nested, observe, stands_alone, threshold
from hypertok.lexicon.phrase_uses import PATTERNS, Uses, sum_uses
from hypertok.lexicon.phrase_words import WordTable, load_stopwords, tabulate_words
from hypertok.progress import Count

#: Phrases kept, commonest first; the shared 107 MB corpus has about 1,400 at the default minimum.
MAX_PHRASES = 50_000
_PHRASES: dict[str, pl.DataType | type[pl.DataType]] = {
    "lemma": pl.String,
    "count": pl.Int64,
    "cases": pl.List(pl.UInt8),
}
_FORMS: dict[str, pl.DataType | type[pl.DataType]] = {
    "phrase": pl.UInt32, "form": pl.String, "inflection": pl.String, "count": pl.Int64,
    "attested": pl.Boolean,
}  # fmt: skip
_STEPS = 6
Tables = tuple[Candidates, Candidates, Candidates]


@dataclass(frozen=True)
class Phrases:
    """Multiword concepts and their forms; words of a form are joined by one space.

    Attributes:
        phrases: one row per concept, by falling count, then lemma: lemma (base form), count (of all forms), cases
            (usual case pattern of each word: `stream.LOWER`, `TITLE` or `UPPER`).
        forms: phrase (row of `phrases`), form, inflection (key of the head's form), count, attested; the base
            form first. A surface that may be several inflections has a row for each, and its count is
            divided between them.
    """

    phrases: pl.DataFrame
    forms: pl.DataFrame


def find_phrases(
    streams: Streams,
    analyses: Analyses,
    weights: npt.NDArray[np.floating],
    *,
    min_count: int | None = None,
    max_phrases: int = MAX_PHRASES,
    progress: Count | None = None,
) -> Phrases:
    """The multiword concepts of a corpus.

    Args:
        streams: gives the token streams anew on each call (three passes); form numbers follow `analyses`.
        weights: (A,) how often each analysis is expected to occur in the corpus.
        min_count: least number of occurrences; by default `default_min_count` of the corpus.
    """
    if max_phrases < 1:
        return _nothing()
    step = _Steps(progress)
    expected: npt.NDArray[np.float64] = np.asarray(weights, np.float64)
    total = float(expected.sum())
    least = default_min_count(total) if min_count is None else max(min_count, 2)
    words = tabulate_words(analyses, expected, load_stopwords())
    step()
    pairs = frequent_pairs(count_pairs(streams, words), words, least)
    step()
    tables = (pairs, *count_runs(streams, pairs))
    step()
    readings = read_all(tables, words)
    concepts, of_row = collect_concepts(readings, tables, least)
    if concepts.is_empty():
        return _nothing()
    score = associate(concepts, of_row, tables, words, total)
    concepts = concepts.filter(score >= threshold(concepts, words, least))
    step()
    chosen = np.append(np.isin(np.arange(len(score)), concepts["concept"].to_numpy()), False)
    of_row = [np.where(chosen[rows], rows, -1) for rows in of_row]
    uses = sum_uses(gather_uses(streams, *tables, of_row))
    kinds = [words.words["animate"].gather(concepts["k0"]), words.words["name"].gather(concepts["k1"])]
    concepts = concepts.with_columns(kinds[0], kinds[1].alias("of_name"))
    concepts = concepts.join(observe(uses, words), on="concept").filter(stands_alone())
    concepts = concepts.filter(~pl.col("concept").is_in(nested(of_row, tables, concepts).implode()))
    concepts = concepts.sort("count", *CONCEPT, descending=[True, *[False] * len(CONCEPT)]).head(max_phrases)
    step()
    if concepts.is_empty():
        return _nothing()
    found = _assemble(concepts, readings, tables, analyses, expected, words, uses)
    step()
    return found


def _nothing() -> Phrases:
    return Phrases(pl.DataFrame(schema=_PHRASES), pl.DataFrame(schema=_FORMS))


def default_min_count(words: float) -> int:
    """Least count for a corpus of this many words: 3 up to a million, then growing with the square root.

    4 for 1.35 million words of documentation, 9 for the 8.6 million of the shared corpus.
    """
    return max(3, int(np.ceil(3 * np.sqrt(words / 1e6))))


def _assemble(
    concepts: pl.DataFrame,
    readings: pl.DataFrame,
    tables: Tables,
    analyses: Analyses,
    weights: npt.NDArray[np.float64],
    words: WordTable,
    uses: Uses,
) -> Phrases:
    """Base forms, paradigms and cases of the chosen concepts."""
    surfaces = _surfaces(concepts, readings, tables)
    cases = _usual_cases(uses)
    plan = list(concepts.select("concept", "shape", "singular", "count", *KEYS).iter_rows())
    terms = [
        Term(tuple(keys[: shape.index("N") + 1]), surfaces[concept], singular)
        for concept, shape, singular, _, *keys in plan
    ]
    inflector = Inflector(analyses, weights, words, (word for term in terms for word in term.words))
    tables_of_forms = [inflector.inflect(term) for term in terms]
    rows = [
        (forms[0][0], count, cases[concept][: len(shape)])
        for (concept, shape, _, count, *_), forms in zip(plan, tables_of_forms, strict=True)
    ]
    # The order within equal counts is by lemma, which is known only now.
    order = sorted(range(len(rows)), key=lambda n: (-rows[n][1], rows[n][0]))
    # Two readings can share a base form («рабочий класс» as adjective or noun); the commoner one has it.
    commonest = {rows[n][0]: n for n in reversed(order)}
    order = [n for n in order if commonest[rows[n][0]] == n]
    return Phrases(
        pl.DataFrame([rows[n] for n in order], schema=_PHRASES, orient="row"),
        pl.DataFrame(
            [(place, *form) for place, n in enumerate(order) for form in tables_of_forms[n]],
            schema=_FORMS,
            orient="row",
        ),
    )


def _surfaces(
    concepts: pl.DataFrame, readings: pl.DataFrame, tables: Tables
) -> dict[int, list[tuple[tuple[int, ...], int]]]:
    """For each concept its surfaces as (form numbers, count), commonest first."""
    found: dict[int, list[tuple[tuple[int, ...], int]]] = {}
    mine = readings.join(concepts.select("concept", *CONCEPT), on=CONCEPT)
    mine = mine.sort("concept", "count", "row", descending=[False, True, False])
    for concept, length, row, count in mine.select("concept", "length", "row", "count").iter_rows():
        forms = tuple(tables[length - 2].forms[row].tolist())
        found.setdefault(concept, []).append((forms, count))
    return found


def _usual_cases(uses: Uses) -> dict[int, list[int]]:
    """The commonest case pattern of each of four words."""
    usual = np.array(PATTERNS)[uses.case_counts().argmax(axis=2)]  # the lower case wins a tie
    return dict(zip(uses.concepts["concept"].to_list(), usual.tolist(), strict=True))


class _Steps:
    """Counts finished steps for a progress bar."""

    def __init__(self, progress: Count | None) -> None:
        self._progress = progress
        self._done = 0

    def __call__(self) -> None:
        self._done += 1
        if self._progress:
            self._progress(self._done, _STEPS)
