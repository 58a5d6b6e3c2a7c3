"""Training that broke off and goes on: to the same bits, in every arithmetic, with rows of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("peft")

from safetensors.torch import load_file
from trained_models import QUICK, WRITTEN, Interrupt, model_folder, same_weights, steps

from hypertok.artifact import read_manifest
from hypertok.errors import ArtifactError
from hypertok.model.config import TRAINED
from hypertok.training.checkpoints import last_checkpoint
from hypertok.training.options import LoraOptions
from hypertok.training.train import train


@pytest.mark.parametrize("step", [5, 9])
def test_a_resumed_run_gives_the_same_bits(
    model: Path, small_corpus: Path, whole: Path, tmp_path: Path, step: int
) -> None:
    options = QUICK.model_copy(update={"epochs": 2})
    output = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(model, small_corpus, output, options, callbacks=[Interrupt(step)])
    assert not output.exists()
    with pytest.raises(ArtifactError, match="--resume"):
        train(model, small_corpus, output, options)
    done = train(model, small_corpus, output, options, resume=True)
    assert same_weights(output, whole)
    assert steps(output) == steps(whole)
    assert not (tmp_path / "run.work").exists()
    assert done.loss == pytest.approx(read_manifest(whole, TRAINED).facts["loss"]), "of all steps"


def test_a_run_that_is_done_stays_as_it_is(model: Path, small_corpus: Path, tmp_path: Path) -> None:
    done = train(model, small_corpus, tmp_path / "run", QUICK, resume=True)
    before = (tmp_path / "run" / "manifest.json").stat()
    (tmp_path / ".run.work.gone").mkdir()  # as a kill at the very end leaves it
    assert train(model, small_corpus, tmp_path / "run", QUICK, resume=True) == done
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert (tmp_path / "run" / "manifest.json").stat() == before
    other = train(model, small_corpus, tmp_path / "run", QUICK.model_copy(update={"seed": 5}), resume=True)
    assert other.manifest.recipe["options"]["seed"] == 5, "another run is made in its place"


@pytest.mark.parametrize(
    "changes", [{"dtype": "bfloat16"}, {"lora": LoraOptions(r=4, dora=True)}], ids=["bf16", "dora"]
)
def test_a_resumed_run_gives_the_same_bits_in_every_arithmetic(
    changes: dict[str, Any], model: Path, small_corpus: Path, tmp_path: Path
) -> None:
    options = QUICK.model_copy(update=changes)
    train(model, small_corpus, tmp_path / "whole", options)
    with pytest.raises(KeyboardInterrupt):
        train(model, small_corpus, tmp_path / "run", options, callbacks=[Interrupt(5)])
    train(model, small_corpus, tmp_path / "run", options, resume=True)
    assert same_weights(tmp_path / "run", tmp_path / "whole")
    adapter = load_file(tmp_path / "run" / "adapter_model.safetensors")
    assert any("magnitude" in name for name in adapter) == ("lora" in changes)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("rows", ["flat", "factored"])
def test_rows_of_every_kind_resume_and_are_written_flat(
    sound_extension: Path, small_corpus: Path, tmp_path: Path, rows: str, tied: bool
) -> None:
    folder = model_folder(sound_extension, tmp_path / "model", tied=tied)
    options = QUICK.model_copy(update={"rows": rows})
    train(folder, small_corpus, tmp_path / "whole", options)
    with pytest.raises(KeyboardInterrupt):
        train(folder, small_corpus, tmp_path / "run", options, callbacks=[Interrupt(5)])
    train(folder, small_corpus, tmp_path / "run", options, resume=True)
    assert same_weights(tmp_path / "run", tmp_path / "whole")
    written = load_file(tmp_path / "run" / "new_rows.safetensors")
    assert set(written) == {"ids", "input"} | (set() if tied else {"output"})
    assert set(read_manifest(tmp_path / "run", TRAINED).files) == WRITTEN


def test_a_checkpoint_that_was_not_finished_is_not_used(
    model: Path, small_corpus: Path, whole: Path, tmp_path: Path
) -> None:
    options = QUICK.model_copy(update={"epochs": 2})
    output, work = tmp_path / "run", tmp_path / "run.work"
    with pytest.raises(KeyboardInterrupt):
        train(model, small_corpus, output, options, callbacks=[Interrupt(7)])
    newest = last_checkpoint(work)
    assert newest is not None
    assert newest.name == "checkpoint-6"
    (newest / "complete").unlink()
    (newest / "optimizer.pt").write_bytes(b"half")
    train(model, small_corpus, output, options, resume=True)
    assert same_weights(output, whole)
