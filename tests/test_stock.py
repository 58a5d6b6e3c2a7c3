"""Stock tokenizers: the real ones load and keep their ids, small ones of every manner are read as they are meant."""

from __future__ import annotations

import hashlib
import json
import random
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from conftest import STOCK, stock_folder
from hypothesis import given, settings
from stock_files import RUSSIAN, SAMPLES, TEXT, ids, tiny_data, written
from tokenizers import Tokenizer

from hypertok.tokenizer import stock as stock_module
from hypertok.tokenizer.plain import PlainTokenizer
from hypertok.tokenizer.stock import Family, Stock

#: family, tokens, first free id (no config.json lies beside them)
FACTS = {
    "qwen3": (Family.BYTE_LEVEL, 151_669, 151_669),
    "gemma3": (Family.SENTENCEPIECE, 262_145, 262_145),
    "llama3_1": (Family.BYTE_LEVEL, 128_256, 128_256),
    "gpt4o": (Family.BYTE_LEVEL, 200_000, 200_019),
    "llama2": (Family.SENTENCEPIECE, 32_000, 32_000),
    "deepseek_v3": (Family.BYTE_LEVEL, 128_815, 128_815),
}


@pytest.fixture(scope="module", params=STOCK)
def stock(request: pytest.FixtureRequest) -> Stock:
    """Each real tokenizer in turn, loaded once."""
    return Stock.load(stock_folder(request.param))


@pytest.fixture(scope="module")
def qwen() -> Stock:
    return Stock.load(stock_folder("qwen3"))


@pytest.fixture(scope="module")
def llama2() -> Stock:
    return Stock.load(stock_folder("llama2"))


def name_of(stock: Stock) -> str:
    return stock.folder.parent.name.removeprefix("tokenizer-")


# --- the real ones ----------------------------------------------------------------------------------------------------


def test_real_tokenizers_load(stock: Stock) -> None:
    family, size, free = FACTS[name_of(stock)]
    assert (stock.family, len(stock.vocabulary), stock.first_free_id) == (family, size, free)
    assert stock.config
    assert stock.model_config == {}
    assert stock.path.name == "tokenizer.json"
    assert len(stock.merges) == len(stock.data["model"]["merges"])
    assert all(left + right in stock.vocabulary for left, right in stock.merges[:1000])
    text = json.dumps(stock.data, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert stock.sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_tokenizer_is_that_of_the_file(stock: Stock) -> None:
    """Every token has the id that the file gives it, and texts have the ids of the plain library."""
    plain = Tokenizer.from_file(str(stock.path))
    assert {token: stock.tokenizer.token_to_id(token) for token in stock.vocabulary} == stock.vocabulary
    for text in SAMPLES:
        assert stock.tokenizer.encode(text).ids == plain.encode(text).ids


def test_segments_are_those_of_running_text(stock: Stock) -> None:
    """A text that begins with a space has the same ids after a line break as alone, and nothing is put before it."""
    texts = [" митохондрия", " цикл", " word", " которые", " что"] * 3
    for text, segment in zip(texts, stock.segment(texts), strict=True):
        before = ids(stock, "слово.")
        assert ids(stock, "слово." + text) == before + segment
    assert stock.segment(["митохондрия"])[0] != stock.segment([" митохондрия"])[0]
    assert stock.segment([]) == []
    assert stock.segment([""]) == [[]]


def test_segments_spell_the_text(stock: Stock) -> None:
    token_of = stock.token_of
    for text, segment in zip(SAMPLES, stock.segment(SAMPLES), strict=True):
        normal = unicodedata.normalize("NFC", text) if name_of(stock) == "qwen3" else text
        assert b"".join(stock.bytes_of(token_of[number]) for number in segment).decode() == normal


def test_alphabet_and_bytes_are_inverse(stock: Stock) -> None:
    for text in SAMPLES:
        assert stock.bytes_of(stock.alphabet_of(text)).decode() == text
    added = {token["content"] for token in stock.added}
    for token in random.Random(3).sample(sorted(stock.vocabulary), 2000):
        raw = stock.bytes_of(token)
        if token not in added and not token.startswith("<0x"):
            assert raw.decode("utf-8", "ignore").encode() != raw or stock.alphabet_of(raw.decode()) == token


def test_alphabets(qwen: Stock, llama2: Stock) -> None:
    assert qwen.alphabet_of(" мит") == "ĠÐ¼Ð¸ÑĤ"
    assert llama2.alphabet_of(" мит") == "▁мит"
    assert qwen.bytes_of("Ð") == b"\xd0"
    assert llama2.bytes_of("<0xE2>") == b"\xe2"
    assert qwen.bytes_of("<0xE2>") == b"<0xE2>"
    assert qwen.bytes_of("<|im_end|>") == b"<|im_end|>"


@settings(max_examples=200)
@given(TEXT)
def test_byte_alphabet(text: str) -> None:
    tiny = Stock(Path("tiny"), {"model": {"vocab": {}}}, Family.BYTE_LEVEL)
    assert tiny.bytes_of(tiny.alphabet_of(text)) == text.encode()
    assert len(tiny.alphabet_of(text)) == len(text.encode())


def test_batches_change_nothing(qwen: Stock, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*SAMPLES, *RUSSIAN.split()]
    whole = qwen.segment(texts)
    monkeypatch.setattr(stock_module, "BATCH", 3)
    monkeypatch.setattr(stock_module, "CHARACTERS", 40)
    assert qwen.segment(texts) == whole


# --- small ones made here ---------------------------------------------------------------------------------------------


def test_gpt2_manner(tmp_path: Path) -> None:
    data = tiny_data()
    data["pre_tokenizer"]["add_prefix_space"] = True
    stock = Stock.load(written(tmp_path, data))
    assert stock.family is Family.BYTE_LEVEL
    assert stock.merges == [("a", "b"), ("Ġ", "ab")]
    assert ids(stock, "ab") == [4]
    assert stock.segment(["ab", " ab"]) == [[3], [4]]
    data["model"]["merges"] = [["a", "b"], ["Ġ", "ab"]]
    del data["model"]["type"]  # old files leave it out
    again = Stock.load(written(tmp_path, data) / "tokenizer.json")
    assert (again.merges, again.segment(["ab"])) == (stock.merges, [[3]])


def test_added_tokens_keep_their_ids(tmp_path: Path) -> None:
    """The library alone would number the second token 6; padding and truncation of the file are left out."""
    data = tiny_data() | {"padding": {"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": None}}
    data["padding"] |= {"pad_id": 0, "pad_type_id": 0, "pad_token": "a"}
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False) | {"special": True}
    data["added_tokens"] = [{"id": 5, "content": "<x>", **flags}, {"id": 9, "content": "<y>", **flags}]
    stock = Stock.load(written(tmp_path, data))
    assert ids(stock, "<y>ab<x>") == [9, 3, 5]
    assert stock.first_free_id == 10
    assert "<y>" not in stock.data["model"]["vocab"]


@pytest.mark.parametrize(
    ("config", "free"), [({"vocab_size": 64}, 64), ({"text_config": {"vocab_size": 128}}, 128), ({"vocab_size": 3}, 5)]
)
def test_rows_of_the_model_are_not_free(tmp_path: Path, config: dict[str, Any], free: int) -> None:
    written(tmp_path, config, "config.json")
    assert Stock.load(written(tmp_path, tiny_data())).first_free_id == free


@pytest.mark.parametrize(
    "metaspace",
    [
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False},
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True},
    ],
)
def test_metaspace(tmp_path: Path, metaspace: dict[str, Any]) -> None:
    data = tiny_data(
        vocab={"<unk>": 0, "а": 1, "б": 2, "▁": 3, "аб": 4, "▁аб": 5}, merges=["а б", "▁ аб"], unk_token="<unk>"
    )
    stock = Stock.load(written(tmp_path, data | {"pre_tokenizer": metaspace, "decoder": metaspace}))
    assert stock.family is Family.SENTENCEPIECE
    assert ids(stock, "аб") == [5]
    assert stock.segment(["аб", " аб", " аб аб"]) == [[4], [5], [5, 5]]


@pytest.mark.parametrize("scheme", ["first", "always"])
@pytest.mark.parametrize("normalized", [False, True])
def test_a_space_that_metaspace_puts_after_an_added_token_is_none_of_the_text(
    tmp_path: Path, scheme: str, normalized: bool
) -> None:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": normalized, "special": False}
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": True}
    data = tiny_data(
        vocab={"<unk>": 0, "а": 1, "б": 2, "▁": 3, "аб": 4, "▁аб": 5}, merges=["а б", "▁ аб"], unk_token="<unk>"
    )
    data |= {"pre_tokenizer": metaspace, "decoder": metaspace, "added_tokens": [{"id": 6, "content": "<x>", **flags}]}
    plain = PlainTokenizer.of(Stock.load(written(tmp_path, data)))
    for text in ("аб", "аб<x>аб", "<x>аб аб<x><x>б"):
        (ids,) = plain.encode_batch([text])
        assert plain.decode(ids) == text
