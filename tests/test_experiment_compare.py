"""Arms side by side: which way differences point, what is no difference, and when an aim is met."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from made_up_results import report_folder

from hypertok.errors import ArtifactError
from hypertok.experiment.compare import Side, sides
from hypertok.experiment.folders import folder_blocks
from hypertok.experiment.page import Table
from hypertok.experiment.results import Results, RunResult
from hypertok.experiment.sections import run_blocks
from hypertok.experiment.wording import points_verdict, ratio_verdict
from hypertok.measure.bootstrap import Interval
from hypertok.measure.minimal_pairs import PairAccuracy
from hypertok.measure.quality import DocumentBits, Quality


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results.load(report_folder(tmp_path / "results"))


def changed(results: Results, change: Callable[[RunResult], RunResult]) -> Results:
    return dataclasses.replace(results, runs=tuple(map(change, results.runs)))


def by_label(results: Results) -> dict[str, Side]:
    return {side.label: side for side in sides(results)}


def with_abilities(run: RunResult) -> RunResult:
    """Ours answers half as many pairs as the others, and spends a tenth more on English."""
    right = (True, True, False, False) if run.arm == "ours" else (True,) * 4
    drift = Quality.of([DocumentBits(110.0 if run.arm == "ours" else 100.0, 50, 20)], 512, 128)
    pairs = PairAccuracy(4, sum(right), sum(right) / 4, (), right)
    return run.model_copy(update={"pairs": pairs, "drift": {"english": drift}})


def test_differences_are_ours_less_or_over_those_of_stock(results: Results) -> None:
    found = by_label(changed(results, with_abilities))
    points = found["ours"].points_against(found["stock"])
    assert points is not None
    assert points.value == -50
    assert found["ours"].drift_against(found["stock"], "english") == pytest.approx(1.1)


def test_what_is_above_stock_is_in_bits_per_character(results: Results) -> None:
    found = by_label(results)
    ours, stock = found["ours"], found["stock"]
    above = ours.above(stock)
    assert above is not None
    assert above.value == pytest.approx(ours.bpc.value - stock.bpc.value)
    assert above.low < above.value < above.high
    assert above.value != 0


def test_a_table_says_what_was_aimed_at_of_minimal_pairs(results: Results) -> None:
    pytest.importorskip("matplotlib")
    blocks = run_blocks(changed(results, with_abilities))
    table = next(block for block in blocks if isinstance(block, Table) and "minimal pairs" in block.head)
    aims = {row[0]: row[3] for row in table.rows}
    assert aims == {"stock": "", "control": "", "ours": "missed, not surely (aim: at least -1)"}


def test_runs_measured_on_different_texts_are_not_compared(results: Results) -> None:
    """As many documents of as many characters in all; which run to remove is told, so that no others are."""

    def turned(run: RunResult) -> RunResult:
        documents = run.quality.documents[:: -1 if run.name == "ours-characters-s1" else 1]
        return run.model_copy(update={"quality": Quality.of(documents, 512, 128)})

    with pytest.raises(ArtifactError, match=r"stock-characters-s0 and ours-characters-s1 were measured on") as error:
        sides(changed(results, turned))
    assert str(error.value).startswith(f"{results.folder}: ")
    assert f"maybe {results.folder / 'runs' / 'ours-characters-s1.json'} (5 of 6 runs" in str(error.value)


def test_folders_count_as_much_as_in_the_training_text(results: Results) -> None:
    """Half of the held-out text is plays, where ours costs a tenth more; nine tenths of the training text are."""
    folders = ("plays",) * 10 + ("manuals",) * 10
    plan = results.plan.model_copy(update={"folders": folders, "corpus_folders": {"plays": 900, "manuals": 100}})

    def dearer(run: RunResult) -> RunResult:
        by = [1.1 if run.arm == "ours" and folder == "plays" else 1.0 for folder in folders]
        tokens = 900 if run.arm == "ours" else 1000
        found = [DocumentBits(size * factor, size, tokens) for size, factor in zip(range(4000, 4020), by, strict=True)]
        return run.model_copy(update={"quality": Quality.of(found, 512, 128)})

    found = dataclasses.replace(changed(results, dearer), plan=plan)
    every = sides(found)
    _, table, _ = folder_blocks(plan, every, every[0])
    assert isinstance(table, Table)
    assert table.head[1:3] == ("manuals", "plays")
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["held-out documents"][:2] == ["10", "10"]
    assert rows["of the training text"][:2] == ["10.0%", "90.0%"]
    assert rows["control"] == ["+0.00%", "+0.00%", "+0.00% [+0.00%, +0.00%]", "+0.0000 [+0.0000, +0.0000]"]
    manuals, plays, weighted, above = rows["ours"]
    assert (manuals, plays) == ("+0.00% (-10.0%)", "+10.00% (-10.0%)")
    assert weighted.startswith("+9.00% ["), "0.9 of a tenth"
    assert weighted.endswith("] (-10.0%)")
    assert above.startswith("+0.0900 [")
    assert not [*folder_blocks(results.plan, every, every[0])], "of an experiment that does not tell"
    flat = plan.model_copy(update={"corpus_folders": {"": 1000}})
    assert not [*folder_blocks(flat, every, every[0])], "training text without these folders gives no weights"


def at(value: float, low: float, high: float, seeds: int = 2) -> Interval:
    return Interval(value, low, high, 0.95, 10_000, 40, seeds)


@pytest.mark.parametrize(
    ("ratio", "aim", "strict", "told"),
    [
        (at(1.0142, 1.0110, 1.0174), 1.02, False, "met (aim: at most +2%)"),
        (at(1.0142, 1.0110, 1.0174, 1), 1.02, False, "met, on one seed (aim: at most +2%)"),
        (at(1.0186, 1.0147, 1.0222), 1.02, False, "met, not surely (aim: at most +2%)"),
        (at(1.0186, 1.0147, 1.0222, 1), 1.02, False, "met, not surely (aim: at most +2%)"),
        (at(1.0788, 1.0689, 1.0876), 1.02, False, "missed by 5.88% (aim: at most +2%)"),
        (at(1.0021, 0.9991, 1.0052), 1.0, True, "missed by 0.21%, not surely (aim: below +0%)"),
        (at(1.0, 1.0, 1.0), 1.0, True, "missed by 0.00%, not surely (aim: below +0%)"),
        (at(1.0, 1.0, 1.0), 1.0, False, "met (aim: at most +0%)"),
    ],
)
def test_an_aim_of_bits_is_surely_met_where_the_whole_interval_meets_it(
    ratio: Interval, aim: float, strict: bool, told: str
) -> None:
    assert ratio_verdict(ratio, aim, strict) == told


@pytest.mark.parametrize(
    ("points", "told"),
    [
        (at(1.2, -0.9, 3.3), "met (aim: at least -1)"),
        (at(-0.95, -2.05, 0.10), "met, not surely (aim: at least -1)"),
        (at(-1.05, -2.05, 0.10), "missed, not surely (aim: at least -1)"),
        (at(-3.2, -4.2, -2.1), "missed (aim: at least -1)"),
        (at(-3.2, -4.2, -2.1, 1), "missed, on one seed (aim: at least -1)"),
    ],
)
def test_an_aim_of_points_is_surely_met_where_the_whole_interval_meets_it(points: Interval, told: str) -> None:
    assert points_verdict(points, -1) == told
