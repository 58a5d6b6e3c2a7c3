"""A folder that takes the place of another in one rename, whatever else writes to the same place meanwhile.

What is renamed is on the disk before: after a power cut a name may else stand there, and what was written under it not.
"""

from __future__ import annotations

import errno
import glob
import os
import platform
import shutil
import stat
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from hypertok.errors import ArtifactError

#: What a rename says when another writer of the same target came between, and how often that may be.
_CAME_BETWEEN = (errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY)
_TRIES = 20
#: How often a rename is tried, and the seconds between: on Windows none succeeds while a scanner has the file open.
_RENAMES = 30 if os.name == "nt" else 1
_PAUSE = 0.2
#: What a file system says that cannot be asked to write at once.
_NOT_ASKED = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EPERM, errno.ENOSYS)
#: What it says where it has no locks.
_NO_LOCKS = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS)
#: Names that this process made: another one that was killed may have had the same number, in a container mostly.
_OWN: set[str] = set()


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A new folder to fill, beside `target`; on leaving without an error it takes its place.

    Of several writers each has a folder of its own, and the last one to end wins whole. Who may read what stood there
    may read what takes its place.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_stale(target.parent, glob.escape(target.name[:40]))
    beside = unfinished(target.parent, target.name)
    make_like(target, beside)
    try:
        yield beside
        to_disk(beside)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    _replace(target, beside)  # where that fails, what is made stays: it may be hours of work


def make_like(model: Path, folder: Path) -> None:
    """Make a folder; where there is a `model`, a folder too, for the same people to read, or for fewer if it was so."""
    was = stat.S_IMODE(folder.stat().st_mode) if folder.is_dir() else 0o7777
    folder.mkdir(parents=True, exist_ok=True)
    if model.is_dir():
        folder.chmod(was & stat.S_IMODE(model.stat().st_mode) | stat.S_IRWXU)


def unfinished(parent: Path, name: str) -> Path:
    """A name for what this process writes, beside its place in `parent`."""
    name = f".{name[:40]}.unfinished.{platform.node()}.{os.getpid()}.{uuid.uuid4().hex[:8]}"
    _OWN.add(name)
    return parent / name


def remove_stale(parent: Path, names: str = "*") -> None:
    """Remove what killed processes of this machine left unfinished of the places that a glob pattern names."""
    for path in parent.glob(f".{names}.unfinished.{glob.escape(platform.node())}.*.*"):
        process = path.name.rsplit(".", 2)[1]
        if path.name in _OWN or (process != str(os.getpid()) and _lives(process)):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()


def moved(source: Path, target: Path) -> None:
    """Rename a file, over one that is there, or a folder, to where none is.

    Raises:
        OSError: it cannot be renamed; a PermissionError on Windows only when it has been tried for some seconds.
    """
    for left in reversed(range(_RENAMES)):
        try:
            (source.rename if source.is_dir() else source.replace)(target)
            return
        except PermissionError:
            if not left:
                raise
            time.sleep(_PAUSE)


def to_disk(path: Path) -> None:
    """Wait until a file, or a folder with all that is in it, is on the disk. Links in a folder are not followed.

    Raises:
        OSError: it cannot be written there: only now a disk may turn out to be full, or broken.
    """
    if path.is_dir():
        for one in path.iterdir():
            if not one.is_symlink():
                to_disk(one)
    flush(path)


def flush(path: Path) -> None:
    """Wait until the bytes of a file, or the names in a folder, are on the disk.

    Raises:
        OSError: see `to_disk`.
    """
    if os.name != "posix" and path.is_dir():
        return  # elsewhere a folder cannot be opened
    try:
        handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in _NOT_ASKED:
            raise


@contextmanager
def alone(target: Path, waiting: Callable[[str], None] | None = None) -> Iterator[None]:
    """Be the only process that makes `target`, where two would share a folder of finished work.

    Args:
        waiting: told that another process has it, which is then waited for; None where that is an error.

    Raises:
        ArtifactError: another process has it, and it is not waited for.
    """
    from filelock import FileLock, Timeout

    target.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if waiting is None:
            raise ArtifactError(
                f"{target}: another process is making it; wait for it, or name another output"
            ) from None
        waiting(f"waiting for another process, which makes {target}")
        lock.acquire()
    except NotImplementedError:  # of older releases: a file system without locks
        pass
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    try:
        yield
    finally:
        if waiting is None:  # nobody has waited with this file open
            with suppress(OSError):
                Path(lock.lock_file).unlink()
        lock.release()


def discard(folder: Path) -> None:
    """Remove a folder of unfinished work; a kill on the way leaves nothing half of it that could be gone on with.

    What is left by a kill is removed the next time; there may be nothing else by then.
    """
    gone = folder.with_name(f".{folder.name}.gone")
    shutil.rmtree(gone, ignore_errors=True)
    if not folder.exists():
        return
    try:
        moved(folder, gone)
    except OSError:  # where a link leads: the root of a disk, or in a folder that cannot be written to
        for path in sorted(folder.iterdir(), key=Path.is_dir):  # first the file that says what the rest is
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return
    shutil.rmtree(gone, ignore_errors=True)


def previous_of(target: Path) -> Path:
    """Where a folder stands while another one takes its place."""
    return target.parent / f".{target.name}.previous"


def _lives(process: str) -> bool:
    """Whether a process of this machine runs; those of other machines cannot be asked for."""
    if not process.isdecimal():
        return True
    if sys.platform == "win32":  # where the question below would end the process
        return _lives_on_windows(int(process))
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # someone else's
        pass
    return True


def _lives_on_windows(process: int) -> bool:
    import ctypes

    windows: Any = ctypes  # elsewhere it has less
    query, denied, still_active = 0x1000, 5, 259
    system = windows.WinDLL("kernel32", use_last_error=True)
    system.OpenProcess.restype = ctypes.c_void_p
    handle = system.OpenProcess(query, False, process)
    if not handle:
        return bool(windows.get_last_error() == denied)  # someone else's
    code = ctypes.c_ulong()
    told = system.GetExitCodeProcess(ctypes.c_void_p(handle), ctypes.byref(code))
    system.CloseHandle(ctypes.c_void_p(handle))
    return not told or code.value == still_active


def _replace(target: Path, beside: Path) -> None:
    previous = previous_of(target)
    for left in reversed(range(_TRIES)):
        shutil.rmtree(previous, ignore_errors=True)
        try:
            if target.exists():
                moved(target, previous)
            moved(beside, target)
            break
        except OSError as error:
            if not left or error.errno not in _CAME_BETWEEN:
                before = "" if target.exists() or not previous.exists() else f", and what stood there in {previous}"
                raise ArtifactError(
                    f"{target}: cannot be replaced ({error.strerror}); close what has it open. What was to take its "
                    f"place is whole, in {_kept(target, beside)}{before}"
                ) from error
    flush(target.parent)
    shutil.rmtree(previous, ignore_errors=True)


def _kept(target: Path, beside: Path) -> Path:
    """Where what could not take its place stays: an unfinished name would be removed by the next start."""
    try:
        names = (target.with_name(f"{target.name}.new{number or ''}") for number in count())
        kept = next(one for one in names if not one.exists())
        moved(beside, kept)
    except OSError:
        return beside
    return kept
