"""The other kinds of experiment on a tiny model: ways to begin new rows, numbers of rows, memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("peft")

from small_experiments import ROWS, Inputs, definition

from hypertok.errors import ArtifactError, InputError
from hypertok.experiment import training
from hypertok.experiment.memory import AT_HAND
from hypertok.experiment.memory_results import MemoryRow
from hypertok.experiment.report import write_report
from hypertok.experiment.results import Results
from hypertok.experiment.run import Experiment
from hypertok.experiment.training import snapshot
from hypertok.measure.memory import MeasuredMemory

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
MEMORY = """
kind = "memory"
[measure]
cards = [1.25]
[memory]
tokens = 400
prefill_tokens = 200
[arms.bpe.tokenizer]
units = "bpe"
rows = 24
[[memory.models]]
name = "Published"
tokenizer = "${TEST_TOKENIZER}"
[memory.models.config]
model_type = "qwen3"
vocab_size = 384
hidden_size = 64
intermediate_size = 128
num_hidden_layers = 4
num_attention_heads = 4
num_key_value_heads = 2
head_dim = 16
tie_word_embeddings = true
dtype = "bfloat16"
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


@pytest.fixture(scope="module")
def memory(inputs: Inputs, folder: Path) -> Results:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_TOKENIZER", str(inputs["model"]))
        return Experiment.from_toml(definition(folder, "memory", MEMORY), inputs=inputs).run()


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


def row(memory: Results, model: str, arm: str) -> MemoryRow:
    assert memory.memory is not None
    return next(one for one in memory.memory.rows if (one.model, one.arm) == (model, arm))


def test_memory_is_computed_for_published_models(memory: Results) -> None:
    stock, ours = row(memory, "Published", "stock"), row(memory, "Published", "bpe")
    assert stock.characters == ours.characters
    assert 380 <= stock.tokens <= 400
    assert ours.tokens < stock.tokens
    assert stock.cache == 4 * 2 * 2 * 16 * 2 * stock.tokens
    assert ours.cache == 4 * 2 * 2 * 16 * 2 * ours.tokens
    assert ours.new_rows == 24 * 64 * 2
    assert ours.weights - stock.weights == 64 * 64 * 2, "rows padded to 64"
    assert ours.longest[0].characters > stock.longest[0].characters


def test_memory_is_measured_for_the_model_at_hand(memory: Results) -> None:
    stock, ours = row(memory, AT_HAND, "stock"), row(memory, AT_HAND, "bpe")
    ((one,), (other,)) = stock.measured, ours.measured
    assert one.characters == other.characters
    assert one.tokens > other.tokens
    per_token = 2 * 2 * 2 * 8 * 4
    assert one.cache == one.predicted_cache == per_token * one.tokens
    assert other.cache == other.predicted_cache == per_token * other.tokens
    assert other.predicted_peak == ours.weights + other.cache
    assert ours.parameters - stock.parameters == (448 - ROWS) * 32
    assert memory.memory is not None
    assert not memory.memory.skipped


def test_memory_is_measured_at_several_sizes(inputs: Inputs, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line for each; sizes beyond the text are the same one. What does not fit is told and hides nothing."""

    def prefill(model: Path, ids: Sequence[int], characters: int, **options: str) -> MeasuredMemory:
        if len(ids) > 200 and model == inputs["model"]:
            raise InputError(f"{model}: was it killed for memory?")
        return MeasuredMemory("made up", len(ids), characters, before=1 << 20, loaded=2 << 20, peak=9 << 20, cache=7)

    monkeypatch.setattr("hypertok.experiment.memory.measure_prefill", prefill)
    text = MEMORY.split("[[memory.models]]")[0].replace(
        "prefill_tokens = 200", "prefill_tokens = [9000, 100, 50, 8000]"
    )
    results = Experiment.from_toml(definition(folder, "sizes", text), inputs=inputs).run()
    stock, ours = row(results, AT_HAND, "stock").measured, row(results, AT_HAND, "bpe").measured
    assert (len(stock), len(ours)) == (2, 3)
    assert [one.characters for one in stock] == [one.characters for one in ours[:2]]
    assert stock[0].tokens <= 51 < stock[1].tokens <= 101
    per_token = 2 * 2 * 2 * 8 * 4
    assert [one.predicted_cache for one in (*stock, *ours)] == [per_token * one.tokens for one in (*stock, *ours)]
    assert results.memory is not None
    assert results.memory.skipped == {
        f"prefill of stock, {ours[2].characters:,} characters": "was it killed for memory?"
    }
    lines = write_report(results.folder).markdown.read_text(encoding="utf-8").splitlines()
    assert "Published" not in lines[2]
    assert "What is not measured is computed from the configuration" in lines[2]
    head = next(number for number, line in enumerate(lines) if "predicted: weights and cache, MiB" in line)
    arms = [line.split(" | ")[0] for line in lines[head + 2 : head + 8]]
    assert arms == ["| stock", "| bpe", "| stock", "| bpe", "| bpe", ""]


def test_a_memory_result_of_one_size_is_read_and_recognised(memory: Results, inputs: Inputs, folder: Path) -> None:
    """Older results have a prefill without predictions, or null; a list of one size is that size."""
    path = memory.folder / "memory.json"
    content = json.loads(path.read_bytes())
    for one in content["rows"]:
        given = one["measured"]
        one["measured"] = {name: given[0][name] for name in given[0] if "predicted" not in name} if given else None
    older = folder / "older" / "results"
    older.mkdir(parents=True)
    (older / "memory.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_TOKENIZER", str(inputs["model"]))
        changed = MEMORY.replace("prefill_tokens = 200", "prefill_tokens = [200]")
        path = definition(folder / "older", "memory", changed)
        found = Experiment.from_toml(path, inputs=inputs, output=older).run()
    assert row(found, "Published", "bpe").measured == ()
    (kept,), (before,) = row(found, AT_HAND, "bpe").measured, row(memory, AT_HAND, "bpe").measured
    assert (kept.peak, kept.predicted_peak) == (before.peak, None)
    text = write_report(older).markdown.read_text(encoding="utf-8")
    assert "| tokenizer | characters | tokens | KV cache, MiB | peak, MiB |" in text


def test_memory_is_reported_and_not_computed_twice(
    memory: Results, inputs: Inputs, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = write_report(memory.folder).markdown.read_text(encoding="utf-8")
    assert "| Published | bpe |" in text
    assert "Measured: one prefill in a fresh process" in text
    monkeypatch.setenv("TEST_TOKENIZER", str(inputs["model"]))
    told: list[str] = []
    experiment = Experiment.from_toml(folder / "memory.toml", inputs=inputs)
    assert experiment.run(tell=told.append) == memory
    assert not told
    plan = (memory.folder / "experiment.json").read_bytes()
    for change in ("tokens = 400", "tokens = 300"), ('dtype = "float32"', 'dtype = "bfloat16"'):
        changed = definition(folder / change[1][:5], "memory", MEMORY.replace(*change))
        defaults = changed.with_name("defaults.toml")
        head, measure = defaults.read_text(encoding="utf-8").split("[measure]")
        defaults.write_text(f"{head}[measure]{measure.replace(*change)}", encoding="utf-8")
        with pytest.raises(ArtifactError, match=r"memory\.json: made with other parameters"):
            Experiment.from_toml(changed, inputs=inputs, output=memory.folder).run()
    other = definition(folder, "other", MEMORY)
    with pytest.raises(ArtifactError, match=r"holds results of the experiment memory \(kind memory\)"):
        Experiment.from_toml(other, inputs=inputs, output=memory.folder).run()
    assert (memory.folder / "experiment.json").read_bytes() == plan
    nothing = definition(folder, "nothing", MEMORY.split("[[memory.models]]")[0])
    with pytest.raises(InputError, match=r"neither inputs\.model nor memory\.models is given"):
        Experiment.from_toml(nothing, inputs={**inputs, "model": None}).run()
