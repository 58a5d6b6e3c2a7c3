"""Experiments of kind memory, on a tiny model: computed, measured, read again and reported."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

pytest.importorskip("peft")

from small_experiments import ROWS, Inputs, definition

from hypertok.errors import ArtifactError, InputError
from hypertok.experiment.memory import AT_HAND
from hypertok.experiment.memory_results import MemoryRow
from hypertok.experiment.report import write_report
from hypertok.experiment.results import Results
from hypertok.experiment.run import Experiment
from hypertok.measure.memory import MeasuredMemory

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
    return tmp_path_factory.mktemp("memory") / "experiments"


@pytest.fixture(scope="module")
def memory(inputs: Inputs, folder: Path) -> Results:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_TOKENIZER", str(inputs["model"]))
        return Experiment.from_toml(definition(folder, "memory", MEMORY), inputs=inputs).run()


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
