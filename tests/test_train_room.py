"""The room that training and merging need: what is counted, and what is refused before it begins."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("peft")

from safetensors.torch import load_file, save_file
from things import seal_again
from trained_models import QUICK, number_of_units
from transformers import TrainerCallback

from hypertok.artifact import read_manifest
from hypertok.errors import InputError
from hypertok.model.config import TRAINED
from hypertok.model.merge import merge
from hypertok.model.pair import Pair
from hypertok.training.checks import Needs, check_room, checkpoints, estimate
from hypertok.training.options import LoraOptions
from hypertok.training.train import train
from hypertok.training.work_folder import written


def test_a_second_copy_of_a_tied_matrix_is_not_counted(model: Path, tmp_path: Path) -> None:
    before = estimate(Pair.open(model), QUICK)
    copied = shutil.copytree(model, tmp_path / "copied")
    tensors = load_file(copied / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors, copied / "model.safetensors", metadata={"format": "pt"})
    seal_again(copied)
    assert Pair.open(copied).checkpoint.copy is not None
    assert estimate(Pair.open(copied), QUICK) == before


def test_memory_and_disk_are_looked_at_first(model: Path, small_corpus: Path, tmp_path: Path) -> None:
    pair = Pair.open(model)
    needs = estimate(pair, QUICK)
    numbers = sum(tensor.numel() for tensor in load_file(model / "model.safetensors").values())
    new = number_of_units(model) * 32
    assert needs.weights == 4 * (numbers - new), "new rows are no part of the frozen model"
    flat = estimate(pair, QUICK.model_copy(update={"rows": "flat"}))
    assert flat.rows == 18 * new
    assert needs.rows == 44 * new
    assert 0 < needs.adapter < needs.weights
    assert estimate(pair, QUICK.model_copy(update={"recompute": True})).activations < needs.activations
    assert estimate(pair, QUICK, cpu=True).memory > needs.memory, "the program itself"
    check_room(needs, tmp_path / "run", cpu=True)
    with pytest.raises(InputError, match=r"^training needs about .*activations .* GiB.*--set recompute=true"):
        train(model, small_corpus, tmp_path / "run", QUICK.model_copy(update={"batch": 1 << 30}))
    much = Needs(0, 0, 0, 0, 0, checkpoint=1 << 60, result=0)
    with pytest.raises(InputError, match=r"of disk .* free; write to another disk"):
        check_room(much, tmp_path / "a" / "b", cpu=True)
    check_room(much, tmp_path / "a" / "b", cpu=True, written=1 << 60)
    with pytest.raises(InputError, match=r"of disk .* free; write to another disk"):
        check_room(much, tmp_path / "a" / "b", cpu=True, written=1 << 60, checkpoints=2)
    assert written(tmp_path / "nothing") == 0
    some = QUICK.model_copy(update={"lora": LoraOptions(r=4, targets=("q_proj", "v_proj"))})
    assert estimate(pair, some).adapter == 16 * 4 * 2 * ((32 + 32) + (16 + 32)), "two layers' queries and values"


def test_a_run_that_is_done_needs_no_room(
    model: Path, small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = QUICK.model_copy(update={"characters": 200})
    train(model, small_corpus, tmp_path / "run", short)
    monkeypatch.setattr("hypertok.training.train.check_room", None)
    train(model, small_corpus, tmp_path / "run", short, resume=True)


def test_spread_weights_need_less_of_each_device(model: Path) -> None:
    """Rows and their gradient lie whole in each for a time; what the optimizer keeps never does."""
    whole, half = (estimate(Pair.open(model), QUICK, spread) for spread in (1, 2))
    assert (half.weights, half.adapter) == (whole.weights // 2, whole.adapter // 2)
    assert whole.rows - half.rows == 4 * number_of_units(model) * 32


def test_as_many_checkpoints_as_lie_there_need_room(model: Path, small_corpus: Path, tmp_path: Path) -> None:
    """Counted, in steps of two blocks twice, and seen in a run."""
    often = QUICK.model_copy(update={"save_every": 3, "keep": 2})
    assert [checkpoints(often, blocks) for blocks in (1, 12, 13, 25, 1000)] == [1, 3, 3, 3, 3]
    assert checkpoints(often, 25, ranks=2) == 2
    seen = [0]

    class Look(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            folders = list((tmp_path / "run.work").glob("checkpoint-*"))
            seen.append(len(folders))
            for folder in folders:
                os.utime(folder, (4e9, 4e9))  # the clock went back since

    train(model, small_corpus, tmp_path / "run", often, callbacks=[Look()])
    assert max(seen) == often.keep
    needs = estimate(Pair.open(model), often)
    trained = read_manifest(tmp_path / "run", TRAINED).facts["trained"]
    assert needs.checkpoint == pytest.approx(12 * trained, rel=0.3)
    written = sum(path.stat().st_size for path in (tmp_path / "run").glob("*.safetensors"))
    assert needs.result == pytest.approx(written, rel=0.3)


def test_no_other_type_is_merged_to(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="dtype bf16: no such type; give one of float32, bfloat16, auto"):
        merge(tmp_path / "run", tmp_path / "merged", dtype="bf16")


def test_a_merge_that_does_not_fit_is_refused(
    model: Path, small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(model, small_corpus, tmp_path / "run", QUICK.model_copy(update={"characters": 200}))
    size = (model / "model.safetensors").stat().st_size
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=size - 5_000))
    with pytest.raises(InputError, match=r"merged: the merged model needs .* GiB of disk there and"):
        merge(tmp_path / "run", tmp_path / "merged")
    with monkeypatch.context() as patched:
        patched.setattr("hypertok.model.memory.memory_of_machine", lambda: size - 5_000)
        patched.setattr(Pair, "load", None)
        with pytest.raises(InputError, match=r"^merging needs .* \(the model .* GiB, new rows .*merge in another type"):
            merge(tmp_path / "run", tmp_path / "merged")
    merge(tmp_path / "run", tmp_path / "merged", dtype="bfloat16")
    assert (tmp_path / "merged" / "model.safetensors").stat().st_size < size - 5_000
