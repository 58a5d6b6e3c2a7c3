"""Checkpoints in the work folder of a run: one counts only when the file `complete` stands in it."""

from __future__ import annotations

import shutil
from pathlib import Path

COMPLETE = "complete"


def last_checkpoint(work: Path, *, clean: bool = False) -> Path | None:
    """The newest complete checkpoint.

    Args:
        clean: remove those that a kill left unfinished.
    """
    complete = complete_checkpoints(work)
    if clean:
        for folder in set(work.glob("checkpoint-*")) - {*complete}:
            shutil.rmtree(folder)
    return complete[-1] if complete else None


def complete_checkpoints(work: Path) -> list[Path]:
    """Those that no kill left unfinished, by step."""
    return sorted((marked.parent for marked in work.glob(f"checkpoint-*/{COMPLETE}")), key=step_of)


def step_of(checkpoint: Path) -> int:
    """The step after which it was written."""
    return int(checkpoint.name.rpartition("-")[2])
