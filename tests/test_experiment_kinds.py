"""The other kinds of experiment on a tiny model: ways to begin new rows, numbers of rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("peft")

from small_experiments import Inputs, definition

from hypertok.errors import ArtifactError
from hypertok.experiment import training
from hypertok.experiment.report import write_report
from hypertok.experiment.results import Results
from hypertok.experiment.run import Experiment
from hypertok.experiment.training import snapshot

#: Continued BPE, which is learned in no time.
INIT = """
kind = "init"
inits = ["mean", "weighted"]
steps = [2, 4, 5000]
seeds = [0]
[train]
rows = "flat"
rows_only = true
[measure]
parts = []
[arms.stock]
stock = true
[arms.bpe.tokenizer]
units = "bpe"
"""
NUMBERS = """
kind = "rows"
rows = [8, 24]
seeds = [0]
[measure]
parts = ["copy", "pairs"]
[arms.stock]
stock = true
[arms.bpe.tokenizer]
units = "bpe"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kinds") / "experiments"


@pytest.fixture(scope="module")
def init(inputs: Inputs, folder: Path) -> Results:
    return Experiment.from_toml(definition(folder, "init", INIT), inputs=inputs).run()


@pytest.fixture(scope="module")
def numbers(inputs: Inputs, folder: Path) -> Results:
    return Experiment.from_toml(definition(folder, "rows", NUMBERS), inputs=inputs).run()


def test_init_measures_every_strategy_on_the_way(init: Results) -> None:
    runs = {run.arm: run for run in init.runs}
    assert list(runs) == ["stock", "bpe-mean", "bpe-weighted"]
    assert runs["stock"].trained is None, "with the model frozen, stock has nothing to train"
    for arm in ("bpe-mean", "bpe-weighted"):
        run = runs[arm]
        assert run.trained is not None
        assert run.trained.parameters == 24 * 32, "the new rows alone"
        assert [at.step for at in run.steps] == [0, 2, 4]
        assert run.skipped == {"step 5000": f"its training ends after {run.trained.steps} steps"}
        assert run.steps[-1].characters == round(900 * 4 / run.trained.steps)
        figures = [at.quality.bits_per_character for at in run.steps] + [run.quality.bits_per_character]
        assert len(set(figures)) == 4
        assert figures[-1] < figures[0], "training helps"
    before = [runs[arm].steps[0].quality.bits_per_character for arm in ("bpe-mean", "bpe-weighted")]
    assert before[0] != before[1]
    text = write_report(init.folder).markdown.read_text(encoding="utf-8")
    assert "| bits per character | step 0 | step 2 | step 4 | end |" in text
    assert f"| bpe-mean | {before[0]:.4f} |" in text
    assert "| bpe-mean-characters-s0 | step 5000 | its training ends after " in text
    assert "one seed, so what another one would give is not known" in text


def test_rows_gives_compression_and_quality_for_each_number(numbers: Results) -> None:
    runs = {run.arm: run for run in numbers.runs}
    assert {arm: run.new_rows for arm, run in runs.items()} == {"stock": 0, "bpe-8": 8, "bpe-24": 24}
    dense = [run.quality.characters_per_token for run in runs.values()]
    assert dense == sorted(dense)
    assert len(set(dense)) == 3
    for run in numbers.runs:
        assert run.copied is not None
        assert run.copied.passages == 2
        assert run.pairs is not None
        assert run.predicted is None, "not asked for"
    page = write_report(numbers.folder).page.read_text(encoding="utf-8")
    assert "Pareto front" in page
    assert "copied exactly" in page


def test_a_run_that_was_killed_while_training_goes_on_to_the_same_figures(
    inputs: Inputs, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, killed = (stock_alone(folder / name, name, [3], inputs) for name in ("whole", "killed"))
    snapshots = training._snapshots

    def deadly(output: Path, steps: Sequence[int]) -> Any:
        callback = snapshots(output, steps)
        own = callback.on_step_end

        def on_step_end(args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            own(args, state, control, **kwargs)
            if state.global_step == 6:
                raise KeyboardInterrupt

        callback.on_step_end = on_step_end
        return callback

    monkeypatch.setattr(training, "_snapshots", deadly)
    with pytest.raises(KeyboardInterrupt):
        killed.run()
    assert Results.load(killed.output).missing == ("stock-characters-s0",)
    monkeypatch.undo()
    (one,), (other,) = killed.run().runs, whole.run().runs
    assert one.trained is not None
    assert one.trained.steps > 6
    assert (one.quality, one.steps) == (other.quality, other.steps)


def test_experiments_side_by_side_train_an_arm_once(inputs: Inputs, folder: Path) -> None:
    """Also one that wants snapshots which the first did not keep, and one that measures less."""
    alone = stock_alone(folder / "alone", "alone", [2, 5], inputs).run().runs[0]
    first, second, third = (
        stock_alone(folder / "beside", name, steps, inputs)
        for name, steps in (("first", [5]), ("second", [2, 5]), ("third", [2]))
    )
    assert first.run().runs[0].quality == alone.quality
    told: list[str] = []
    run = second.run(tell=told.append).runs[0]
    assert (run.quality, run.steps) == (alone.quality, alone.steps)
    assert [text for text in told if "steps again" in text] == ["stock: its first 2 steps again, for snapshots"]
    assert not any("training on" in text for text in told)
    told.clear()
    assert third.run(tell=told.append).runs[0].steps == alone.steps[:2]
    assert not any("training on" in text or "again" in text for text in told)
    less = stock_alone(folder / "beside", "less", [], inputs, measure="document_characters = 200").run(tell=told.append)
    assert less.runs[0].quality.characters == 600
    assert not any("training on" in text for text in told)
    assert sorted(path.name[16:] for path in (first.work / "trained").glob("[!.]*")) == ["", "-at-2", "-at-5"]


def test_what_lacks_of_a_trained_arm_is_not_measured_without(inputs: Inputs, folder: Path) -> None:
    """A copy from another machine may have broken off, and an earlier start in the middle of the steps again."""
    first = stock_alone(folder / "copied", "first", [5], inputs)
    whole = stock_alone(folder / "copied", "whole", [2, 5], inputs)
    kept = first.run().runs[0]
    trained = next(path for path in (first.work / "trained").glob("[!.]*") if len(path.name) == 16)
    again = trained.with_name(f"{trained.name}-again")
    killed = again.with_name(f"{again.name}.work") / "checkpoint-4"
    killed.mkdir(parents=True)
    (killed / "complete").touch()
    (snapshot(trained, 5) / "adapter_model.safetensors").unlink()
    run = whole.run().runs[0]
    assert [step.step for step in run.steps] == [0, 2, 5]
    assert run.steps[2] == kept.steps[1]
    assert run.steps[0].quality.bits_per_character != run.steps[1].quality.bits_per_character
    assert not list((first.work / "trained").glob("*again*"))
    (trained / "adapter_model.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"adapter_model\.safetensors: named in the manifest and not there"):
        stock_alone(folder / "copied", "third", [], inputs, measure="document_characters = 200").run()


def stock_alone(folder: Path, name: str, steps: Sequence[int], inputs: Inputs, measure: str = "") -> Experiment:
    text = f"seeds = [0]\nsteps = {list(steps)}\n[train]\nsave_every = 4\n[measure]\nparts = []\n{measure}\n"
    return Experiment.from_toml(definition(folder, name, f"{text}[arms.stock]\nstock = true"), inputs=inputs)
