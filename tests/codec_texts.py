"""Texts that try a codec, and the invariant that it has to hold."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable
from functools import cache

from hypothesis import strategies as st

from hypertok.codec import marks
from hypertok.codec.codec import Codec
from hypertok.errors import CodecError

TYPED = """
    печень печени печенью лёгкие легкие ёлка елка елку ёлку москва санкт-петербург санкт кое-кто кто-то печь
    стали замок цикл кребса циклом оперативной памяти эвм нато прочитав д'иф неизвестнослово ъ я щитъ їжак ы-ы
"""
WORDS = TYPED.split()
PHRASES = ("цикл Кребса", "циклом Кребса", "ЦИКЛ КРЕБСА", "Оперативной памяти", "оперативная  память")
STRESS = "\u0301"


def mangle(word: str, chance: random.Random) -> str:
    """The word in some way that people, keyboards and old programs write it."""
    ways: list[Callable[[str], str]] = [
        str.upper,
        str.title,
        str.capitalize,
        str.swapcase,
        lambda w: w.capitalize().swapcase(),
        lambda w: "".join(chance.choice((c.lower(), c.upper())) for c in w),
        lambda w: w.replace("ё", "е").replace("Ё", "Е"),
        lambda w: w.replace("е", "ё"),
        lambda w: unicodedata.normalize("NFD", w),
        lambda w: w.replace("-", chance.choice("\u2010\u2011\u2012–—−")),
        lambda w: w.replace("'", "’"),
        lambda w: w[: (at := chance.randrange(len(w) + 1))] + STRESS + w[at:],
        lambda w: w.replace("о", "o").replace("а", "a"),
    ]
    for _ in range(chance.choice((0, 0, 1, 1, 2, 3))):
        word = chance.choice(ways)(word)
    return word


@cache
def signs() -> str:
    """Characters that mean something to the codec, and neighbours of its ranges."""
    edges = (marks.BLOCK_FIRST, marks.BLOCK_LAST, marks.SYMBOLS_FIRST, marks.INFLECTION_FIRST, 0x400, 0x52F)
    near = "".join(chr(edge + step) for edge in edges for step in (-1, 0, 1))
    return near + marks.CASE_MARKS + marks.VARIANTS + "\ue102\ue104❤肝🌲中€°\ufe0f\u200d\u0301\u0308-' \n\r\t’‐"


russian = st.builds(
    lambda word, seed: mangle(word, random.Random(seed)),
    st.sampled_from([*WORDS, *PHRASES]),
    st.integers(0, 2**32),
)
any_character = st.characters(codec=None, categories=None)
piece = st.one_of(
    russian,
    russian.map(lambda w: w + " "),
    st.text(any_character, max_size=8),
    st.text(st.deferred(lambda: st.sampled_from(signs())), max_size=6),
    st.sampled_from(["", " ", "  ", "\n", "\r\n", "-", "--", "’", STRESS, "\ud800", "\udfff", "\x00", "\U0010ffff"]),
)
texts = st.lists(piece, max_size=12).map("".join)


def assert_lossless(codec: Codec, text: str) -> str:
    """decode(encode(text)) is text."""
    symbols = codec.encode(text)
    assert codec.decode(symbols) == text
    return symbols


def decode_or_error(codec: Codec, symbols: str) -> tuple[str, str]:
    """(text, '') or ('', message of the CodecError); any other error is a fault."""
    try:
        return codec.decode(symbols), ""
    except CodecError as error:
        return "", str(error)
