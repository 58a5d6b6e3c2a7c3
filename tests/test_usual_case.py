"""The usual case of a concept: what its symbol says without a mark, and what is listed."""

from __future__ import annotations

import polars as pl
import pytest
from conftest import Build
from lexicon_checks import assert_consistent

from hypertok.codec import marks
from hypertok.corpus.elements import Elements
from hypertok.lexicon.build import build_lexicon
from hypertok.lexicon.lexicon import Lexicon
from hypertok.lexicon.recipe import Recipe
from hypertok.lexicon.usual_case import with_every_part

MIXED = ("Ростов-на-Дону", "ВИЧ-инфекция", "ацетил-КоА", "СМС-сообщение")
EACH = ("Санкт-Петербург", "Нью-Йорк", "Римский-Корсаков", "Петров-Водкин", "Весна-Красна", "Ля-Ля-Фа")
TEXT = " ".join(f"Тут {word}. Там {word}, здесь тоже {word}." for word in (*MIXED, *EACH, "Вологда", "ЭВМ", "рожь"))


@pytest.fixture(scope="module")
def lexicon(tmp_path_factory: pytest.TempPathFactory) -> Lexicon:
    folder = tmp_path_factory.mktemp("case")
    (folder / "notes").mkdir()
    (folder / "notes" / "а.md").write_text(TEXT, encoding="utf-8")
    build_lexicon(folder / "notes", folder / "x.lexicon", Recipe(statistics=False), workers=1)
    return Lexicon.load(folder / "x.lexicon")


def cases_of(lexicon: Lexicon) -> dict[str, str]:
    return dict(lexicon.concepts.select("lemma", "cases").iter_rows())


def test_title_in_every_part_is_for_names_that_are_written_so(lexicon: Lexicon) -> None:
    assert_consistent(lexicon)
    cases = {}
    for word in (*MIXED, *EACH, "Вологда", "ЭВМ", "рожь"):
        code = lexicon.book.code_of(word.lower())
        assert code is not None, word
        cases[word] = code.cases[0]
    assert {word: cases[word] for word in EACH} == dict.fromkeys(EACH, marks.EACH)
    assert {word: cases[word] for word in MIXED} == dict.fromkeys(MIXED, 0), "no pattern that is not there"
    assert [cases[word] for word in ("Вологда", "ЭВМ", "рожь")] == [1, 2, 0]


def test_a_capital_in_every_part_is_counted_in_the_text() -> None:
    texts = (
        "Санкт-Петербург. Про Санкт-Петербург, (Санкт-Петербург) и «Санкт-Петербург»! САНКТ-ПЕТЕРБУРГ.",
        "Ростов-на-Дону, Аддис-Абеба-Бета, из-Под-Нью, Ёла-Ёла, А-Я, ацетил-КоА, Нью-\nЙорк, xЁла-Ёла, Ёла-ёла",
        "Иван - Пётр, Иван — Пётр.",
        "",
    )
    segments = []
    for text in texts:
        elements = Elements()
        segments.append((elements.cut(text), None, pl.Series(elements.names)))
    forms = ["аддис-абеба-бета", "а-я", "под-нью", "санкт-петербург", "ёла-ёла", "ростов-на-дону", "ацетил-коа"]
    forms.append("иван-пётр")
    found = with_every_part(pl.DataFrame({"form": forms}), segments)
    assert dict(found.iter_rows()) == dict(zip(forms, [1, 1, 0, 4, 1, 0, 0, 0], strict=True))
    assert with_every_part(pl.DataFrame({"form": forms}), [])["each"].to_list() == [0] * len(forms)


def test_of_the_patterns_that_are_there_the_commonest(build: Build) -> None:
    odd = "Тут ВИЧ-инфекция. Там ВИЧ-инфекция. Это ВИЧ-инфекция. Опять ВИЧ-инфекция. "
    assert cases_of(build({"а.md": odd + "ВИЧ-ИНФЕКЦИЯ"}, "upper"))["вич-инфекция"] == "2"
    assert cases_of(build({"а.md": odd + "Есть вич-инфекция."}, "lower"))["вич-инфекция"] == "0"
    inflected = "Старый ЖЭК. Новый ЖЭК. Нет ЖЭКа. К ЖЭКу. За ЖЭКом. О ЖЭКе. "
    assert cases_of(build({"а.md": inflected}, "жэк"))["жэк"] == "2"


@pytest.mark.parametrize("word", MIXED)
def test_explain_says_what_encode_does(lexicon: Lexicon, word: str) -> None:
    found = lexicon.explain(word)
    assert found.code == lexicon.encode(word)
    assert lexicon.decode(found.code) == word
    symbol = found.readings[0].concept.symbol
    assert symbol not in found.code
    assert symbol in lexicon.explain(word.lower()).code
    assert lexicon.explain(symbol).code == symbol
