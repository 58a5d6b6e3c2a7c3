"""The marks of symbol text: ranges, numbers, and which case mark turns a form into a surface."""

from __future__ import annotations

import doctest
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypertok.codec import marks
from hypertok.lexicon.inflections import shipped_inflections

ALL_MARKS = [
    marks.ESCAPE,
    *marks.CASE_MARKS,
    *marks.VARIANTS,
    *map(chr, range(marks.INFLECTION_FIRST, marks.INFLECTION_LAST + 1)),
]
CASES = st.integers(0, 3)
WORDS = st.lists(st.from_regex(r"\A[а-яё]{1,6}(-[а-яё]{1,6})?\Z"), min_size=1, max_size=4)


def test_docstrings_tell_the_truth() -> None:
    assert doctest.testmod(marks).attempted >= 3
    assert doctest.testmod(marks).failed == 0


def test_marks_are_distinct_and_fill_only_their_block() -> None:
    assert len(set(ALL_MARKS)) == len(ALL_MARKS)
    assert all(marks.BLOCK_FIRST <= ord(mark) <= marks.BLOCK_LAST for mark in ALL_MARKS)
    assert all(unicodedata.category(mark) == "Co" for mark in ALL_MARKS)


def test_every_shipped_inflection_has_a_mark() -> None:
    keys = shipped_inflections().keys
    assert keys, "an empty inventory would make this test pass for nothing"
    found = [marks.inflection_mark(number) for number in range(1, len(keys) + 1)]
    assert len(set(found)) == len(keys)
    assert max(map(ord, found)) <= marks.INFLECTION_LAST


def test_numbers_and_marks_are_inverse() -> None:
    capacity = marks.INFLECTION_LAST - marks.INFLECTION_FIRST + 1
    assert [marks.inflection_id(marks.inflection_mark(n)) for n in range(capacity + 1)] == [*range(capacity + 1)]
    variants = range(len(marks.VARIANTS) + 1)
    assert [marks.variant_id(marks.variant_mark(n)) for n in variants] == [*variants]
    assert marks.inflection_mark(0) == marks.variant_mark(0) == ""


@pytest.mark.parametrize("number", [-1, 0x400 + 1, 10**9])
def test_a_number_without_a_mark_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match=str(number)):
        marks.inflection_mark(number)
    with pytest.raises(ValueError, match=str(number)):
        marks.variant_mark(number)


@pytest.mark.parametrize(
    ("form", "default", "surface", "mark"),
    [
        ("печень", (0,), "печень", ""),
        ("печень", (0,), "Печень", marks.CASE_TITLE),
        ("печень", (0,), "ПЕЧЕНЬ", marks.CASE_UPPER),
        ("печень", (0,), "пЕчень", None),
        ("москва", (1,), "Москва", ""),
        ("москва", (1,), "москва", marks.CASE_LOWER),
        ("эвм", (2,), "ЭВМ", ""),
        ("эвм", (2,), "Эвм", marks.CASE_TITLE),
        ("санкт-петербург", (3,), "Санкт-Петербург", ""),
        ("санкт-петербург", (3,), "Санкт-петербург", marks.CASE_TITLE),
        ("санкт-петербург", (1,), "Санкт-Петербург", marks.CASE_EACH),
        ("я", (0,), "Я", marks.CASE_TITLE),
        ("цикл кребса", (0, 1), "цикл Кребса", ""),
        ("цикл кребса", (0, 1), "Цикл Кребса", marks.CASE_TITLE),
        ("цикл кребса", (0, 1), "ЦИКЛ КРЕБСА", marks.CASE_UPPER),
        ("цикл кребса", (0, 1), "цикл кребса", marks.CASE_LOWER),
        ("цикл кребса", (0, 1), "цикл КРЕБСА", None),
    ],
)
def test_case_mark(form: str, default: tuple[int, ...], surface: str, mark: str | None) -> None:
    assert marks.case_mark(surface, form, default) == mark


@given(WORDS, st.data())
def test_a_case_mark_restores_what_it_was_chosen_for(words: list[str], data: st.DataObject) -> None:
    form = " ".join(words)
    default = tuple(data.draw(st.lists(CASES, min_size=len(words), max_size=len(words))))
    wanted = tuple(data.draw(st.lists(CASES, min_size=len(words), max_size=len(words))))
    surface = marks.apply_case(form, wanted)
    mark = marks.case_mark(surface, form, default)
    if mark is not None:
        assert marks.apply_case(form, marks.cases_of(mark, default)) == surface
    assert marks.case_mark(marks.apply_case(form, default), form, default) == ""


def test_cases_must_fit_the_words() -> None:
    with pytest.raises(ValueError, match="argument"):
        marks.apply_case("цикл кребса", (0, 1, 0))
