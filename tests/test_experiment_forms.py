"""The part `forms` of an experiment on a tiny model: sums, counts, reasons, the report's table."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("peft")

from small_experiments import HELD_OUT, Inputs, definition

from hypertok.experiment.compare import Side
from hypertok.experiment.form_tables import _row
from hypertok.experiment.report import write_report
from hypertok.experiment.results import Results, RunResult
from hypertok.experiment.run import Experiment
from hypertok.experiment.training import seen_in_training
from hypertok.measure.form_groups import NAMES, FormBits, FormGroup
from hypertok.model.pair import Pair
from hypertok.training.data import read_texts

#: Continued BPE, which is learned in no time; `longer` reads its text twice.
FORMS = """
[measure]
parts = ["forms"]
by_folder = true
[tokenizer]
units = "bpe"
rows = 96
[arms.stock]
stock = true
[arms.untrained]
untrained = true
[arms.flat.train]
rows = "flat"
[arms.longer.train]
rows = "flat"
epochs = 2
"""


@pytest.fixture(scope="module")
def experiment(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    path = definition(tmp_path_factory.mktemp("forms") / "experiments", "forms", FORMS)
    return Experiment.from_toml(path, inputs=inputs)


@pytest.fixture(scope="module")
def results(experiment: Experiment) -> Results:
    return experiment.run()


def run_of(results: Results, name: str) -> RunResult:
    return next(run for run in results.runs if run.name == name)


def folder_of(experiment: Experiment) -> Path:
    (folder,) = (experiment.work / "models").glob("[!.]*")
    return folder


@pytest.mark.parametrize("name", ["flat-characters-s0", "flat-characters-s1", "longer-characters-s1"])
def test_groups_add_up_to_the_held_out_text(results: Results, name: str) -> None:
    run = run_of(results, name)
    assert run.forms is not None
    assert tuple(group.name for group in run.forms.groups) == NAMES
    totals = [group.total for group in run.forms.groups]
    assert sum(one.tokens for one in totals) == run.quality.tokens
    assert sum(one.characters for one in totals) == run.quality.characters == sum(map(len, HELD_OUT))
    assert sum(one.bits for one in totals) == pytest.approx(run.quality.bits, rel=1e-12), "the order of a sum apart"
    assert sum(one.next_tokens for one in totals) == run.quality.tokens - len(HELD_OUT)
    for number, document in enumerate(run.quality.documents):
        parts = [group.documents[number] for group in run.forms.groups]
        assert sum(one.bits for one in parts) == pytest.approx(document.bits, rel=1e-12)
        assert sum(one.next_bits for one in parts) < document.bits
        assert sum(one.characters for one in parts) == document.characters


def test_units_are_counted_in_what_the_arm_was_trained_on(
    experiment: Experiment, results: Results, inputs: Inputs
) -> None:
    corpus, pair = inputs["corpus"], Pair.open(folder_of(experiment))
    assert corpus is not None
    held = {one for text in HELD_OUT for one in pair.tokenizer.encode_batch([text])[0]}
    for seed in (0, 1):
        seen = seen_in_training(pair.folder, corpus, 900, seed)
        texts = [text.text for text in read_texts(corpus, characters=900, seed=seed)]
        ids = [one for own in pair.tokenizer.encode_batch(texts, add_special_tokens=True) for one in own]
        expected = np.bincount(ids, minlength=len(seen))
        units = list(pair.new_ids)
        assert (seen[units] == expected[units]).all()
        flat, longer = (run_of(results, f"{arm}-characters-s{seed}") for arm in ("flat", "longer"))
        assert flat.trained is not None
        assert flat.forms is not None
        assert longer.forms is not None
        assert seen.sum() == flat.trained.tokens
        counted = {name: flat.forms.group(name).units for name in NAMES}
        of_held = [int(expected[one]) for one in units if one in held]
        assert counted["unseen"] == sum(one == 0 for one in of_held) > 0
        assert counted["rare"] == sum(1 <= one <= flat.forms.rare for one in of_held) > 0
        assert counted == {name: longer.forms.group(name).units for name in NAMES}, "a text read twice is one text"


def test_arms_that_cannot_be_grouped_say_why(results: Results) -> None:
    assert "no new units" in run_of(results, "stock-characters-s0").skipped["forms"]
    untrained = run_of(results, "untrained-characters-s0")
    assert "not trained" in untrained.skipped["forms"]
    assert untrained.forms is None
    assert not run_of(results, "flat-characters-s0").skipped


def test_older_results_have_no_groups(results: Results) -> None:
    old = run_of(results, "flat-characters-s0").model_dump(mode="json", by_alias=True)
    del old["forms"]
    assert RunResult.model_validate(old).forms is None


def test_arms_are_set_beside_each_other_by_seeds_that_both_have(results: Results) -> None:
    """A part that one start could not measure is missing in one run."""
    flat, longer = ([run_of(results, f"{arm}-characters-s{seed}") for seed in (0, 1)] for arm in ("flat", "longer"))
    lacking = [longer[0].model_copy(update={"forms": None}), longer[1]]

    def row(runs: list[RunResult], beside: list[RunResult]) -> list[str]:
        of = {"longer": tuple(runs), "flat": tuple(beside)}
        return _row("unseen", *(Side(results.definition.arm(arm), "characters", own, own) for arm, own in of.items()))

    assert row(lacking, flat)[5] == row(longer[1:], flat[1:])[5] != row(longer, flat)[5]


def test_figures_of_few_documents_stand_without_interval(results: Results) -> None:
    """That of one document has no width, whatever another one would give."""
    flat, longer = ([run_of(results, f"{arm}-characters-s{seed}") for seed in (0, 1)] for arm in ("flat", "longer"))

    def cells(documents: int) -> list[str]:
        """Of figures that have characters of a group in so many documents."""

        def spread(run: RunResult) -> RunResult:
            assert run.forms is not None
            own = [FormBits(4, 10, 12.0 + run.seed, 3, 8, 9.0)] * documents + [FormBits(0, 0, 0.0, 0, 0, 0.0)]
            group = FormGroup.of("unseen", 2, own)
            others = tuple(one for one in run.forms.groups if one.name != "unseen")
            return run.model_copy(update={"forms": dataclasses.replace(run.forms, groups=(group, *others))})

        of = {arm: tuple(map(spread, runs)) for arm, runs in (("longer", longer), ("flat", flat))}
        return _row("unseen", *(Side(results.definition.arm(arm), "characters", own, own) for arm, own in of.items()))

    assert [bool(re.search(r"\[.*, .*\]", cell)) for cell in cells(5)[4:]] == [True] * 4
    assert [bool(re.fullmatch(r"[+-]?[\d.]+%?", cell)) for cell in cells(4)[4:]] == [True] * 4


def test_characters_are_told_by_folder_where_a_definition_says_so(results: Results) -> None:
    for name in ("flat-characters-s0", "longer-characters-s1"):
        trained = run_of(results, name).trained
        assert trained is not None
        assert trained.folders == {"": 900}, "of one pass"


def test_the_report_shows_groups_by_arm(results: Results) -> None:
    report = write_report(results.folder)
    text, page = report.markdown.read_text(encoding="utf-8"), report.page.read_text(encoding="utf-8")
    assert "## New units by how often they were trained on" in text
    assert "Arms with other tokenizers do not compare here" in text
    runs = [run_of(results, f"flat-characters-s{seed}") for seed in (0, 1)]
    totals = [run.forms.group("unseen").total for run in runs if run.forms is not None]
    predicted = sum(one.bits for one in totals) / sum(one.characters for one in totals)
    after = sum(one.next_bits for one in totals) / sum(one.next_characters for one in totals)
    assert re.search(rf"\| unseen \| flat \|.*\| {predicted:.4f} \| +\| {after:.4f} \|", text)
    assert re.search(r"\| unseen \| longer \|.*(\| [+-][\d.]+% .*){2}\|", text), (
        "beside the first arm with these tokens"
    )
    assert "| unseen | stock |" not in text
    assert f"{predicted:.4f}<" in page
