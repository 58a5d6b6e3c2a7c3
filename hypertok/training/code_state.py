"""The state of the code: its commit, and whether it was changed since; nothing where it lies in no git repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import hypertok

#: Results of a checkout, for git: a run writes its plan and figures there itself, which changes no code.
_RESULTS = ":(exclude)experiments/results"


def code_state() -> tuple[str | None, bool | None]:
    """Commit and dirty flag of the repository that the code lies in; None outside of git."""
    folder = Path(hypertok.__file__).resolve().parents[1]
    if not (folder / ".git").exists():  # installed: a repository further up is another project
        return None, None
    try:
        commit = _asked(folder, "rev-parse", "HEAD")
        return commit, bool(_asked(folder, "status", "--porcelain", "--untracked-files=no", "--", ".", _RESULTS))
    except (OSError, subprocess.CalledProcessError):
        return None, None


def _asked(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=True)
    return done.stdout.strip()
