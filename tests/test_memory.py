"""Counting keeps its memory bounded although new forms never cease to come (Linux)."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hypertok.corpus.counting import MAX_FORMS

GIB = 1 << 30
BENCHMARK = Path(__file__).resolve().parents[1] / "benchmarks" / "memory.py"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")
def test_no_process_reaches_a_gibibyte(tmp_path: Path) -> None:
    if shutil.disk_usage(tmp_path).free < 3 * GIB:
        pytest.skip("needs 3 GiB of free disk")
    run = subprocess.run(
        # More new words than the benchmark has by itself: 1.8 million forms in a third of the text.
        [sys.executable, BENCHMARK, "--gib", "0.05", "--zipf", "1.08", "--json", "--folder", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    figures = json.loads(run.stdout)
    assert figures["pruned"] > 0, "the bound on distinct forms was never reached, so nothing was proved"
    assert figures["forms"] <= MAX_FORMS
    assert len(figures["workers"]) >= 2
    assert max(figures["parent"], *figures["workers"]) < GIB
    assert not list(tmp_path.iterdir())
