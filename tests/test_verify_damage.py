"""Each line of the proof is red for the damage that it is there for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import stock_of
from proofs import TEMPLATE, artefact, assert_sound, failed, resealed, spoiled

from hypertok.artifact import MANIFEST, Manifest
from hypertok.errors import ArtifactError
from hypertok.lexicon.lexicon import Lexicon
from hypertok.tokenizer.extend import ExtendOptions, extend
from hypertok.tokenizer.from_tiktoken import template
from hypertok.tokenizer.hyper import HyperTokenizer
from hypertok.tokenizer.kind import DELTA, GIVEN_UP
from hypertok.tokenizer.stock import Stock
from hypertok.tokenizer.verify import verify
from hypertok.tokenizer.verify_loaders import auto_lines
from hypertok.tokenizer.verify_pair import open_pair


def swap_specials(data: dict[str, Any]) -> None:
    one, two = data["added_tokens"][:2]
    one["id"], two["id"] = two["id"], one["id"]
    data["model"]["vocab"] |= {one["content"]: one["id"], two["content"]: two["id"]}


def unflag(data: dict[str, Any]) -> None:
    data["added_tokens"][0]["special"] = False


def forget_specials(data: dict[str, Any]) -> None:
    for token in data["added_tokens"]:
        del data["model"]["vocab"][token["content"]]


def move_boundary(data: dict[str, Any]) -> None:
    part = next(part for part in data["pre_tokenizer"]["pretokenizers"] if part["type"] == "Split")
    part["pattern"]["Regex"] = r"[а-яё]+| ?[a-z]{1,2}|" + part["pattern"]["Regex"]


def stock_cuts(data: dict[str, Any]) -> None:
    data["pre_tokenizer"] = stock_of("qwen3").data["pre_tokenizer"]


def drop_last_merge(data: dict[str, Any]) -> None:
    made = "".join(data["model"]["merges"][-1])
    data["model"]["merges"] = [merge for merge in data["model"]["merges"] if "".join(merge) != made]


def drop_stock_merge(data: dict[str, Any]) -> None:
    del data["model"]["merges"][0]


def reorder_stock_merges(data: dict[str, Any]) -> None:
    merges = data["model"]["merges"]
    merges[:] = [*merges[-5:], *merges[:-5]]


def leave_hole(data: dict[str, Any]) -> None:
    vocabulary = data["model"]["vocab"]
    last = max(vocabulary, key=vocabulary.__getitem__)
    vocabulary[last] += 5


def join_english(data: dict[str, Any]) -> None:
    data["model"]["merges"].append(["Ġthe", "q"])
    data["model"]["vocab"]["Ġtheq"] = len(data["model"]["vocab"])


def drop_decoder(data: dict[str, Any]) -> None:
    data["decoder"] = {"type": "Fuse"}


def unknown_part(data: dict[str, Any]) -> None:
    data["model"]["merges"].append(["нет", "такого"])


@pytest.mark.usefixtures("quick_proof")
@pytest.mark.parametrize(
    ("change", "names"),
    [
        (swap_specials, {"stock ids in tokenizer.json", "stock ids, loaded by tokenizers"}),
        (unflag, {"stock ids in tokenizer.json", "stock ids, saved and loaded again"}),
        (forget_specials, {"stock ids, loaded by tokenizers", "ids without holes, one token each"}),
        (move_boundary, {"no merges, changed pre-tokenizer: stock ids", "texts: never more tokens than stock"}),
        (stock_cuts, {"units, in a sentence"}),
        (drop_last_merge, {"units, alone", "units, in a sentence"}),
        (drop_stock_merge, {"stock merges and other parts", "no merges, changed pre-tokenizer: stock ids"}),
        (reorder_stock_merges, {"stock merges and other parts"}),
        (leave_hole, {"ids without holes, one token each", "delta"}),
        (join_english, {"texts without Cyrillic: the same ids", "delta"}),
        (drop_decoder, {"texts: decoded as stock does", "stock merges and other parts"}),
        (unknown_part, {"stock ids", "units", "AutoTokenizer and texts"}),
    ],
)
def test_damage_is_found(
    small_stock: Path, sound_extension: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], names: set[str]
) -> None:
    report = verify(spoiled(sound_extension, tmp_path / "bad", change), small_stock)
    assert not report.passed
    assert names <= failed(report), report.to_json()
    assert all(line.detail for line in report.lines)


@pytest.mark.usefixtures("quick_proof")
@pytest.mark.parametrize(
    "change",
    [
        pl.col("constituents").list.reverse(),
        pl.col("constituents").list.slice(1),
        pl.lit([1]).alias("lengths"),
        pl.col("text") + "x",
        pl.lit([9]).alias("concepts"),
        pl.col("id").shift(fill_value=3),
    ],
)
def test_a_wrong_delta_is_found(small_stock: Path, sound_extension: Path, tmp_path: Path, change: pl.Expr) -> None:
    shutil.copytree(sound_extension, tmp_path / "bad")
    table = tmp_path / "bad" / DELTA
    pl.read_parquet(table).with_columns(change).write_parquet(table)
    with pytest.raises(ArtifactError, match="damaged"):
        verify(tmp_path / "bad", small_stock)
    assert "delta" in failed(verify(resealed(tmp_path / "bad"), small_stock))


@pytest.mark.usefixtures("quick_proof")
@pytest.mark.parametrize(
    ("change", "sound"),
    [
        (pl.col("surface"), True),
        (pl.lit(None, pl.String).alias("surface"), True),
        (pl.col("surface") + "x", False),
        (pl.col("surface_constituents").list.reverse(), False),
        (pl.col("surface_constituents").list.slice(1), False),
        (pl.col("surface_lengths") * 2, False),
    ],
)
def test_a_wrong_surface_is_found(
    small_stock: Path, sound_extension: Path, tmp_path: Path, change: pl.Expr, sound: bool
) -> None:
    """What symbol text has besides, here the same as what merges make."""
    shutil.copytree(sound_extension, tmp_path / "out")
    table = tmp_path / "out" / DELTA
    delta = pl.read_parquet(table).with_columns(
        surface="text", surface_constituents="constituents", surface_lengths="lengths"
    )
    delta.with_columns(change).write_parquet(table)
    assert failed(verify(resealed(tmp_path / "out"), small_stock)) == (set() if sound else {"delta"})


@pytest.mark.usefixtures("quick_proof")
def test_a_lost_run_of_symbols_is_found(small_stock: Path, vault_lexicon: Lexicon, tmp_path: Path) -> None:
    """Units over the cuts of the stock could not come out."""
    sound = tmp_path / "sound"
    extend(small_stock, vault_lexicon.folder, sound, ExtendOptions(rows=300, text="symbols"))
    before = failed(verify(sound, small_stock, lexicon=vault_lexicon.folder))
    # So small a vocabulary has no tokens of two bytes, so units of symbols join those of other characters, too.
    assert before <= {"texts without Cyrillic: the same ids"}
    found = failed(verify(spoiled(sound, tmp_path / "bad", stock_cuts), small_stock))
    assert found - before == {"stock merges and other parts"}


@pytest.mark.usefixtures("quick_proof")
def test_tokens_that_should_not_have_been_given_up_are_found(small_stock: Path, tmp_path: Path) -> None:
    """One of a language that is kept, and one that others are made of, which stay."""
    sound = artefact(tmp_path / "sound", Stock.load(small_stock), "phrase", ("ru", "en"))
    assert failed(verify(sound, small_stock)) == set()
    kept = shutil.copytree(sound, tmp_path / "kept")
    manifest = Manifest.model_validate_json((kept / MANIFEST).read_bytes())
    recipe = {**manifest.recipe, "replace_unused": ["zh"]}
    (kept / MANIFEST).write_text(manifest.model_copy(update={"recipe": recipe}).to_json(), encoding="utf-8")
    assert failed(verify(kept, small_stock)) == {"tokens given up"}
    parts = shutil.copytree(sound, tmp_path / "parts")
    stock, table = Stock.load(small_stock), pl.read_parquet(parts / GIVEN_UP)
    part = next(left for left, right in stock.merges if len(left) > 1 and left + right not in set(table["token"]))
    row = {"id": [stock.vocabulary[part]], "token": [part], "text": [None], "reason": ["Han"]}
    pl.concat([table, pl.DataFrame(row, schema=table.schema)]).write_parquet(parts / GIVEN_UP)
    delta = pl.read_parquet(parts / DELTA)
    taken = pl.when(pl.int_range(pl.len()) == 0).then(pl.lit(stock.vocabulary[part], pl.UInt32)).otherwise("id")
    delta.with_columns(id=taken.cast(delta.schema["id"])).write_parquet(parts / DELTA)
    assert "stock merges and other parts" in failed(verify(resealed(parts), small_stock))


@pytest.mark.usefixtures("quick_proof")
def test_a_changed_template_is_found(small_stock: Path, sound_extension: Path, tmp_path: Path) -> None:
    shutil.copytree(sound_extension, tmp_path / "bad")
    config = tmp_path / "bad" / "tokenizer_config.json"
    config.write_text(config.read_text().replace("<|user|>", "<note>"))
    assert failed(verify(resealed(tmp_path / "bad"), small_stock)) == {"chat template and special tokens"}


@pytest.mark.usefixtures("quick_proof")
@pytest.mark.parametrize("part", ["encode_batch", "decode_batch"])
def test_what_hyper_tokenizer_would_do_otherwise_is_found(
    small_stock: Path, sound_extension: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """Other ids of the same text, or another text of the same ids."""
    stock = Stock.load(small_stock).tokenizer
    wrong: dict[str, Callable[..., Any]] = {
        "encode_batch": lambda self, texts: [stock.encode(text, add_special_tokens=False).ids for text in texts],
        "decode_batch": lambda self, batch: ["печень"] * len(batch),
    }
    monkeypatch.setattr(HyperTokenizer, part, wrong[part])
    assert failed(verify(sound_extension, small_stock)) == {"HyperTokenizer = tokenizers"}


@pytest.mark.slow
@pytest.mark.usefixtures("fewer_texts")
def test_what_transformers_would_do_otherwise_is_found(
    small_stock: Path, sound_extension: Path, tmp_path: Path
) -> None:
    pytest.importorskip("transformers")
    assert_sound(verify(sound_extension, small_stock))
    shutil.copytree(sound_extension, tmp_path / "bad")
    config = tmp_path / "bad" / "tokenizer_config.json"
    content = json.loads(config.read_text()) | {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|user|>"}
    config.write_text(json.dumps({**content, "chat_template": TEMPLATE.replace("content", "role")}))
    names = failed(verify(resealed(tmp_path / "bad"), small_stock))
    assert {"AutoTokenizer = tokenizers", "chat template and special tokens"} <= names


def test_what_stands_around_a_text_is_that_of_the_stocks_class(
    small_stock: Path, sound_extension: Path, tmp_path: Path
) -> None:
    """A class may put a BOS that tokenizer.json does not."""
    pytest.importorskip("transformers")

    def begin(data: dict[str, Any]) -> None:
        data["post_processor"] = template(["<|user|>"], [], data["model"]["vocab"])

    pair = open_pair(spoiled(sound_extension, tmp_path / "bad", begin), Stock.load(small_stock), None)
    (tmp_path / "place").mkdir()
    lines = {line.name: line for line in auto_lines(pair, tmp_path / "place")}
    assert "'' becomes [601], not []" in lines["chat template and special tokens"].detail


@pytest.mark.usefixtures("quick_proof")
def test_rows_of_the_model_stay_reserved(small_stock: Path, sound_extension: Path, tmp_path: Path) -> None:
    shutil.copytree(small_stock, tmp_path / "stock")
    (tmp_path / "stock" / "config.json").write_text(json.dumps({"vocab_size": 640}))
    assert failed(verify(sound_extension, tmp_path / "stock")) == {"reserved rows stay free"}
