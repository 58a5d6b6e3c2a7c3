"""A folder with a manifest: how every artefact of hypertok lies on disk.

`manifest.json` names the kind and schema of the artefact, the sha256 of each of its files, and the artefacts
and recipe it came from. A folder is written beside its target and renamed, so it is there whole or not at
all, and it is read only when every file is what the manifest says.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from hypertok.errors import ArtifactError, InputError, quoted
from hypertok.replacing import flush, previous_of, remove_stale, replacing, unfinished

MANIFEST = "manifest.json"
#: How a new file is opened; on Windows as bytes, too.
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
#: What desktops put into every folder that they show.
_LITTER = frozenset({".DS_Store", ".directory", "Thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class Kind:
    """A kind of artefact.

    Attributes:
        name: in manifests.
        schema_version: the layout that this program writes, and the newest one that it reads.
        command: the command that makes one, named in remedies.
        instead: what to do with a folder of another kind, where making one is no remedy; {folder} stands for it.
    """

    name: str
    schema_version: int
    command: str
    instead: Mapping[str, str] = field(default_factory=dict)


class Manifest(BaseModel):
    """What `manifest.json` holds.

    Attributes:
        kind: what the artefact is ("lexicon").
        schema_version: layout of its files; a reader refuses a newer one.
        files: sha256 of every file, by name.
        parents: sha256 of the manifests or inputs it was made from, by role ("corpus", "base").
        recipe: the parameters it was made with.
        versions: the programs that made it, for tracing; they are not checked.
        facts: figures about the content (counts, shares), for people.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    schema_version: int
    files: dict[str, str]
    parents: dict[str, str] = {}
    recipe: dict[str, Any] = {}
    versions: dict[str, str] = {}
    facts: dict[str, Any] = {}

    def to_json(self) -> str:
        """The manifest's bytes on disk: sorted keys, so that the same content is the same file."""
        return json.dumps(self.model_dump(), ensure_ascii=False, indent=1, sort_keys=True) + "\n"

    @property
    def sha256(self) -> str:
        """The artefact's identity: it covers every file through the hashes in `files`."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


class _Head(BaseModel):
    """What a manifest of any schema version has."""

    kind: str
    schema_version: int


@contextmanager
def writing(target: Path, kind: Kind) -> Iterator[Path]:
    """A new folder to fill; on leaving without an error it replaces `target` in one rename.

    An artefact that stood there before is kept until the new one is whole. Of several writers each has a folder of its
    own, and the last one to end wins whole.

    Args:
        kind: of the artefact, which may replace its like alone.

    Raises:
        ArtifactError: what is there must not be replaced: see `refuse_foreign`.
    """
    target = target.resolve()  # a link is followed, not replaced
    refuse_foreign(target, kind)
    with replacing(target) as beside:
        yield beside


def recover(target: Path) -> None:
    """Put back the artefact that a kill between the two renames of `writing` left under its other name."""
    previous = previous_of(target)
    if not target.exists() and (previous / MANIFEST).is_file():
        previous.rename(target)


def refuse_foreign(target: Path, kind: Kind) -> None:
    """See that nothing stands at `target` but an artefact that may be replaced; to be asked before long work, too.

    Args:
        kind: of the artefacts that may be replaced.

    Raises:
        ArtifactError: `target` is no artefact (`manifest.json` is a common file name), is one of another kind, or holds
            files that are not the artefact's: it may be something the user needs. Or its path is not UTF-8.
    """
    target = target.resolve()
    try:
        str(target).encode()
    except UnicodeEncodeError:  # polars writes no such file
        raise ArtifactError(f"{str(target)!r}: the path has bytes that are not UTF-8; name another output") from None
    recover(target)
    if not target.exists():
        return
    try:
        manifest = Manifest.model_validate_json((target / MANIFEST).read_bytes())
    except (OSError, ValidationError):
        raise ArtifactError(
            f"{target}: exists and is not a hypertok artefact; name another output or move it away"
        ) from None
    if manifest.kind != kind.name:
        raise ArtifactError(
            f"{target}: exists and is of kind {manifest.kind!r}, and only {kind.name!r} is replaced here; name another "
            "output, or remove the folder first"
        )
    known = {MANIFEST, *manifest.files}
    foreign = sorted(path.name for path in target.iterdir() if path.name not in known and path.name not in _LITTER)
    if foreign:
        raise ArtifactError(
            f"{target / foreign[0]}: not part of the artefact, and replacing the folder would delete it; "
            "move it away or name another output"
        )


def seal(folder: Path, kind: Kind, **fields: Any) -> Manifest:
    """Write the manifest over all files in `folder`; `fields` are the others of `Manifest`."""
    files = {path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.name != MANIFEST}
    manifest = Manifest(kind=kind.name, schema_version=kind.schema_version, files=files, **fields)
    (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    return manifest


def kind_of(folder: Path) -> str | None:
    """The kind that a folder's manifest names; None where there is no manifest that can be read."""
    try:
        return _Head.model_validate_json((folder / MANIFEST).read_bytes()).kind
    except (OSError, ValidationError):
        return None


def open_checked(folder: Path, kind: Kind, *, unread: tuple[str, ...] = ()) -> Manifest:
    """Read the manifest and check every file against it.

    Args:
        unread: endings of files that the caller does not read; they need only be there.

    Raises:
        ArtifactError: missing, of another kind, newer than this program, damaged or incomplete.
    """
    manifest = read_manifest(folder, kind, newest=kind.schema_version)
    if manifest.schema_version < kind.schema_version:
        raise ArtifactError(
            f"{folder}: written by an older hypertok (schema {manifest.schema_version}, now "
            f"{kind.schema_version}); build it again with: {kind.command}"
        )
    for name, expected in manifest.files.items():
        path = folder / name
        if name != os.path.basename(name) or not path.is_file():
            raise ArtifactError(f"{path}: named in the manifest and not there; build it again with: {kind.command}")
        if not name.endswith(unread) and sha256_of(path) != expected:
            raise ArtifactError(
                f"{path}: damaged (its sha256 is not the manifest's {expected[:12]}…); restore it from a "
                f"copy or build it again with: {kind.command}"
            )
    return manifest


def read_manifest(folder: Path, kind: Kind, *, newest: int | None = None) -> Manifest:
    """Read and validate `manifest.json` without checking the files.

    Args:
        newest: refuse a newer schema; None takes any that this program can read.

    Raises:
        ArtifactError: there is no such artefact or its manifest is unreadable, newer or of another kind.
    """
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
        # Before the fields are checked: a newer manifest may have fields that this program does not know.
        head = _Head.model_validate_json(content)
        if head.kind == kind.name and newest is not None and head.schema_version > newest:
            raise ArtifactError(
                f"{folder}: written by a newer hypertok (schema {head.schema_version}; this one reads up to "
                f"{newest}); upgrade with: pip install -U hypertok-concepts"
            )
        manifest = Manifest.model_validate_json(content)
    except FileNotFoundError:
        whole = folder.resolve()  # "." has no name
        previous = previous_of(whole)
        remedy = f"rename {previous} to {whole.name}" if previous.exists() else f"make one with: {kind.command}"
        raise ArtifactError(f"{folder}: no {kind.name} here; {remedy}") from None
    except (OSError, ValidationError) as error:
        raise ArtifactError(f"{path}: unreadable manifest ({error}); build it again with: {kind.command}") from error
    if manifest.kind != kind.name:
        remedy = kind.instead.get(manifest.kind, f"make one with: {kind.command}").format(folder=quoted(folder))
        raise ArtifactError(f"{folder}: of kind {manifest.kind!r}, and {kind.name!r} is needed; {remedy}")
    return manifest


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
        with os.fdopen(os.open(beside, _NEW, 0o600), "wb") as file:
            yield file
        if not of_many:
            flush(beside)
        beside.chmod(_mode(path))  # so far it was for the owner alone
        beside.replace(path)
        if not of_many:
            flush(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def _mode(path: Path) -> int:
    """That of the file that is there, else that of a new one."""
    if path.exists():
        return stat.S_IMODE(path.stat().st_mode)
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


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
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"{target}: {what} {needed / 2**30:,.2f} GiB of disk there and {free / 2**30:,.2f} GiB are free; {remedy}"
        )


def sha256_of(path: Path) -> str:
    """sha256 of a file's bytes, as lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
