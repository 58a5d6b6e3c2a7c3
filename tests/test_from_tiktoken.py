"""tiktoken and tekken files: converted, they give the ids of their own libraries; broken ones are refused."""

from __future__ import annotations

import base64
import unicodedata
from pathlib import Path

import pytest
import tiktoken
from conftest import stock_folder
from hypothesis import given, settings
from mistral_common.tokens.tokenizers.tekken import Tekkenizer
from stock_files import MISTRAL, SAMPLES, TEXT, ids, refused, written

from hypertok.errors import InputError
from hypertok.tokenizer.from_tiktoken import convert_tiktoken
from hypertok.tokenizer.stock import Family, Stock


def ranks_of(stock: Stock) -> dict[bytes, int]:
    added = {token["content"] for token in stock.added}
    return {stock.bytes_of(token): number for token, number in stock.vocabulary.items() if token not in added}


def tiktoken_lines(ranks: dict[bytes, int]) -> bytes:
    return b"".join(base64.b64encode(token) + b" %d\n" % rank for token, rank in ranks.items())


@pytest.mark.parametrize("name", ["gpt4o", "llama3_1", "qwen3"])
def test_tiktoken_files(name: str, tmp_path: Path) -> None:
    """A tiktoken file of the real ranks gives the ids of the real tokenizer.json and of the tiktoken library."""
    real = Stock.load(stock_folder(name))
    ranks = ranks_of(real)
    file = tmp_path / "ranks.tiktoken"
    file.write_bytes(tiktoken_lines(ranks))
    stock = Stock.load(tmp_path)
    assert (stock.path, stock.family) == (file, Family.BYTE_LEVEL)
    pattern = stock.data["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"]
    assert pattern == real.data["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"]
    encoding = tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})

    @settings(max_examples=100)
    @given(TEXT)
    def same(text: str) -> None:
        normal = unicodedata.normalize("NFC", text) if name == "qwen3" else text
        assert ids(stock, text) == ids(real, text) == encoding.encode(normal, disallowed_special=())

    same()
    for text in SAMPLES:
        assert stock.tokenizer.encode(text).ids == real.tokenizer.encode(text).ids
    if name == "qwen3":  # the file belongs to the first Qwen, which named the later ids otherwise
        assert (stock.vocabulary["<|im_end|>"], stock.vocabulary["<|extra_204|>"]) == (151_645, 151_850)
    else:
        assert stock.vocabulary == real.vocabulary
    if name == "llama3_1":
        assert stock.merges == real.merges


def test_unknown_tiktoken_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ranks.tiktoken"
    file.write_bytes(tiktoken_lines({bytes([byte]): byte for byte in range(256)} | {b"ab": 256}))
    refused(file, "257 ranks", "o200k_base", "tokenizer.json")


@pytest.mark.parametrize(
    ("line", "words"),
    [(b"YWI= x", ("'YWI= x'",)), (b"YWI", ("'YWI'",)), (b"Y!I= 9", (":3:",)), (b"YQ== 9", ("second",))],
)
def test_broken_tiktoken_file_is_refused(line: bytes, words: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        convert_tiktoken(Path("ranks.tiktoken"), b"YQ== 0\nYg== 1\n" + line + b"\n")
    for word in ("ranks.tiktoken:3:", *words):
        assert word in str(caught.value)


def test_tekken(tmp_path: Path) -> None:
    """Mistral's tekken file: ids, special tokens and fillers are those of Mistral's own tokenizer."""
    file = MISTRAL / "tekken_240911.json"
    stock = Stock.load(file)
    own = Tekkenizer.from_file(file)
    assert stock.first_free_id == own.n_words
    assert [stock.tokenizer.id_to_token(number) for number in range(1000)] == own._vocab[:1000]
    for text in SAMPLES:
        assert ids(stock, text) == own.encode(text, bos=False, eos=False)
        assert stock.tokenizer.encode(text).ids == own.encode(text, bos=True, eos=False)

    @settings(max_examples=100)
    @given(TEXT)
    def same(text: str) -> None:
        assert ids(stock, text) == own.encode(text, bos=False, eos=False)

    same()


def test_broken_tekken_is_refused(tmp_path: Path) -> None:
    config = {"pattern": ".", "default_vocab_size": 12, "default_num_special_tokens": 10}
    refused(written(tmp_path, {"config": {}, "vocab": []}, "tekken.json") / "tekken.json", "pattern")
    vocab = [{"rank": 0, "token_bytes": "YQ=="}]
    refused(written(tmp_path, {"config": config, "vocab": vocab}, "tekken.json") / "tekken.json", "ranks 0 to 1")
    vocab.append({"rank": 1, "token_bytes": "Yg=="})
    refused(written(tmp_path, {"config": config, "vocab": vocab}, "tekken.json") / "tekken.json", "below 10")
    special = {"special_tokens": [{"rank": 0, "token_str": "<unk>"}]}
    refused(written(tmp_path, {"config": config, "vocab": vocab} | special, "tekken.json") / "tekken.json", "byte 0x00")
