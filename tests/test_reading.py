"""Units that are only read: what follows them is predicted as after the same text in stock tokens."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("peft")

import torch
from conftest import SENTENCES
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from tokenizers import Tokenizer
from trained_models import QUICK, READING, Interrupt, held_out, model_folder, steps
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner

from hypertok.artifact import read_manifest
from hypertok.cli.main import app
from hypertok.errors import InputError
from hypertok.measure.subject import load_subject
from hypertok.model.config import TRAINED
from hypertok.model.merge import merge
from hypertok.model.pair import Pair
from hypertok.model.split import HeadRows, split_rows
from hypertok.model.trained import attach
from hypertok.tokenizer.hyper import HyperTokenizer
from hypertok.tokenizer.stock import Stock
from hypertok.training import reading_loss
from hypertok.training.data import make_blocks, read_texts
from hypertok.training.loss import IGNORED
from hypertok.training.options import TrainOptions
from hypertok.training.reading import ReadingBlocks
from hypertok.training.reading_loss import ReadingModel
from hypertok.training.train import train


@pytest.fixture(scope="module")
def pair(model: Path) -> Pair:
    """That of the tiny model."""
    return Pair.open(model)


@pytest.fixture(scope="module")
def stock(small_stock: Path) -> Tokenizer:
    """The tokenizer that it extends."""
    return Stock.load(small_stock).tokenizer


@given(st.text() | st.sampled_from(SENTENCES.splitlines()))
def test_ids_spelled_are_those_of_the_stock_tokenizer(pair: Pair, stock: Tokenizer, text: str) -> None:
    ids = np.array(pair.plain.encode_batch([text])[0], np.int64)
    spelled, sizes = pair.spelling.spell(ids)
    assert isinstance(pair.tokenizer, HyperTokenizer)
    assert pair.tokenizer.stock_ids(ids.tolist()) == spelled.tolist()
    assert spelled.tolist() == stock.encode(text, add_special_tokens=False).ids
    assert sizes.sum() == len(spelled)
    assert pair.spelling.spell(ids, np.ones(len(ids), np.bool_))[0].tolist() == ids.tolist()


@pytest.mark.parametrize("context", [8, 24, 64])
def test_blocks_are_the_text_twice_and_predict_the_same_stock_tokens(
    pair: Pair, small_corpus: Path, context: int
) -> None:
    blocks = make_blocks(read_texts(small_corpus), pair, context, epochs=2, seed=3)
    readings = ReadingBlocks.of(blocks, pair.spelling, seed=3, fill=4)
    assert len(readings) % 4 == 0
    assert np.array_equal(np.sort(readings.order[: readings.blocks]), np.arange(readings.blocks))
    in_units = predicted = repeated = 0
    for index in range(len(readings)):
        item, number = readings[index], int(readings.order[index])
        ids, labels, stock_ids, stock_labels = item.values()
        wanted, other = labels[labels != IGNORED], stock_labels[stock_labels != IGNORED]
        assert torch.equal(wanted, other)
        piece = blocks.tokens[readings.begins[number] : readings.begins[number + 1]].astype(np.int64)
        if number < 0 or len(piece) == 1:
            assert not len(wanted)
            continue
        spelled = pair.spelling.spell(piece)[0].tolist()
        last = spelled[-1] if labels[-1] == IGNORED else int(labels[-1])
        whole = [*stock_ids.tolist(), last]  # this tokenizer puts nothing before a text
        if whole != spelled:
            repeated += 1
            half = len(whole) // 2
            assert whole[:half] == whole[half:] == wanted.tolist()
            assert whole[:half] in (spelled[:half], spelled[-half:])
        assert len(stock_ids) <= context
        as_stock = pair.spelling.spell(ids.numpy())[0].tolist()
        assert as_stock == whole[: len(as_stock)]
        for inputs, targets in ((ids, labels), (stock_ids, stock_labels)):
            follows = torch.cat([inputs[1:], torch.tensor([last])])
            assert torch.equal(targets[targets != IGNORED], follows[targets != IGNORED])
        assert not set(wanted.tolist()) & set(pair.new_ids), "units are never predicted"
        in_units += sum(one in pair.new_ids for one in ids.tolist())
        predicted += len(wanted)
    assert in_units > 20
    assert predicted > len(blocks.tokens) / 2
    assert 0.3 * len(readings) < repeated < 0.7 * len(readings)
    assert (np.diff(readings.begins) > 0).all(), "no block is empty"
    assert readings.begins[0] == 0
    assert len(blocks.tokens) - readings.begins[-1] <= 1
    assert len(readings.begins) == readings.blocks + 1


@pytest.mark.parametrize("bos", [True, False])
def test_blocks_begin_with_what_stands_before_a_text_once(
    extended_folder: Callable[..., Path], small_corpus: Path, tmp_path: Path, bos: bool
) -> None:
    pair = Pair.open(model_folder(extended_folder("llama2"), tmp_path / "llama2"))
    assert pair.start == (1,)
    readings = ReadingBlocks.of(make_blocks(read_texts(small_corpus), pair, 24, seed=3, bos=bos), pair.spelling, seed=3)
    begun = []
    for index in range(len(readings)):
        item = readings[index]
        assert len(item["stock_ids"]) <= 24
        for ids, labels in ((item["input_ids"], item["labels"]), (item["stock_ids"], item["stock_labels"])):
            assert len(ids) == len(labels)
            begun.append(ids[:2].tolist())
    if bos:
        assert all(one[0] == 1 and one[1:] != [1] for one in begun)
    else:
        assert any(one[0] != 1 for one in begun)


def test_stretches_hang_on_the_seed_and_the_epoch(pair: Pair, small_corpus: Path) -> None:
    def made(seed: int) -> list[list[int]]:
        blocks = make_blocks(read_texts(small_corpus), pair, 24, epochs=2, seed=seed)
        readings = ReadingBlocks.of(blocks, pair.spelling, seed=seed)
        found = {
            (int(n), at >= readings.blocks): readings[at]["labels"].tolist() for at, n in enumerate(readings.order)
        }
        return [found[key] for key in sorted(found)]

    one, again, other = made(1), made(1), made(2)
    assert one == again
    assert one != other
    assert one[::2] != one[1::2], "a second epoch reads other stretches"


@pytest.mark.parametrize("softcap", [None, 3.0])
@pytest.mark.parametrize("multiplier", [1.0, 0.25])
@pytest.mark.parametrize("held", [1, 500, 1 << 20])
def test_divergence_and_its_gradient(
    softcap: float | None, multiplier: float, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_loss, "_ELEMENTS", held)
    torch.manual_seed(0)
    hidden, taught, stock = torch.randn(17, 16, requires_grad=True), torch.randn(17, 16), torch.randn(90, 16)
    head = HeadRows(stock, None, None, softcap, multiplier)

    def log_odds(states: torch.Tensor) -> torch.Tensor:
        logits = states @ stock.T * multiplier
        return (logits if softcap is None else torch.tanh(logits / softcap) * softcap).log_softmax(1)

    wanted = torch.nn.functional.kl_div(log_odds(hidden), log_odds(taught), log_target=True, reduction="sum")
    found = reading_loss.Divergence.apply(hidden, taught, head)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    (expected,) = torch.autograd.grad(wanted * 0.7, hidden)
    torch.testing.assert_close(torch.autograd.grad(found * 0.7, hidden)[0], expected, rtol=1e-5, atol=1e-5)
    assert float(reading_loss.Divergence.apply(taught, taught, head)) == pytest.approx(0, abs=1e-5)


def divergence(live: Any, pair: Pair, corpus: Path) -> float:
    """Of all that a corpus has, judged with the whole head."""
    blocks = make_blocks(read_texts(corpus), pair, 24)
    items = [item for item in ReadingBlocks.of(blocks, pair.spelling, seed=None) if len(item["input_ids"])]
    with torch.no_grad():
        told = [ReadingModel(live)(**{k: v[None] for k, v in item.items()}, num_items_in_batch=1) for item in items]
    return sum(float(one["loss"]) for one in told) / sum(int((item["labels"] != IGNORED).sum()) for item in items)


@pytest.mark.parametrize(("kind", "tied"), [("gemma3", True), ("llama", False), ("qwen3", True)])
def test_rows_learn_to_be_read_and_nothing_else_changes(
    sound_extension: Path, small_corpus: Path, tmp_path: Path, kind: str, tied: bool
) -> None:
    folder = model_folder(sound_extension, tmp_path / "model", kind, tied=tied)
    options = READING.model_copy(update={"epochs": 4, "cut_head": True, "rows_lr": 2e-2})
    done = train(folder, small_corpus, tmp_path / "run", options, held_out=held_out(tmp_path))
    pair = Pair.open(folder)
    begun = split_rows(pair.load("float32"), pair.new_ids)
    trained = attach(pair.load("float32"), done.folder)
    before, after = (divergence(live, pair, small_corpus) for live in (begun, trained))
    assert 0 < after < 0.9 * before
    assert done.eval_bpc is None, "a divergence is no bits"
    assert done.manifest.facts["eval_loss"] > 0
    assert not done.manifest.facts["adapter"]
    merge(tmp_path / "run", tmp_path / "merged")
    before, after = (load_file(one / "model.safetensors") for one in (folder, tmp_path / "merged"))
    new = sorted(Pair.open(folder).new_ids)
    for name, tensor in before.items():
        if name == "model.embed_tokens.weight":
            assert (after[name][new] != tensor[new]).any(dim=1).sum() > len(new) / 2
            kept = torch.ones(len(tensor), dtype=torch.bool)
            kept[new] = False
            assert torch.equal(after[name][kept], tensor[kept])
        else:
            assert torch.equal(after[name], tensor), f"{name}: all but the new input rows is frozen"


def test_a_resumed_run_gives_the_same_bits(model: Path, small_corpus: Path, read: Path, tmp_path: Path) -> None:
    options = READING.model_copy(update={"epochs": 4})
    with pytest.raises(KeyboardInterrupt):
        train(model, small_corpus, tmp_path / "run", options, callbacks=[Interrupt(5)])
    train(model, small_corpus, tmp_path / "run", options, resume=True)
    assert (tmp_path / "run" / "new_rows.safetensors").read_bytes() == (read / "new_rows.safetensors").read_bytes()
    assert steps(tmp_path / "run") == steps(read)


def test_a_merged_model_writes_no_unit_until_it_is_trained_to(
    only_read: Path, model: Path, small_corpus: Path, tmp_path: Path
) -> None:
    new = Pair.open(model).new_ids
    live = AutoModelForCausalLM.from_pretrained(only_read, dtype=torch.float32)
    assert tuple(live.generation_config.suppress_tokens) == new
    text = torch.tensor([Pair.open(model).plain.encode_batch(["Печень очищает кровь"])[0]])
    written = live.generate(text, max_new_tokens=40, do_sample=True, temperature=5.0, eos_token_id=600)[
        0, text.shape[1] :
    ]
    assert not set(written.tolist()) & set(new)
    train(only_read, small_corpus, tmp_path / "run", QUICK.model_copy(update={"characters": 300}))
    merge(tmp_path / "run", tmp_path / "writes")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "writes", dtype=torch.float32)
    assert again.generation_config.suppress_tokens is None
    assert not load_subject(tmp_path / "writes").coding.only_read


def test_the_command(model: Path, small_corpus: Path, tmp_path: Path) -> None:
    command = ["train", str(model), "--data", str(small_corpus), "-o", str(tmp_path / "run"), "--reading", "--json"]
    command += ["--characters", "400", "--context", "24", "--batch", "2", "--dtype", "float32", "--set", "device=cpu"]
    made = CliRunner().invoke(app, command)
    assert made.exit_code == 0, made.output
    options = json.loads(made.stdout)["recipe"]["options"]
    assert (options["reading"], options["rows_only"]) == (True, True)
    assert set(read_manifest(tmp_path / "run", TRAINED).files) == {"log.jsonl", "new_rows.safetensors", "seen.digests"}


def test_what_cannot_be_read_is_refused(model: Path, extended_folder: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match="set rows_only, too"):
        TrainOptions(reading=True)
    symbols = HyperTokenizer.from_pretrained(extended_folder("qwen3", "symbols"))
    with pytest.raises(InputError, match="which no stock tokens spell"):
        symbols.stock_ids(symbols.encode("Печень"))
    with pytest.raises(InputError, match="a stock model has no units"):
        _ = replace(Pair.open(model), tokenizer=Pair.open(model).plain).spelling
