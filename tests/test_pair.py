"""Model folders opened again and again: weights are hashed once, and anew once they were changed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

pytest.importorskip("peft")

from tiny_models import put_model, tiny_model

from hypertok.artifact import sha256_of
from hypertok.errors import ArtifactError
from hypertok.model import pair
from hypertok.model.pair import Pair

WEIGHTS = "model.safetensors"


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose sha256 was made by pair.py."""
    found: list[str] = []
    monkeypatch.setattr(pair, "sha256_of", lambda path: found.append(path.name) or sha256_of(path))
    return found


@pytest.mark.parametrize("extended", [True, False])
def test_weights_are_hashed_once(
    extended: bool,
    model: Path,
    small_stock: Path,
    tmp_path: Path,
    hashed: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "model"
    if extended:
        shutil.copytree(model, folder)
    else:
        put_model(small_stock, folder, tiny_model("llama", tied=True, rows=640))
    monkeypatch.setattr(pair, "_SETTLED", 1 << 62)
    Pair.open(folder)
    before = Pair.open(folder).sha256
    assert hashed.count(WEIGHTS) == 2, "what was just written may change within the same tick of the clock"
    monkeypatch.setattr(pair, "_SETTLED", 0)
    hashed.clear()
    assert {Pair.open(folder).sha256 for _ in range(3)} == {before}
    assert hashed.count(WEIGHTS) == 1


def test_changed_weights_are_seen(
    model: Path, small_stock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair, "_SETTLED", 0)
    extended = shutil.copytree(model, tmp_path / "extended")
    stock = put_model(small_stock, tmp_path / "stock", tiny_model("llama", tied=True, rows=640))
    before = Pair.open(stock).sha256
    Pair.open(extended)
    for folder in (extended, stock):
        data = bytearray((folder / WEIGHTS).read_bytes())
        data[-1] ^= 1
        was = (folder / WEIGHTS).stat()
        (folder / WEIGHTS).write_bytes(data)
        os.utime(folder / WEIGHTS, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert Pair.open(stock).sha256 != before
    with pytest.raises(ArtifactError, match=r"model\.safetensors: changed or damaged"):
        Pair.open(extended)
