"""A run begun again: checkpoints by the clock, what is said first, what is refused, a model made again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("peft")

from things import seal_again
from trained_models import QUICK, Interrupt, same_weights, steps
from transformers import TrainerCallback

from hypertok.artifact import read_manifest
from hypertok.errors import ArtifactError
from hypertok.model.config import TRAINED
from hypertok.model.pair import Pair
from hypertok.model.trained import open_trained
from hypertok.training import callbacks
from hypertok.training.callbacks import Schedule
from hypertok.training.checks import checkpoints
from hypertok.training.train import train

SELDOM = QUICK.model_copy(update={"epochs": 2, "save_every": 100})
SHORT = QUICK.model_copy(update={"characters": 200})


class SlowSteps(TrainerCallback):
    """A clock that goes on by 400 seconds in each step; notes after which steps checkpoints are written."""

    def __init__(self) -> None:
        self.now = 0.0
        self.saved: list[int] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.now += 400.0

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.saved.append(state.global_step)


def test_slow_steps_are_saved_by_the_clock_and_resumed_to_the_same_bits(
    model: Path, small_corpus: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, clock, total = tmp_path / "run", SlowSteps(), len(steps(whole))
    monkeypatch.setattr(callbacks, "time", SimpleNamespace(monotonic=lambda: clock.now))
    with pytest.raises(KeyboardInterrupt):
        train(model, small_corpus, output, SELDOM, callbacks=[clock, Interrupt(5)])
    assert clock.saved == [3], "after more than 15 minutes"
    train(model, small_corpus, output, SELDOM, resume=True, callbacks=[clock])
    assert clock.saved == [*range(3, total, 3), total]
    assert same_weights(output, whole)


def test_quick_steps_are_saved_as_told_alone(
    model: Path, small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SlowSteps()
    monkeypatch.setattr(callbacks, "time", SimpleNamespace(monotonic=lambda: clock.now / 100))
    done = train(model, small_corpus, tmp_path / "run", SELDOM, callbacks=[clock])
    assert clock.saved == [done.manifest.facts["steps"]]


@pytest.mark.parametrize("processes", [1, 2])
def test_clocks_of_several_processes_save_nothing(processes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would not agree on the step, and all of them have to come to a checkpoint."""
    now = [0.0]
    monkeypatch.setattr(callbacks, "time", SimpleNamespace(monotonic=lambda: now[0]))
    schedule, control = Schedule(evaluates=False), SimpleNamespace(should_save=False)
    now[0] = callbacks.SAVE_SECONDS + 1
    state = SimpleNamespace(global_step=1, max_steps=10)
    schedule.on_step_end(SimpleNamespace(world_size=processes), state, control)
    assert control.should_save == (processes == 1)


def test_room_is_wanted_for_checkpoints_that_the_clock_may_make() -> None:
    """Steps of two blocks twice."""
    assert [checkpoints(SELDOM, blocks) for blocks in (1, 8, 12, 1000)] == [1, 2, 3, 3]
    assert checkpoints(SELDOM, 1000, ranks=2) == 2


def test_the_first_line_says_how_much_and_from_where(
    model: Path, small_corpus: Path, whole: Path, tmp_path: Path
) -> None:
    output, total, told = tmp_path / "run", len(steps(whole)), list[str]()
    options = SELDOM.model_copy(update={"save_every": 4})
    rest = f"2,000 characters; checkpoints and log.jsonl in {tmp_path / 'run.work'}"
    for step, resume in ((3, False), (5, True)):
        with pytest.raises(KeyboardInterrupt):
            train(
                model, small_corpus, output, options, resume=resume, tell=told.append, callbacks=[Interrupt(step)]
            )  # fmt: skip
    train(model, small_corpus, output, options, resume=True, tell=told.append)
    assert told == [
        f"{total} steps, {rest}",
        f"no checkpoint to go on from, so it begins anew: {total} steps, {rest}",
        f"going on from step 4 of {total}, {rest}",
    ]
    train(model, small_corpus, output, options, resume=True, tell=told.append)
    assert len(told) == 3, "a run that is done"
    lines = (output / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["of"] for line in lines} == {total}


def test_what_is_trained_is_not_replaced_unasked(model: Path, small_corpus: Path, tmp_path: Path) -> None:
    done = train(model, small_corpus, tmp_path / "run", SHORT)
    with pytest.raises(ArtifactError, match=r"run: is trained already; resume \(--resume\) leaves it .* or remove"):
        train(model, small_corpus, tmp_path / "run", QUICK)
    assert train(model, small_corpus, tmp_path / "run", SHORT, resume=True) == done


def test_a_run_whose_texts_were_changed_says_so(model: Path, small_corpus: Path, tmp_path: Path) -> None:
    texts = shutil.copytree(small_corpus, tmp_path / "texts")
    with pytest.raises(KeyboardInterrupt):
        train(model, texts, tmp_path / "run", QUICK, callbacks=[Interrupt(3)])
    for path in texts.iterdir():
        path.write_text("Ещё одна строка. " + path.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(
        ArtifactError, match=r"run\.work: .*the texts of --data are not those .*train on a copy .*put them back, or rem"
    ):
        train(model, texts, tmp_path / "run", QUICK, resume=True)


def test_a_model_made_again_with_the_same_files_is_the_same(model: Path, small_corpus: Path, tmp_path: Path) -> None:
    """Its manifest tells the versions that made it; what was trained on it belongs to its files."""
    again = shutil.copytree(model, tmp_path / "model")
    done = train(again, small_corpus, tmp_path / "run", SHORT)
    before = Pair.open(again)
    seal_again(again, versions={"hypertok": "99.0"})
    assert Pair.open(again).sha256 != before.sha256
    assert open_trained(tmp_path / "run")[0] == done.manifest
    assert train(again, small_corpus, tmp_path / "run", SHORT, resume=True) == done
    older = {role: sha for role, sha in done.manifest.parents.items() if role != "model_files"}
    seal_again(tmp_path / "run", parents=older)
    with pytest.raises(ArtifactError, match="not the model that"):
        open_trained(tmp_path / "run")
    seal_again(tmp_path / "run", parents=older | {"model": Pair.open(again).sha256})
    assert train(again, small_corpus, tmp_path / "run", SHORT, resume=True).manifest.parents.keys() == older.keys()


def test_a_model_with_other_files_is_another(model: Path, small_corpus: Path, tmp_path: Path) -> None:
    again = shutil.copytree(model, tmp_path / "model")
    train(again, small_corpus, tmp_path / "run", SHORT)
    path = again / "config.json"
    path.write_bytes(path.read_bytes() + b"\n")
    seal_again(again)
    with pytest.raises(ArtifactError, match="not the model that"):
        open_trained(tmp_path / "run")
    assert "model_files" in read_manifest(tmp_path / "run", TRAINED).parents
