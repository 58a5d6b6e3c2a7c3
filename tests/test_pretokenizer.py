"""A run of Russian words is one piece, and without new merges no id changes: on any text, for every family."""

from __future__ import annotations

import json
import sysconfig
import time
from functools import cache
from pathlib import Path

import pytest
from conftest import SENTENCES
from conftest import stock_of as real_stock
from held_out_texts import held_out_texts
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from hypertok.errors import InputError
from hypertok.tokenizer.pretokenizer import (
    crossing_tokens,
    lookup_only_words,
    phrase_pretokenizer,
    symbol_pretokenizer,
)
from hypertok.tokenizer.stock import Family, Stock, encoded, tokenizer_of
from hypertok.tokenizer.tokenizer_json import BYTE_CHARACTERS
from hypertok.vocabulary.symbol_codec import symbol_run_pattern

BYTE_LEVEL = ("qwen3", "llama3_1", "gpt4o", "deepseek_v3", "gpt2", "smollm")
SAMPLES = (
    SENTENCES,
    "— Кто там? — спросил он. — Кто-то, кое-кто, никто… Он — я, - мы; вы: ты –они. Даже если, однако, января! ДА, НЕТ",
    "It's 3.14 o'clock, isn't it? НЕ'S Don't мама's x=1;y=2 snake_case CamelCase ПриветМир мамаMama Mamaмама",
    "他说：“你好，мама мыла раму”。第3章 مرحبا بالعالم، мама 👩\u200d👧 мыла🎉, да\u0301 ж\u0301 \u0301АБВ \u0301мама",
    "а\r\n б\n\n  в \t г  д , е ,ж;з: и\u00a0к\u2003л \u200bм\0н\0\0о  п   \n р\u2028с ٣мама ²мама мама²",
)
PIECES = st.sampled_from(
    ["мама", "Мыла", "ЭВМ", "я", "Ё", "даже", "однако", "МаМа", "ї", "x", "Ab", "7", "٣", "\u0301", "\u0308", "'s", "'",
     "’", ".", "…", "—", "–", "-", ",", ";", ":", " ", " ", " ", ", ", " — ", ", — ", "\n", "\r\n", "\t", "\u00a0", "(",
     "«", "»", "中", "ー", "゛", "_", "/", "\0", "🎉", "<|endoftext|>"]
)  # fmt: skip
RICH = st.lists(PIECES, max_size=24).map("".join)


def small_gpt2(digits: bool) -> Stock:
    """A GPT-2 style tokenizer with a few Russian merges, made here."""
    letters = "".join(BYTE_CHARACTERS[byte] for byte in "ма".encode())
    first, second = letters[:2], letters[2:]
    merges = [(first[0], first[1]), (second[0], second[1]), (first, second), ("Ġ", first), ("Ġ" + first, second)]
    tokens = [*BYTE_CHARACTERS, *(left + right for left, right in merges)]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    pre_tokenizer: dict[str, object] = byte_level
    if digits:
        parts = [{"type": "Digits", "individual_digits": True}, byte_level]
        pre_tokenizer = {"type": "Sequence", "pretokenizers": parts}
    model = {"type": "BPE", "vocab": {token: number for number, token in enumerate(tokens)}, "merges": merges}
    data = {"model": model, "pre_tokenizer": pre_tokenizer, "decoder": byte_level, "added_tokens": []}
    return Stock(Path("small.json"), json.loads(json.dumps(data)), Family.BYTE_LEVEL)


@pytest.mark.parametrize("name", BYTE_LEVEL)
def test_a_run_of_symbol_text_is_one_piece(name: str) -> None:
    """Chinese characters among the symbols: DeepSeek's first patterns cut these out."""
    pattern = symbol_run_pattern(frozenset("肝心❤"))
    changed = tokenizer_of(
        Path("x"), {**stock_of(name).data, "pre_tokenizer": symbol_pretokenizer(stock_of(name), pattern)}
    )
    text = "肝\ue102心, слово ❤ 7 你好"
    assert changed.pre_tokenizer is not None
    pieces = [text[start:end] for _, (start, end) in changed.pre_tokenizer.pre_tokenize_str(text)]
    assert pieces[0] == "肝\ue102心, слово"
    assert "".join(pieces) == text


@cache
def stock_of(name: str) -> Stock:
    return small_gpt2(name == "smollm") if name in ("gpt2", "smollm") else real_stock(name)


@cache
def changed(name: str) -> Tokenizer:
    stock = stock_of(name)
    pre_tokenizer = phrase_pretokenizer(stock)
    assert pre_tokenizer is not None
    return tokenizer_of(stock.path, {**stock.data, "pre_tokenizer": pre_tokenizer})


def check_same(name: str, *texts: str) -> None:
    for text, *ids in zip(texts, encoded(changed(name), texts), encoded(stock_of(name).tokenizer, texts), strict=True):
        assert ids[0] == ids[1], text[:1000]


def pieces(name: str, text: str) -> list[str]:
    pre_tokenizer = changed(name).pre_tokenizer
    return [text[begin:end] for _, (begin, end) in pre_tokenizer.pre_tokenize_str(text)]


@pytest.mark.parametrize("name", BYTE_LEVEL)
def test_samples_keep_their_ids(name: str) -> None:
    for text in SAMPLES:
        check_same(name, text, *text.splitlines())


@pytest.mark.parametrize("name", BYTE_LEVEL)
@settings(max_examples=150)
@given(text=RICH | st.text(max_size=40))
@example(text="\u0301АБВ да")
@example(text="мама's мыла")
@example(text="если даже однако")
def test_any_text_keeps_its_ids(name: str, text: str) -> None:
    check_same(name, text)


@pytest.mark.parametrize("name", BYTE_LEVEL)
def test_runs_are_pieces(name: str) -> None:
    run = " мама мыла, кое-кто — раму: он; Она – ЭВМ, — и я"
    assert pieces(name, run) == [run]
    assert pieces(name, f"1{run}.") == ["1", run, "."]
    assert pieces(name, "мама мыла. Да") == ["мама мыла", ".", " Да"]
    for touching in ("мылаx", "мыла\u0301", "МыЛа", "xмыла"):
        assert pieces(name, f"мама {touching}")[0] == "мама"
    digits_apart = name in ("deepseek_v3", "smollm")  # they cut digits off before words are looked at
    assert pieces(name, "мама мыла1")[0] == ("мама мыла" if digits_apart else "мама")


@pytest.mark.parametrize("name", BYTE_LEVEL)
def test_no_stock_token_crosses(name: str) -> None:
    assert crossing_tokens(stock_of(name)) == []


def test_a_crossing_token_is_found_and_its_joiner_left_out() -> None:
    def with_joined(right: str) -> Stock:
        stock = small_gpt2(digits=False)
        vocabulary, merges = stock.data["model"]["vocab"], stock.data["model"]["merges"]
        vocabulary[last + right] = len(vocabulary)
        merges.append([last, right])
        return stock

    last = BYTE_CHARACTERS[0xB0]  # the last byte of «а»
    assert crossing_tokens(with_joined(",")) == [last + ","]
    assert "[;:]?" in json.dumps(phrase_pretokenizer(with_joined(",")))
    with pytest.raises(InputError, match="--span word"):
        phrase_pretokenizer(with_joined("Ġ"))


def test_words_that_only_lookup_finds_stay_out_of_runs() -> None:
    assert " даже" in lookup_only_words(stock_of("llama3_1"))
    assert pieces("llama3_1", "но даже если бы") == ["но", " даже", " если бы"]
    assert lookup_only_words(stock_of("qwen3")) == []


@pytest.mark.parametrize("name", ["gemma3", "llama2"])
def test_sentencepiece_style_needs_no_change(name: str) -> None:
    assert phrase_pretokenizer(stock_of(name)) is None
    assert crossing_tokens(stock_of(name)) == []


@pytest.mark.parametrize(
    "part",
    [
        {"type": "Whitespace"},
        {"type": "Split", "pattern": {"Regex": r"\p{L}+"}, "behavior": "Isolated", "invert": False},
        {"type": "Split", "pattern": {"Regex": r"\s?\p{L}"}, "behavior": "Isolated", "invert": False},
    ],
)
def test_unknown_pre_tokenizers_are_refused(part: dict[str, object]) -> None:
    stock = small_gpt2(digits=False)
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    stock.data["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [part, byte_level]}
    with pytest.raises(InputError, match="--span word"):
        phrase_pretokenizer(stock)


@pytest.mark.parametrize("unit", ["а ", "а,", " ", "а-", ", — ", "а"])
def test_time_is_linear(unit: str) -> None:
    def seconds(text: str) -> float:
        """The best of three: a machine short of memory makes a single one slow (seen: 90 times)."""
        taken = []
        for _ in range(3):
            begin = time.process_time()
            pieces("gpt2", text)
            taken.append(time.process_time() - begin)
        return min(taken)

    small, large = unit * (25_000 // len(unit)) + "x", unit * (200_000 // len(unit)) + "x"
    assert seconds(large) < 8 * 6 * max(seconds(small), 0.01)


@pytest.mark.slow
@pytest.mark.parametrize("name", BYTE_LEVEL[:4])
def test_validation_text_keeps_its_ids(name: str, shared_data: Path) -> None:
    texts = [text for _, text in held_out_texts(shared_data)]
    assert len(texts) > 10
    check_same(name, *(text[:50_000] for text in texts))


@pytest.mark.slow
@pytest.mark.parametrize("name", BYTE_LEVEL[:4])
def test_program_text_keeps_its_ids(name: str) -> None:
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    assert len(files) > 50
    check_same(name, *(file.read_text(encoding="utf-8", errors="replace") for file in files[::4]))
