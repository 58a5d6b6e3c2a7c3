"""Artefacts of a kind of their own, "thing", for tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypertok.artifact import MANIFEST, Manifest, open_checked, seal, writing

COMMAND = "hypertok make-thing"
#: What is done to one.
Change = Callable[[Path], object]


def write_thing(target: Path, content: str = "раз\n", **fields: Any) -> Manifest:
    with writing(target, "thing") as folder:
        (folder / "a.txt").write_text(content, encoding="utf-8")
        (folder / "b.bin").write_bytes(bytes(range(256)) * 40)
        return seal(folder, **{"kind": "thing", "schema_version": 3, "facts": {"строк": 1}, **fields})


def open_thing(folder: Path) -> Manifest:
    return open_checked(folder, kind="thing", schema_version=3, command=COMMAND)


def change_manifest(folder: Path, **fields: Any) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | fields), encoding="utf-8")


def tree(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
