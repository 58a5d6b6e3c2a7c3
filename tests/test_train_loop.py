"""The loop: when it saves and looks at held-out text, what it reports and prints, which layers get an adapter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("peft")

import torch
from extended_models import MODELS
from trained_models import FULL, QUICK, Interrupt, held_out, same_weights, steps
from transformers import TrainerCallback

from hypertok.errors import InputError
from hypertok.training.adapter import add_adapter
from hypertok.training.loss import IGNORED, LossModel
from hypertok.training.options import LoraOptions
from hypertok.training.train import train
from hypertok.training.trainer import RowsTrainer, _batches


def test_a_resumed_run_saves_and_looks_as_it_is_told_now(
    model: Path, small_corpus: Path, whole: Path, tmp_path: Path
) -> None:
    """A checkpoint's state has the steps of the start that it is of."""
    options, held = QUICK.model_copy(update={"epochs": 2}), held_out(tmp_path)
    output, total = tmp_path / "run", len(steps(whole))
    with pytest.raises(KeyboardInterrupt):
        train(model, small_corpus, output, options, held_out=held, callbacks=[Interrupt(5)])
    now = options.model_copy(update={"save_every": 3, "log_every": 2, "evaluate_every": 5})
    seen: set[str] = set()

    class Look(TrainerCallback):
        def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            seen.add(f"saved {state.global_step}")

        def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            seen.add(f"judged {state.global_step}")

    train(model, small_corpus, output, now, held_out=held, resume=True, callbacks=[Look()])
    assert same_weights(output, whole)
    after = range(5, total + 1)
    assert seen == {f"saved {one}" for one in after if one % 3 == 0 or one == total} | {
        f"judged {one}" for one in after if one % 5 == 0 or one == total
    }
    assert [one for one in steps(output) if one > 4] == [one for one in after if one % 2 == 0 or one == total]


def test_the_loss_of_a_run_resumed_twice_is_that_of_all_its_steps(
    model: Path, small_corpus: Path, whole: Path, tmp_path: Path
) -> None:
    """The first line after a checkpoint is not of all steps since the line before, which may lie before it."""
    options, output = QUICK.model_copy(update={"epochs": 2, "save_every": 3, "log_every": 5}), tmp_path / "run"
    for step in (4, 7):
        with pytest.raises(KeyboardInterrupt):
            train(model, small_corpus, output, options, resume=True, callbacks=[Interrupt(step)])
    done = train(model, small_corpus, output, options, resume=True)
    lines = [json.loads(line) for line in (output / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(one["step"], one["steps"]) for one in lines if "loss" in one][:3] == [(1, 1), (5, 2), (10, 4)]
    seconds = [one["seconds"] for one in lines]
    assert seconds == sorted(seconds), "of all starts"
    each = [json.loads(line) for line in (whole / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    losses = {one["step"]: one["loss"] for one in each if "loss" in one}
    known = [loss for step, loss in losses.items() if step not in (2, 3, 6)]  # before a checkpoint, after the last line
    assert done.loss == pytest.approx(sum(known) / len(known))


def test_held_out_text_is_judged_once_at_the_end_and_stands_in_the_report(
    model: Path, small_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for number, every in enumerate((0, 3)):
        output = tmp_path / f"run{number}"
        options = QUICK.model_copy(update={"characters": 400, "evaluate_every": every, "report_to": "tensorboard"})
        done = train(model, small_corpus, output, options, held_out=held_out(tmp_path), progress=True)
        last = done.manifest.facts["steps"]
        lines = [json.loads(line) for line in (output / "log.jsonl").read_text(encoding="utf-8").splitlines()]
        judged = [line["step"] for line in lines if "eval_bpc" in line]
        assert judged == [*(range(every, last, every) if every else ()), last]
        report = EventAccumulator(str(output.with_name(f"{output.name}.tensorboard"))).Reload()
        assert [one.step for one in report.Scalars("eval/bpc")] == judged
        assert report.Scalars("eval/bpc")[-1].value == pytest.approx(done.eval_bpc)
    told = capsys.readouterr()
    assert not told.out, "there goes what --json prints"
    assert f"{last}/{last}" in told.err, "the bar"


@pytest.mark.parametrize("targets", [(), ("q_proj", "fc1")])
def test_layers_that_text_never_reaches_get_no_adapter(targets: tuple[str, ...]) -> None:
    """A gradient that never comes stops several devices, which wait for it."""
    model = MODELS["gemma3 images"]()
    assert any("vision" in name for name, part in model.named_modules() if isinstance(part, torch.nn.Linear))
    wrapped = LossModel(add_adapter(model.requires_grad_(False), LoraOptions(r=2, targets=targets)))
    ids = torch.tensor([[3, 4, 5, 6]])
    wrapped(ids[:, :-1], ids[:, 1:])["loss"].backward()
    trained = {name: p.grad is not None for name, p in wrapped.named_parameters() if p.requires_grad}
    assert len(trained) == 2 * 2 * (len(targets) // 2 or 7), "two layers of text, two matrices each"
    assert all(trained.values())


def test_experts_are_named_as_in_files() -> None:
    """transformers 5 holds those of a layer in two tensors; the usual list of targets is of the names before."""
    attention, experts = ("q_proj", "k_proj", "v_proj", "o_proj"), ("gate_proj", "up_proj", "down_proj")

    def adapted(*targets: str) -> Any:
        return add_adapter(MODELS["qwen3-moe"]().requires_grad_(False), LoraOptions(r=2, targets=targets))

    wrapped = LossModel(adapted(*attention, *experts))
    ids = torch.tensor([[3, 4, 5, 6]])
    wrapped(ids[:, :-1], ids[:, 1:])["loss"].backward()
    trained = {name: p.grad is not None for name, p in wrapped.named_parameters() if p.requires_grad}
    assert len(trained) == 2 * 2 * (len(attention) + 2), "two layers, two matrices each"
    assert sum(".experts." in name for name in trained) == 2 * 2 * 2
    assert all(trained.values())
    with pytest.raises(InputError, match="gate_proj without also targeting up_proj"):
        adapted("q_proj", "gate_proj")
    for targets in (("nonsense",), ("nonsense", *attention), ("nonsense", *experts), ("lm_head",)):
        with pytest.raises(InputError, match=targets[0]):
            adapted(*targets)


def test_a_full_gpu_is_told_with_what_helps(
    model: Path, small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: Any) -> None:
        raise torch.OutOfMemoryError(FULL)

    why = (
        r"the GPU is full \(CUDA out of memory\. Tried to allocate 20\.00 MiB\. GPU 0 has 8 MiB free\); free it .* "
        r"\(with --resume, if .*run\.work is there\), or lower batch .* new rows \(and remove .*run\.work first\)$"
    )
    with monkeypatch.context() as patch:
        patch.setattr(RowsTrainer, "training_step", full)
        with pytest.raises(InputError, match=why):
            train(model, small_corpus, tmp_path / "run", QUICK)
    train(model, small_corpus, tmp_path / "run", QUICK, resume=True)
    monkeypatch.setattr(RowsTrainer, "__init__", full)  # takes the model to its device
    with pytest.raises(InputError, match=why):
        train(model, small_corpus, tmp_path / "other-run", QUICK)


@pytest.mark.parametrize("number", [3, 5, 8])
def test_processes_evaluate_as_many_batches_and_each_block_once(number: int) -> None:
    blocks: Any = [{"labels": torch.tensor([n])} for n in range(number)]
    parts = [list(_batches(blocks, 2, rank, 2)) for rank in range(2)]
    assert len(parts[0]) == len(parts[1])
    seen = [label for part in parts for batch in part for label in batch["labels"].flatten().tolist()]
    assert sorted(label for label in seen if label != IGNORED) == list(range(number))
