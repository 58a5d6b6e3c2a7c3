"""A code book that is wrong costs size, and never text."""

from __future__ import annotations

import random

import pytest
from codec_texts import PHRASES, STRESS, WORDS, assert_lossless, decode_or_error, texts
from hypothesis import given, settings
from hypothesis import strategies as st

from hypertok.codec import marks
from hypertok.codec.book import Code
from hypertok.codec.codec import Codec
from hypertok.errors import CodecError


class LyingBook:
    """A code book that answers at random, the same each time: wrong, colliding, impossible codes."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.symbols = frozenset("❤肝中€\U000f0000")

    def _chance(self, *question: object) -> random.Random:
        return random.Random(repr((self.seed, *question)))

    def _cases(self, chance: random.Random, words: int) -> tuple[int, ...]:
        return tuple(chance.randrange(6) for _ in range(max(0, words + chance.choice((0, 0, 0, 0, -1, 1)))))

    def is_reserved(self, character: str) -> bool:
        return self._chance("reserved", character).choice((True, False))

    def code_of(self, form: str) -> Code | None:
        chance = self._chance("code", form)
        symbol = chance.choice(
            [*sorted(self.symbols), "❤", "❤❤", "", "а", "x", " ", form, marks.ESCAPE, marks.ESCAPE + form[:1]]
        )
        inflection = chance.choice((0, 0, 1, 2, 1023, 1024, 1025, 1600, -1, 2**40))
        variant = chance.choice((0, 0, 0, 1, 16, 17, -1))
        return chance.choice((None, Code(symbol, inflection, variant, self._cases(chance, form.count(" ") + 1))))

    def form_at(self, symbol: str, inflection: int, variant: int) -> tuple[str, tuple[int, ...]] | None:
        chance = self._chance("form", symbol, inflection, variant)
        form = chance.choice((*WORDS, *(p.lower() for p in PHRASES), "", "❤", "x", "\ue000", "а а"))
        return chance.choice((None, (form, self._cases(chance, form.count(" ") + 1))))

    def longest_phrase(self, first_word: str) -> int:
        return self._chance("longest", first_word).choice((-1, 0, 1, 2, 3, 10**9))


class HalfHonestBook(LyingBook):
    """Knows a few words, gives all of them one code, and each time decodes it to one of them."""

    def code_of(self, form: str) -> Code | None:
        return Code("❤", 0, 0, (0,) * (form.count(" ") + 1))

    def form_at(self, symbol: str, inflection: int, variant: int) -> tuple[str, tuple[int, ...]] | None:
        return ("печень", (0,)) if self.seed % 2 else ("цикл кребса", (0, 1))


@given(text=texts, seed=st.integers(0, 50), kind=st.sampled_from([LyingBook, HalfHonestBook]))
@settings(max_examples=200)
def test_a_lying_book_costs_size_but_never_text(text: str, seed: int, kind: type[LyingBook]) -> None:
    assert_lossless(Codec(kind(seed)), text)


@given(text=texts, seed=st.integers(0, 50))
@settings(max_examples=200)
def test_decoding_with_a_lying_book_gives_text_or_a_codec_error(text: str, seed: int) -> None:
    _, error = decode_or_error(Codec(LyingBook(seed)), text)
    assert not error or "(line " in error


@pytest.mark.parametrize("symbol", ["", "ab", "a", " ", "-", "я", "ѣ", "’", "‐", STRESS, "\ue000", "\ue4ff", "\n"])
def test_a_symbol_that_can_stand_in_raw_text_is_refused(symbol: str) -> None:
    book = LyingBook(0)
    book.symbols = frozenset({"❤", symbol})
    with pytest.raises(CodecError, match="cannot be a concept symbol"):
        Codec(book)
