"""NFC: that of Unicode for all that anyone writes, and quick for what nobody does."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypertok.corpus.normal_form import nfc
from hypertok.corpus.prose import clean

MARKS = "\u0301\u0323\u0306\u0308\u05b0\u0f71\u0f73\u0344\U0001d165"


def rows_of_marks(text: str) -> int:
    """The longest row of marks in a text that is taken apart."""
    rows = "".join("m" if unicodedata.combining(char) else " " for char in unicodedata.normalize("NFD", text)).split()
    return max(map(len, rows), default=0)


@given(st.lists(st.sampled_from(["и", "а", " ", "е\u0308", "가", *(MARKS[:6])]), max_size=90).map("".join))
def test_what_has_no_long_row_of_marks_is_in_nfc(text: str) -> None:
    if rows_of_marks(text) <= 30:
        assert nfc(text) == unicodedata.normalize("NFC", text)


@given(st.text(st.sampled_from(MARKS), min_size=31, max_size=150), st.integers(0, 60))
def test_rows_of_marks_are_cut_and_nothing_is_lost(marks: str, before: int) -> None:
    text = "ы" * before + marks + "ы"
    cut = nfc(text)
    assert "\u034f" in cut
    assert rows_of_marks(cut) <= 30 * 2  # some of these are two marks
    assert unicodedata.is_normalized("NFC", cut)
    without = unicodedata.normalize("NFC", cut.replace("\u034f", ""))
    assert without == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("marks", ["\u0301\u0323", "\u0f73", "\u0323\U0001d165"])
def test_a_hundred_thousand_marks_are_no_trap(marks: str) -> None:
    start = time.perf_counter()
    text = f"Дом а{marks * 100_000} и дом."
    assert clean(text)[0].endswith(" и дом.")
    assert time.perf_counter() - start < 5
