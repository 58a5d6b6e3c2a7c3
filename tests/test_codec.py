"""The codec loses nothing: for every text, with a good lexicon and with one that lies.

`assert_lossless` is the invariant; the rest is about where the texts come from, what concepts-only keeps, and
what the errors say.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hypertok.codec import codec as codec_module
from hypertok.codec import marks
from hypertok.codec.book import Code
from hypertok.codec.codec import Codec
from hypertok.errors import CodecError
from hypertok.lexicon.lexicon import Lexicon

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


@given(text=texts)
@settings(max_examples=500)
@example("\ue000")
@example("\ue000\ue000")
@example("\ue102❤\ue102")
@example("❤\ue010 ")
@example("цикл Кребса")
@example("Цикл  Кребса, цикл\nКребса цикл Кребса")
@example("печеньпечень")
@example("печень\u0301\u0301")
@example("→\ue001中")
@example("\ud83d\ude00 \ud83d печень \ude00")
@example("мо\u0438\u0306 е\u0308лка Е\u0308ЛКА")
@example("İстанбул ᲀ ᏸ ß ŉ")
def test_nothing_is_lost(small_lexicon: Lexicon, text: str) -> None:
    assert_lossless(small_lexicon.codec, text)


@given(text=st.text(any_character))
@settings(max_examples=100)
def test_nothing_is_lost_of_all_unicode(small_lexicon: Lexicon, text: str) -> None:
    assert_lossless(small_lexicon.codec, text)


def test_every_single_character(small_lexicon: Lexicon) -> None:
    """All 1,114,112 code points in a row, surrogates among them, and each between two known words."""
    every = "".join(map(chr, range(0x110000)))
    codec = small_lexicon.codec
    assert codec.decode(codec.encode(every)) == every
    between = "".join(f"печени{char}печени" for char in every[:0x30000:7])
    assert codec.decode(codec.encode(between)) == between


@given(text=texts)
@settings(max_examples=200)
def test_symbol_text_is_text_too(small_lexicon: Lexicon, text: str) -> None:
    """Encoding the encoding, three times over, comes back step by step."""
    layers = [text]
    for _ in range(3):
        layers.append(assert_lossless(small_lexicon.codec, layers[-1]))
    while len(layers) > 1:
        assert small_lexicon.decode(layers.pop()) == layers[-1]


@given(lines=st.lists(texts, max_size=20), block=st.integers(1, 40))
@settings(max_examples=100)
def test_a_long_text_is_coded_in_blocks(small_lexicon: Lexicon, lines: list[str], block: int) -> None:
    text = "\n".join(lines)
    whole = small_lexicon.encode(text)
    assert whole == "\n".join(map(small_lexicon.encode, lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec_module, "BLOCK", block)
        assert small_lexicon.encode(text) == whole
        in_blocks = decode_or_error(small_lexicon.codec, text)
        assert small_lexicon.decode(whole) == text
    assert decode_or_error(small_lexicon.codec, text) == in_blocks


@given(text=texts)
@settings(max_examples=200)
def test_the_cache_changes_nothing(small_lexicon: Lexicon, text: str) -> None:
    assert Codec(small_lexicon.book).encode(text) == small_lexicon.encode(text)


@given(text=texts)
@settings(max_examples=200)
def test_concepts_only_can_always_be_read(small_lexicon: Lexicon, text: str) -> None:
    small_lexicon.decode(small_lexicon.encode(text, concepts_only=True))


@given(symbols=texts)
@settings(max_examples=200)
def test_decoding_anything_gives_text_or_a_codec_error(small_lexicon: Lexicon, symbols: str) -> None:
    text, error = decode_or_error(small_lexicon.codec, symbols)
    assert "(line " in error if error else assert_lossless(small_lexicon.codec, text) is not None


def test_known_words_become_symbols(small_lexicon: Lexicon) -> None:
    """Losslessness alone is no merit: raw text is lossless. Words in usual spellings must not stay raw."""
    for text in ("Печень печени ПЕЧЕНИ", "Елка ёлку", "Санкт-Петербурге", "Кое-кому", "циклу Кребса Кто-то"):
        symbols = assert_lossless(small_lexicon.codec, text)
        assert not any("\u0400" <= char <= "\u052f" for char in symbols), (text, symbols)


def test_a_phrase_is_one_symbol_over_its_case_patterns(small_lexicon: Lexicon) -> None:
    symbol = small_lexicon.encode("цикл Кребса")
    assert len(symbol) == 1
    assert small_lexicon.encode("Цикл Кребса") == marks.CASE_TITLE + symbol
    assert small_lexicon.encode("ЦИКЛ КРЕБСА") == marks.CASE_UPPER + symbol
    assert small_lexicon.encode("цикла Кребса")[0] == symbol
    assert small_lexicon.encode("цикл Кребса цикл Кребса.") == f"{symbol} {symbol}."
    assert symbol not in small_lexicon.encode("цикл\nКребса")
    assert symbol not in small_lexicon.encode("цикл, Кребса")


def test_what_happens_to_be_a_symbol_is_escaped(small_lexicon: Lexicon) -> None:
    symbol = small_lexicon.encode("любовь")[-1]
    assert small_lexicon.encode(symbol) == marks.ESCAPE + symbol
    assert small_lexicon.encode(marks.ESCAPE) == marks.ESCAPE * 2
    assert small_lexicon.encode("x") == "x"


def test_concepts_only_says_the_lemma(small_lexicon: Lexicon) -> None:
    said = small_lexicon.decode(small_lexicon.encode("У печени и циклом Кребса ПЕЧЁТ д'Иф", concepts_only=True))
    assert said == "У печень и цикл Кребса печь д'Иф"  # «У» and «д'Иф» are not in the lexicon


def test_every_symbol_alone_says_its_lemma(vault_lexicon: Lexicon) -> None:
    wrong = []
    for concept in map(vault_lexicon.concept, range(vault_lexicon.concepts.height)):
        said = vault_lexicon.decode(concept.symbol)
        if said.replace("ё", "е") != concept.lemma.replace("ё", "е"):
            wrong.append((concept, said))
    assert not wrong, wrong[:10]


@pytest.mark.parametrize(
    ("damaged", "place", "says"),
    [
        ("слово\n слово \ue102", "character 13 (line 2)", "U+E102 stands without a concept symbol"),
        ("\ue002слово", "character 0 (line 1)", "U+E002"),
        ("\n\n\ue000", "character 2 (line 3)", "escape mark at the end"),
        ("ок \ue001\U0010fffd", "character 3 (line 1)", "U+10FFFD"),
        ("❤\ue4ff", "character 0 (line 1)", "no such form"),
        ("❤\ue01f", "character 0 (line 1)", "no such form"),
        ("\ue005", "character 0 (line 1)", "U+E005"),
    ],
)
def test_damage_is_named_with_its_place(small_lexicon: Lexicon, damaged: str, place: str, says: str) -> None:
    with pytest.raises(CodecError) as error:
        small_lexicon.decode(damaged)
    assert place in str(error.value)
    assert says in str(error.value)
    assert "Decode with the lexicon that encoded" in str(error.value)


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


def test_caches_stay_bounded(small_lexicon: Lexicon, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither many pieces nor long ones pile up, and a trimmed cache still gives the same text."""
    monkeypatch.setattr(codec_module, "CACHE_LIMIT", 50)
    codec = Codec(small_lexicon.book)
    chance = random.Random(5)
    for _ in range(200):
        text = " ".join(mangle(chance.choice([*WORDS, *PHRASES]), chance) for _ in range(30)) + " english" * 99
        assert_lossless(codec, text)
        for cache_ in (codec._encoder, codec._decoder, codec._phrases):
            assert len(cache_) <= 50
            assert all(len(key) <= codec_module.CACHED_LENGTH for key in cache_)


@pytest.mark.slow
def test_nothing_is_lost_of_real_text(vault_lexicon: Lexicon, shared_data: Path) -> None:
    folder = shared_data / "corpora"
    files = sorted(path for path in folder.rglob("*") if path.suffix in {".md", ".txt"})[::40]
    assert files, f"no text below {folder}"
    for path in files:
        assert_lossless(vault_lexicon.codec, path.read_bytes().decode("utf-8", "surrogateescape"))
