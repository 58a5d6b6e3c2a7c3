"""JSON documents: exports of chats, notes and notebooks give their texts, whatever is escaped in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from corpus_reading import read_one, words_of

from hypertok.corpus import json_source

CANVAS = {"nodes": [{"id": "a1", "type": "text", "text": "# План\nКупить хлеб\nПозвонить маме", "x": 7}], "edges": []}
CHAT = {
    "name": "Дом",
    "messages": [
        {"id": 1, "from": "Иван", "text": "Привет\nПечень болит\tнемного"},
        {
            "id": 2,
            "from": "Анна",
            "text": ["Смотри: ", {"type": "bold", "text": "врач"}],
            "text_entities": [{"type": "plain", "text": "Смотри: "}, {"type": "bold", "text": "врач"}],
        },
    ],
}
NOTEBOOK = {"cells": [{"cell_type": "markdown", "source": ["# Опыт\n", "Вода кипит."]}], "nbformat": 4}


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("а.canvas", CANVAS, "План Купить хлеб Позвонить маме"),
        ("result.json", CHAT, "Дом Привет Печень болит немного Смотри врач"),
        ("а.ipynb", NOTEBOOK, "Опыт Вода кипит"),
        ("а.json", ["Печень.", {"text": "Почка."}, 7], "Печень Почка"),
    ],
)
def test_words_are_those_of_the_strings(
    tmp_path: Path, name: str, value: Any, words: str, indent: int | None, plain: bool
) -> None:
    path = tmp_path / name
    path.write_text(
        json.dumps(value, ensure_ascii=not plain, indent=indent), encoding="utf-8-sig" if plain else "utf-8"
    )
    text, prose, report = read_one(path)
    assert words_of(prose) == words
    assert "\\" not in text
    assert (report.format, report.status, report.reason) == ("json", "read", "")


def test_what_is_no_json_is_read_as_text(tmp_path: Path) -> None:
    path = tmp_path / "а.json"
    for text, why in (
        ('{"text": "печень", // примечание\n}', "no JSON (Expecting"),
        ("[" * 100_000 + "печень", "recursion"),
    ):
        path.write_text(text, encoding="utf-8")
        read, prose, report = read_one(path)
        assert read == text
        assert "печень" in words_of(prose).split()
        assert report.status == "read"
        assert why in report.reason
        assert "read as text" in report.reason


def test_an_enormous_document_is_read_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_source, "DOCUMENT_LIMIT", 10)
    path = tmp_path / "а.json"
    path.write_text('{"text": "печень"}', encoding="utf-8")
    text, _, report = read_one(path)
    assert text == '{"text": "печень"}'
    assert "save it as JSON lines" in report.reason
