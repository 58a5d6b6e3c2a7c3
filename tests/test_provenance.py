"""Where a result says that it comes from."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("torch")

import hypertok
from hypertok.errors import InputError
from hypertok.experiment.provenance import Provenance, provenance, without_place


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=Анна", "-c", "user.email=anna@example.org")
    alone = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}  # no hooks, no signatures
    command = ["git", "-C", str(folder), *who, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=alone)
    return done.stdout.strip()


def test_changed_code_is_told_and_results_are_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = tmp_path / "hypertok" / "__init__.py"
    result = tmp_path / "experiments" / "results" / "ab" / "experiment.json"
    monkeypatch.setattr(hypertok, "__file__", str(code))

    def made() -> Provenance:
        return provenance("cpu", {})

    for path in (code, result):
        path.parent.mkdir(parents=True)
        path.write_text("1")
    assert (made().commit, made().dirty) == (None, None), "not in a repository"
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "one")
    assert (made().commit, made().dirty) == (git(tmp_path, "rev-parse", "HEAD"), False)
    result.write_text("2")
    (tmp_path / "new.toml").write_text("3")
    assert made().dirty is False
    code.write_text("2")
    assert made().dirty is True


def test_what_an_error_says_in_a_result_names_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    error = InputError(
        f"{folder}: no model of text; correct {folder / 'config.json'}, or look into {tmp_path / 'mine'}"
    )
    said = f"no model of text; correct config.json, or look into {tmp_path / 'mine'}"
    assert without_place(error, folder) == said
    assert without_place(error, None) == str(error)
