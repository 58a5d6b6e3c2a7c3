"""Where a figure comes from: versions, device, the state of the code; no names of users, machines or folders."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

import hypertok

_PACKAGES = ("torch", "transformers", "tokenizers", "peft", "accelerate")
#: Results of a checkout, for git: a run writes its plan and figures there itself, which changes no code.
_RESULTS = ":(exclude)experiments/results"


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
    commit, dirty = _git()
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


def _device(device: str) -> str:
    import torch

    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    return f"cpu ({torch.get_num_threads()} threads)" if device == "cpu" else device


def _git() -> tuple[str | None, bool | None]:
    """Commit and dirty flag of the repository that the code lies in."""
    folder = Path(hypertok.__file__).resolve().parents[1]
    if not (folder / ".git").exists():  # installed: a repository further up is another project
        return None, None
    try:
        commit = _asked(folder, "rev-parse", "HEAD")
        return commit, bool(_asked(folder, "status", "--porcelain", "--untracked-files=no", "--", ".", _RESULTS))
    except (OSError, subprocess.CalledProcessError):
        return None, None


def _asked(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
