"""Archives as files: pack files and folders, unpack without ever writing outside the target folder."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NoReturn

from hypertok.archive.container import Member, Packer
from hypertok.corpus.sources import Skipped, is_link, printable
from hypertok.errors import ArtifactError, InputError
from hypertok.progress import Count
from hypertok.single_file import require_place, write_file

#: Unsafe names that are told one by one; of the others their number.
_NAMES_TOLD = 3
#: Bytes of a path that Linux takes; every folder on the way is looked at, so a small archive could fill all memory.
_LONGEST = 4_096
#: Folders on the way: those who make and remove them one inside the other end at about 950 (Python, for one).
_DEEPEST = 250
#: Characters of an unsafe path that are shown.
_TOLD = 200
#: Names that Windows reserves for devices, with any extension.
_DEVICES = frozenset(
    [
        "con",
        "prn",
        "aux",
        "nul",
        "conin$",
        "conout$",
        *(f"{port}{n}" for port in ("com", "lpt") for n in "123456789¹²³"),
    ]
)


def _found(paths: Sequence[Path], skipped: Skipped | None) -> list[tuple[str, Path]]:
    """The members' names with their files, all names looked at: files by their names, folders with all below them."""
    found = [member for path in paths for member in _walk(path, skipped or (lambda path, reason: None))]
    unsafe = [f"{name!r} ({reason})" for name, _ in found if (reason := _unsafe(name))]
    if unsafe:
        more = f" and {len(unsafe) - _NAMES_TOLD} more" if len(unsafe) > _NAMES_TOLD else ""
        raise InputError(f"could not be unpacked on every system: {', '.join(unsafe[:_NAMES_TOLD])}{more}; rename them")
    clash = _clash(name for name, _ in found)
    if clash:
        raise InputError(f"{clash}: rename one of them, or pack the folder that holds both instead")
    return found


def _walk(path: Path, skipped: Skipped) -> Iterable[tuple[str, Path]]:
    if is_link(path):
        raise InputError(f"{path} is a symbolic link: name the file it points to")
    if path.is_file():
        yield path.name or path.resolve().name, path
    elif path.is_dir():
        top = path.resolve().name
        for folder, folders, names in os.walk(path, onerror=_refuse):
            here = Path(folder)
            links = [name for name in folders if is_link(here / name)]
            folders[:] = sorted(set(folders).difference(links))  # by itself `os.walk` goes into junctions
            for name in sorted([*names, *links]):
                file = here / name
                if is_link(file):
                    skipped(printable(str(file)), "a symbolic link")
                elif not file.is_file():
                    skipped(printable(str(file)), "no regular file")
                else:
                    yield "/".join((top, *file.relative_to(path).parts)), file
    else:
        raise InputError(f"{path} does not exist, or is neither a file nor a folder; correct the path")


def _refuse(error: OSError) -> NoReturn:
    """By itself `os.walk` passes over a folder that cannot be listed, and the archive would lack its files."""
    raise error


def _clash(paths: Iterable[str]) -> str | None:
    """What keeps two members from being unpacked side by side, if anything.

    Paths are compared as a case-insensitive, normalising file system would: two members must never be one file, nor a
    file the folder of another.
    """
    files: dict[str, str] = {}
    for path in paths:
        key = unicodedata.normalize("NFC", path).casefold()
        if key in files:
            same = "" if files[key] == path else " where letter case or Unicode form does not count"
            return f"{files[key]!r} and {path!r} have the same path{same}"
        files[key] = path
    for above, below in pairwise(sorted(files, key=lambda key: key.split("/"))):  # what is in a folder follows it
        if below.startswith(f"{above}/"):
            return f"{files[above]!r} is a file, and {files[below]!r} is inside a folder of that path"
    return None


def check_path(path: str) -> PurePosixPath:
    """A member's path, if it is safe below any folder on any system.

    A name may have what Windows refuses to write and other systems have in many a title: ? * " < > |.

    Raises:
        ArtifactError: absolute, with a drive, a backslash, «..», an empty or reserved part.
    """
    reason = _unsafe(path)
    if reason:
        told = path if len(path) <= _TOLD else f"{path[:_TOLD]}…"
        raise ArtifactError(f"unsafe member path {told!r}: {reason}; nothing was written")
    return PurePosixPath(path)


def _unsafe(path: str) -> str | None:
    if not path:
        return "it is empty"
    if path.startswith("/"):
        return "it is absolute"
    if "\\" in path:
        return "it has a backslash"
    if len(path.encode("utf-8", "surrogatepass")) > _LONGEST:
        return f"it is longer than {_LONGEST:,} bytes"
    if path.count("/") > _DEEPEST:
        return f"it is more than {_DEEPEST} folders deep"
    for part in path.split("/"):
        if part in ("", ".", ".."):
            return f"it has the part {part!r}"
        if ":" in part or PureWindowsPath(part).drive:
            return "it has a colon, which names a drive or stream on Windows"
        kinds = {unicodedata.category(character) for character in part}
        if "Cs" in kinds:
            return "it is not UTF-8"
        if "Cc" in kinds:
            return "it has a control character"
        if part.endswith((".", " ")) or part.split(".")[0].rstrip().lower() in _DEVICES:
            return f"{part!r} is not a file name on Windows"
    return None


def pack_files(
    paths: Sequence[Path],
    output: Path,
    packer: Packer,
    *,
    force: bool = False,
    skipped: Skipped | None = None,
    progress: Count | None = None,
) -> int:
    """Pack files and folders into the archive `output`; returns its size in bytes.

    Args:
        paths: files, and folders with everything below them, in a stable order.
        output: the archive.
        packer: packs.
        force: whether a file `output` is replaced.
        skipped: is told, by path and reason, of what lies in a folder and is left out: links, sockets and the like.
        progress: see `Packer.pack`.

    Raises:
        InputError: a path is missing, is a link or no regular file, or a member could not be unpacked everywhere, or
            not beside another; or `output` cannot be a new file, is one of those to pack, or exists and `force` is not
            given.
        OSError: a file cannot be read, a folder not be listed, or `output` not be written.
    """
    found = _found(paths, skipped)
    require_place(output)  # packing takes a minute for a megabyte
    if output.exists() and not force:
        raise InputError(f"{output} exists: name another file, or give --force to replace it")
    if output.exists() and any(file.samefile(output) for _, file in found):
        raise InputError(f"{output} is one of the files to pack: name another file, outside of what is packed")
    data = packer.pack((Member(name, file.read_bytes()) for name, file in found), progress)
    write_file(output, data)
    return len(data)


def refuse_taken(path: str, target: Path, *, name: str, force: bool = False) -> None:
    """Find out before a member is decoded, which may take minutes, that `write_members` would have no place for it.

    Args:
        path: of the member; an unsafe one is not judged, for the archive may yet turn out to be none of ours.
        target: folder to write into.
        name: see `write_members`.
        force: whether files that exist are replaced.

    Raises:
        InputError: see `write_members`.
    """
    path = path or name
    if _unsafe(path) is None:
        _check_place(target.joinpath(*PurePosixPath(path).parts), target, force)


def write_members(members: Sequence[Member], target: Path, *, name: str, force: bool = False) -> list[Path]:
    """Write what was unpacked below the folder `target`; returns the files written.

    Every path is checked before the first byte is written, so a refused archive leaves nothing behind; neither does an
    interrupt or a full disk, but for files that `force` has replaced by then.

    Args:
        members: what was unpacked.
        target: folder to write into.
        name: of the file, where the archive holds a single text without a name.
        force: whether files that exist are replaced.

    Raises:
        ArtifactError: a member's path is unsafe, or two members cannot be written side by side.
        InputError: a file exists already and `force` is not given, the way to it leads through a link, or `target` is
            a file.
    """
    if len(members) == 1 and not members[0].path:
        members = [Member(name, members[0].content)]
    places = [target.joinpath(*check_path(member.path).parts) for member in members]
    clash = _clash(member.path for member in members)
    if clash:
        raise ArtifactError(f"of the archive's members {clash}; nothing was written")
    for place in places:
        _check_place(place, target, force)
    files, folders = list[Path](), list[Path]()  # those that are new
    try:
        for place, member in zip(places, members, strict=True):
            folders += reversed([above for above in place.parents if not above.exists()])
            place.parent.mkdir(parents=True, exist_ok=True)
            # Looked at again, for the folders made meanwhile may be someone else's links.
            _check_place(place, target, force)
            if not place.exists():
                files.append(place)
            write_file(place, member.content, of_many=True)
    except BaseException:
        for file in files:
            file.unlink(missing_ok=True)
        for folder in reversed(folders):
            with suppress(OSError):  # something of others is in it
                folder.rmdir()
        raise
    return places


def _check_place(place: Path, target: Path, force: bool) -> None:
    for above in place.parents:
        if above == target:
            if above.exists() and not above.is_dir():
                raise InputError(f"{above} is a file: name a folder to unpack into")
            break
        if is_link(above):
            raise InputError(f"{above} is a symbolic link: unpack into another folder")
        if above.exists() and not above.is_dir():
            raise InputError(f"{above} is a file where the archive has a folder: unpack into another folder")
    if is_link(place):
        raise InputError(f"{place} is a symbolic link: unpack into another folder")
    if place.is_dir():
        raise InputError(f"{place} is a folder where the archive has a file: unpack into another folder")
    if place.exists() and not force:
        raise InputError(f"{place} exists: unpack into another folder, or give --force to replace it")
