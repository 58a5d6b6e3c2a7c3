"""JSON lines: what of a record is text, and what happens to damaged, enormous and small ones."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from corpus_reading import RECORDS, read, read_one, read_plan, words_of

from hypertok.corpus import fields, jsonl_source
from hypertok.corpus.sources import plan_shards
from hypertok.training.data import read_texts

SENTENCE = "Печень очищает кровь и запасает гликоген."


@pytest.mark.parametrize("shard_bytes", [64, 1000, 8 << 20])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1251"])
def test_jsonl_gives_every_record_once(tmp_path: Path, shard_bytes: int, encoding: str) -> None:
    path = tmp_path / "а.jsonl"
    lines = [json.dumps({"id": i, "text": text}, ensure_ascii=False) for i, text in enumerate(RECORDS)]
    path.write_bytes("\n".join(lines).encode(encoding))
    parts = sum(len(shard.parts) for shard in plan_shards(path, shard_bytes).shards)
    assert (parts > 1) == (shard_bytes < 10_000 and encoding != "utf-16"), "which is never cut"
    text, _, report = read_one(path, shard_bytes)
    assert text.split("\n\n") == RECORDS
    assert (report.format, report.status, report.reason) == ("jsonl", "read", "")


@pytest.mark.parametrize("shard_bytes", [2000, 8 << 20])
def test_malformed_lines_are_named(tmp_path: Path, shard_bytes: int) -> None:
    path = tmp_path / "а.ndjson"
    lines = [json.dumps({"text": text}, ensure_ascii=False) for text in RECORDS]
    lines[250] = '{"text": "оборвано'
    lines[251] = "[" * 100_000
    lines[252] = f'{{"text": "число", "n": {"7" * 5000}}}'
    path.write_text("\n".join(lines), encoding="utf-8")
    text, _, report = read_one(path, shard_bytes)
    assert len(text.split("\n\n")) == 297
    for place, why in ((250, "Invalid control character at)"), (251, "nested too deeply)"), (252, "Exceeds the limit")):
        start = len("\n".join(lines[:place]).encode()) + 1
        name = f"the line at byte {start}" if shard_bytes == 2000 else f"line {place + 1}"
        assert f"{name} is no JSON record ({why}" in report.reason


def test_no_part_reads_what_stands_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad line in each of many parts costs no reading of the file from its beginning."""
    path = tmp_path / "а.jsonl"
    path.write_text(f'{{"text": "{SENTENCE}"}}\nоборвано\n' * 200, encoding="utf-8")
    seeks: list[int] = []

    class Watched(io.BufferedReader):
        def seek(self, offset: int, whence: int = 0) -> int:
            seeks.append(offset)
            return super().seek(offset, whence)

    monkeypatch.setattr(jsonl_source, "open", lambda name, _: Watched(io.FileIO(name)), raising=False)
    plan = plan_shards(path, 500)
    parts = [part for shard in plan.shards for part in shard.parts]
    assert len(parts) > 20
    _, (report,) = read_plan(plan)
    assert seeks == [part.start for part in parts for _ in range(2)], "to judge it, and to read it"
    assert report.partial
    assert report.reason.count("is no JSON record") < 40
    assert report.reason.endswith("more reasons")


def test_many_malformed_lines_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "а.jsonl"
    path.write_text("нет\n" * 10 + '{"text": "да"}', encoding="utf-8")
    text, _, report = read_one(path)
    assert text == "да"
    assert report.reason.count("is no JSON record") == 3
    assert report.reason.endswith("7 more such lines")


def test_bytes_that_cannot_be_decoded_are_told(tmp_path: Path) -> None:
    path = tmp_path / "а.jsonl"
    lines = [json.dumps({"text": text}, ensure_ascii=False).encode() for text in RECORDS]
    lines[7] = '{"text": "кро'.encode() + b"\xe2" + 'вь"}'.encode()
    path.write_bytes(b"\n".join(lines))
    _, _, report = read_one(path)
    assert (report.status, report.reason) == ("read", "characters lost (undecodable bytes or U+FFFD): 1")


def test_an_enormous_record_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl_source, "RECORD_LIMIT", 100)
    path = tmp_path / "а.jsonl"
    path.write_text('{"text": "до"}\n{"text": "' + "слово " * 99 + '"}\n{"text": "после"}\n', encoding="utf-8")
    text, _, report = read_one(path)
    assert text == "до\n\nпосле"
    assert "line 2" in report.reason
    assert report.partial
    told: dict[str, str] = {}
    assert [text.text for text in read_texts(path, skipped=told.__setitem__)] == ["до", "после"]
    assert told == {str(path): f"in part: {report.reason}"}


def test_records_without_a_text_field_give_all_their_strings() -> None:
    record = {"вопрос": "Что?", "число": 5, "ответы": ["Раз", {"метка": "два"}], "нет": None}
    assert fields.text_of(record) == "Что?\nРаз\n\nдва"
    assert (
        fields.text_of([{"номер": 1, "имя": "Анна"}, {"номер": 2, "имя": "Иван", "город": "Омск"}])
        == "Анна\n\nИван\nОмск"
    )
    assert fields.text_of({"title": "Имя", "Content": "Тело"}) == "Тело"
    assert fields.text_of({"text": {"body": "Внутри"}}) == "Внутри"
    assert fields.text_of("строка") == "строка"
    assert fields.text_of(7) == ""


def test_half_a_character_in_json_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "а.jsonl"
    path.write_text('{"text": "слово \\ud83d слово \\ud83d\\ude00"}', encoding="utf-8")
    text, _, _ = read_one(path)
    assert text == "слово \ufffd слово 😀"


def test_a_fence_left_open_in_a_record_ends_with_it(tmp_path: Path) -> None:
    path = tmp_path / "а.jsonl"
    records = ["до\n```\nкод", "после [ссылка](путь)", SENTENCE.encode().decode("sloppy-windows-1251")]
    path.write_text("\n".join(json.dumps({"text": text}) for text in records), encoding="utf-8")
    _, prose, report = read_one(path)
    assert words_of(prose) == words_of(f"до после ссылка {SENTENCE}")
    assert report.repaired == "UTF-8 read as cp1251"


def test_small_records_are_joined_and_large_ones_cut(tmp_path: Path) -> None:
    path = tmp_path / "а.jsonl"
    large = "слово " * 400_000
    path.write_text(
        "\n".join(json.dumps({"text": t}, ensure_ascii=False) for t in ["до", large, "после"]),
        encoding="utf-8",
    )
    documents, _ = read(path)
    assert documents[0].text == "до"
    assert "".join(document.text for document in documents[1:-1]) == large
    assert max(len(document.text) for document in documents) <= 1 << 20
