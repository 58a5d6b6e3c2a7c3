"""JSON documents: exports of chats, notes and notebooks give their texts, whatever is escaped in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from corpus_reading import read_one, words_of

from hypertok.corpus import json_source
from hypertok.corpus.documents import read_documents

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


def test_a_formatted_message_is_one_text_and_messages_are_apart(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    link = {"type": "link", "text": "сюда"}
    messages = [
        {"text": ["Смотри ", link, ", там всё"]},
        {"text": [link, {"type": "bold", "text": "срочно"}]},
        {"text": "Да"},
    ]
    messages[1:1] = [{"text": ""}, {"text": []}, {"text": ""}]
    path.write_text(json.dumps({"messages": messages}), encoding="utf-8")
    assert read_one(path)[0] == "Смотри сюда, там всё\n\nсюда\n\nсрочно\n\nДа"
    path.write_text(json.dumps({"source": ["# Опыт\n", "Вода\n", "кипит."]}), encoding="utf-8")
    assert read_one(path)[0] == "# Опыт\nВода\nкипит."


def test_a_model_learns_no_syntax_of_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, str] = {}
    (tmp_path / "а.txt").write_text("Печень очищает кровь.", encoding="utf-8")
    (tmp_path / "б.json").write_text('{"text": "печень"', encoding="utf-8")
    (tmp_path / "в.json").write_text(json.dumps({"text": "печень " * 20}), encoding="utf-8")
    monkeypatch.setattr(json_source, "DOCUMENT_LIMIT", 100)
    assert [one.text for one in read_documents(tmp_path, skipped=told.__setitem__)] == ["Печень очищает кровь."]
    assert {Path(path).name: reason[:9] for path, reason in told.items()} == {
        "б.json": "no JSON (",
        "в.json": "over 0 Mi",
    }
    assert "jq -c" in told[str(tmp_path / "в.json")]


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
    assert "save it as JSON Lines" in report.reason
    assert report.partial
