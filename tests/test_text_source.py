"""Any other file is read when it is text."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus_reading import read_one, words_of


@pytest.mark.parametrize("name", ["а.pseudo", "а.idea", "README", "а.rst", "а.org", "а.conllu", "а.py"])
def test_any_other_file_is_read_when_it_is_text(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("Мысль: печень. https://пример.рф/слово", encoding="utf-8")
    _, prose, report = read_one(tmp_path / name)
    assert words_of(prose) == "Мысль печень"
    assert report.format == "text"


def test_markdown_in_a_file_of_another_name(tmp_path: Path) -> None:
    (tmp_path / "а.idea").write_text("Мысль [о печени](путь)\n```\nкод\n```\n", encoding="utf-8")
    assert words_of(read_one(tmp_path / "а.idea")[1]) == "Мысль о печени"


@pytest.mark.parametrize(("end", "told"), [("```\n", False), ("", True)])
def test_a_fence_that_is_never_closed_is_told(tmp_path: Path, end: str, told: bool) -> None:
    (tmp_path / "а.txt").write_text(f"Мысль\n```\nкод\n{end}печень\n", encoding="utf-8")
    text, prose, report = read_one(tmp_path / "а.txt")
    assert "печень" in text
    assert ("печень" in prose) != told
    assert report.reason == ("a code fence (```) is opened and never closed; the words after it are not counted" * told)
