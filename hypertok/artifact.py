"""A folder with a manifest: how every artefact of hypertok lies on disk.

`manifest.json` names the kind and schema of the artefact, the sha256 of each of its files, and the artefacts
and recipe it came from. A folder is written beside its target and renamed, so it is there whole or not at
all, and it is read only when every file is what the manifest says.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from hypertok.errors import ArtifactError, quoted
from hypertok.replacing import moved, previous_of, replacing

MANIFEST = "manifest.json"
#: What desktops put into every folder that they show.
_LITTER = frozenset({".DS_Store", ".directory", "Thumbs.db", "desktop.ini"})


def is_litter(name: str) -> bool:
    """Whether a system puts files of this name into folders unasked.

    `._NAME` beside a file is what macOS knows of it, on disks that have no better place for that.
    """
    return name in _LITTER or name.startswith("._")


def own_files(folder: Path, *patterns: str) -> list[Path]:
    """What is in a folder by glob patterns, sorted; nothing that a system has put there."""
    return sorted(path for pattern in patterns for path in folder.glob(pattern) if not is_litter(path.name))


@dataclass(frozen=True)
class Kind:
    """A kind of artefact.

    Attributes:
        name: in manifests.
        schema_version: the layout that this program writes, and the newest one that it reads.
        command: the command that makes one, named in remedies.
        instead: what to do with a folder of another kind, where making one is no remedy; {folder} stands for it.
        free: how the names of files begin, in letters of any case, that people may change: nothing of what the
            artefact is hangs on them.
    """

    name: str
    schema_version: int
    command: str
    instead: Mapping[str, str] = field(default_factory=dict)
    free: tuple[str, ...] = ()


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

    @property
    def files_sha256(self) -> str:
        """The same of the files alone, whatever made them: names and hashes in `files`."""
        return hashlib.sha256(json.dumps(self.files, sort_keys=True).encode()).hexdigest()


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
        moved(previous, target)


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
    foreign = sorted(path.name for path in target.iterdir() if path.name not in known and not is_litter(path.name))
    if foreign:
        raise ArtifactError(
            f"{target / foreign[0]}: not part of the artefact, and replacing the folder would delete it; "
            "move it away or name another output"
        )


def seal(folder: Path, kind: Kind, **fields: Any) -> Manifest:
    """Write the manifest over all files in `folder`; `fields` are the others of `Manifest`."""
    own = [path for path in sorted(folder.iterdir()) if path.name != MANIFEST and not is_litter(path.name)]
    files = {path.name: sha256_of(path) for path in own}
    manifest = Manifest(kind=kind.name, schema_version=kind.schema_version, files=files, **fields)
    (folder / MANIFEST).write_bytes(manifest.to_json().encode())
    return manifest


def kind_of(folder: Path) -> str | None:
    """The kind that a folder's manifest names; None where there is no manifest that can be read."""
    try:
        return _Head.model_validate_json((folder / MANIFEST).read_bytes()).kind
    except (OSError, ValidationError):
        return None


def open_checked(folder: Path, kind: Kind, *, unread: tuple[str, ...] = ()) -> Manifest:
    """Read the manifest and check every file against it, but those that people may change.

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
    free = tuple(one.upper() for one in kind.free)
    for name, expected in manifest.files.items():
        path = folder / name
        if name != os.path.basename(name) or not path.is_file():
            raise ArtifactError(f"{path}: named in the manifest and not there; build it again with: {kind.command}")
        if not (name.endswith(unread) or name.upper().startswith(free)) and sha256_of(path) != expected:
            raise ArtifactError(
                f"{path}: changed or damaged since it was written (its sha256 is not the manifest's {expected[:12]}…); "
                f"restore it or undo the change, or build it again with: {kind.command}"
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
                f"{newest}); upgrade with: pip install . (in a newer checkout)"
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


def sha256_of(path: Path) -> str:
    """sha256 of a file's bytes, as lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
