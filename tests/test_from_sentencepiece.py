"""sentencepiece models: converted, they give the ids of sentencepiece itself; others are refused."""

from __future__ import annotations

import contextlib
import io
import random
import struct
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from conftest import stock_folder
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from stock_files import MISTRAL, SAMPLES, TEXT, ids, refused, written

from hypertok.errors import InputError
from hypertok.tokenizer.from_sentencepiece import convert_sentencepiece
from hypertok.tokenizer.stock import Family, Stock, tokenizer_of


@pytest.mark.parametrize("name", ["tokenizer.model.v1", "mistral_instruct_tokenizer_240323.model.v3"])
def test_mistral_models(name: str) -> None:
    """Same ids as sentencepiece on real text, runs of spaces and random text."""
    stock = Stock.load(MISTRAL / name)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(MISTRAL / name))
    assert stock.family is Family.SENTENCEPIECE
    assert stock.first_free_id == len(stock.vocabulary) == processor.vocab_size()
    spaces = [" " * before + "мит" + " " * after + "\n" for before in range(40) for after in (0, 1, 7, 19)]
    for text in (*SAMPLES, *spaces):
        assert ids(stock, text) == processor.encode(text)
        assert stock.tokenizer.decode(ids(stock, text)) == processor.decode(processor.encode(text))
    assert stock.tokenizer.encode("мит").ids == [1, *processor.encode("мит")]
    assert stock.segment([" мит"]) == [processor.encode("мит")]

    # A control token that is typed is one for tokenizers and text for sentencepiece.
    control = [processor.id_to_piece(number) for number in range(stock.first_free_id) if processor.is_control(number)]

    @settings(max_examples=100)
    @given(TEXT)
    def same(text: str) -> None:
        assume(not any(piece in text for piece in control))
        assert ids(stock, text) == processor.encode(text)

    same()


def test_sentencepiece_folder(tmp_path: Path) -> None:
    """A folder with only tokenizer.model; tokenizer_config.json says what stands around a text."""
    (tmp_path / "tokenizer.model").write_bytes((MISTRAL / "tokenizer.model.v1").read_bytes())
    config = {"add_bos_token": False, "add_eos_token": True}
    stock = Stock.load(written(tmp_path, config, "tokenizer_config.json"))
    assert (stock.path.name, stock.config) == ("tokenizer.model", config)
    assert stock.tokenizer.encode("мит").ids == [*ids(stock, "мит"), 2]


def test_merges_of_llama2() -> None:
    """The merges of Llama 2's own tokenizer.json are what the rule gives: its scores follow its ids."""
    llama2 = Stock.load(stock_folder("llama2"))
    kinds = {number: 2 if number == 0 else 3 if number < 3 else 6 if number < 259 else 1 for number in range(32_000)}
    pieces = [
        field(1, token.encode()) + b"\x15" + struct.pack("<f", -number) + field(3, kinds[number])
        for token, number in sorted(llama2.data["model"]["vocab"].items(), key=lambda item: item[1])
    ]
    raw = b"".join(field(1, piece) for piece in pieces) + field(2, field(3, 2) + field(35, 1)) + field(3, field(4, 0))
    made = convert_sentencepiece(Path("llama2.model"), raw, {})
    mine = [tuple(pair) for pair in made["model"]["merges"]]
    runs = {pair for pair in llama2.merges if set("".join(pair)) == {"▁"}}  # these have one and the same score
    assert [pair for pair in mine if pair not in runs] == [pair for pair in llama2.merges if pair not in runs]


def varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)


def field(number: int, value: int | bytes) -> bytes:
    """One field of a protocol buffer message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def trained(**options: Any) -> bytes:
    """A small sentencepiece model."""
    lines = [line.strip() for text in SAMPLES for line in text.splitlines() if line.strip()]
    output = io.BytesIO()
    settled = {
        "model_type": "bpe",
        "vocab_size": 700,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "byte_fallback": True,
        "character_coverage": 0.99,
        "minloglevel": 3,
        "num_threads": 1,
    }
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=output, **(settled | options))
    return output.getvalue()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"add_dummy_prefix": False},
        {"user_defined_symbols": ["[x]", "мит", "▁▁", "\n"], "add_dummy_prefix": False},
        {"user_defined_symbols": ["[x]", "мит", "▁▁", "a.b"]},
        {"byte_fallback": False, "control_symbols": ["<c>"]},
        {"bos_id": -1, "eos_id": 0, "unk_id": 3},
    ],
)
def test_options_of_sentencepiece(tmp_path: Path, options: dict[str, Any]) -> None:
    (tmp_path / "m.model").write_bytes(trained(**options))
    stock = Stock.load(tmp_path)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "m.model"))
    symbols = options.get("user_defined_symbols", [])
    special = [token["content"] for token in stock.added if token["special"]]
    pieces = st.lists(TEXT | st.sampled_from(["[x]", "мит", "  ", "a.b", "axb", " мит", "ст"])).map("".join)

    @settings(max_examples=100)
    @given(pieces)
    def same(text: str) -> None:
        if text not in symbols and not any(token in text for token in special):
            assert ids(stock, text) == processor.encode(text)

    same()
    for text in SAMPLES:
        assert ids(stock, text) == processor.encode(text)
    assert not processor.id_to_piece(stock.segment(["мит"])[0][0]).startswith("▁")
    beginning = [] if options.get("bos_id") == -1 else [1]
    assert stock.tokenizer.encode("а").ids == beginning + ids(stock, "а")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model_type": "unigram", "vocab_size": 500}, ("unigram", "only type BPE")),
        ({"model_type": "char"}, ("char", "only type BPE")),
        ({"normalization_rule_name": "nmt_nfkc"}, ("nmt_nfkc", "normalization_rule_name=identity")),
        ({"remove_extra_whitespaces": True}, ("remove_extra_whitespaces",)),
        ({"treat_whitespace_as_suffix": True}, ("treat_whitespace_as_suffix",)),
    ],
)
def test_other_sentencepiece_is_refused(tmp_path: Path, options: dict[str, Any], words: tuple[str, ...]) -> None:
    (tmp_path / "m.model").write_bytes(trained(**options))
    refused(tmp_path / "m.model", *words)


def test_damaged_sentencepiece_is_refused(tmp_path: Path) -> None:
    """Cut anywhere, or with any byte changed, it is refused with a clear error or still a tokenizer."""
    raw = trained()
    for length in (1, 2, 10, len(raw) // 2, len(raw) - 300):
        (tmp_path / "m.model").write_bytes(raw[:length])
        refused(tmp_path / "m.model")
    chance = random.Random(5)
    for _ in range(200):
        place = chance.randrange(len(raw))
        changed = raw[:place] + bytes([chance.randrange(256)]) + raw[place + 1 :]
        with contextlib.suppress(InputError):
            tokenizer_of(Path("m.model"), convert_sentencepiece(Path("m.model"), changed, {}))
