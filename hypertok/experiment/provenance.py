"""Where a figure comes from: versions, device, the state of the code; no names of users, machines or folders."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

import hypertok
from hypertok.training.code_state import code_state

_PACKAGES = ("torch", "transformers", "tokenizers", "peft", "accelerate")


class Provenance(BaseModel):
    """What a result was made with.

    Attributes:
        made: when, UTC, to the minute; of an arm, when its measuring was begun, or gone on with.
        versions: of hypertok, Python and the libraries.
        device: the GPU's name, "cpu" with its threads, or what torch calls another device.
        commit: of the code, where it lies in a git repository; None elsewhere.
        dirty: whether files that git knows were changed since, `experiments/results` apart; None outside of git.
        sha256: of model, tokenizer, lexicon, corpus, held-out texts; of the extended folder too, where there is one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    made: str
    versions: dict[str, str]
    device: str
    commit: str | None
    dirty: bool | None
    sha256: dict[str, str]


def provenance(device: str, sha256: dict[str, str]) -> Provenance:
    """Of a result that is made now on this device of torch."""
    commit, dirty = code_state()
    versions = {"hypertok": hypertok.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
    return Provenance(
        made=made, versions=versions, device=_device(device), commit=commit, dirty=dirty, sha256=dict(sha256)
    )


def without_place(error: Exception, folder: Path | None) -> str:
    """What an error says, for a result: without the folder of this machine that it is about; None for no folder."""
    said = str(error)
    return said if folder is None else said.replace(f"{folder}: ", "").replace(f"{folder}{os.sep}", "")


def _device(device: str) -> str:
    import torch

    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    return f"cpu ({torch.get_num_threads()} threads)" if device == "cpu" else device
