"""The one definition of a word: what is found, what its form is, what is mixed."""

from __future__ import annotations

import re
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypertok.corpus import words

RUSSIAN = st.text(alphabet="абвгдежзийклмнопрстуфхцчшщъыьэюяёАБЯЁѣі", min_size=1, max_size=12)
ANYTHING = st.text(alphabet=st.one_of(st.sampled_from("аеёЖя-'’\u0301\u2011 .,cоpA7"), st.characters()))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Печень, почки; сердце!", ["Печень", "почки", "сердце"]),
        ("кое-кто и что-нибудь", ["кое-кто", "и", "что-нибудь"]),
        ("слово - и слово — тире", ["слово", "и", "слово", "тире"]),
        ("«д’Артаньян», об'єкт", ["д’Артаньян", "об'єкт"]),
        ("за́мок или замо́к", ["за́мок", "или", "замо́к"]),
        ("-начало конец- --два", ["начало", "конец", "два"]),
        ("HTML-код, 5-й, COVID-19", ["код", "й"]),
        ("печень2 и 3почки", ["печень", "и", "почки"]),
        ("бѣлый снѣгъ", ["бѣлый", "снѣгъ"]),
        ("Москва\u2011река", ["Москва\u2011река"]),
        ("", []),
    ],
)
def test_words_are_found(text: str, found: list[str]) -> None:
    assert words.WORD.findall(text) == found


@pytest.mark.parametrize(
    ("surface", "form"),
    [
        ("За́мок", "замок"),
        ("ЁЛКА", "ёлка"),
        ("и\u0306од", "йод"),
        ("Москва\u2011река", "москва-река"),
        ("д’Иф", "д'иф"),
    ],
)
def test_form_is_plain(surface: str, form: str) -> None:
    assert words.form_of(surface) == form


@given(ANYTHING)
def test_form_of_a_word_is_a_word_and_its_own_form(text: str) -> None:
    for word in words.WORD.findall(unicodedata.normalize("NFC", text)):
        form = words.form_of(word)
        assert words.form_of(form) == form
        assert words.WORD.findall(form) == [form]


@given(st.lists(RUSSIAN, max_size=8))
def test_words_between_spaces_are_all_found(parts: list[str]) -> None:
    assert words.WORD.findall(" ".join(parts)) == parts


@given(ANYTHING)
def test_blanking_mixed_words_keeps_length_and_leaves_none(text: str) -> None:
    blanked, runs = words.blank_mixed(text)
    assert len(blanked) == len(text)
    assert words.blank_mixed(blanked) == (blanked, [])
    if not runs:
        assert blanked == text


@given(st.text(alphabet="аяёcxA -1\n", max_size=40))
def test_mixed_words_are_letter_runs_in_which_two_scripts_touch(text: str) -> None:
    latin, cyrillic = "[A-Za-z]", f"[{words.LETTERS}]"
    either = f"[A-Za-z{words.LETTERS}]"
    plain = re.compile(f"{either}*(?:{latin}{cyrillic}|{cyrillic}{latin}){either}*")
    blanked = plain.sub(lambda run: " " * len(run[0]), text)
    assert words.blank_mixed(text) == (blanked, plain.findall(text))


def test_a_megabyte_of_letters_is_no_trap() -> None:
    text = "a" * 1_000_000 + " " + "ж" * 1_000_000
    assert words.blank_mixed(text) == (text, [])


def test_lookalikes_are_told_from_two_scripts_in_one_word() -> None:
    assert words.blank_mixed("cлово HTML-код, Wеб и печень")[1] == ["cлово", "Wеб"]
    assert words.is_lookalike("cлово")
    assert not words.is_lookalike("Wеб")
    assert not words.is_lookalike("слово")


def test_yo_is_kept_in_forms() -> None:
    assert words.form_of("Ёлка") == "ёлка"


@pytest.mark.parametrize("text", ["а" * 30_000, "-" * 30_000, "а-" * 15_000, "а\u0301" * 15_000])
def test_finding_words_is_linear(text: str) -> None:
    start = time.process_time()  # of this process: other programs may have the processor
    words.WORD.findall(text)
    assert time.process_time() - start < 1.0
