"""What other systems than the one at hand do, patched in: Windows, macOS, disks that know no links."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hypertok.errors import quoted


@pytest.mark.parametrize(
    ("path", "typed"), [("notes-1.lexicon", "notes-1.lexicon"), ("мои заметки", '"мои заметки"'), ("a&b", '"a&b"')]
)
def test_cmd_knows_no_single_quotes(path: str, typed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    named = Path(path)
    with monkeypatch.context() as windows:
        windows.setattr(os, "name", "nt")
        assert quoted(named) == typed
