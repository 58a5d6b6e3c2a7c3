"""pymorphy3 over a vocabulary: every distinct form is analysed once, and the result is a table of numbers.

All analyses of all forms lie one after another (compressed sparse rows): the analyses of form n are rows
`offsets[n]` to `offsets[n + 1]`, most probable first by the dictionary's own estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pymorphy3
from pymorphy3 import dawg

from hypertok.corpus import engines
from hypertok.progress import Count

#: Forms per unit of work: small enough for a moving progress bar, large enough to hide process overhead.
_BATCH = 10_000
#: Letters of a form beyond which it is unknown unseen; the longest of 1.5 million forms of real notes has 34.
_LONGEST = 48
#: How many answers are remembered: more than there are rests of a word.
_REMEMBERED = 4096
_SCHEMA = {
    "analyses": pl.UInt16,
    "lemma": pl.String,
    "tag": pl.String,
    "prior": pl.Float32,
    "known": pl.Boolean,
    "prefix": pl.String,
    "stem": pl.String,
    "paradigm": pl.Int32,
}


@dataclass(frozen=True)
class Analyses:
    """All analyses of `forms`; A is their total number.

    Attributes:
        offsets: (len(forms) + 1,) first row of each form.
        tag, lemma: (A,) indices into `tags` (OpenCorpora tags) and `lemmas`.
        prior: (A,) pymorphy3's score, summing to 1 within each form.
        known: (A,) whether the analysis stands in the dictionary (False: predicted from the word's shape).
        lexeme: (A,) index into `lexemes`, or -1 where the paradigm cannot be built.
        lexemes: columns prefix, stem, paradigm: what all forms of a lexeme share.
    """

    forms: Sequence[str]
    offsets: npt.NDArray[np.int64]
    tag: npt.NDArray[np.int32]
    lemma: npt.NDArray[np.int32]
    prior: npt.NDArray[np.float32]
    known: npt.NDArray[np.bool_]
    lexeme: npt.NDArray[np.int32]
    tags: Sequence[str]
    lemmas: Sequence[str]
    lexemes: pl.DataFrame

    def form_index(self) -> npt.NDArray[np.int64]:
        """The form number of every analysis. Shape (A,)."""
        return np.repeat(np.arange(len(self.forms)), np.diff(self.offsets))


@cache
def analyzer() -> Any:
    """The one pymorphy3 analyzer of this process (loading takes about 0.3 s and 60 MB).

    It asks itself for the rest of a word after each prefix that may begin it: in «недонедо…вес» for as many as there
    are ways to cut the word, and as deep as it is long. So answers are remembered, and no long word is asked for.
    """
    if dawg.EXTENSION_AVAILABLE:
        dawg.WordsDawg.load = dawg.ConditionalProbDistDAWG.load = _load
    made: Any = pymorphy3.MorphAnalyzer(lang="ru")
    unknown, parse = made.parse("")[0], made.parse

    def bounded(word: str) -> list[Any]:
        return parse(word) if len(word) <= _LONGEST else [unknown._replace(word=word, normal_form=word)]

    made.parse, made.tag = lru_cache(_REMEMBERED)(bounded), lru_cache(_REMEMBERED)(made.tag)
    return made


def _load(self: Any, path: str) -> Any:
    """Read a file of the dictionary; its own way gives C++ the path as UTF-8, which Windows takes for its code page.

    So no user whose name has Cyrillic letters could load it there.
    """
    return self.frombytes(Path(path).read_bytes())


def analyse(forms: Sequence[str], *, workers: int | None = None, progress: Count | None = None) -> Analyses:
    """Analyse distinct lower-case `forms` with pymorphy3; the result does not depend on `workers`."""
    batches = [list(forms[i : i + _BATCH]) for i in range(0, len(forms), _BATCH)]
    if len(batches) == 1:
        workers = 1
    tables = []
    if progress:
        progress(0, len(forms))
    for table in engines.run(_analyse_batch, batches, workers=workers):
        tables.append(table)
        if progress:
            progress(min(len(tables) * _BATCH, len(forms)), len(forms))
    rows = pl.concat(tables) if tables else pl.DataFrame(schema=_SCHEMA)
    return _pack(forms, rows)


def paradigm(prefix: str, stem: str, number: int) -> list[tuple[str, str]]:
    """All (form, tag) of a lexeme in the dictionary's order, the lemma first."""
    return [(prefix + before + stem + ending, tag) for before, ending, tag in paradigm_places(number)]


@cache
def paradigm_places(number: int) -> list[tuple[str, str, str]]:
    """(before the stem, ending, tag) of every place of a paradigm of the dictionary."""
    places = analyzer().dictionary.build_paradigm_info(number)
    return [(before, ending, str(tag)) for before, tag, ending in places]


def _analyse_batch(forms: list[str]) -> pl.DataFrame:
    """One row per analysis; the column `analyses` counts the form's rows in its first row, else it is 0."""
    rows = []
    parse = analyzer().parse
    for form in forms:
        seen: dict[tuple[str, str], list[Any]] = {}
        for p in parse(form):
            key = (p.normal_form, str(p.tag))
            if key in seen:
                seen[key][3] += p.score
            else:
                seen[key] = [0, *key, p.score, p.is_known, *_lexeme(p)]
        analyses = list(seen.values())
        analyses[0][0] = len(analyses)
        rows += analyses
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def _lexeme(parse: Any) -> tuple[str, str, int]:
    """(prefix, stem, paradigm number) of an analysis; paradigm -1 where the analyzer built it by other means.

    The first method on the stack found the word, or a shorter word inside it, in the dictionary or by its
    ending; later methods (prefixes) only put something in front. Hyphenated compounds inflect in their last
    part, whose own stack is the last element.
    """
    method = parse.methods_stack[0]
    while len(method) != 4:
        inner = method[-1]
        # Both parts inflect («компании-производителя»): what stands before is no prefix.
        if isinstance(method[1], tuple):
            return "", "", -1
        if not (isinstance(inner, tuple) and inner and isinstance(inner[0], tuple)) or len(parse.methods_stack) > 1:
            return "", "", -1
        method = inner[0]
    word, number, index = method[1:]
    if not parse.word.endswith(word) or type(number) is not int:
        return "", "", -1
    stem = analyzer().dictionary.build_stem(analyzer().dictionary.paradigms[number], index, word)
    return parse.word[: len(parse.word) - len(word)], stem, number


def _pack(forms: Sequence[str], rows: pl.DataFrame) -> Analyses:
    counts = rows["analyses"].to_numpy()
    counts = counts[counts > 0].astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    prior = rows["prior"].to_numpy()
    sums = np.add.reduceat(prior, offsets[:-1]) if len(prior) else prior
    tag, tags = _number(rows["tag"])
    lemma, lemmas = _number(rows["lemma"])
    keys = ["prefix", "stem", "paradigm"]
    lexemes = rows.select(keys).filter(pl.col("paradigm") >= 0).unique().sort(keys)
    lexeme = (
        rows.select(keys)
        .join(lexemes.with_row_index("lexeme"), on=keys, how="left", maintain_order="left")["lexeme"]
        .cast(pl.Int32)
        .fill_null(-1)
    )
    return Analyses(
        forms, offsets, tag, lemma, prior / np.repeat(sums, counts), rows["known"].to_numpy(),
        lexeme.to_numpy(), tags, lemmas, lexemes,
    )  # fmt: skip


def _number(column: pl.Series) -> tuple[npt.NDArray[np.int32], list[str]]:
    values = column.unique().sort()
    numbers = pl.DataFrame({column.name: values}).with_row_index("number")
    joined = column.to_frame().join(numbers, on=column.name, how="left", maintain_order="left")
    return joined["number"].to_numpy().astype(np.int32), values.to_list()
