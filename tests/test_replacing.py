"""Several processes that write to one place: none takes what another one is at work with."""

from __future__ import annotations

import errno
import os
import platform
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hypertok.errors import ArtifactError
from hypertok.lexicon.build import build_lexicon
from hypertok.replacing import alone, remove_stale, replacing, unfinished
from hypertok.single_file import write_file


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


def test_what_another_process_of_the_same_number_left_is_removed(tmp_path: Path) -> None:
    """As in a container, where the command has the same one after every start."""
    left = [tmp_path / f".{name}.unfinished.{platform.node()}.{os.getpid()}.0a0a0a0a" for name in ("x", "y")]
    left[0].mkdir()
    left[1].touch()
    with replacing(tmp_path / "z") as own:
        remove_stale(tmp_path)
        assert list(tmp_path.iterdir()) == [own]
    write_file(tmp_path / "y", b"1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["y", "z"]


def test_what_does_not_reach_the_disk_replaces_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some disks tell that they are full only when they have to write at once."""
    with replacing(tmp_path / "folder") as beside:
        (beside / "a").write_text("old", encoding="utf-8")
    write_file(tmp_path / "file", b"old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"), replacing(tmp_path / "folder") as beside:
        (beside / "a").write_text("new", encoding="utf-8")
    with pytest.raises(OSError, match="No space"):
        write_file(tmp_path / "file", b"new")
    assert [(tmp_path / name).read_bytes() for name in ("folder/a", "file")] == [b"old", b"old"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_file_system_that_cannot_be_asked_to_write_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(handle: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr("os.fsync", refuses)
    write_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_second_build_of_one_lexicon_is_refused_while_the_first_runs(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "а.txt").write_text("Печень очищает кровь. " * 20, encoding="utf-8")
    target = tmp_path / "out" / "a.lexicon"
    with alone(target), pytest.raises(ArtifactError, match="another process is making it; wait for it"):
        build_lexicon(tmp_path / "texts", target)
    target.with_name(".a.lexicon.lock").touch()  # as a kill leaves it
    build_lexicon(str(tmp_path / "texts"), str(target))
    assert [path.name for path in target.parent.iterdir()] == ["a.lexicon"], "no lock and no work is left"


@pytest.mark.skipif(os.name != "posix", reason="elsewhere folders have no mode")
@pytest.mark.parametrize("mode", [0o700, 0o770, 0o755])
def test_what_takes_a_folders_place_is_for_the_same_people(tmp_path: Path, mode: int) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "а.txt").write_text("Печень очищает кровь. " * 20, encoding="utf-8")
    target = tmp_path / "a.lexicon"
    build_lexicon(tmp_path / "texts", target)
    target.chmod(mode)
    seen = set()

    def look(_step: str, _done: int, _total: int) -> None:
        seen.update(stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("a.lexicon.work"))

    (tmp_path / "texts" / "б.txt").write_text("Лёгкие дают ей кислород. " * 20, encoding="utf-8")
    build_lexicon(tmp_path / "texts", target, progress=look)
    assert stat.S_IMODE(target.stat().st_mode) == mode
    assert seen == {mode}
    with replacing(target) as beside:
        assert stat.S_IMODE(beside.stat().st_mode) == mode, "while it is filled, too"
