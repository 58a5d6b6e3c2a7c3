"""A file that is there whole or not at all, and what is asked of the place where it is to lie."""

from __future__ import annotations

import glob
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from hypertok.errors import InputError
from hypertok.replacing import flush, moved, remove_stale, unfinished

#: How a new file is opened; on Windows as bytes, too.
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


@contextmanager
def writing_file(path: Path, *, of_many: bool = False) -> Iterator[IO[bytes]]:
    """A file to write beside `path`; on leaving without an error it takes its place, whole or not at all.

    A link is followed, and a file that stood there leaves its mode; a device or a pipe is written to as it is.

    Args:
        of_many: it is one of thousands that can be made again: neither is waited until it is on the disk, nor looked
            for what killed processes left.
    """
    if path.exists() and not path.is_file():  # asked before links are followed: /dev/stdout leads to no path
        with path.open("wb") as file:
            yield file
        return
    path = path.resolve()
    if not of_many:
        remove_stale(path.parent, glob.escape(path.name[:40]))
    beside = unfinished(path.parent, path.name)
    try:
        # The umask is not asked what it is: to ask is to set it for a moment, for all threads.
        mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
        with os.fdopen(os.open(beside, _NEW, 0o666 if mode is None else 0o600), "wb") as file:
            yield file
        if not of_many:
            flush(beside)
        if mode is not None:
            beside.chmod(mode)  # so far it was for the owner alone
        moved(beside, path)
        if not of_many:
            flush(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def write_file(path: Path, data: bytes, *, of_many: bool = False) -> None:
    """Write a single file as `writing_file` does, so that it is there whole or not at all."""
    with writing_file(path, of_many=of_many) as file:
        file.write(data)


def require_place(path: Path) -> None:
    """See that a file may be written at a path, before long work for it.

    Raises:
        InputError: a folder is there, or there is none for it to lie in, or none that it may be written to.
    """
    folder = path.resolve().parent
    if path.is_dir() or not folder.is_dir():
        what = "is a folder" if path.is_dir() else "lies in a folder that is not there"
        raise InputError(f"{path} {what}: name a file in a folder that exists")
    if not os.access(folder, os.W_OK) and (not path.exists() or path.is_file()):  # a device is written to as it is
        raise InputError(f"{path} lies in a folder that you may not write to: name a file in another one")


def require_disk(
    target: Path, needed: int, what: str, remedy: str = "make room, or name an output on another disk"
) -> None:
    """See that so many bytes are free on the disk of a folder that may still have to be made.

    Args:
        what: what needs them, and the verb: "the model needs".

    Raises:
        InputError: they are not.
    """
    folder = target.absolute()
    while not folder.exists() and folder != folder.parent:  # a disk that is not there is its own parent
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"{target}: {what} {needed / 2**30:,.2f} GiB of disk there and {free / 2**30:,.2f} GiB are free; {remedy}"
        )
