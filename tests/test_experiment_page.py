"""The report page in a real browser: headless Chromium, no network, a screenshot that is not blank."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import warnings
from collections.abc import Sequence
from itertools import combinations, pairwise
from pathlib import Path

import pytest

pytest.importorskip("peft")
pytest.importorskip("matplotlib")

from hypothesis import example, given
from hypothesis import strategies as st
from made_up_results import report_folder
from matplotlib import image

from hypertok.experiment import plots
from hypertok.experiment.compare import Side, control_of, sides
from hypertok.experiment.definition import Arm
from hypertok.experiment.labels import Box, moved_apart
from hypertok.experiment.page import Paragraph, Table
from hypertok.experiment.report import write_report
from hypertok.experiment.results import Results, RunResult, run_path
from hypertok.experiment.scale import scale
from hypertok.experiment.sections import run_blocks
from hypertok.measure.copy_task import Copied
from hypertok.measure.speed import Speed
from hypertok.tokenizer.extend import ExtendOptions
from hypertok.training.options import TrainOptions

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
#: Started by root as well, and to talk to nobody.
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
)  # fmt: skip
#: Every kind of plot is in one of them.
RESULTS = Path(__file__).parents[1] / "experiments" / "results"
COMMITTED = ("ab-5m-bos", "init", "memory", "rows")
#: Room for the whole page of a small experiment.
SIZE = (1300, 3600)


def browser() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        message = f"NO BROWSER ({', '.join(BROWSERS)}): the report page was NOT looked at; install chromium"
        warnings.warn(message, stacklevel=2)
        pytest.skip(message)
    return found


def screenshot(program: str, page: Path, folder: Path) -> Path:
    target = folder / f"{page.stem}.png"
    done = subprocess.run(
        [
            program, *FLAGS, f"--user-data-dir={folder / f'{page.stem}-profile'}", f"--screenshot={target}",
            f"--window-size={SIZE[0]},{SIZE[1]}", page.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert target.is_file(), done.stderr[-2000:]
    return target


def test_a_seed_that_not_every_arm_has_counts_only_where_arms_are_paired(tmp_path: Path) -> None:
    """A seed draws another text: the mean of two beside one of them would show a difference that is none."""
    folder = report_folder(tmp_path / "results")
    whole = {side.label: side for side in sides(Results.load(folder))}
    run_path(folder, "control-characters-s1").unlink()
    results = Results.load(folder)
    found = {side.label: side for side in sides(results)}
    first = next(run.quality.bits_per_character for run in results.runs if run.arm == "ours")
    assert found["ours"].bpc.value == pytest.approx(first)
    assert whole["ours"].bpc.value > first
    assert found["ours"].against(found["stock"]) == whole["ours"].against(whole["stock"]), "both seeds of both"
    text = write_report(results).markdown.read_text(encoding="utf-8")
    assert "2 seeds, not all of every arm: figures of an arm by itself are of seed 0, which all have" in text
    assert f"| 0: {first:.4f}, 1: " in text


def test_seeds_that_no_two_arms_share_are_told(tmp_path: Path) -> None:
    folder = report_folder(tmp_path / "results")
    for arm, seed in (("stock", 1), ("control", 0), ("ours", 0)):
        run_path(folder, f"{arm}-characters-s{seed}").unlink()
    told = scale(Results.load(folder))
    assert "2 seeds, none of them of every arm: figures of an arm by itself, in plots too, do not compare" in told


def test_an_arm_stands_beside_the_control_that_is_begun_and_trained_like_it() -> None:
    bpe = ExtendOptions(units="bpe")
    arms = [
        Arm(name="control-flat", tokenizer=bpe, train=TrainOptions(rows="flat")),
        Arm(name="control-mean", tokenizer=bpe, init="mean"),
        Arm(name="control-general", tokenizer=ExtendOptions(units="bpe", general=0.5)),
        Arm(name="control", tokenizer=bpe),
        Arm(name="ours"),
        Arm(name="ours-logged", train=TrainOptions(log_every=3)),
        Arm(name="ours-mean", init="mean"),
        Arm(name="ours-symbols", tokenizer=ExtendOptions(text="symbols")),
        Arm(name="ours-factored", train=TrainOptions(rows="factored")),
        Arm(name="ours-untrained", untrained=True),
    ]
    every = [Side(arm, "characters", (), ()) for arm in arms]
    found = {side.label: control_of(side, every) for side in every if side.role == "ours"}
    assert {name: control and control.label for name, control in found.items()} == {
        "ours": "control", "ours-logged": "control", "ours-mean": "control-mean", "ours-symbols": "control",
        "ours-factored": None, "ours-untrained": None,
    }  # fmt: skip


def test_a_control_that_reads_other_text_says_so(tmp_path: Path) -> None:
    results = Results.load(report_folder(tmp_path / "results"))
    assert "| ours | control | " in write_report(results).markdown.read_text(encoding="utf-8")
    symbols = [
        arm.model_copy(update={"tokenizer": ExtendOptions(text="symbols")}) if arm.name == "ours" else arm
        for arm in results.definition.arms
    ]
    other = results.definition.model_copy(update={"arms": tuple(symbols)})
    text = write_report(
        dataclasses.replace(results, plan=results.plan.model_copy(update={"definition": other}))
    ).markdown.read_text(encoding="utf-8")
    assert "| ours | control (reads text as written) | " in text


def test_code_that_trained_is_told_where_other_code_measured(tmp_path: Path) -> None:
    results = Results.load(report_folder(tmp_path / "results"))

    def told(trained: str | None, dirty: bool | None) -> str:
        runs = tuple(
            run.model_copy(
                update={
                    "provenance": run.provenance.model_copy(update={"commit": "b" * 40, "dirty": False}),
                    "trained": run.trained and run.trained.model_copy(update={"commit": trained, "dirty": dirty}),
                }
            )
            for run in results.runs
        )
        return write_report(dataclasses.replace(results, runs=runs)).markdown.read_text(encoding="utf-8")

    assert f"| code that trained | {'a' * 40} |" in told("a" * 40, False)
    assert f"| code that trained | {'b' * 40} with changes that are not committed |" in told("b" * 40, True)
    assert "code that trained" not in told("b" * 40, False)
    assert "code that trained" not in told(None, None), "older results do not tell"


def test_peaks_of_memory_have_a_column_where_some_are_told(tmp_path: Path) -> None:
    results = Results.load(report_folder(tmp_path / "results"))
    text = write_report(results).markdown.read_text(encoding="utf-8")
    assert "| minutes |\n" in text
    assert "eak memory" not in text
    runs = tuple(
        run.model_copy(update={"trained": run.trained and run.trained.model_copy(update={"peak_memory": 5 << 29})})
        if run.arm == "ours"
        else run
        for run in results.runs
    )
    text = write_report(dataclasses.replace(results, runs=runs)).markdown.read_text(encoding="utf-8")
    assert "| minutes | peak memory, GiB |\n" in text
    assert re.search(r"^\| ours \|.* 15\.0 \| 2\.50 \|$", text, re.MULTILINE)
    assert re.search(r"^\| stock \|.* 15\.0 \| +\|$", text, re.MULTILINE)
    assert "Peak memory is what was given out on the GPU" in text


def test_speeds_of_two_devices_are_no_multiples_of_each_other(tmp_path: Path) -> None:
    results = Results.load(report_folder(tmp_path / "results"))
    speed = Speed(1, "cpu", 2, 3, 2000, 500, 64, 1000.0, 250.0, 40.0, 10.0)
    card = _device_of(results, "ours", "Card X")

    def cells(runs: Sequence[RunResult]) -> list[str]:
        shown = dataclasses.replace(
            results, runs=tuple(run.model_copy(update={"speed": (dataclasses.replace(speed),)}) for run in runs)
        )
        blocks = list(run_blocks(shown))
        at = next(n for n, one in enumerate(blocks) if isinstance(one, Table) and "reads, batch 1" in one.head)
        table, below = blocks[at], blocks[at + 1]
        assert isinstance(table, Table)
        assert isinstance(below, Paragraph)
        assert "trust no ratio here" in below.text, "of one device neither: another process may have been at work"
        return [row[1] for row in table.rows]

    assert cells(results.runs) == ["1,000", "1,000 (1.00)", "1,000 (1.00)"]
    assert cells(card) == ["1,000", "1,000 (1.00)", "1,000"]


def test_copying_has_an_interval_where_passages_are_told(tmp_path: Path) -> None:
    results = Results.load(report_folder(tmp_path / "results"))

    def told(copied: Copied) -> tuple[str, str]:
        runs = tuple(run.model_copy(update={"copied": copied}) for run in results.runs)
        blocks = list(run_blocks(dataclasses.replace(results, runs=runs)))
        table = next(block for block in blocks if isinstance(block, Table) and "copied exactly" in block.head)
        text = next(one.text for one in blocks if isinstance(one, Paragraph) and "Copying:" in one.text)
        return table.rows[0][table.head.index("copied exactly")], text

    older, text = told(Copied(2, 0.5, 20, 0.6))
    assert (older, "in 2 passages" in text, "can be chance" in text) == ("60.00%", True, True)
    newer, text = told(Copied(2, 0.5, 20, 0.6, ((10, 10), (2, 10))))
    assert (newer, "interval by passage" in text) == ("60.00% [20.0%, 100.0%]", True)


BOXES = st.builds(Box, *[st.floats(0, 60)] * 2, st.floats(1, 30), st.floats(1, 12))


@given(st.lists(BOXES, max_size=12))
@example([Box(0, 28.8, 10, 9.6)] * 2)  # 28.8 - 9.6 + 9.6 is a little more than 28.8
def test_labels_never_cover_each_other(wanted: list[Box]) -> None:
    placed = moved_apart(wanted)
    assert not any(one.covers(other) for one, other in combinations(placed, 2))
    for before, after in zip(wanted, placed, strict=True):
        assert dataclasses.replace(after, bottom=before.bottom) == before, "down alone"
        assert after.bottom <= before.bottom
        alone = not any(before.covers(other) for other in placed if other is not after)
        assert after == before or not alone, "none moves without need"


def test_arms_that_end_alike_are_named_one_below_the_other(tmp_path: Path) -> None:
    results = Results.load(report_folder(tmp_path / "results"))
    ours = next(side for side in sides(results) if side.label == "ours")
    alike = [dataclasses.replace(ours, arm=ours.arm.model_copy(update={"name": f"ours-{n}"})) for n in range(5)]
    found = [float(at) for at in re.findall(r' y="([\d.]+)"[^>]*>ours-\d<', plots.front(alike, None))]
    assert len(found) == 5
    assert min(after - before for before, after in pairwise(sorted(found))) > 8, "a line of 8 points each"


def _device_of(results: Results, arm: str, device: str) -> list[RunResult]:
    """The runs, those of an arm measured on another device."""
    return [
        run.model_copy(update={"provenance": run.provenance.model_copy(update={"device": device})})
        if run.arm == arm
        else run
        for run in results.runs
    ]


@pytest.mark.slow
@pytest.mark.parametrize("which", ["made up", *COMMITTED])
def test_the_page_is_drawn_by_a_browser(which: str, tmp_path: Path) -> None:
    program = browser()
    if which == "made up":
        folder = report_folder(tmp_path / "results")
    else:
        folder = Path(shutil.copytree(RESULTS / which, tmp_path / which))
    report = write_report(folder)
    pixels = image.imread(screenshot(program, report.page, tmp_path))[..., :3]  # (height, width, 3)
    assert pixels.shape[:2] == SIZE[::-1]
    dark = (pixels.max(axis=2) < 0.5).mean(axis=1)  # share of dark pixels in each line
    inked = dark > 0
    assert 0.05 < inked.mean() < 0.95, "text and gaps between lines"
    coloured = pixels.max(axis=2) - pixels.min(axis=2) > 0.3
    assert coloured.any(axis=1).sum() > 100, "the plots have colours"
    blank = tmp_path / "blank.html"
    blank.write_text("<!doctype html><title>blank</title>", encoding="utf-8")
    empty = image.imread(screenshot(program, blank, tmp_path))[..., :3]
    assert (empty > 0.99).all(), "the check would see a blank page"
