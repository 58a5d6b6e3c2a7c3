"""Words outside the dictionary that are written in capitals: abbreviations, and headings that are none."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from conftest import Build
from lexicon_checks import KEY, assert_consistent, assert_decodes, code_words

from hypertok.corpus.segments import CASES
from hypertok.lexicon.capitals import with_abbreviations
from hypertok.lexicon.context_guess import with_guesses
from hypertok.lexicon.lexicon import Lexicon
from hypertok.lexicon.morphology import Analyses, analyse

ABBREVIATIONS = ("БПЛА", "МФТИ", "ЭДТА", "ЕГРИП")


def concepts(lexicon: Lexicon, *starts: str) -> set[tuple[str, ...]]:
    return {row for row in lexicon.concepts.select(KEY).iter_rows() if row[0].startswith(starts)}


def uses(word: str) -> str:
    return f"Это {word}. Вот наш {word}. У нас есть {word}. Про {word} писали. "


def test_an_abbreviation_is_its_own_lemma(build: Build) -> None:
    lexicon = build({"а.md": "".join(map(uses, ABBREVIATIONS))})
    assert_consistent(lexicon)
    assert_decodes(lexicon)
    wanted = {(word.lower(), "NOUN", "abbreviation") for word in ABBREVIATIONS}
    assert concepts(lexicon, "бпл", "мфт", "эдт", "егр") == wanted
    for word in ABBREVIATIONS:
        assert len(lexicon.encode(word)) == 1, word


def test_a_heading_in_capitals_is_a_form_of_its_word(build: Build) -> None:
    text = "КРИПТОБИРЖИ\n\nОткрылась криптобиржа. О криптобирже пишут. Про криптобиржу говорят. Закрыта криптобиржа."
    lexicon = build({"а.md": text})
    assert_consistent(lexicon)
    assert concepts(lexicon, "криптобирж") == {("криптобиржа", "NOUN", "unknown")}
    assert code_words(lexicon, "криптобиржи") == "криптобиржа"
    often = build({"а.md": "КРИПТОБИРЖИ\n\n" * 4 + text}, "often.lexicon")
    assert len(concepts(often, "криптобирж")) == 1, "more headings than text"


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_word_in_capitals_needs_three_uses_too(build: Build, times: int) -> None:
    lexicon = build({"а.md": "ВЫМПЕЛБУРГ ЗАКРЫТ\n\n" * times + "НАТО молчит."})
    assert len(concepts(lexicon, "вымпелбург")) == (times == 3)
    assert concepts(lexicon, "нато") == {("нато", "NOUN", "abbreviation")}, "it is in the dictionary"


def test_an_abbreviation_that_is_inflected_keeps_its_forms(build: Build) -> None:
    lexicon = build({"а.md": uses("ЕГРИП") + "Нет ЕГРИПа. Занялись ЕГРИПом. "})
    assert_consistent(lexicon)
    assert concepts(lexicon, "егрип") == {("егрип", "NOUN", "abbreviation")}
    assert {code_words(lexicon, form) for form in ("егрип", "егрипа", "егрипом", "егрипу")} == {"егрип"}


def test_what_a_person_or_the_base_calls_a_word_stays_one(build: Build) -> None:
    text = {"а.md": "Тут криптобиржа. О криптобирже. Про криптобиржу. С криптобиржей."}
    base = build(text, "base.lexicon")
    heading = {"а.md": "КРИПТОБИРЖИ ЗАКРЫТЫ\n\n" * 4}
    assert concepts(build(heading, base=base.folder), "криптобирж") == {("криптобиржа", "NOUN", "unknown")}
    added = build(heading, "added.lexicon", overrides="add\tкриптобиржа\tNOUN\t\n")
    assert code_words(added, "криптобиржи") == "криптобиржа"
    merged = build({"а.md": uses("МФТИ")}, "merged.lexicon", overrides="merge\tмфть\tNOUN\tфизтех\n")
    assert code_words(merged, "мфти") == "физтех"


def table(**counts: tuple[int, int, int, int]) -> tuple[Analyses, pl.DataFrame]:
    rows = [(form, *numbers) for form, numbers in counts.items()]
    vocabulary = pl.DataFrame(rows, schema=["form", *CASES], orient="row")
    return with_guesses(analyse(list(counts), workers=1)), vocabulary


def readings_of(analyses: Analyses, form: str) -> set[tuple[str, str]]:
    n = analyses.forms.index(form)
    rows = range(analyses.offsets[n], analyses.offsets[n + 1])
    return {(analyses.lemmas[analyses.lemma[r]], analyses.tags[analyses.tag[r]]) for r in rows}


def test_the_table_of_analyses_stays_sound() -> None:
    analyses, vocabulary = table(бпла=(1, 0, 20, 0), вода=(0, 0, 9, 0), егрип=(0, 0, 4, 1), мфти=(2, 0, 8, 0))
    found = with_abbreviations(analyses, vocabulary)
    assert len(found.tag) == len(found.lemma) == len(found.prior) == len(found.known) == len(found.lexeme)
    assert found.offsets[-1] == len(found.tag)
    assert np.add.reduceat(found.prior, found.offsets[:-1]) == pytest.approx(1)
    assert {lemma for lemma, _ in readings_of(found, "бпла")} == {"бпла"}
    cases = {tag.rsplit(",", 1)[1] for _, tag in readings_of(found, "бпла")}
    assert cases == {"nomn", "gent", "datv", "accs", "ablt", "loct"}, "«оператор БПЛА» may be a term"
    assert any(found.lexeme[found.offsets[2] : found.offsets[3]] >= 0), "«егрип» inflects too"
    for form in ("вода", "мфти"):
        assert readings_of(found, form) == readings_of(analyses, form), "in the dictionary; in small letters too often"
    assert with_abbreviations(analyses, vocabulary, {("бпл", "NOUN"), ("егрип", "NOUN")}) is analyses
