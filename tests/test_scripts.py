"""Scripts of letters, of parts of characters in UTF-8, and of languages."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypertok.errors import InputError
from hypertok.tokenizer.scripts import LANGUAGES, foreign_script, script_of_letter, scripts_of


@pytest.mark.parametrize(
    ("raw", "script"),
    [
        ("中".encode(), "Han"),
        ("мир 中".encode(), "Han"),
        ("。".encode(), None),
        ("мир".encode(), None),
        (b"\xe4\xb8", "Han"),
        (b" \xe5", "Han"),
        (b" \xe4", None),  # the Yijing hexagrams begin so too
        (b"\xb8\xad", None),
        (b"\xb8\xad\xe5\x9b", "Han"),
        (b"\xea\xb0", "Hangul"),
        (b"\xe0\xb8", None),  # the sign of the baht
        (b"\xf0\xa0", "Han"),
        (b"\xf0\x9f\x98", None),
        (b"\xed", None),
        (b"\xe4\xb8a", None),
        (b"\xff\xe4\xb8", None),
        (b"\xd0", None),
        (b"", None),
    ],
)
def test_parts_of_characters(raw: bytes, script: str | None) -> None:
    foreign = {letter: of for letter, of in script_of_letter().items() if of not in ("Latin", "Cyrillic")}
    assert foreign_script(raw, foreign) == script


@given(st.text(), st.integers(0, 8), st.integers(0, 8))
def test_parts_are_foreign_only_if_the_whole_is(text: str, front: int, back: int) -> None:
    foreign = {letter: of for letter, of in script_of_letter().items() if of not in ("Latin", "Cyrillic")}
    raw = text.encode()
    if foreign_script(raw[front : len(raw) - back], foreign):
        assert foreign_script(raw, foreign)


def test_composition_makes_no_foreign_letter() -> None:
    """Qwen3 makes NFC of the text; kept letters must stay kept ones."""
    script_of = script_of_letter()
    for point in (*range(0xD800), *range(0xE000, 0x110000)):
        letter = chr(point)
        if script_of.get(letter, "Latin") in ("Latin", "Cyrillic"):
            assert {script_of.get(one, "Latin") for one in unicodedata.normalize("NFC", letter)} <= {
                "Latin",
                "Cyrillic",
            }


def test_languages() -> None:
    assert scripts_of(["ru", " EN "]) == {"Cyrillic", "Latin"}
    assert scripts_of(["ja"]) == {"Han", "Hiragana", "Katakana"}
    assert {script for one, script in script_of_letter().items()} <= {*LANGUAGES, "Other"}
    for wrong in (["ru", "xx"], ["rus"], [""], []):
        with pytest.raises(InputError, match=r"ISO 639-1.* ja .* ru "):
            scripts_of(wrong)
