"""An experiment from its definition to its results, on a tiny model: budgets, going on, what is refused."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("peft")

from small_experiments import (
    AB,
    HELD_OUT,
    ROWS,
    Done,
    Inputs,
    definition,
    files,
    stopped_and_begun_again,
    trained_as,
    undated,
)
from typer.testing import CliRunner

import hypertok
from hypertok.cli.main import app
from hypertok.errors import ArtifactError, InputError
from hypertok.experiment.compare import control_of, sides, stock_of
from hypertok.experiment.inputs import folder_of
from hypertok.experiment.report import write_report
from hypertok.experiment.results import Results
from hypertok.experiment.run import Experiment
from hypertok.experiment.scale import scale
from hypertok.measure.model import measure_model
from hypertok.measure.options import MeasureOptions
from hypertok.measure.speed import measure_speed
from hypertok.model.merge import merge


@pytest.fixture(scope="module", autouse=True)
def _short_text_for_speed() -> Iterator[None]:
    """Speed is measured on 200 characters instead of 2,000, which took two thirds of the time of these experiments."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hypertok.measure.parts.measure_speed", partial(measure_speed, characters=200))
        yield


@pytest.fixture(scope="module")
def done(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Done:
    return stopped_and_begun_again(tmp_path_factory.mktemp("ab") / "experiments", inputs)


def test_every_arm_budget_and_seed_has_a_result(done: Done) -> None:
    lines = ("characters", "compute")
    ours = {f"{arm}-{line}-s{seed}" for arm in ("control", "ours") for line in lines for seed in (0, 1)}
    stock = {"untouched-characters-s0", "stock-characters-s0", "stock-characters-s1"}
    assert {run.name for run in done.results.runs} == ours | stock
    assert not done.results.missing
    assert Results.load(done.experiment.output) == done.results


def test_a_stopped_experiment_goes_on_with_what_is_missing(done: Done) -> None:
    assert len(done.first) == 2
    now = files(done.experiment.output)
    assert all(now[name] == data for name, data in done.first.items())
    assert [text for text in done.told if text.startswith("run 1 of")] == ["run 1 of 9: control-characters-s0"]
    assert not any("extending" in text for text in done.told), "models that are there are not made again"
    told: list[str] = []
    done.experiment.run(tell=told.append)
    assert told == ["reading texts"]
    assert files(done.experiment.output) == now


def test_runs_are_done_by_name_and_put_together(done: Done, inputs: Inputs, tmp_path: Path) -> None:
    path = definition(tmp_path / "experiments", "ab", AB)
    half = Experiment.from_toml(path, inputs=inputs, output=tmp_path / "half" / "ab")
    shutil.copytree(done.experiment.work, half.work)
    told: list[str] = []
    found = half.run(only=["ours-*-s1", "stock-characters-s0"], tell=told.append)
    assert {run.name for run in found.runs} == {"ours-characters-s1", "ours-compute-s1", "stock-characters-s0"}
    assert len(found.missing) == 8
    assert not any("training" in text for text in told), "what is trained is found, budgets are the same"
    with pytest.raises(InputError, match=r"--only theirs-\*: no run is named so; those of ab are untouched"):
        half.run(only=["stock-*", "theirs-*"])
    whole = files(done.experiment.output)
    for name, data in files(half.output).items():
        assert undated(data) == undated(whole[name])


def test_a_lost_result_is_measured_again_without_training(done: Done) -> None:
    path = done.experiment.output / "runs" / "ours-characters-s1.json"
    before = undated(path.read_bytes())
    path.unlink()
    told: list[str] = []
    done.experiment.run(tell=told.append)
    assert undated(path.read_bytes()) == before
    assert not any("training" in text for text in told)


def test_what_another_version_has_half_trained_is_told(done: Done) -> None:
    """The version is in the name of a folder of what is trained, so an arm would be begun anew without a word."""
    (done.experiment.output / "runs" / "ours-characters-s1.json").unlink()
    for name, version in (("0123456789abcdef.work", "0.0.1"), ("fedcba9876543210.work", hypertok.__version__)):
        folder = done.experiment.work / "trained" / name
        folder.mkdir()
        (folder / "run.json").write_text(json.dumps({"versions": {"hypertok": version}}), encoding="utf-8")
    told: list[str] = []
    done.experiment.run(tell=told.append)
    found = [text for text in told if "half trained" in text]
    assert len(found) == 1
    assert "0123456789abcdef.work: half trained by hypertok 0.0.1; this is " in found[0]
    for folder in done.experiment.work.glob("trained/*.work"):
        shutil.rmtree(folder)


def test_a_killed_measurement_goes_on_with_the_part_it_was_at(done: Done) -> None:
    path = done.experiment.output / "runs" / "ours-characters-s1.json"
    before = undated(path.read_bytes())
    path.unlink()

    def interrupt(text: str) -> None:
        if text == "measuring memory":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        done.experiment.run(tell=interrupt)
    assert not path.exists()
    told: list[str] = []
    done.experiment.run(tell=told.append)
    assert undated(path.read_bytes()) == before
    parts = [text.removeprefix("measuring ") for text in told if text.startswith("measuring ")]
    assert parts == ["memory", "speed", "samples", "emission"]
    assert not list((done.experiment.work / "measured").iterdir())


def test_all_arms_read_the_same_characters_or_spend_the_same_compute(done: Done) -> None:
    runs = {run.name: run for run in done.results.runs if run.trained is not None}
    for seed in (0, 1):
        stock = runs[f"stock-characters-s{seed}"].trained
        assert stock is not None
        for arm in ("control", "ours"):
            equal, more = (runs[f"{arm}-{line}-s{seed}"].trained for line in ("characters", "compute"))
            assert equal is not None
            assert more is not None
            assert equal.characters == stock.characters == 900
            assert equal.tokens < stock.tokens
            assert more.characters > equal.characters
            # Counted on the first seed's texts, a document or two of this tiny corpus apart.
            assert more.compute == pytest.approx(stock.compute, rel=0.02 if seed == 0 else 0.1)
            assert more.compute == more.tokens * more.model_parameters
    assert runs["ours-characters-s0"].rows == ROWS + 64
    assert runs["ours-characters-s0"].new_rows == 24


def test_figures_are_those_of_the_merged_model(done: Done, tmp_path: Path) -> None:
    run = next(run for run in done.results.runs if run.name == "ours-characters-s1")
    merge(trained_as(done, "ours", 1), tmp_path / "merged", dtype="float32")
    options = MeasureOptions(parts=("quality",), context=64, overlap=16, dtype="float32", device="cpu")
    found = measure_model(tmp_path / "merged", HELD_OUT, options).quality
    assert found is not None
    assert run.quality.bits_per_character == pytest.approx(found.bits_per_character, abs=1e-5)
    assert run.quality.tokens == found.tokens
    assert [at.step for at in run.steps] == [0, 2]
    assert len({at.quality.bits_per_character for at in run.steps} | {run.quality.bits_per_character}) == 3
    assert run.steps[0].quality.tokens == run.quality.tokens


def test_everything_is_measured_and_says_where_it_comes_from(done: Done) -> None:
    for run in done.results.runs:
        assert run.interval.low <= run.quality.bits_per_character <= run.interval.high
        assert run.drift.keys() == {"english"}
        assert run.pairs is not None
        assert run.pairs.pairs == 3
        assert run.predicted is not None
        assert len(run.samples) == 3
        assert [one.batch for one in run.speed] == [1, 8]
        assert (run.emission is None) == (run.role == "stock")
        assert not run.skipped
        origin = run.provenance
        assert {"hypertok", "python", "torch", "transformers", "peft"} <= origin.versions.keys()
        assert origin.device.startswith("cpu")
        assert run.trained is None or run.trained.device == "cpu"
        assert run.trained is None or run.trained.commit == origin.commit
        assert run.trained is None or run.trained.versions.keys() == {
            "hypertok",
            *["torch", "transformers", "peft", "accelerate"],
        }
        assert origin.sha256.keys() >= {"model", "tokenizer", "lexicon", "corpus", "held_out", "english"}
        assert ("extended" in origin.sha256) == (run.role != "stock")
        assert all(re.fullmatch(r"[0-9a-f]{64}", value) for value in origin.sha256.values())


def test_results_name_no_place_and_quote_no_held_out_text(done: Done, inputs: Inputs) -> None:
    texts = [path.read_text(encoding="utf-8") for path in done.experiment.output.rglob("*.json")]
    assert len(texts) == 12
    for text in texts:
        assert str(inputs["model"]) not in text
        assert "/tmp" not in text
        assert not any(
            sentence in text for document in HELD_OUT for sentence in document.split(". ") if len(sentence) > 30
        )


def test_folders_of_the_texts_are_told_where_a_definition_says_so(done: Done, inputs: Inputs, tmp_path: Path) -> None:
    assert not done.results.plan.folders
    assert not done.results.plan.corpus_folders
    path = definition(tmp_path / "experiments", "ab", AB.replace("[measure]", "[measure]\nby_folder = true"))
    kept = files(done.experiment.output)
    plan = Experiment.from_toml(path, inputs=inputs, output=done.experiment.output).run().plan
    assert files(done.experiment.output) == kept, "no figure hangs on it"
    assert plan.folders == ("",) * len(HELD_OUT)
    assert list(plan.corpus_folders) == [""]
    assert plan.corpus_folders[""] > 900
    done.experiment.run()
    assert folder_of("а/б/в.txt#0") == "а"
    assert folder_of("в.txt#а/0") == ""
    assert folder_of("C#/в.md#0") == "C#"


def test_arms_are_paired_with_stock_and_control(done: Done) -> None:
    every = sides(done.results)
    stock = stock_of(done.results.definition, every)
    assert stock is not None
    assert stock.arm.name == "stock"
    assert [side.label for side in every] == [
        "untouched", "stock", "control", "control, equal compute", "ours", "ours, equal compute",
    ]  # fmt: skip
    ours = every[-1]
    against = ours.against(stock)
    assert against is not None
    assert against.value == pytest.approx(sum(ours.by_seed) / sum(stock.by_seed))
    assert against.low <= against.value <= against.high
    control = control_of(ours, every)
    assert control is not None
    assert control.label == "control, equal compute"
    untouched = every[0].against(stock)
    assert untouched is not None, "an untrained arm, measured once, stands beside every seed"
    points = ours.points_against(stock)
    assert points is not None
    drift = ours.drift_against(stock, "english")
    assert drift is not None
    assert 0 < drift.low <= drift.value <= drift.high


def test_other_parameters_or_texts_are_refused_beside_these_results(done: Done, inputs: Inputs, tmp_path: Path) -> None:
    other = definition(tmp_path / "experiments", "ab", AB.replace("steps = [2]", "steps = [2]\ncharacters = 800"))
    with pytest.raises(ArtifactError, match=r"stock-characters-s0\.json: made with other parameters"):
        Experiment.from_toml(other, inputs=inputs, output=done.experiment.output).run()
    shutil.copytree(inputs["held_out"], tmp_path / "held-out")  # type: ignore[arg-type]
    (tmp_path / "held-out" / "0.txt").write_text("Совсем другой текст о саде и доме. " * 9, encoding="utf-8")
    same = definition(tmp_path / "experiments", "ab", AB)
    changed = {**inputs, "held_out": tmp_path / "held-out"}
    with pytest.raises(ArtifactError, match="other parameters, inputs or texts"):
        Experiment.from_toml(same, inputs=changed, output=done.experiment.output).run()
    Experiment.from_toml(same, inputs=inputs, output=done.experiment.output).run()


def test_the_report_says_what_was_found(done: Done) -> None:
    report = write_report(done.experiment.output)
    text, page = report.markdown.read_text(encoding="utf-8"), report.page.read_text(encoding="utf-8")
    assert text.startswith("# Tiny: stock, control, ours\n")
    for heading in (
        "Bits per character",
        "On the way",
        "Against continued BPE",
        "Inflection",
        "Drift",
        "Memory",
        "Speed",
        "Origin",
    ):
        assert f"## {heading}" in text, heading
        assert f">{heading}" in page, heading
    assert "900 characters of training text per arm, 2 seeds" in text
    assert re.search(r"of real text, in [12] passages, sampled once: a difference of four points can be chance", text)
    assert "1 GiB of it is left for everything in passing" in text
    assert re.search(r"\| ours \| [\d.]+ \([+-][\d.]+% \[[+-][\d.]+%, [+-][\d.]+%\]\) \|", text), "drift"
    assert "paired by document, on all seeds that both have" in text
    assert "3 held-out documents" in text
    assert re.search(r"\| versions that trained \|.* hypertok [\d.]+, .* torch \d", text)
    assert re.search(r"\| ours, equal compute \|.*(met|missed).*\(aim: below \+0%\)", text)
    assert re.search(r"aim: at most \+2%", text)
    ours = next(run for run in done.results.runs if run.name == "ours-characters-s0").speed[0]
    stock = next(run for run in done.results.runs if run.name == "stock-characters-s0").speed[0]
    fast, slow = ours.prefill_characters_per_second, stock.prefill_characters_per_second
    assert f"| ours | {fast:,.0f} ({fast / slow:.2f}) |" in text
    run = next(run for run in done.results.runs if run.name == "untouched-characters-s0")
    assert f"{run.quality.bits_per_character:.4f} [" in text
    for name in ("bars", "curves", "front"):
        assert f"({name}.svg)" in text
        assert (done.experiment.output / f"{name}.svg").read_text(encoding="utf-8").startswith("<svg")
    assert page.count("<svg") == 3
    assert re.search(r"\| ours \|.*(met|missed)(, not surely|, on two seeds)? \(aim: at least -1\)", text)
    fetched = re.findall(r"""(?:src|href)\s*=\s*["']([^"'#][^"']*)""", page) + re.findall(
        r"url\((?!#)[^)]*\)|@import", page
    )
    assert not fetched
    assert "<script" not in page
    assert write_report(done.experiment.output).page.read_text(encoding="utf-8") == page


def test_the_report_tells_apart_where_arms_were_trained_and_measured(done: Done) -> None:
    assert "trained on" not in scale(done.results)
    runs = tuple(
        run.model_copy(update={"trained": run.trained and run.trained.model_copy(update={"device": "Card X"})})
        for run in done.results.runs
    )
    assert "trained on Card X, measured on cpu" in scale(dataclasses.replace(done.results, runs=runs))
    mixed = dataclasses.replace(done.results, runs=(*runs[:3], *done.results.runs[3:]))
    assert "trained on Card X, cpu, measured on cpu" in scale(mixed)


def test_an_unfinished_experiment_says_so_in_its_report(done: Done, tmp_path: Path) -> None:
    shutil.copytree(done.experiment.output, tmp_path / "part")
    (tmp_path / "part" / "runs" / "ours-compute-s1.json").unlink()
    text = write_report(tmp_path / "part").markdown.read_text(encoding="utf-8")
    assert "Not finished: 1 of 11 runs are still to be done (ours-compute-s1)." in text
    shutil.rmtree(tmp_path / "part" / "runs")
    with pytest.raises(ArtifactError, match="none of its 11 runs is done"):
        write_report(tmp_path / "part")
    (tmp_path / "part" / "experiment.json").write_text("{}")
    with pytest.raises(ArtifactError, match="no result of this version"):
        Results.load(tmp_path / "part")


def test_the_command_runs_and_reports(done: Done, inputs: Inputs) -> None:
    path = done.experiment.output.parents[1] / "ab.toml"
    named = [part for name, value in inputs.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    result = CliRunner().invoke(app, ["experiment", "run", str(path), *named, "--report"])
    assert result.exit_code == 0, (result.output, result.exception)
    assert "11 runs" in result.output
    assert "report.html written" in " ".join(result.output.split())
    again = CliRunner().invoke(app, ["experiment", "report", str(done.experiment.output)])
    assert again.exit_code == 0, (again.output, again.exception)
