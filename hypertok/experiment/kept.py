"""Measured parts of an arm, kept until its result is written: a killed run goes on with the part that it was at."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import TypeAdapter

from hypertok.experiment.arms import Tell, key_of
from hypertok.experiment.provenance import Provenance
from hypertok.experiment.results import RunResult, Trained
from hypertok.measure.parts import Figures
from hypertok.single_file import write_file


@dataclass(frozen=True)
class Kept:
    """One file per part.

    Attributes:
        folder: theirs.
        tell: told of what is measured now.
    """

    folder: Path
    tell: Tell

    @classmethod
    def of(cls, work: Path, key: str, trained: Trained | None, made: Provenance, tell: Tell) -> Self:
        """Of a run with this key.

        Other weights, commits, versions or devices find nothing there; changes that are not committed do.
        """
        own = key_of(trained and trained.model_dump(), made.model_dump(exclude={"made"}))
        return cls(_folder(work, key) / own[:16], tell)

    def part(self, name: str, measure: Callable[[], Figures]) -> Figures:
        """Fields of `RunResult`, as they were measured before this start, or measured now and written."""
        path = self.folder / f"{name}.json"
        found = _read(path)
        if found is None:
            self.tell(f"measuring {name}")
            found = measure()
            plain = {field: _type(field).dump_python(one, mode="json", by_alias=True) for field, one in found.items()}
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, json.dumps(plain).encode())
        return found


def forget(work: Path, key: str) -> None:
    """The result of a run is written, so its parts go."""
    shutil.rmtree(_folder(work, key), ignore_errors=True)


def _folder(work: Path, key: str) -> Path:
    return work / "measured" / key[:16]


def _type(field: str) -> TypeAdapter[Any]:
    kind: Any = RunResult.model_fields[field].annotation
    return TypeAdapter(kind)


def _read(path: Path) -> Figures | None:
    if not path.is_file():
        return None
    try:
        return {field: _type(field).validate_python(value) for field, value in json.loads(path.read_bytes()).items()}
    except (ValueError, KeyError):  # damaged, or of code changed without a commit: measured again
        return None
