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
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hypertok.errors import ArtifactError

#: What a rename says when another writer of the same target came between, and how often that may be.
_CAME_BETWEEN = (errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY)
_TRIES = 20
#: What a file system says that cannot be asked to write at once.
_NOT_ASKED = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EPERM, errno.ENOSYS)
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
                raise ArtifactError(
                    f"{target}: cannot be replaced ({error.strerror}); close what has it open. What was to take its "
                    f"place is whole, in {beside}"
                ) from error
    flush(target.parent)
    shutil.rmtree(previous, ignore_errors=True)
