"""Walking a corpus and cutting it into shards; nothing is decoded here.

Files come in the order of their paths, real files before what links lead to, each real file once. Small
files share a shard; a big text or JSON-lines file is cut at line ends so that several workers can read it.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from hypertok.corpus import datasets_source, encodings, formats
from hypertok.corpus.encodings import explain
from hypertok.corpus.records import Part, Plan, Shard, SourceReport, Status
from hypertok.errors import InputError

#: Told path and reason of each source that is left out, whole or in part.
Skipped = Callable[[str, str], None]

#: Bytes of one shard: about a quarter of a second of reading, so both cores end together and a killed run
#: loses little; still big enough that starting a shard costs nothing.
SHARD_BYTES = 8 << 20
_SCAN = 1 << 20
#: How Windows marks a junction.
_JUNCTION = 0xA0000003
_FENCE = re.compile(rb"^ {0,3}```", re.MULTILINE)


@dataclass(slots=True)
class _Walk:
    """What one walk has met so far."""

    files: dict[str, int] = field(default_factory=dict)  # relative path -> size
    links: list[tuple[str, Path, frozenset[str]]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)  # real paths of files and folders
    datasets: set[str] = field(default_factory=set)  # real paths of saved datasets that are taken
    reports: list[SourceReport] = field(default_factory=list)

    def skip(self, path: str, reason: str, size: int = 0, status: Status = "skipped") -> None:
        self.reports.append(SourceReport(printable(path), formats.format_of(path), "", size, 0, 0, status, reason))


def printable(path: str) -> str:
    """A path that can be written as UTF-8: bytes of a file name that are not UTF-8 become escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def plan_shards(root: Path | str, shard_bytes: int = SHARD_BYTES) -> Plan:
    """Cut the corpus at `root` (a folder, one file, or `hf://owner/name`) into shards of about `shard_bytes`.

    Raises InputError when there is nothing at `root`; anything wrong below it is reported in the plan.
    """
    if shard_bytes < 1:
        raise InputError(f"shard_bytes is {shard_bytes}; give a positive number of bytes")
    hub = datasets_source.hub_name(root)
    if hub:
        return Plan(Path(hub), (Shard(0, (Part(hub, 0, 0, 0),)),))
    root = Path(root)
    walk = _Walk()
    try:
        mode = root.stat().st_mode
    except OSError as error:
        reason = "no such file or folder" if isinstance(error, FileNotFoundError) else explain(error)
        raise InputError(f"{root}: {reason}; give a folder or a file with text") from None
    if stat.S_ISDIR(mode):
        real = os.path.realpath(root)
        walk.seen.add(real)
        _walk_folder(walk, root, "", real, frozenset((real,)))
        _follow_links(walk)
    else:
        _take(walk, root_name(root), root, os.path.realpath(root), named=True)
    parts = [
        part
        for path, size in sorted(walk.files.items(), key=lambda item: os.fsencode(item[0]))
        for part in _cut_file(walk, path, locate(root, path), size, shard_bytes)
    ]
    reports = tuple(sorted(walk.reports, key=lambda report: report.path))
    return Plan(root, tuple(_pack(parts, shard_bytes)), reports)


def refuse_inside(output: Path, corpus: Path | str) -> None:
    """See that what is to be written does not lie where texts are read from: the next start would read it as text.

    Raises:
        InputError: it does.
    """
    if datasets_source.hub_name(corpus):
        return
    whole, root = output.resolve(), Path(corpus).resolve()
    # Where letter case or Unicode form does not count, a folder has several names.
    same = root.exists() and any(above.exists() and above.samefile(root) for above in (whole, *whole.parents))
    if same or whole.is_relative_to(root):
        raise InputError(
            f"{output}: lies inside the corpus {corpus}, so the next start would read it as text; name an output "
            "outside it with --output"
        )


def is_link(place: Path | os.DirEntry[str]) -> bool:
    """Whether another place is meant by this one: a symbolic link, or a junction, which Python does not call so."""
    return place.is_symlink() or is_junction(place)


def is_junction(place: Path | os.DirEntry[str]) -> bool:
    """Whether it is a folder of Windows that is another one in truth."""
    try:
        return getattr(place.stat(follow_symlinks=False), "st_reparse_tag", 0) == _JUNCTION
    except OSError:  # nothing is there
        return False


def locate(root: Path, path: str) -> Path:
    """Where the source that a plan calls `path` lies; the root itself is called by its own name."""
    location = root / path
    return root if path == root_name(root) and not location.exists() else location


def tell_skipped(root: Path, report: SourceReport, skipped: Skipped | None) -> None:
    """Tell of a source that was left out, whole or in part, by its path as a person finds it."""
    if skipped and (report.status == "skipped" or report.partial):
        path = report.path if datasets_source.hub_name(root) else printable(str(locate(root, report.path)))
        skipped(path, report.reason if report.status == "skipped" else f"in part: {report.reason}")


def root_name(root: Path) -> str:
    """What a corpus that is one file or one saved dataset is called in reports."""
    return root.name or root.resolve().name or "corpus"


def _walk_folder(walk: _Walk, folder: Path, prefix: str, real: str, above: frozenset[str]) -> None:
    """Take every file below `folder` (in truth at `real`); links wait until all real files are known."""
    pending = [(folder, prefix, real, above)]
    while pending:  # a list, not recursion: folders may be nested deeper than Python's stack
        folder, prefix, real, above = pending.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            if not (
                isinstance(error, PermissionError) and is_junction(folder)
            ):  # one that Windows keeps for old programs
                walk.skip(prefix.rstrip("/") or ".", f"folder cannot be listed: {explain(error)}")
            continue
        names = {entry.name for entry in entries}
        if datasets_source.is_saved_dataset(names):
            if real not in walk.datasets:  # by another link
                walk.datasets.add(real)
                walk.files[prefix.rstrip("/") or root_name(folder)] = datasets_source.bytes_of(folder)
            continue
        for entry in entries:
            path = prefix + entry.name
            if entry.name.startswith("."):
                continue
            if is_link(entry):
                walk.links.append((path, folder / entry.name, above))
            elif entry.is_dir(follow_symlinks=False):
                inner = os.path.join(real, entry.name)
                walk.seen.add(inner)
                pending.append((folder / entry.name, path + "/", inner, above | {inner}))
            elif not datasets_source.is_bookkeeping(entry.name):
                _take(walk, path, folder / entry.name, os.path.join(real, entry.name))


def _follow_links(walk: _Walk) -> None:
    """Take what links lead to; a folder reached by a link may hold further links."""
    while walk.links:
        links, walk.links = sorted(walk.links, key=lambda link: os.fsencode(link[0])), []
        for path, link, above in links:
            try:
                is_folder = stat.S_ISDIR(link.stat().st_mode)
            except OSError as error:
                if isinstance(error, FileNotFoundError):
                    walk.skip(path, f"dangling link to {printable(os.readlink(link))}")
                else:
                    circular = "circular link: " if error.errno == errno.ELOOP else ""  # links that lead to each other
                    walk.skip(path, f"{circular}{explain(error)}")
                continue
            real = os.path.realpath(link)
            if is_folder and (real in above or os.path.realpath(link.parent).startswith(os.path.join(real, ""))):
                walk.skip(path, f"circular link to {printable(os.readlink(link))}")
            elif not is_folder:
                _take(walk, path, link, real)
            elif real not in walk.seen:
                walk.seen.add(real)
                _walk_folder(walk, link, path + "/", real, above | {real})


def _take(walk: _Walk, path: str, location: Path, real: str, *, named: bool = False) -> None:
    """Note one file for reading, or why it is not read; nothing where it is read anyway.

    Args:
        named: as the corpus itself, so that text is expected of it in any case.
    """
    if real in walk.seen:
        return
    walk.seen.add(real)
    try:
        status = location.stat()
    except OSError as error:
        walk.skip(path, explain(error))
        return
    if not stat.S_ISREG(status.st_mode):
        walk.skip(path, "not a regular file (a pipe, socket or device)")
    elif status.st_size == 0:
        walk.skip(path, "empty", status="skipped" if named else "without text")
    elif reason := formats.unreadable_suffix(path):
        without = formats.is_never_text(path) and not named
        walk.skip(path, reason, status.st_size, "without text" if without else "skipped")
    else:
        walk.files[path] = status.st_size


def _cut_file(walk: _Walk, path: str, location: Path, size: int, shard_bytes: int) -> Iterator[Part]:
    kind = formats.format_of(path)
    if location.is_dir() or kind == "parquet":
        ends = list(range(shard_bytes, size, shard_bytes))
    elif size <= shard_bytes or kind not in formats.SPLITTABLE:
        ends = []
    else:
        try:
            with open(location, "rb") as file:
                head = file.read(encodings.HEAD)
                if reason := encodings.binary_reason(head):
                    walk.skip(path, reason, size)
                    return
                wide = encodings.wide_encoding(head)
                # Cut inside a fence, prose would be taken for code; whether there are some the beginning tells.
                whole = wide or (kind == "text" and _FENCE.search(head) is not None)
                ends = [] if whole else list(_line_ends(file, size, shard_bytes))
        except OSError as error:
            walk.skip(path, explain(error), size)
            return
    start = 0
    for stop in [*ends, size]:
        yield Part(path, start, stop, size)
        start = stop


def _line_ends(file: BinaryIO, size: int, shard_bytes: int) -> Iterator[int]:
    """Byte offsets just after a line end, each the first one at least `shard_bytes` past the one before."""
    position = shard_bytes
    while position < size:
        file.seek(position)
        block = file.read(_SCAN)
        if not block:
            return
        found = block.find(b"\n")
        if found < 0:
            position += len(block)
            continue
        if position + found + 1 < size:
            yield position + found + 1
        position += found + 1 + shard_bytes


def _pack(parts: list[Part], shard_bytes: int) -> Iterator[Shard]:
    index, taken, weight = 0, list[Part](), 0
    for part in parts:
        length = part.stop - part.start
        if taken and weight + length > shard_bytes:
            yield Shard(index, tuple(taken))
            index, taken, weight = index + 1, [], 0
        taken.append(part)
        weight += length
    if taken:
        yield Shard(index, tuple(taken))
