"""The codec loses nothing: for every text, with a good lexicon and with one that lies.

`assert_lossless` is the invariant; the rest is about where the texts come from, what concepts-only keeps, and
what the errors say.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from codec_texts import PHRASES, WORDS, any_character, assert_lossless, decode_or_error, mangle, texts
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hypertok.codec import codec as codec_module
from hypertok.codec import marks
from hypertok.codec.codec import Codec
from hypertok.errors import CodecError
from hypertok.lexicon.lexicon import Lexicon


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
