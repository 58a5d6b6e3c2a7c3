"""Several processes that write to one place: none takes what another one is at work with."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from filelock import FileLock

from hypertok.errors import ArtifactError
from hypertok.lexicon.build import build_lexicon
from hypertok.replacing import alone, discard, moved, previous_of, remove_stale, replacing, unfinished
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


def open_elsewhere(monkeypatch: pytest.MonkeyPatch, times: int, of: str = "") -> None:
    """Let so many renames of what a name begins with fail, as they do on Windows while another program has it open."""
    left = [times]

    def patched(rename: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        def renamed(path: Path, target: Path) -> Path:
            if path.name.startswith(of) and left[0]:
                left[0] -= 1
                raise PermissionError(errno.EACCES, "Access is denied")
            return rename(path, target)

        return renamed

    monkeypatch.setattr("hypertok.replacing._RENAMES", 30)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    for name in ("rename", "replace"):
        monkeypatch.setattr(Path, name, patched(getattr(Path, name)))


def filled(target: Path, content: str) -> None:
    with replacing(target) as beside:
        (beside / "a").write_text(content, encoding="utf-8")


def test_what_a_scanner_has_open_is_renamed_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path / "folder", "old")
    for work in (
        lambda: filled(tmp_path / "folder", "new"),
        lambda: write_file(tmp_path / "file", b"new"),
        lambda: discard(tmp_path / "folder"),
    ):
        with monkeypatch.context() as windows:
            open_elsewhere(windows, 29)
            work()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    open_elsewhere(monkeypatch, 30)
    with pytest.raises(PermissionError):
        moved(tmp_path / "file", tmp_path / "other")


def test_what_cannot_take_its_place_outlives_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "folder"
    filled(target, "old")
    (tmp_path / "folder.new").mkdir()  # of an earlier time
    with monkeypatch.context() as windows:
        open_elsewhere(windows, 30, of=".folder.unfinished")
        with pytest.raises(ArtifactError, match=r"is whole, in .*folder\.new1, and what stood there in .*previous"):
            filled(target, "new")
    assert (tmp_path / "folder.new1" / "a").read_text(encoding="utf-8") == "new"
    assert (previous_of(target) / "a").read_text(encoding="utf-8") == "old"
    assert not list(tmp_path.glob("*unfinished*"))


def test_what_was_not_moved_is_not_told_as_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path / "folder", "old")
    with monkeypatch.context() as windows:
        open_elsewhere(windows, 30, of="folder")
        with pytest.raises(ArtifactError, match=r"folder\.new$"):
            filled(tmp_path / "folder", "new")
    assert (tmp_path / "folder" / "a").read_text(encoding="utf-8") == "old"


@pytest.mark.parametrize(
    ("opened", "error", "code", "stays"), [(7, 0, 259, True), (7, 0, 1, False), (0, 5, 0, True), (0, 87, 0, False)]
)
def test_on_windows_too_what_dead_processes_left_is_removed(
    opened: int, error: int, code: int, stays: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs (259), has ended, is someone else's (5), or there is none of this number (87)."""

    def exit_code(handle: Any, place: Any) -> int:
        place._obj.value = code
        return 1

    closed: list[int] = []
    system = SimpleNamespace(
        OpenProcess=lambda access, inherit, process: opened or None,
        GetExitCodeProcess=exit_code,
        CloseHandle=lambda handle: closed.append(handle.value),
    )
    left = tmp_path / f".x.unfinished.{platform.node()}.4242.0a0a0a0a"
    left.touch()
    with monkeypatch.context() as windows:
        windows.setattr(sys, "platform", "win32")
        windows.setattr(ctypes, "WinDLL", lambda name, use_last_error: system, raising=False)
        windows.setattr(ctypes, "get_last_error", lambda: error, raising=False)
        remove_stale(tmp_path)
    assert left.exists() == stays
    assert closed == ([7] if opened else [])


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_no_error(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(lock: FileLock, **options: object) -> None:
        raise OSError(number, "none here")

    monkeypatch.setattr(FileLock, "acquire", refuses)
    with alone(tmp_path / "a.lexicon"):
        pass


def test_a_lock_that_fails_otherwise_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(lock: FileLock, **options: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(FileLock, "acquire", refuses)
    with pytest.raises(OSError, match="Input/output"), alone(tmp_path / "a.lexicon"):
        pass
