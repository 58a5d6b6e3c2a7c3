"""Files that are no tokenizer, are broken, or are of an unsupported kind are refused, and the error says why."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stock_files import refused, tiny_data, written
from tokenizers import Tokenizer, models, trainers

from hypertok.errors import InputError
from hypertok.tokenizer.folder import other_templates
from hypertok.tokenizer.stock import Stock
from hypertok.tokenizer.stock_file import find_tokenizer


@pytest.mark.parametrize(
    ("kind", "model", "trainer"),
    [
        ("WordPiece", models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer(special_tokens=["[UNK]"])),
        ("Unigram", models.Unigram(), trainers.UnigramTrainer(unk_token="<unk>", special_tokens=["<unk>"])),
        ("WordLevel", models.WordLevel(unk_token="<unk>"), trainers.WordLevelTrainer(special_tokens=["<unk>"])),
    ],
)
def test_other_models_are_refused(tmp_path: Path, kind: str, model: Any, trainer: Any) -> None:
    tokenizer = Tokenizer(model)
    tokenizer.train_from_iterator(["мама мыла раму", "a b c"], trainer)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    refused(tmp_path / "tokenizer.json", kind, "supported are", "Qwen", "Gemma")


@pytest.mark.parametrize(
    ("option", "value"), [("continuing_subword_prefix", "##"), ("end_of_word_suffix", "</w>"), ("dropout", 0.1)]
)
def test_other_bpe_is_refused(tmp_path: Path, option: str, value: Any) -> None:
    refused(written(tmp_path, tiny_data(**{option: value})) / "tokenizer.json", option, str(value), "supported are")


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    stock = Stock.load(written(tmp_path, tiny_data()))
    stock.path.write_bytes(b"\xef\xbb\xbf" + stock.path.read_bytes())
    assert Stock.load(tmp_path).data == stock.data


def test_what_macos_writes_beside_files_is_no_tokenizer_and_no_template(tmp_path: Path) -> None:
    (tmp_path / "additional_chat_templates").mkdir()
    for name in ("qwen.tiktoken", "additional_chat_templates/rag.jinja"):
        for path in (tmp_path / name, (tmp_path / name).with_name(f"._{Path(name).name}")):
            path.write_bytes(b"\0\5\x16\7")
    assert find_tokenizer(tmp_path) == tmp_path / "qwen.tiktoken"
    assert other_templates(tmp_path) == [tmp_path / "additional_chat_templates" / "rag.jinja"]


def broken(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    data = tiny_data()
    change(data)
    return data


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"model": {\n"type": "BPE",,', (":2:", "broken JSON")),
        ("{}", ("no field model",)),
        ("", ("not a tokenizer",)),
        ("[1]", ("not a tokenizer",)),
        ("просто текст", ("not a tokenizer", "tokenizer.json")),
        ("\nпросто текст", ("damaged",)),
        (broken(lambda data: data.update(pre_tokenizer=None)), ("neither byte-level",)),
        (broken(lambda data: data["model"].update(vocab={})), ("model.vocab",)),
        (broken(lambda data: data["model"].update(merges=None)), ("model.merges",)),
        (broken(lambda data: data["model"]["vocab"].update(b=0)), ("id 0", "'a'", "'b'")),
        (broken(lambda data: data["model"]["vocab"].update(b="1")), ("'b'", "'1'")),
        (broken(lambda data: data.update(added_tokens=[{"id": 7}])), ("added_tokens[0]",)),
        (broken(lambda data: data.update(added_tokens=[{"id": 7, "content": "b"}])), ("'b'", "1", "7")),
    ],
)
def test_broken_files_are_refused(tmp_path: Path, content: Any, words: tuple[str, ...]) -> None:
    refused(written(tmp_path, content) / "tokenizer.json", *words)


@pytest.mark.parametrize(
    ("merge", "word"), [("b я", "'я'"), ("b b", "'bb'"), ("abb", "'abb'"), (["a", ["b"]], "['b']"), (7, "7")]
)
def test_wrong_merges_are_refused(tmp_path: Path, merge: Any, word: str) -> None:
    """When the tokenizer is built, and by whoever asks for the merges before that, where they are no pairs."""
    stock = Stock.load(written(tmp_path, broken(lambda data: data["model"]["merges"].append(merge))))
    found = re.escape("tokenizer.json: model.merges[2]") + ".*" + re.escape(word)
    with pytest.raises(InputError, match=found):
        _ = stock.tokenizer
    if merge in ("abb", 7):
        with pytest.raises(InputError, match=found):
            _ = Stock.load(tmp_path).merges


def test_bad_bytes_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_bytes(b'{"model":\n"\xff"}')
    refused(file, ":2:", "UTF-8")


def test_what_the_library_cannot_read_is_refused(tmp_path: Path) -> None:
    stock = Stock.load(written(tmp_path, tiny_data() | {"normalizer": {"type": "Unheard"}}))
    with pytest.raises(InputError, match=r"tokenizer\.json: the tokenizers library cannot read it"):
        _ = stock.tokenizer


def test_nothing_there_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "absent", "cannot be read", "check the name")
    refused(tmp_path, "no tokenizer here", "tokenizer.json")
    written(tmp_path, {"a": 0}, "vocab.json")
    refused(tmp_path, "vocabulary but no tokenizer.json", "save_pretrained")
    for name in ("a.tiktoken", "b.tiktoken"):
        written(tmp_path, "", name)
    refused(tmp_path, "several", "a.tiktoken, b.tiktoken")
