"""Several processes that write to one place: none takes what another one is at work with."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from hypertok.errors import ArtifactError
from hypertok.lexicon.build import build_lexicon
from hypertok.replacing import alone, remove_stale, unfinished


def ended_process() -> int:
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    return int(done.stdout)


def test_only_what_dead_processes_left_is_removed(tmp_path: Path) -> None:
    running = unfinished(tmp_path, "x")
    dead = tmp_path / f".x.unfinished.{platform.node()}.{ended_process()}.0a0a0a0a"
    elsewhere = tmp_path / ".x.unfinished.another-machine.1.0a0a0a0a"
    for folder in (running, dead, elsewhere):
        folder.mkdir()
    assert unfinished(tmp_path, "x") != running
    remove_stale(tmp_path, "y")
    assert len(list(tmp_path.iterdir())) == 3, "of other places"
    remove_stale(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([running, elsewhere])


def test_a_second_build_of_one_lexicon_is_refused_while_the_first_runs(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "а.txt").write_text("Печень очищает кровь. " * 20, encoding="utf-8")
    target = tmp_path / "out" / "a.lexicon"
    with alone(target), pytest.raises(ArtifactError, match="another process is making it; wait for it"):
        build_lexicon(tmp_path / "texts", target)
    target.with_name(".a.lexicon.lock").touch()  # as a kill leaves it
    build_lexicon(str(tmp_path / "texts"), str(target))
    assert [path.name for path in target.parent.iterdir()] == ["a.lexicon"], "no lock and no work is left"
