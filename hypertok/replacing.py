"""A folder that takes the place of another in one rename, whatever else writes to the same place meanwhile."""

from __future__ import annotations

import errno
import glob
import os
import platform
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: What a rename says when another writer of the same target came between, and how often that may be.
_CAME_BETWEEN = (errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY)
_TRIES = 20


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A new folder to fill, beside `target`; on leaving without an error it takes its place.

    Of several writers each has a folder of its own, and the last one to end wins whole.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    stem = f".{target.name[:40]}.unfinished.{platform.node()}."
    _remove_stale(target.parent, stem)
    beside = target.with_name(f"{stem}{os.getpid()}.{uuid.uuid4().hex[:8]}")
    beside.mkdir()
    try:
        yield beside
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    _replace(target, beside)


def discard(folder: Path) -> None:
    """Remove a folder of unfinished work; a kill on the way leaves nothing half of it that could be gone on with."""
    gone = folder.with_name(f".{folder.name}.gone")
    shutil.rmtree(gone, ignore_errors=True)
    try:
        folder.rename(gone)
    except OSError:  # where a link leads: the root of a disk, or in a folder that cannot be written to
        for path in sorted(folder.iterdir(), key=Path.is_dir):  # first the file that says what the rest is
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return
    shutil.rmtree(gone)


def previous_of(target: Path) -> Path:
    """Where a folder stands while another one takes its place."""
    return target.parent / f".{target.name}.previous"


def _remove_stale(parent: Path, stem: str) -> None:
    """Remove what killed processes of this machine left; those of other machines cannot be asked for."""
    for folder in parent.glob(f"{glob.escape(stem)}*.*"):
        process = folder.name.rsplit(".", 2)[1]
        if process.isdecimal() and not _lives(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def _lives(process: int) -> bool:
    if os.name != "posix":  # elsewhere the question would end the process
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # someone else's
        pass
    return True


def _replace(target: Path, beside: Path) -> None:
    previous = previous_of(target)
    for left in reversed(range(_TRIES)):
        shutil.rmtree(previous, ignore_errors=True)
        try:
            if target.exists():
                target.rename(previous)
            beside.rename(target)
            break
        except OSError as error:
            if not left or error.errno not in _CAME_BETWEEN:
                raise
    shutil.rmtree(previous, ignore_errors=True)
