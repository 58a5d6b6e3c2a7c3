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

from hypertok.errors import ArtifactError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment, unused-ignore]

#: What a rename says when another writer of the same target came between, and how often that may be.
_CAME_BETWEEN = (errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY)
_TRIES = 20


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A new folder to fill, beside `target`; on leaving without an error it takes its place.

    Of several writers each has a folder of its own, and the last one to end wins whole.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    name = target.name[:40]
    remove_stale(target.parent, glob.escape(name))
    beside = unfinished(target.parent, name)
    beside.mkdir()
    try:
        yield beside
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    _replace(target, beside)


def unfinished(parent: Path, name: str) -> Path:
    """A name for what this process writes, beside its place in `parent`."""
    return parent / f".{name}.unfinished.{platform.node()}.{os.getpid()}.{uuid.uuid4().hex[:8]}"


def remove_stale(parent: Path, names: str = "*") -> None:
    """Remove what killed processes of this machine left unfinished of the places that a glob pattern names."""
    for folder in parent.glob(f".{names}.unfinished.{glob.escape(platform.node())}.*.*"):
        if not _lives(folder.name.rsplit(".", 2)[1]):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def alone(target: Path) -> Iterator[None]:
    """Be the only process that makes `target`, where two would share a folder of finished work.

    A lock, which falls with the process that holds it; on Windows, which has another kind, none.

    Raises:
        ArtifactError: another process has it.
    """
    if fcntl is None:
        yield
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    path = target.with_name(f".{target.name}.lock")
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArtifactError(
                f"{target}: another process is making it; wait for it, or name another output"
            ) from None
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


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


def _lives(process: str) -> bool:
    """Whether a process of this machine runs; those of other machines cannot be asked for."""
    if os.name != "posix" or not process.isdecimal():  # elsewhere the question would end the process
        return True
    try:
        os.kill(int(process), 0)
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
