"""One test or two for each format: what of a file is text, and what happens when it is damaged."""

from __future__ import annotations

import csv
import io
import json
import sys
import types
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from hypertok.corpus import datasets_source, fields, jsonl_source
from hypertok.corpus.documents import read_shard
from hypertok.corpus.records import Document, Plan, SourceReport, merge_reports
from hypertok.corpus.sources import plan_shards
from hypertok.corpus.words import find_words
from hypertok.errors import InputError

RECORDS = [f"Запись {i}: печень очищает кровь." for i in range(300)]


def read(root: Path | str, shard_bytes: int = 8 << 20) -> tuple[list[Document], list[SourceReport]]:
    plan: Plan = plan_shards(root, shard_bytes)
    documents: list[Document] = []
    reports = list(plan.reports)
    for shard in plan.shards:
        for item in read_shard(plan.root, shard):
            if isinstance(item, Document):
                documents.append(item)
            else:
                reports.append(item)
    return documents, list(merge_reports(reports))


def read_one(path: Path, shard_bytes: int = 8 << 20) -> tuple[str, str, SourceReport]:
    documents, (report,) = read(path, shard_bytes)
    text = "\n\n".join(document.text for document in documents)
    return text, "\n\n".join(document.prose for document in documents), report


def words_of(text: str) -> str:
    return " ".join(find_words(text))


# --- JSON lines ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shard_bytes", [64, 1000, 8 << 20])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1251"])
def test_jsonl_gives_every_record_once(tmp_path: Path, shard_bytes: int, encoding: str) -> None:
    path = tmp_path / "а.jsonl"
    lines = [json.dumps({"id": i, "text": text}, ensure_ascii=False) for i, text in enumerate(RECORDS)]
    path.write_bytes("\n".join(lines).encode(encoding))
    text, _, report = read_one(path, shard_bytes)
    assert text.split("\n\n") == RECORDS
    assert (report.format, report.status, report.reason) == ("jsonl", "read", "")


def test_malformed_lines_are_named(tmp_path: Path) -> None:
    path = tmp_path / "а.ndjson"
    lines = [json.dumps({"text": text}, ensure_ascii=False) for text in RECORDS]
    lines[250] = '{"text": "оборвано'
    lines[251] = "[" * 100_000
    path.write_text("\n".join(lines), encoding="utf-8")
    text, _, report = read_one(path, 2000)
    assert len(text.split("\n\n")) == 298
    assert "line 251 is no JSON record" in report.reason
    assert "line 252 is no JSON record (nested too deeply)" in report.reason


def test_many_malformed_lines_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "а.jsonl"
    path.write_text("нет\n" * 10 + '{"text": "да"}', encoding="utf-8")
    text, _, report = read_one(path)
    assert text == "да"
    assert report.reason.count("is no JSON record") == 3
    assert report.reason.endswith("7 more such lines")


def test_an_enormous_record_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl_source, "RECORD_LIMIT", 100)
    path = tmp_path / "а.jsonl"
    path.write_text('{"text": "до"}\n{"text": "' + "слово " * 99 + '"}\n{"text": "после"}\n', encoding="utf-8")
    text, _, report = read_one(path)
    assert text == "до\n\nпосле"
    assert "line 2" in report.reason


def test_records_without_a_text_field_give_all_their_strings() -> None:
    record = {"вопрос": "Что?", "число": 5, "ответы": ["Раз", {"метка": "два"}], "нет": None}
    assert fields.text_of(record) == "Что?\nРаз\nдва"
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


SENTENCE = "Печень очищает кровь и запасает гликоген."


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


# --- tables -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "cp1251", "utf-16"])
def test_csv_text_column(tmp_path: Path, delimiter: str, encoding: str) -> None:
    table = io.StringIO(newline="")
    writer = csv.writer(table, delimiter=delimiter)
    writer.writerow(["номер", "Text", "метка"])
    for i in range(20):
        writer.writerow([i, f"Первая; строка, {i}\nвторая строка", "лишнее"])
    path = tmp_path / "а.csv"
    path.write_bytes(table.getvalue().encode(encoding))
    text, _, report = read_one(path, 100)
    assert text.split("\n\n") == [f"Первая; строка, {i}\nвторая строка" for i in range(20)]
    assert report.status == "read"


def test_tsv_takes_quotation_marks_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "а.tsv"
    path.write_text('1\t"начало\t3,5\n2\tдругая\t\n3\tтретья строка\t-7\n', encoding="utf-8")
    text, _, _ = read_one(path)
    assert text.split("\n\n") == ['"начало', "другая", "третья строка"]


def test_a_cell_over_the_limit_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hypertok.corpus.csv_source.CELL_LIMIT", 50)
    path = tmp_path / "а.csv"
    path.write_text(f"text,б\n{'длинно ' * 20},б\nкоротко,б\n", encoding="utf-8")
    text, _, report = read_one(path)
    assert text == "коротко"
    assert "line 2: field larger than field limit (50)" in report.reason


@pytest.mark.parametrize("shard_bytes", [200, 8 << 20])
def test_parquet_text_column_in_any_cut(tmp_path: Path, shard_bytes: int) -> None:
    path = tmp_path / "а.parquet"
    pl.DataFrame({"id": range(300), "text": RECORDS, "other": ["лишнее"] * 300}).write_parquet(path, row_group_size=70)
    plan = plan_shards(path, shard_bytes)
    assert len(plan.shards) == (1 if shard_bytes > 10_000 else len(plan.shards)) > 0
    text, _, report = read_one(path, shard_bytes)
    assert text.split("\n\n") == RECORDS
    assert (report.format, report.bytes) == ("parquet", path.stat().st_size)


def test_parquet_without_a_text_column(tmp_path: Path) -> None:
    path = tmp_path / "а.parquet"
    table = pl.DataFrame(
        {
            "вопрос": ["Что такое печень?"],
            "chat": [[{"role": "user", "content": "Орган."}]],
            "метка": pl.Series(["важно"], dtype=pl.Categorical),
            "число": [5],
        }
    )
    table.write_parquet(path)
    assert words_of(read_one(path)[0]) == "Что такое печень Орган важно"
    pl.DataFrame({"число": [1, 2]}).write_parquet(path)
    assert read_one(path)[2].reason == "no column of text"


def test_damaged_parquet_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "а.parquet"
    path.write_bytes(b"PAR1 not a table at all PAR1")
    _, _, report = read_one(path)
    assert report.status == "skipped"
    assert "not a Parquet file" in report.reason


# --- markup -------------------------------------------------------------------------------------------------

HTML = """<!DOCTYPE html><html><head><meta charset="koi8-r"><title>Заголовок</title>
<style>.класс {}</style><script>var слово = "<p>нет</p>";</script></head>
<body><!-- тайна --><h1>Печень</h1><p>Орган с <b>важной</b> ролью.<br>Новая строка</p>
<ul><li>раз<li>два</ul>
<pre>код</pre><p>Это <code>переменная</code> и
<a href="https://пример.рф" title="титул">ссылка</a> &laquo;да&raquo;
"""


@pytest.mark.parametrize("encoding", ["utf-8", "cp1251", "utf-16"])
def test_html_gives_the_text_a_reader_sees(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "а.html"
    path.write_bytes(HTML.encode(encoding))
    text, prose, report = read_one(path)
    seen = "Заголовок Печень Орган с важной ролью Новая строка раз два Это и ссылка да"
    assert words_of(prose) == seen
    assert "переменная" in text
    assert "\nраз\nдва" in prose
    assert (report.format, report.encoding) == ("html", encoding)


def test_broken_deep_and_large_html(tmp_path: Path) -> None:
    path = tmp_path / "а.htm"
    body = "<div>" * 5000 + "глубоко" + "</p></div>" * 5000 + "<p>a < b & слово <p>" + "строка <i>текста</i>\n" * 90_000
    path.write_text(body, encoding="utf-8")
    documents, (report,) = read(path)
    prose = "".join(document.prose for document in documents)
    assert words_of(prose[:100]).startswith("глубоко слово строка текста")
    assert prose.count("строка текста") == 90_000
    assert report.status == "read"


FB2 = """<?xml version="1.0" encoding="windows-1251"?>
<!DOCTYPE FictionBook [<!ENTITY смех "ха"><!ENTITY file SYSTEM "file:///etc/passwd">]>
<FictionBook xmlns="http://www.gribuser.ru/xml/fictionbook/2.0">
<description><title-info><book-title>Повесть</book-title></title-info>
<document-info><id>лишнее</id></document-info></description>
<body><title><p>Глава <strong>первая</strong></p></title>
<section><p>Жил-был <style name="x">кот</style> &file;.</p><empty-line/><p>Он < всех &amp; умнее.</p>
<poem><stanza><v>Строка</v><v>другая</v></stanza></poem></section></body>
<binary id="a.jpg" content-type="image/jpeg">0JrQvtGCINC90LUg0YLRg9GC</binary></FictionBook>"""


def test_fb2_in_its_own_encoding(tmp_path: Path) -> None:
    path = tmp_path / "книга.fb2"
    path.write_bytes(FB2.encode("cp1251"))
    text, prose, report = read_one(path)
    assert words_of(prose) == "Повесть Глава первая Жил-был кот Он всех умнее Строка другая"
    assert "root:" not in text
    assert "0Jr" not in text
    assert (report.encoding, report.status) == ("cp1251", "read")


# --- datasets -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shard_bytes", [1000, 8 << 20])
def test_saved_datasets_are_found_and_read(tmp_path: Path, shard_bytes: int) -> None:
    datasets = pytest.importorskip("datasets")
    table = datasets.Dataset.from_dict({"text": RECORDS, "label": list(range(300))})
    datasets.DatasetDict({"train": table, "test": table.select(range(5))}).save_to_disk(tmp_path / "набор")
    (tmp_path / "а.txt").write_text("Рядом лежит текст.", encoding="utf-8")
    documents, reports = read(tmp_path, shard_bytes)
    texts = [text for d in documents if d.path == "набор/train" for text in d.text.split("\n\n")]
    assert texts == RECORDS
    assert [report.path for report in reports] == ["а.txt", "набор/test", "набор/train"]
    assert {report.format for report in reports} == {"text", "datasets"}
    alone, (report,) = read(tmp_path / "набор" / "test")
    assert report.path == "test"
    assert alone[0].text.split("\n\n") == RECORDS[:5]


def test_without_the_package_the_remedy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "набор"
    folder.mkdir()
    for name in ("dataset_info.json", "state.json"):
        (folder / name).write_text("{}")
    (folder / "data.arrow").write_bytes(b"x" * 10)
    monkeypatch.setitem(sys.modules, "datasets", None)
    for root in (tmp_path, "hf://owner/name"):
        _, (report,) = read(root)
        assert report.status == "skipped"
        assert "pip install 'hypertok-concepts[datasets]'" in report.reason


def test_a_damaged_dataset_is_reported(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    for name in ("dataset_info.json", "state.json"):
        (tmp_path / name).write_text("не json", encoding="utf-8")
    (tmp_path / "data.arrow").write_bytes(b"x" * 10)
    _, (report,) = read(tmp_path)
    assert report.status == "skipped"
    assert "not a dataset that can be read" in report.reason


@pytest.mark.parametrize(
    ("name", "arguments", "split"),
    [
        ("hf://owner/name", ("owner/name", None), "train"),
        ("hf://owner/name:test", ("owner/name", None), "test"),
        ("hf://owner/name/ru:test", ("owner/name", "ru"), "test"),
    ],
)
@pytest.mark.parametrize("as_path", [False, True])
def test_hub_datasets_are_streamed(
    monkeypatch: pytest.MonkeyPatch, name: str, arguments: tuple[str, str | None], split: str, as_path: bool
) -> None:
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def load_dataset(*args: Any, **options: Any) -> Any:
        calls.append((args, options))
        return iter({"text": text} for text in RECORDS)

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    documents, (report,) = read(Path(name) if as_path else name)
    assert calls == [(arguments, {"split": split, "streaming": True})]
    assert "\n\n".join(document.text for document in documents).split("\n\n") == RECORDS
    assert report.path == datasets_source.hub_name(name)
    assert report.bytes == sum(len(text.encode()) for text in RECORDS)


def test_a_hub_that_fails_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(*_args: Any, **_options: Any) -> Any:
        raise ConnectionError("нет сети")

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    _, (report,) = read("hf://owner/name")
    assert report.reason == "hub dataset: ConnectionError: нет сети"
    with pytest.raises(InputError, match="hf://owner/name"):
        plan_shards("hf://owner")


# --- any other file -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["а.pseudo", "а.idea", "README", "а.rst", "а.org", "а.conllu", "а.py"])
def test_any_other_file_is_read_when_it_is_text(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("Мысль: печень. https://пример.рф/слово", encoding="utf-8")
    _, prose, report = read_one(tmp_path / name)
    assert words_of(prose) == "Мысль печень"
    assert report.format == "text"


def test_markdown_in_a_file_of_another_name(tmp_path: Path) -> None:
    (tmp_path / "а.idea").write_text("Мысль [о печени](путь)\n```\nкод\n```\n", encoding="utf-8")
    assert words_of(read_one(tmp_path / "а.idea")[1]) == "Мысль о печени"
