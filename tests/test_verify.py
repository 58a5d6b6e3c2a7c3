"""The proof is green on sound extensions, and each of its lines is red for the damage that it is there for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import SENTENCES, stock_folder
from test_exports import learned
from test_surgery import stock_of
from tokenizers import Tokenizer, pre_tokenizers, trainers
from typer.testing import CliRunner

from hypertok.artifact import MANIFEST, Manifest, seal
from hypertok.errors import ArtifactError, InputError
from hypertok.tokenizer import verify as module
from hypertok.tokenizer.folder import write_tokenizer
from hypertok.tokenizer.stock import Stock
from hypertok.tokenizer.surgery import extended
from hypertok.tokenizer.unused import given_up_table, unused_tokens, with_replaced
from hypertok.tokenizer.verify import Report, verify
from hypertok.vocabulary.units import Span

ENGLISH = "The cat and the dog sat on the mat; 12 cats ran, and then the other dogs ran.\nreturn self.other\n" * 3
SPECIALS = ("<|end|>", "<|user|>", "<note>")
TEMPLATE = "{% for m in messages %}<|user|>{{ m.content }}<|end|>{% endfor %}"


@pytest.fixture(scope="module")
def stock_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level tokenizer of 700 tokens that is Qwen3's in all but the vocabulary."""
    folder = tmp_path_factory.mktemp("stock")
    parts = {key: stock_of("qwen3").data[key] for key in ("normalizer", "pre_tokenizer", "post_processor", "decoder")}
    tokenizer = Tokenizer.from_str(json.dumps({**parts, "model": {"type": "BPE", "vocab": {}, "merges": []}}))
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([*SENTENCES.splitlines(), ENGLISH * 5, "你好世界 " * 20], trainer)
    data = json.loads(tokenizer.to_str())
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    data["added_tokens"] = [
        {"id": 600 + number, "content": content, **flags, "special": content != "<note>"}
        for number, content in enumerate(SPECIALS)
    ]
    (folder / "tokenizer.json").write_text(json.dumps(data))
    # Its class would add its own default for these, which this small vocabulary does not have.
    none = {"unk_token": None, "pad_token": None}
    config = {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|end|>", "chat_template": TEMPLATE, **none}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def artefact(folder: Path, stock: Stock, span: Span, languages: tuple[str, ...] = ()) -> Path:
    """What `extend` writes, of units learned from the sample sentences."""
    units = learned(stock, SENTENCES.splitlines(), span)
    given_up = unused_tokens(stock, languages)[: len(units.tokens)] if languages else []
    if given_up:
        units = learned(stock, SENTENCES.splitlines(), span, rounds=1, per_round=len(given_up) // 2)
        data = with_replaced(stock, units, span=span, given_up=given_up)
    else:
        data = extended(stock, units, span=span)
    ids = [data["model"]["vocab"][token] for token in units.tokens]
    folder.mkdir()
    write_tokenizer(folder, stock, data)
    strings = {number: token for token, number in stock.vocabulary.items()}
    rows = []
    for id_, token in zip(ids, units.tokens, strict=True):
        text = stock.bytes_of(token).decode()
        parts, lengths, done = stock.segment([text])[0], [], b""
        for part in parts:
            before = len(done.decode("utf-8", "ignore"))
            done += stock.bytes_of(strings[part])
            lengths.append(len(done.decode("utf-8", "ignore")) - before)
        rows.append((id_, token, text, parts, lengths, [0], [0], 1, len(parts) - 1))
    columns = ("id", "token", "text", "constituents", "lengths", "concepts", "inflections", "count", "saved")
    pl.DataFrame(rows, schema=columns, orient="row").write_parquet(folder / "delta.parquet")
    pl.DataFrame({"symbol": ["肝"], "lemma": ["печень"]}).write_parquet(folder / "concepts.parquet")
    if given_up:
        given_up_table(given_up[: len(ids)]).write_parquet(folder / "given_up.parquet")
    size = max(data["model"]["vocab"].values()) + 1
    facts = {"family": stock.family.value, "units": len(ids), "rows": -(-size // 64) * 64, "first_id": ids[0]}
    parents = {"stock": stock.sha256, "lexicon": "0" * 64}
    seal(folder, kind="tokenizer", schema_version=1, parents=parents, recipe={"span": span}, facts=facts)
    return folder


@pytest.fixture(scope="module")
def sound(stock_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return artefact(tmp_path_factory.mktemp("sound") / "phrase", Stock.load(stock_path), "phrase")


@pytest.fixture
def fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer texts."""
    random_texts, library_texts = module.random_texts, module.library_texts
    monkeypatch.setattr(module, "random_texts", lambda words, tokens: random_texts(words, tokens, 50))
    monkeypatch.setattr(module, "library_texts", lambda: islice(library_texts(), 3))


@pytest.fixture
def quick(fewer: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer texts, and no transformers."""
    monkeypatch.setattr(module, "find_spec", lambda name: None)


def spoiled(sound: Path, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy whose tokenizer.json is changed and whose manifest agrees with it."""
    shutil.copytree(sound, folder)
    data = json.loads((folder / "tokenizer.json").read_bytes())
    change(data)
    (folder / "tokenizer.json").write_text(json.dumps(data))
    return resealed(folder)


def resealed(folder: Path) -> Path:
    manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    seal(folder, **manifest.model_dump(exclude={"files"}))
    return folder


def failed(report: Report) -> set[str]:
    assert report.passed == (not any(not line.passed and not line.skipped for line in report.lines))
    return {line.name for line in report.lines if not line.passed and not line.skipped}


def assert_sound(report: Report) -> None:
    assert failed(report) == set(), report.to_json()
    assert all(line.checked > 0 for line in report.lines if line.passed)
    assert report.passed


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("span", ["word", "phrase"])
def test_a_sound_extension_passes(stock_path: Path, tmp_path: Path, span: Span) -> None:
    told = []
    report = verify(artefact(tmp_path / "new", Stock.load(stock_path), span), stock_path, progress=told.append)
    assert_sound(report)
    assert tuple(told) == report.lines
    skipped = [line for line in report.lines if line.skipped]
    assert skipped
    assert all("transformers" in line.detail and not line.passed for line in skipped)
    assert json.loads(report.to_json())["passed"] is True
    assert {"units, alone", "units, in a sentence"} <= {line.name for line in report.lines if line.checked > 50}


@pytest.mark.slow
@pytest.mark.usefixtures("fewer")
@pytest.mark.parametrize("span", ["word", "phrase"])
@pytest.mark.parametrize("name", ["qwen3", "gemma3", "llama3_1", "gpt4o", "llama2", "deepseek_v3"])
def test_real_tokenizers_pass(name: str, span: Span, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "one.txt").write_text(SENTENCES)
    report = verify(artefact(tmp_path / "new", stock_of(name), span), stock_folder(name), texts=tmp_path / "texts")
    assert_sound(report)
    assert not [line for line in report.lines if line.skipped]
    assert "1 files" in next(line.detail for line in report.lines if "never more" in line.name)


@pytest.mark.slow
@pytest.mark.usefixtures("fewer")
def test_replaced_tokens_are_exempt_and_told(tmp_path: Path) -> None:
    folder = artefact(tmp_path / "new", stock_of("qwen3"), "phrase", languages=("ru", "en"))
    report = verify(folder, stock_folder("qwen3"))
    assert_sound(report)
    details = {line.name: line.detail for line in report.lines}
    assert "given up are exempt" in details["stock ids in tokenizer.json"]
    assert "given up are exempt" in details["texts without Cyrillic: the same ids"]
    assert "tokens given up" in details


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


@pytest.mark.usefixtures("quick")
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
    stock_path: Path, sound: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], names: set[str]
) -> None:
    report = verify(spoiled(sound, tmp_path / "bad", change), stock_path)
    assert not report.passed
    assert names <= failed(report), report.to_json()
    assert all(line.detail for line in report.lines)


@pytest.mark.usefixtures("quick")
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
def test_a_wrong_delta_is_found(stock_path: Path, sound: Path, tmp_path: Path, change: pl.Expr) -> None:
    shutil.copytree(sound, tmp_path / "bad")
    table = tmp_path / "bad" / "delta.parquet"
    pl.read_parquet(table).with_columns(change).write_parquet(table)
    with pytest.raises(ArtifactError, match="damaged"):
        verify(tmp_path / "bad", stock_path)
    assert "delta" in failed(verify(resealed(tmp_path / "bad"), stock_path))


@pytest.mark.usefixtures("quick")
def test_a_changed_template_is_found(stock_path: Path, sound: Path, tmp_path: Path) -> None:
    shutil.copytree(sound, tmp_path / "bad")
    config = tmp_path / "bad" / "tokenizer_config.json"
    config.write_text(config.read_text().replace("<|user|>", "<note>"))
    assert failed(verify(resealed(tmp_path / "bad"), stock_path)) == {"chat template and special tokens"}


@pytest.mark.slow
@pytest.mark.usefixtures("fewer")
def test_what_transformers_would_do_otherwise_is_found(stock_path: Path, sound: Path, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    assert_sound(verify(sound, stock_path))
    shutil.copytree(sound, tmp_path / "bad")
    config = tmp_path / "bad" / "tokenizer_config.json"
    content = json.loads(config.read_text()) | {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|user|>"}
    config.write_text(json.dumps({**content, "chat_template": TEMPLATE.replace("content", "role")}))
    names = failed(verify(resealed(tmp_path / "bad"), stock_path))
    assert {"AutoTokenizer = tokenizers", "chat template and special tokens"} <= names


@pytest.mark.usefixtures("quick")
def test_rows_of_the_model_stay_reserved(stock_path: Path, sound: Path, tmp_path: Path) -> None:
    shutil.copytree(stock_path, tmp_path / "stock")
    (tmp_path / "stock" / "config.json").write_text(json.dumps({"vocab_size": 640}))
    assert failed(verify(sound, tmp_path / "stock")) == {"reserved rows stay free"}


def test_another_stock_tokenizer_is_refused(stock_path: Path, sound: Path, tmp_path: Path) -> None:
    shutil.copytree(stock_path, tmp_path / "stock")
    file = tmp_path / "stock" / "tokenizer.json"
    file.write_text(file.read_text().replace("<note>", "<mark>"))
    with pytest.raises(ArtifactError, match="changed since"):
        verify(sound, tmp_path / "stock")


def test_a_foreign_lexicon_is_refused(stock_path: Path, sound: Path, tmp_path: Path) -> None:
    seal(tmp_path, kind="lexicon", schema_version=1)
    with pytest.raises(ArtifactError, match="another lexicon"):
        verify(sound, stock_path, lexicon=tmp_path)


def test_missing_texts_are_refused_at_once(stock_path: Path, sound: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such"):
        verify(sound, stock_path, texts=tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="no UTF-8"):
        verify(sound, stock_path, texts=tmp_path)


@pytest.mark.usefixtures("quick")
def test_command(stock_path: Path, sound: Path, tmp_path: Path) -> None:
    import typer

    from hypertok.cli.verify import verify as command

    app = typer.Typer()
    app.command()(command)
    good = CliRunner().invoke(app, [str(sound), "--against", str(stock_path)])
    assert good.exit_code == 0, good.output
    assert "all is proved" in good.stdout
    assert "skipped" in good.stdout
    bad = spoiled(sound, tmp_path / "bad", swap_specials)
    result = CliRunner().invoke(app, [str(bad), "--against", str(stock_path), "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["passed"] is False
