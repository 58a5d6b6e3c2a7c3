"""Single files that commands write: whole or not at all, and what stood there is respected."""

from __future__ import annotations

import os
import shutil
import stat
import threading
from pathlib import Path

import pytest

from hypertok.single_file import require_disk, write_file, writing_file


def write_half(path: Path) -> None:
    with writing_file(path) as file:
        file.write(b"half")
        raise ValueError("stop")


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "note.md"
    path.write_text("прежнее", encoding="utf-8")
    with pytest.raises(ValueError, match="stop"):
        write_half(path)
    assert path.read_text(encoding="utf-8") == "прежнее"
    assert [one.name for one in tmp_path.iterdir()] == ["note.md"]


def test_a_new_file_can_be_read_by_whom_the_umask_lets(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        for mask in (0o077, 0o022, 0o002):
            os.umask(mask)
            write_file(tmp_path / f"new{mask}", b"1")
            (tmp_path / f"plain{mask}").touch()
            assert (tmp_path / f"new{mask}").stat().st_mode == (tmp_path / f"plain{mask}").stat().st_mode
    finally:
        os.umask(before)


def test_files_of_other_threads_keep_their_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The umask is that of the whole process, and is not set for the time of asking what it is."""
    asked: list[int] = []
    monkeypatch.setattr(os, "umask", lambda mask: asked.append(mask) or 0)
    write_file(tmp_path / "new", b"1")
    assert not asked


@pytest.mark.skipif(os.name == "nt", reason="modes, links and pipes of POSIX")
def test_mode_and_link_of_what_was_there_stay(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"before")
    real.chmod(0o600)
    link.symlink_to(real)
    write_file(link, b"after")
    assert link.is_symlink()
    assert real.read_bytes() == b"after"
    assert stat.S_IMODE(real.stat().st_mode) == 0o600


@pytest.mark.skipif(os.name == "nt", reason="modes, links and pipes of POSIX")
def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe, heard = tmp_path / "pipe", list[bytes]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: heard.append(pipe.read_bytes()))
    reader.start()
    write_file(pipe, b"through")
    reader.join(10)
    assert heard == [b"through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_disk_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda path: False)  # of "X:\\" on Windows the root itself is missing
    monkeypatch.setattr(shutil, "disk_usage", lambda path: (_ for _ in ()).throw(FileNotFoundError(str(path))))
    with pytest.raises(FileNotFoundError):
        require_disk(Path("X/merged"), 1, "the model needs")
