"""From a counted corpus to the lexicon's tables; `build` writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from hypertok.codec import marks
from hypertok.corpus.counting import CountedCorpus
from hypertok.corpus.segments import CASES
from hypertok.errors import InputError
from hypertok.lexicon.added_phrases import with_overrides
from hypertok.lexicon.capitals import with_abbreviations
from hypertok.lexicon.concepts import WITH_PARTICLE, read_concepts
from hypertok.lexicon.context import ContextModel
from hypertok.lexicon.context_guess import with_guesses
from hypertok.lexicon.forms import COLUMNS, form_table, number_variants, with_e, without_yo
from hypertok.lexicon.from_base import kept_from_base
from hypertok.lexicon.grammemes import concept_pos
from hypertok.lexicon.inflections import Inflections, shipped_inflections
from hypertok.lexicon.lexicon import Lexicon
from hypertok.lexicon.mark_names import CASE_NAMES
from hypertok.lexicon.morphology import Analyses, analyse, analyzer
from hypertok.lexicon.overrides import Overrides
from hypertok.lexicon.phrases import MAX_PHRASES, Phrases, find_phrases
from hypertok.lexicon.recipe import Progress, Recipe
from hypertok.lexicon.symbols import KEY, assign_symbols
from hypertok.lexicon.usual_case import with_every_part

PHRASE_KEY = {"pos": "NOUN", "kind": "phrase"}


@dataclass(frozen=True)
class Tables:
    """The lexicon's tables, ready to be written (columns: docs/lexicon-format.md), and what `kept_from_base` says."""

    concepts: pl.DataFrame
    forms: pl.DataFrame
    inflections: pl.DataFrame
    kept: int = 0

    def named(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """Table names with their tables."""
        yield "concepts", self.concepts
        yield "forms", self.forms
        yield "inflections", self.inflections


def assemble(
    counted: CountedCorpus,
    recipe: Recipe,
    overrides: Overrides,
    old: Lexicon | None,
    *,
    workers: int | None,
    progress: Progress,
) -> Tables:
    """Analyse, weigh, group, complete and number everything; `old` lends its symbols and concepts."""
    inflections = shipped_inflections()
    vocabulary = _with_added(counted.vocabulary, overrides)
    forms = vocabulary["form"].to_list()
    analyses = with_guesses(analyse(forms, workers=workers, progress=lambda d, t: progress("analyse", d, t)))
    analyses = with_abbreviations(analyses, vocabulary, _spoken_of(overrides, old))
    weights = _weights(counted, vocabulary, analyses, recipe, progress)
    readings = read_concepts(
        with_every_part(vocabulary, counted.element_streams()),
        analyses,
        weights,
        inflections,
        overrides=overrides,
        min_count=recipe.min_count,
        base=old.concepts if old else None,
    )
    phrases = _phrases(counted, analyses, weights, recipe, overrides, progress)
    singles = readings.concepts.select(*KEY, "count", cases=pl.col("case").cast(pl.String))
    found = pl.concat([singles, _phrase_concepts(phrases)])
    found = found.sort("count", *KEY, descending=[True, False, False, False])
    own = _most(found, recipe.max_concepts, overrides)
    concepts = _number_concepts(found if old else own, old, overrides, recipe)
    table = pl.concat(
        [
            form_table(readings, analyses, concepts, inflections),
            _phrase_forms(phrases, concepts, inflections),
        ],
        how="vertical_relaxed",
    )
    table = without_yo(table)
    if old:
        table = pl.concat([table, _forms_of_old(old, table, overrides)], how="vertical_relaxed")
    table = number_variants(table, concepts["lemma"], old.forms if old else None)
    by_form = table.with_row_index("row").sort("form", "row")["row"]
    table = table.with_columns(by_form=by_form)
    kept = kept_from_base(old.concepts, found, own, table, counted.vocabulary, recipe) if old else 0
    return Tables(_with_base(concepts, table, old), table, _inflection_table(inflections), kept)


def _with_added(vocabulary: pl.DataFrame, overrides: Overrides) -> pl.DataFrame:
    """The vocabulary with added words that the corpus lacks behind it, uncounted."""
    have = set(vocabulary["form"])
    words = sorted({lemma for lemma, _ in overrides.add if " " not in lemma} - have)
    zero = {case: [0] * len(words) for case in CASES}
    return pl.concat([vocabulary, pl.DataFrame({"form": words, **zero}, schema=vocabulary.schema)])


def _spoken_of(overrides: Overrides, old: Lexicon | None) -> set[tuple[str, str]]:
    """Lemmas outside the dictionary, with parts of speech, that are words because a person or the base says so."""
    unknown = old.concepts.filter(kind="unknown").select("lemma", "pos").iter_rows() if old else ()
    return {*overrides.add, *overrides.merge, *unknown}


def _weights(
    counted: CountedCorpus, vocabulary: pl.DataFrame, analyses: Analyses, recipe: Recipe, progress: Progress
) -> npt.NDArray[np.float64]:
    """Expected corpus count of every analysis. Shape (A,)."""
    if recipe.context:
        progress("context", 0, 1)
        weights = ContextModel.load().estimate(counted.streams, analyses)
        progress("context", 1, 1)
        return weights
    counts = vocabulary.select(pl.sum_horizontal(CASES)).to_series().to_numpy().astype(np.float64)
    weights = analyses.prior.astype(np.float64) * np.repeat(counts, np.diff(analyses.offsets))
    return np.asarray(weights, dtype=np.float64)


def _phrases(
    counted: CountedCorpus,
    analyses: Analyses,
    weights: npt.NDArray[np.float64],
    recipe: Recipe,
    overrides: Overrides,
    progress: Progress,
) -> Phrases:
    phrases = find_phrases(
        counted.streams,
        analyses,
        weights,
        min_count=recipe.min_phrase_count,
        max_phrases=MAX_PHRASES if recipe.phrases else 0,
        progress=lambda d, t: progress("phrases", d, t),
    )
    if recipe.phrases:
        progress("phrases", 1, 1)  # where nothing is found, the search ends early
    return with_overrides(phrases, overrides, counted.vocabulary)


def _phrase_concepts(phrases: Phrases) -> pl.DataFrame:
    return phrases.phrases.select(
        "lemma",
        pos=pl.lit(PHRASE_KEY["pos"]),
        kind=pl.lit(PHRASE_KEY["kind"]),
        count=pl.col("count").cast(pl.Int64),
        cases=pl.col("cases").cast(pl.List(pl.String)).list.join(""),
    )


def _phrase_forms(phrases: Phrases, concepts: pl.DataFrame, inflections: Inflections) -> pl.DataFrame:
    ids = concepts.with_row_index("concept").filter(pl.col("kind") == "phrase").select("concept", "lemma")
    numbered = phrases.phrases.select("lemma").with_row_index("phrase").join(ids, on="lemma", maintain_order="left")
    keys = pl.DataFrame({"inflection": inflections.keys, "id": range(1, len(inflections.keys) + 1)})
    rows = (
        phrases.forms.cast({"phrase": pl.UInt32})
        .join(numbered, on="phrase", maintain_order="left")
        .join(keys, on="inflection", how="left", maintain_order="left")
    )
    rows = rows.with_columns(id=pl.col("id").fill_null(inflections.id_of("")))
    # Two phrases may share a form («печени больного»); the commoner concept owns it.
    first = pl.struct("concept", "id").sort_by("concept", "id").first().over("form")
    weight = pl.col("count").sum().over("form")
    return rows.select(
        "form", "concept", inflection="id",
        main=pl.struct("concept", "id") == first,
        attested="attested",
        count="count",
        probability=pl.when(weight > 0).then(pl.col("count") / weight).otherwise(1 / pl.len().over("form")),
    )  # fmt: skip


def _number_concepts(found: pl.DataFrame, old: Lexicon | None, overrides: Overrides, recipe: Recipe) -> pl.DataFrame:
    """All concepts in id order with their symbols: those of the base as they were, then new ones by count."""
    kept: dict[tuple[str, str, str], str] = {}
    if old:
        had = old.concepts.select(*KEY, "symbol", old_cases="cases")
        kept = {(lemma, pos, kind): s for lemma, pos, kind, s in had.select(*KEY, "symbol").iter_rows()}
        # The usual case stays too: it decides what a symbol without a case mark says in older symbol text.
        base = had.join(found.drop("cases"), on=KEY, how="left", maintain_order="left").select(
            *KEY, pl.col("count").fill_null(0), cases="old_cases"
        )
        new = found.join(had, on=KEY, how="anti", maintain_order="left")
        found = pl.concat([base, _most(new, max(0, recipe.max_concepts - base.height), overrides)])
    for (lemma, pos), symbol in overrides.add.items():
        kinds = set(found.filter(lemma=lemma, pos=pos)["kind"])
        said = overrides.place_of((lemma, pos))
        if not kinds:
            raise InputError(f"{said}: there is no concept {lemma!r} {pos} to add; {_instead(lemma)}")
        if symbol:
            _give(kept, (lemma, pos, min(kinds, key=_KINDS.index)), symbol, said)
    return found.with_columns(assign_symbols(found, kept))


def _most(found: pl.DataFrame, number: int, overrides: Overrides) -> pl.DataFrame:
    """The first so many concepts, and those that are to be there in any case."""
    rest = found[number:].join(overrides.added, on=["lemma", "pos"], how="semi", maintain_order="left")
    return pl.concat([found[:number], rest])


#: Which of several concepts with one lemma and part of speech an override means.
_KINDS = ("phrase", "word", "name", "abbreviation", "unknown")


def _instead(lemma: str) -> str:
    """What a person may add where `lemma` is no concept in the part of speech that was given."""
    if " " in lemma:
        return f"several words are a {PHRASE_KEY['pos']}: give that"
    parses = analyzer().parse(lemma)
    if re.search(WITH_PARTICLE, lemma) and not any(p.is_known for p in parses):
        return "word and particle are two concepts: add the word alone"
    readings = dict.fromkeys(f"{p.normal_form} {concept_pos(str(p.tag))}" for p in parses)
    return f"pymorphy3 reads it as {', '.join(readings)}: give one of these"


def _give(kept: dict[tuple[str, str, str], str], key: tuple[str, str, str], symbol: str, said: str) -> None:
    """Give an override's symbol to its concept unless that breaks the promise that symbols never change.

    Args:
        said: where the override stands.
    """
    owner = next((k for k, s in kept.items() if s == symbol), key)
    if owner != key or kept.get(key, symbol) != symbol:
        raise InputError(
            f"{said}: the symbol {symbol!r} for {key[0]!r} clashes with the base lexicon "
            f"({owner[0]!r} has {kept[owner]!r}); symbols never change, so choose another one, or build into another "
            "OUTPUT, without --base: symbols are then given anew"
        )
    kept[key] = symbol


def _forms_of_old(old: Lexicon, table: pl.DataFrame, overrides: Overrides) -> pl.DataFrame:
    """Forms of base concepts that the new corpus lacks, so that old symbol text stays readable.

    A concept forbidden since keeps its symbol, so that nothing else gets it, and no forms.
    """
    forbidden = [
        number for number, key in enumerate(old.concepts.select("lemma", "pos").iter_rows()) if key in overrides.forbid
    ]
    had = old.forms.filter(~pl.col("concept").is_in(forbidden))
    had = had.select(*(name for name in COLUMNS if name != "variant")).with_columns(
        attested=pl.lit(False), count=pl.lit(0.0)
    )
    # By inflection too: a phrase outside its paradigm has the likeliest one of the text at hand.
    place = ["form", "concept", "inflection"]
    missing = had.join(table.select(place).unique(), on=place, how="anti")
    taken = table.select("form", "main").group_by("form").agg(taken=pl.col("main").any())
    # A form that the new corpus reads otherwise keeps its old reading without weight.
    return (
        missing.join(taken, on="form", how="left", maintain_order="left")
        .with_columns(
            main=pl.col("main") & ~pl.col("taken").fill_null(False),
            probability=pl.when(pl.col("taken").is_null()).then("probability").otherwise(0.0),
        )
        .select(table.columns)
    )


def _with_base(concepts: pl.DataFrame, forms: pl.DataFrame, old: Lexicon | None) -> pl.DataFrame:
    """Adds `base`: the inflection that is written without a mark, that of the lemma as a form.

    Concepts of the base lexicon keep theirs: it says what a bare symbol means in older symbol text.
    """
    lemmas = concepts.with_row_index("concept").select("concept", "lemma")
    base = (
        forms.filter("main")
        .join(lemmas, on="concept")
        .with_columns(with_e("form", "lemma"))
        .filter(pl.col("form") == pl.col("lemma"))
        .group_by("concept")
        .agg(base=pl.col("inflection").min())
    )
    numbered = concepts.with_row_index("concept").join(base, on="concept", how="left", maintain_order="left")
    bases = numbered["base"].fill_null(0).cast(pl.UInt16)
    if old:
        bases = pl.concat([old.concepts["base"], bases[old.concepts.height :]])
    return numbered.select("symbol", *KEY, "count", "cases", base=bases)


def _inflection_table(inflections: Inflections) -> pl.DataFrame:
    """All marks of symbol text: mark, role, id, key."""
    rows = [(marks.ESCAPE, "escape", 0, "")]
    rows += [(mark, "case", n, name) for n, (mark, name) in enumerate(zip(marks.CASE_MARKS, CASE_NAMES, strict=True))]
    rows += [(mark, "variant", n, "") for n, mark in enumerate(marks.VARIANTS, 1)]
    rows += [(marks.inflection_mark(n), "inflection", n, key) for n, key in enumerate(inflections.keys, 1)]
    schema = {"mark": pl.String, "role": pl.String, "id": pl.UInt16, "key": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")
