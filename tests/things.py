"""Artefacts of a kind of their own, "thing", for tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypertok.artifact import MANIFEST, Kind, Manifest, open_checked, seal, writing

KIND = Kind("thing", 3, "hypertok make-thing")
#: What is done to one.
Change = Callable[[Path], object]


def write_thing(target: Path, content: str = "раз\n", **fields: Any) -> Manifest:
    with writing(target, KIND) as folder:
        (folder / "a.txt").write_text(content, encoding="utf-8")
        (folder / "b.bin").write_bytes(bytes(range(256)) * 40)
        return seal(folder, KIND, **{"facts": {"строк": 1}, **fields})


def seal_again(folder: Path, **fields: Any) -> Manifest:
    """The manifest anew, of the files as they are now."""
    old = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    kept = old.model_dump(exclude={"files", "kind", "schema_version"})
    return seal(folder, Kind(old.kind, old.schema_version, ""), **{**kept, **fields})


def open_thing(folder: Path) -> Manifest:
    return open_checked(folder, KIND)


def change_manifest(folder: Path, **fields: Any) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | fields), encoding="utf-8")


def tree(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
