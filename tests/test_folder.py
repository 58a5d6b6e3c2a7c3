"""transformers loads what tokenizer.json says: for every family, with a config.json of any model type beside it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from conftest import SENTENCES, stock_folder, stock_of
from counted_units import units
from tokenizers import Tokenizer

from hypertok.errors import InputError
from hypertok.tokenizer.folder import write_tokenizer
from hypertok.tokenizer.stock import Stock
from hypertok.tokenizer.surgery import extended
from hypertok.vocabulary.units import Units

#: Without a config.json: test_verify.py.
CASES = [
    ("qwen3", "qwen3"), ("qwen3", "qwen2"), ("qwen3", "qwen3_5"), ("llama3_1", "llama"),
    ("gpt4o", "gpt_oss"), ("gpt4o", "gpt2"), ("deepseek_v3", "deepseek_v3"), ("gemma3", "gemma3_text"),
    ("llama2", "llama"), ("llama2", "mistral"),
]  # fmt: skip
TEXT = SENTENCES + "\nMixed: don 't 123456 , x .\n\n  й е\u0301 не даже однако <bos><|im_start|>"


def place_config(folder: Path, model_type: str, rows: int) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": model_type, "vocab_size": rows}))


@cache
def with_words_of_phrases(name: str) -> dict[str, Any]:
    return extended(stock_of(name), units(name, "word"), span="phrase")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "model_type"), CASES)
def test_transformers_gives_the_same_ids(
    name: str, model_type: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transformers = pytest.importorskip("transformers")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    stock = stock_of(name)
    data = with_words_of_phrases(name)
    ours, theirs, saved = (tmp_path / part for part in ("ours", "theirs", "saved"))
    for folder in (ours, theirs, saved):
        folder.mkdir()
        place_config(folder, model_type, len(data["model"]["vocab"]))
    write_tokenizer(ours, stock, data)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (theirs / file).symlink_to((stock.folder / file).resolve())
    raw = Tokenizer.from_file(str(ours / "tokenizer.json"))
    loaded = transformers.AutoTokenizer.from_pretrained(ours)
    before = transformers.AutoTokenizer.from_pretrained(theirs)
    loaded.save_pretrained(saved)
    again = transformers.AutoTokenizer.from_pretrained(saved)
    ids, stock_ids = raw.encode(TEXT).ids, before(TEXT)["input_ids"]
    assert max(ids) >= stock.first_free_id
    for tokenizer in (loaded, again):
        assert tokenizer(TEXT)["input_ids"] == ids
        assert tokenizer.get_vocab() == data["model"]["vocab"]
        assert (tokenizer(TEXT)["input_ids"][0] == before.bos_token_id) == (stock_ids[0] == before.bos_token_id)
        assert tokenizer(TEXT)["input_ids"][-1] == stock_ids[-1]
        assert tokenizer.all_special_ids == before.all_special_ids
        assert tokenizer.chat_template == before.chat_template
        if model_type != "mistral":  # its stock folder here does not say so, and LlamaTokenizer pads on the other side
            assert tokenizer.padding_side == before.padding_side
        assert list(tokenizer(TEXT)) == list(before(TEXT))
        for skip in (False, True):
            expected = before.decode(stock_ids, skip_special_tokens=skip)
            assert tokenizer.decode(stock_ids, skip_special_tokens=skip) == expected
            assert tokenizer.decode(ids, skip_special_tokens=skip) == expected


@pytest.fixture
def small(tmp_path: Path) -> Stock:
    """A tiny byte-level tokenizer in a folder with side files."""
    folder = tmp_path / "stock"
    folder.mkdir()
    pre_tokenizer = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    data = {"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}, "pre_tokenizer": pre_tokenizer}
    (folder / "tokenizer.json").write_text(json.dumps({**data, "added_tokens": [], "decoder": pre_tokenizer}))
    for name in ("tokenizer.model", "vocab.json", "merges.txt", "tekken.json", "chat_template.jinja"):
        (folder / name).write_text("x")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "Other", "auto_map": {"x": "y"}}))
    place_config(folder, "llama", 2)
    return Stock.load(folder)


def test_only_files_that_hold_no_vocabulary_are_copied(small: Stock, tmp_path: Path) -> None:
    written = write_tokenizer(tmp_path, small, extended(small, Units((), (), ()), span="word"))
    assert {path.name for path in written} == {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja"}
    assert all(path.is_file() for path in written)
    assert json.loads((tmp_path / "tokenizer_config.json").read_text()) == {
        "model_input_names": ["input_ids", "attention_mask"],
        "tokenizer_class": "PreTrainedTokenizerFast",
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "model_type", "side"),
    [("llama2", "llama", "left"), ("llama2", "mistral", "right"), ("gemma3", "gemma3_text", "left"),
     ("deepseek_v3", "deepseek_v3", "right"), ("qwen3", "qwen3", "right")],
)  # fmt: skip
def test_texts_are_padded_on_the_side_of_the_stock_class(name: str, model_type: str, side: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = json.loads((stock_folder(name) / "tokenizer_config.json").read_bytes())
    config.pop("padding_side", None)
    folders = [tmp_path / "stock", tmp_path / "ours"]
    for folder in folders:
        folder.mkdir()
        place_config(folder, model_type, 10)
    (folders[0] / "tokenizer.json").symlink_to((stock_folder(name) / "tokenizer.json").resolve())
    (folders[0] / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    stock = Stock.load(folders[0])
    write_tokenizer(folders[1], stock, stock.data)
    before, after = (transformers.AutoTokenizer.from_pretrained(folder) for folder in folders)
    assert before.padding_side == after.padding_side == side
    assert after.model_input_names == before.model_input_names


def test_forced_model_types_get_an_auto_map(small: Stock, tmp_path: Path) -> None:
    place_config(small.folder, "qwen2", 2)
    stock = Stock.load(small.folder)
    written = write_tokenizer(tmp_path, stock, extended(stock, Units((), (), ()), span="word"))
    assert tmp_path / "tokenization_hypertok.py" in written
    assert "auto_map" in json.loads((tmp_path / "tokenizer_config.json").read_text())


def test_any_model_may_stand_beside_a_tokenizer_without_one(small: Stock, tmp_path: Path) -> None:
    """A qwen2 too, whatever class is named; also when an extended tokenizer is extended again."""
    (small.folder / "config.json").unlink()
    stock = Stock.load(small.folder)
    for again in ("once", "twice"):
        (tmp_path / again).mkdir()
        written = write_tokenizer(tmp_path / again, stock, extended(stock, Units((), (), ()), span="word"))
        assert tmp_path / again / "tokenization_hypertok.py" in written
        stock = Stock.load(tmp_path / again)


def test_of_several_chat_templates_none_is_lost(small: Stock, tmp_path: Path) -> None:
    """Where the file stands too, transformers takes it for all of them."""
    (small.folder / "additional_chat_templates").mkdir()
    (small.folder / "additional_chat_templates" / "rag.jinja").write_text("r")
    stock = Stock.load(small.folder)
    written = write_tokenizer(tmp_path, stock, extended(stock, Units((), (), ()), span="word"))
    assert {path.name for path in written} == {"tokenizer.json", "tokenizer_config.json"}
    assert json.loads((tmp_path / "tokenizer_config.json").read_text())["chat_template"] == [
        {"name": "default", "template": "x"},
        {"name": "rag", "template": "r"},
    ]
    transformers = pytest.importorskip("transformers")
    loaded = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.chat_template == {"default": "x", "rag": "r"}


def test_a_folder_of_links_to_a_model_is_that_model(small: Stock, tmp_path: Path) -> None:
    cache = tmp_path / "models--owner--name"
    inner = cache / "snapshots" / "0a0a" / "text"  # a model may lie in a folder of its repository
    linked = tmp_path / "mine"
    for folder in (inner, linked, cache / "blobs"):
        folder.mkdir(parents=True)
    for path in small.folder.iterdir():
        shutil.copy(path, cache / "blobs" / path.name)
        (inner / path.name).symlink_to(f"../../../blobs/{path.name}")
        (linked / path.name).symlink_to(path)
    (inner / "chat_template.json").symlink_to("chat_template.json")  # to itself
    for number, folder in enumerate((small.folder, inner, linked)):
        stock, written = Stock.load(folder), tmp_path / str(number)
        written.mkdir()
        write_tokenizer(written, stock, extended(stock, Units((), (), ()), span="word"))
    names = [{path.name for path in (tmp_path / number).iterdir()} for number in "012"]
    assert "chat_template.jinja" in names[0]
    assert names[0] == names[1] == names[2]


def test_links_to_files_of_others_are_not_followed(small: Stock, tmp_path: Path) -> None:
    """What is copied may be given away; a download cache has links to what it holds for the model."""
    cache, secret = tmp_path / "models--owner--name", tmp_path / "secret"
    secret.write_text("s")
    folder = cache / "snapshots" / "0a0a"
    shutil.copytree(small.folder, folder)
    (folder / "additional_chat_templates").mkdir()
    (cache / "blobs").mkdir()
    (cache / "blobs" / "0b0b").write_text("{}")
    (folder / "generation_config.json").symlink_to("../../blobs/0b0b")
    (folder / "chat_template.json").symlink_to("generation_config.json")
    (folder / "special_tokens_map.json").symlink_to(folder / "tokenizer_config.json")
    (folder / "chat_template.jinja").unlink()
    (folder / "chat_template.jinja").symlink_to(secret)
    (folder / "additional_chat_templates" / "rag.jinja").symlink_to(secret)
    stock = Stock.load(folder)
    (tmp_path / "written").mkdir()
    write_tokenizer(tmp_path / "written", stock, extended(stock, Units((), (), ()), span="word"))
    assert {path.name for path in (tmp_path / "written").iterdir()} == {
        "tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.json",
        "special_tokens_map.json",
    }  # fmt: skip
    assert "chat_template" not in json.loads((tmp_path / "written" / "tokenizer_config.json").read_text())


def test_a_token_that_only_the_configuration_has_is_refused(small: Stock, tmp_path: Path) -> None:
    (small.folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": "<pad>"}))
    with pytest.raises(InputError, match="<pad>"):
        write_tokenizer(tmp_path, Stock.load(small.folder), small.data)


@pytest.mark.parametrize(
    ("name", "content"),
    [("special_tokens_map.json", {"eos_token": "<|im_end|>"}), ("added_tokens.json", {"<|im_end|>": 2})],
)
def test_a_token_that_only_an_older_file_has_is_refused(
    small: Stock, tmp_path: Path, name: str, content: dict[str, Any]
) -> None:
    """As transformers does it, where tokenizer_config.json lists the added tokens the older files say nothing."""
    (small.folder / name).write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"{name}: .* is '<\|im_end\|>', which tokenizer.json does not have"):
        write_tokenizer(tmp_path, Stock.load(small.folder), small.data)
    (small.folder / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": {}}))
    write_tokenizer(tmp_path, Stock.load(small.folder), small.data)


ENDS = {f"{name}_token": "<|endoftext|>" for name in ("unk", "bos", "eos")}


@pytest.mark.parametrize(
    ("config", "model_type", "named"),
    [
        ({"tokenizer_class": "GPT2TokenizerFast"}, "gpt2", ENDS),
        ({}, "gpt2", ENDS),
        ({"bos_token": "a"}, "starcoder2", ENDS | {"bos_token": "a"}),
        ({}, "qwen3", {"unk_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}),
        ({"tokenizer_class": "LlamaTokenizer"}, "idefics2", {"bos_token": "<s>", "eos_token": "</s>"}),
        ({}, "llama", {}),
    ],
)
def test_special_tokens_that_the_class_has_by_default_are_named(
    small: Stock, tmp_path: Path, config: dict[str, Any], model_type: str, named: dict[str, str]
) -> None:
    """Those of the vocabulary; the class is the one named, else that of the model type."""
    vocabulary = {token: number for number, token in enumerate(["a", "b", "<|endoftext|>", "<s>", "</s>"])}
    data = {**small.data, "model": {**small.data["model"], "vocab": vocabulary}}
    small.path.write_text(json.dumps(data))
    (small.folder / "tokenizer_config.json").write_text(json.dumps(config))
    place_config(small.folder, model_type, 4)
    write_tokenizer(tmp_path, Stock.load(small.folder), data)
    written = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert {name: token for name, token in written.items() if name.endswith("_token")} == named


def test_transformers_is_not_needed() -> None:
    program = "import hypertok.tokenizer.folder, sys; assert 'transformers' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert stock_folder("qwen3").is_dir()
