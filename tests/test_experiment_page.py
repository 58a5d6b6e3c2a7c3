"""The report page in a real browser: headless Chromium, no network, a screenshot that is not blank."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from pathlib import Path

import pytest

pytest.importorskip("peft")
pytest.importorskip("matplotlib")

from matplotlib import image
from small_experiments import report_folder

from hypertok.experiment.report import write_report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
#: Started by root as well, and to talk to nobody.
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
)  # fmt: skip
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


@pytest.mark.slow
def test_the_page_is_drawn_by_a_browser(tmp_path: Path) -> None:
    program = browser()
    report = write_report(report_folder(tmp_path / "results"))
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
