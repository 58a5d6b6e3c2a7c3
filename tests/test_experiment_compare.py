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
from hypertok.experiment.page import Paragraph, Table
from hypertok.experiment.results import Results, RunResult
from hypertok.experiment.scale import scale
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
    """Ours answers half as many pairs as the others, and spends a tenth more on English, in its second seed a fifth."""
    right = (True, True, False, False) if run.arm == "ours" else (True,) * 4
    either = (True, True, True, False) if run.arm == "ours" else ()
    bits = 100.0 + 10 * (run.arm == "ours") * (1 + run.seed)
    drift = Quality.of([DocumentBits(bits, 50, 20), DocumentBits(2 * bits, 100, 40)], 512, 128)
    pairs = PairAccuracy(4, sum(right), sum(right) / 4, (), right, either)
    return run.model_copy(update={"pairs": pairs, "drift": {"english": drift}})


def test_differences_are_ours_less_or_over_those_of_stock(results: Results) -> None:
    found = by_label(changed(results, with_abilities))
    points = found["ours"].points_against(found["stock"])
    assert points is not None
    assert points.value == -50
    drift = found["ours"].drift_against(found["stock"], "english")
    assert drift is not None
    assert (drift.value, drift.low, drift.high) == pytest.approx((1.15, 1.1, 1.2))
    assert (drift.documents, drift.seeds) == (2, 2)


def test_pairs_by_either_spelling_stand_behind_those_of_the_tokenizers_own(results: Results) -> None:
    blocks = list(run_blocks(changed(results, with_abilities)))
    tables = [block for block in blocks if isinstance(block, Table) and "minimal pairs" in block.head]
    cells = {row[0]: row[1] for row in tables[0].rows}
    assert (cells["ours"], cells["stock"]) == ("50.00% (75.00% in either spelling)", "100.00%")


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


def test_folders_count_as_much_as_in_the_corpus(results: Results) -> None:
    """Half of the held-out text is plays, where ours costs a tenth more; nine tenths of the corpus are."""
    folders = ("plays",) * 10 + ("manuals",) * 10
    plan = results.plan.model_copy(update={"folders": folders, "corpus_folders": {"plays": 900, "manuals": 100}})

    def dearer(run: RunResult) -> RunResult:
        by = [1.1 if run.arm == "ours" and folder == "plays" else 1.0 for folder in folders]
        tokens = 900 if run.arm == "ours" else 1000
        found = [DocumentBits(size * factor, size, tokens) for size, factor in zip(range(4000, 4020), by, strict=True)]
        told = {"plays": 250, "manuals": 750} if run.name == "stock-characters-s0" else None
        trained = run.trained and run.trained.model_copy(update={"folders": told})
        return run.model_copy(update={"quality": Quality.of(found, 512, 128), "trained": trained})

    found = dataclasses.replace(changed(results, dearer), plan=plan)
    every = sides(found)
    _, table, _ = folder_blocks(plan, every, every[0])
    assert isinstance(table, Table)
    assert table.head[1:3] == ("manuals", "plays")
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["held-out documents"][:2] == ["10", "10"]
    assert rows["of the corpus"][:2] == ["10.0%", "90.0%"]
    assert rows["read by seed 0"][:2] == ["75.0%", "25.0%"]
    assert "read by seed 1" not in rows, "of a result that does not tell"
    assert rows["control"] == ["+0.00%", "+0.00%", "+0.00% [+0.00%, +0.00%]", "+0.0000 [+0.0000, +0.0000]"]
    manuals, plays, weighted, above = rows["ours"]
    assert (manuals, plays) == ("+0.00% (-10.0%)", "+10.00% (-10.0%)")
    assert weighted == "+9.00% [+9.00%, +9.00%] (-10.0%)", "0.9 of a tenth, and no kind differs within itself"
    assert above == "+0.0900 [+0.0900, +0.0900]"
    assert not [*folder_blocks(results.plan, every, every[0])], "of an experiment that does not tell"
    flat = plan.model_copy(update={"corpus_folders": {"": 1000}})
    assert not [*folder_blocks(flat, every, every[0])], "a corpus without these folders gives no weights"


def at(value: float, low: float, high: float, seeds: int = 3) -> Interval:
    return Interval(value, low, high, 0.95, 10_000, 40, seeds)


@pytest.mark.parametrize(
    ("ratio", "aim", "strict", "told"),
    [
        (at(1.0142, 1.0110, 1.0174), 1.02, False, "met (aim: at most +2%)"),
        (at(1.0142, 1.0110, 1.0174, 1), 1.02, False, "met, on one seed (aim: at most +2%)"),
        (at(1.0142, 1.0110, 1.0174, 2), 1.02, False, "met, on two seeds (aim: at most +2%)"),
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
        (at(-3.2, -4.2, -2.1, 2), "missed, on two seeds (aim: at least -1)"),
    ],
)
def test_an_aim_of_points_is_surely_met_where_the_whole_interval_meets_it(points: Interval, told: str) -> None:
    assert points_verdict(points, -1) == told


def test_a_difference_of_other_seeds_than_those_shown_names_them(results: Results) -> None:
    """The control lacks seed 1, so figures by themselves are of seed 0; ours and stock are compared on both."""
    pytest.importorskip("matplotlib")
    lacking = [run for run in results.runs if run.name != "control-characters-s1"]

    def against(found: Results) -> tuple[dict[str, str], str]:
        _, table, told, *_ = run_blocks(found)
        assert isinstance(table, Table)
        assert isinstance(told, Paragraph)
        return {row[0]: row[6] for row in table.rows}, told.text

    cells, told = against(dataclasses.replace(results, runs=tuple(lacking)))
    assert cells["ours"].endswith("] (seeds 0, 1)")
    assert cells["control"].endswith("%]")
    assert "Differences with seeds behind them" in told
    cells, told = against(results)
    assert cells["ours"].endswith("%]")
    assert "Differences with seeds" not in told


def test_the_scale_says_the_least_model_and_what_few_seeds_are_worth(results: Results) -> None:
    def larger(run: RunResult) -> RunResult:
        size = 268_098_176 if run.arm == "stock" else 278_624_896
        assert run.trained is not None
        return run.model_copy(update={"trained": run.trained.model_copy(update={"model_parameters": size})})

    found = changed(results, larger)
    assert "with 268M parameters, 3,000,000 characters" in scale(found)
    assert "of two, about 85 in 100 hold the truth" in scale(found)
    ours = tuple(run for run in found.runs if run.name == "ours-characters-s0")
    alone = scale(dataclasses.replace(found, runs=ours))
    assert "with 279M parameters, new rows included, 3,000,000" in alone
    assert "85 in 100" not in alone
