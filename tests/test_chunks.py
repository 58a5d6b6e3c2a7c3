"""Texts are cut where it hurts least, and nothing of them is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus_reading import read
from hypothesis import given
from hypothesis import strategies as st

from hypertok.corpus import chunks
from hypertok.corpus.records import Tally


def pieces(blocks: list[str], piece: int) -> tuple[list[str], Tally]:
    tally = Tally("text")
    return list(chunks.cut_pieces(iter(blocks), tally, piece)), tally


@given(st.lists(st.text(alphabet="аб \n", max_size=30)), st.integers(min_value=1, max_value=20))
def test_pieces_are_bounded_and_lose_nothing(blocks: list[str], piece: int) -> None:
    cut, _ = pieces(blocks, piece)
    assert "".join(cut) == "".join(blocks)
    assert all(0 < len(text) <= piece for text in cut)


def test_pieces_end_at_lines_then_spaces_then_anywhere() -> None:
    assert pieces(["раз два\nтри че", "тыре"], 10) == (["раз два\n", "три четыре"], Tally("text"))
    assert pieces(["раз два три"], 9)[0] == ["раз два ", "три"]
    cut, tally = pieces(["абвгдежз"], 5)
    assert cut == ["абвгд", "ежз"]
    assert list(tally.reasons) == ["over 5 characters without a space, cut"]


def test_an_enormous_line_is_cut_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "LINE_LIMIT", 2 << 20)
    line = "Печень очищает кровь и запасает гликоген на чёрный день. " * 60_000
    (tmp_path / "строка.txt").write_text(line, encoding="utf-8")
    documents, (report,) = read(tmp_path)
    assert "".join(document.text for document in documents) == line
    assert all(len(document.text) <= chunks.PIECE for document in documents)
    assert all(document.text.endswith(" ") for document in documents)
    assert report.reason == "line over 2 Mi characters, cut"
