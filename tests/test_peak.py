"""The most memory that a training took: from its beginning on, or none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("torch")

import numpy as np

from hypertok.model import memory
from hypertok.training.allocator import keep_freed_memory
from hypertok.training.peak import Peak

BLOCK = 300 << 20


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="a system that forgets no peak")
def test_a_peak_is_of_what_came_after_its_beginning() -> None:
    keep_freed_memory()  # as the training of an arm before this one did
    np.ones(BLOCK, np.uint8)
    peak = Peak.begin(None)
    before = peak.bytes()
    assert before is not None
    assert before < memory.resident("VmRSS") + BLOCK // 2, "what was freed is not counted"
    np.ones(BLOCK, np.uint8)
    after = peak.bytes()
    assert after is not None
    assert after >= before + BLOCK * 0.9


def test_a_peak_that_is_not_forgotten_or_not_told_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_CLEAR", tmp_path / "none" / "clear_refs")
    assert Peak.begin(None).bytes() is None
    (tmp_path / "status").write_text("VmRSS:  7 kB\n", encoding="utf-8")
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "status")
    assert Peak(None, told=True).bytes() is None
