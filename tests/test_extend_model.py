"""Tokenizer and model extended in one go, by a strategy, by probes and from the command line."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from conftest import stock_folder
from extended_models import loaded
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM
from typer.testing import CliRunner

from hypertok.artifact import open_checked
from hypertok.cli.main import app
from hypertok.errors import ArtifactError, InputError
from hypertok.lexicon.lexicon import Lexicon
from hypertok.model.checkpoint import Checkpoint
from hypertok.model.extend import extend_model
from hypertok.model.pair import Pair
from hypertok.tokenizer.extend import ExtendOptions
from hypertok.tokenizer.hyper import HyperTokenizer
from hypertok.tokenizer.kind import DELTA, KIND
from hypertok.training.probe import ProbeOptions, _blocks, chooser, texts_of_runs

WIDTH = 16
OPTIONS = ExtendOptions(rows=40, span="word", general=0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model in the folder of Qwen3's real tokenizer."""
    return put_tiny(tmp_path_factory.mktemp("model") / "stock", tied=True)


@pytest.fixture(scope="module")
def untied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a matrix for each side."""
    return put_tiny(tmp_path_factory.mktemp("untied") / "stock", tied=False)


def put_tiny(folder: Path, *, tied: bool) -> Path:
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((stock_folder("qwen3") / name).read_bytes())
    config = LlamaConfig(
        vocab_size=151_936, hidden_size=WIDTH, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2,
        tie_word_embeddings=tied,
    )  # fmt: skip
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def test_one_folder_holds_both(model: Path, small_lexicon: Lexicon, tmp_path: Path) -> None:
    manifest = extend_model(model, small_lexicon.folder, tmp_path / "out", OPTIONS, init="weighted")
    assert manifest.recipe["init"] == "weighted"
    assert manifest.parents.keys() == {"stock", "lexicon", "model"}
    assert HyperTokenizer.from_pretrained(tmp_path / "out").rows == manifest.facts["rows"]
    extended, stock = loaded(tmp_path / "out"), loaded(model)
    assert extended.config.vocab_size == manifest.facts["rows"] == extended.get_input_embeddings().weight.shape[0]
    ids = pl.read_parquet(tmp_path / "out" / DELTA)["id"].to_list()
    assert ids == list(range(151_936, 151_976))
    before, after = stock.get_input_embeddings().weight, extended.get_input_embeddings().weight
    assert torch.equal(before, after[:151_936])
    assert len(torch.unique(after[ids], dim=0)) > 30
    weights = tmp_path / "out" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(ArtifactError, match=r"model\.safetensors: changed or damaged"):
        Pair.open(tmp_path / "out")


@pytest.mark.parametrize("init", ["mean", "composer"])
def test_each_side_of_an_untied_model_has_rows_of_its_own(
    untied: Path, small_lexicon: Lexicon, tmp_path: Path, init: str
) -> None:
    probes = ProbeOptions(composer_steps=2, batch=2, context=16, held_out=3)
    maker = chooser(texts_of_runs(small_lexicon.folder), probes, composer_alone=True) if init == "composer" else init
    extend_model(untied, small_lexicon.folder, tmp_path / "out", OPTIONS, init=maker)
    extend_model(untied, small_lexicon.folder, tmp_path / "weighted", OPTIONS, init="weighted")
    delta = pl.read_parquet(tmp_path / "out" / DELTA)
    stock, out, begun = (Checkpoint.open(one) for one in (untied, tmp_path / "out", tmp_path / "weighted"))
    assert not out.tied
    for side in ("input", "output"):
        before, after = getattr(stock, side).read(slice(None)), getattr(out, side).read(slice(None))
        assert torch.equal(before, after[: len(before)])
        made = after[delta["id"].to_numpy()]
        means = torch.stack([before[list(ids)].mean(dim=0) for ids in delta["constituents"].to_list()])
        if init == "mean":
            torch.testing.assert_close(made, means, rtol=0, atol=1e-6)
        else:
            where_it_begins = getattr(begun, side).read(delta["id"].to_numpy())
            assert 0 < (made - where_it_begins).norm() < 0.5 * (made - made.mean(dim=0)).norm(), "of its own matrix"


def test_an_untied_model_has_a_strategy_more_to_probe(untied: Path, small_lexicon: Lexicon, tmp_path: Path) -> None:
    options = ProbeOptions(steps=1, composer_steps=1, batch=2, context=16, held_out=3)
    maker = chooser(texts_of_runs(small_lexicon.folder), options)
    manifest = extend_model(untied, small_lexicon.folder, tmp_path / "out", OPTIONS, init=maker)
    probed = [probe["name"] for probe in manifest.facts["init"]["probes"][:6]]
    assert probed == ["mean", "weighted", "asymmetric", "mix", "composition", "composer"]


def test_probes_choose_what_they_measured_best(model: Path, small_lexicon: Lexicon, tmp_path: Path) -> None:
    options = ProbeOptions(steps=2, composer_steps=6, batch=2, context=16, held_out=3)
    told: list[tuple[str, int, int]] = []
    manifest = extend_model(
        model, small_lexicon.folder, tmp_path / "out", OPTIONS,
        init=chooser(texts_of_runs(small_lexicon.folder), options, lambda *step: told.append(step)),
    )  # fmt: skip
    probes = manifest.facts["init"]["probes"]
    names = ["mean", "weighted", "mix", "composition", "composer"]  # asymmetric: untied only
    assert [probe["name"] for probe in probes[:5]] == names
    best = min(probes[:5], key=lambda probe: probe["after"])["name"]
    assert manifest.recipe["init"] == best
    read_on = [("composer", 6)] if best == "composer" else []
    assert [(probe["name"], probe["steps"]) for probe in probes[5:]] == read_on
    assert manifest.facts["init"]["tokens"] == sum(probe["steps"] for probe in probes) * 2 * 16
    assert all(probe["before"] != probe["after"] for probe in probes)
    expected = [("probe", done, 10) for done in range(11)]
    expected += [("composer", done, 6) for done in range(7)] if best == "composer" else []
    assert list(dict.fromkeys(told)) == expected, "step by step"
    before = Checkpoint.open(model).input.read(slice(0, 100))
    assert torch.equal(before, Checkpoint.open(tmp_path / "out").input.read(slice(0, 100)))


def test_the_composer_makes_rows_that_it_was_trained_to(model: Path, small_lexicon: Lexicon, tmp_path: Path) -> None:
    """From `weighted` to better ones on text that it was not trained on, all rows at once, stock rows as they were."""
    options = ProbeOptions(composer_steps=60, batch=4, context=16, held_out=16, lr=3e-3)
    maker = chooser(texts_of_runs(small_lexicon.folder), options, composer_alone=True)
    drawn = torch.get_rng_state()
    manifest = extend_model(model, small_lexicon.folder, tmp_path / "out", OPTIONS, init=maker)
    assert torch.equal(torch.get_rng_state(), drawn), "what is drawn elsewhere decides nothing, and the other way round"
    extend_model(model, small_lexicon.folder, tmp_path / "weighted", OPTIONS, init="weighted")
    assert manifest.recipe["init"] == "composer"
    (probe,) = manifest.facts["init"]["probes"]
    assert probe["after"] < probe["before"]
    ids = pl.read_parquet(tmp_path / "out" / DELTA)["id"].to_numpy()
    made, begun = (Checkpoint.open(tmp_path / name).input.read(ids) for name in ("out", "weighted"))
    assert (made != begun).any(dim=1).all(), "the composer moves every row"
    stock = Checkpoint.open(model)
    every = np.arange(151_936)
    assert torch.equal(stock.input.read(every), Checkpoint.open(tmp_path / "out").input.read(every))


def test_rows_for_symbol_text_are_made_of_words(model: Path, vault_lexicon: Lexicon, tmp_path: Path) -> None:
    """Each row from the text that its unit stands for, cut by the stock tokenizer, and from nothing else."""
    options = ExtendOptions(rows=300, text="symbols")
    extend_model(model, vault_lexicon.folder, tmp_path / "out", options, init="weighted")
    delta = pl.read_parquet(tmp_path / "out" / DELTA).filter(pl.col("surface").is_not_null())
    stock, plain = Tokenizer.from_file(str(model / "tokenizer.json")), Checkpoint.open(model)
    rows = Checkpoint.open(tmp_path / "out").input.read(delta["id"].to_numpy()).to(torch.float32)
    assert len(rows) > 100
    pieces = 0
    for surface, row in zip(delta["surface"], rows, strict=True):
        ids = stock.encode(surface, add_special_tokens=False).ids
        ends = [0, *(len(stock.decode(ids[:number]).rstrip("\ufffd")) for number in range(1, len(ids) + 1))]
        sizes = torch.tensor(ends, dtype=torch.float32).diff()
        assert ends[-1] == len(surface)
        expected = (sizes / len(surface)) @ plain.input.read(np.array(ids)).to(torch.float32)
        torch.testing.assert_close(row, expected)
        pieces += len(ids)
    assert pieces > 1.5 * len(rows)


def test_probes_read_symbol_text(model: Path, vault_lexicon: Lexicon, tmp_path: Path) -> None:
    """Bits per character of the text that was written: few characters of symbols stand for many."""
    options = ExtendOptions(rows=300, text="symbols")
    probe = ProbeOptions(steps=2, composer_steps=2, batch=2, context=16, held_out=8)
    manifest = extend_model(
        model, vault_lexicon.folder, tmp_path / "out", options,
        init=chooser(texts_of_runs(vault_lexicon.folder), probe),
    )  # fmt: skip
    probes = manifest.facts["init"]["probes"]
    assert {probe["name"] for probe in probes} == {"mean", "weighted", "mix", "composition", "composer"}
    # An untrained model says nothing: log2(152,000) = 17 bits a token, and a token is two to four characters of text.
    assert all(4 < probe["before"] < 9 for probe in probes)


def reading(small_stock: Path) -> Any:
    """What `_blocks` looks at of a `Making`: for a tokenizer of 603 tokens."""
    return SimpleNamespace(folder=small_stock, checkpoint=SimpleNamespace(folder=small_stock))


def test_short_records_and_one_long_document_are_enough_for_probes(small_stock: Path) -> None:
    """Both have far more text than probes need; cut document by document they give no block, or 32."""
    options, making = ProbeOptions(context=16, batch=2, composer_steps=4, steps=4), reading(small_stock)
    tokenizer = Tokenizer.from_file(str(small_stock / "tokenizer.json"))
    end = tokenizer.token_to_id("<|end|>")
    short = _blocks(making, ["Печень и кровь."] * 200, options)
    assert len(short.held_out) == options.held_out
    assert len(short.train) >= options.batch
    assert end in short.train[0]
    decoded = [tokenizer.decode([one for one in ids[1:] if one != end]) for ids in short.held_out.tolist()]
    assert short.characters == sum(map(len, decoded)), "the mark of an end is no text"
    long = _blocks(making, [" ".join(str(number) for number in range(3000))], options)
    assert len(long.train) >= options.batch
    assert len({tuple(ids) for ids in [*long.train.tolist(), *long.held_out.tolist()]}) == len(long.train) + 48


def test_blocks_of_enough_documents_are_those_of_each_alone(small_stock: Path) -> None:
    options, making = ProbeOptions(context=16, batch=2, composer_steps=4, steps=4), reading(small_stock)
    tokenizer = Tokenizer.from_file(str(small_stock / "tokenizer.json"))
    texts = [f"{number} " * 20 for number in range(100, 200)]
    expected = set()
    for text in texts:
        ids = tokenizer.encode(text).ids
        expected |= {tuple(ids[first : first + 17]) for first in range(0, len(ids) - 16, 17)}
    found = _blocks(making, texts, options)
    assert {tuple(ids) for ids in [*found.train.tolist(), *found.held_out.tolist()]} <= expected


def test_what_a_tokenizer_is_told_of_batches_does_not_touch_probes(small_stock: Path, tmp_path: Path) -> None:
    options, texts = ProbeOptions(context=16, batch=2, composer_steps=4, steps=4), ["Печень и кровь. " * 900]
    folder = shutil.copytree(small_stock, tmp_path / "stock")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(64)
    tokenizer.enable_padding(direction="left", length=64)
    tokenizer.save(str(folder / "tokenizer.json"))
    found, expected = (_blocks(reading(one), texts, options) for one in (folder, small_stock))
    assert torch.equal(found.train, expected.train)
    assert torch.equal(found.held_out, expected.held_out)


def test_too_little_text_for_probes(model: Path, small_lexicon: Lexicon, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="need 56; give more text, or name a strategy"):
        extend_model(model, small_lexicon.folder, tmp_path / "out", OPTIONS, init=chooser(["Мало текста."]))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("alone", [False, True])
def test_probes_that_do_not_fit_are_refused_before_rows_are_made(
    alone: bool, model: Path, small_lexicon: Lexicon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hypertok.model.memory.memory_of_machine", lambda: 1 << 20)
    monkeypatch.setattr("hypertok.training.probe.initialise", None)
    maker = chooser(texts_of_runs(small_lexicon.folder), composer_alone=alone)
    with pytest.raises(InputError, match=r"^the probes of init auto, .* rows of strategies .*; name a strategy"):
        extend_model(model, small_lexicon.folder, tmp_path / "out", OPTIONS, init=maker)
    assert not (tmp_path / "out").exists()


def test_command(model: Path, small_lexicon: Lexicon, tmp_path: Path) -> None:
    arguments = ["extend", str(model), str(small_lexicon.folder), "--rows", "40", "--general", "0", "--json"]
    done = CliRunner().invoke(app, [*arguments, "-o", str(tmp_path / "whole")])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["recipe"]["init"] == "weighted"
    alone = CliRunner().invoke(app, [*arguments, "--init", "none", "-o", str(tmp_path / "alone")])
    assert alone.exit_code == 0, alone.output
    manifest = open_checked(tmp_path / "alone", KIND)
    assert "model.safetensors" not in manifest.files


def test_auto_prints_the_table_that_it_decided_from(
    model: Path, small_lexicon: Lexicon, small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = ProbeOptions(steps=2, composer_steps=3, batch=2, context=16, held_out=8)
    monkeypatch.setattr("hypertok.training.probe.ProbeOptions", lambda: quick)
    command = ["extend", str(model), str(small_lexicon.folder), "--rows", "40", "--general", "0", "--init", "auto"]
    done = CliRunner().invoke(app, [*command, "--data", str(small_corpus), "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    facts = open_checked(tmp_path / "out", KIND)
    probes = facts.facts["init"]["probes"]
    printed = [re.findall(r"[\w.]+", line) for line in done.stdout.splitlines() if re.search(r"\d\.\d{4}", line)]
    assert printed == [
        [one["name"], f"{one['before']:.4f}", f"{one['after']:.4f}", str(one["steps"])] for one in probes
    ]
    assert {one["name"] for one in probes} == {"mean", "weighted", "mix", "composition", "composer"}
    best = min(probes[:5], key=lambda probe: probe["after"])["name"]
    assert f"new rows: {best}" in done.stdout
    assert facts.recipe["init"] == best


@pytest.mark.parametrize(
    ("init", "message"),
    [
        (("best",), r"best: no such strategy; choose one of mean, .*composition, auto, composer, none"),
        (("asymmetric",), "asymmetric: the model is tied"),
        (("auto", "--data", "nowhere"), "--data nowhere: no such folder or file"),
    ],
)
def test_a_wrong_init_is_said_before_units_are_learned(
    model: Path, small_lexicon: Lexicon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, init: list[str], message: str
) -> None:
    monkeypatch.setattr("hypertok.tokenizer.extend.learn_units", None)
    command = ["extend", str(model), str(small_lexicon.folder), "-o", str(tmp_path / "out"), "--init", *init]
    wrong = CliRunner().invoke(app, command)
    assert isinstance(wrong.exception, InputError)
    assert re.search(message, str(wrong.exception))


def test_a_tokenizer_of_another_model_is_refused(model: Path, small_lexicon: Lexicon, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    for path in model.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "tokenizer.json").write_bytes((stock_folder("gemma3") / "tokenizer.json").read_bytes())
    with pytest.raises(InputError, match="do not belong together"):
        extend_model(folder, small_lexicon.folder, tmp_path / "out", OPTIONS)
