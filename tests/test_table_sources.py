"""CSV, TSV and Parquet: which column is the text, in any cut, and what happens to damaged tables."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import polars as pl
import pytest
from corpus_reading import RECORDS, read, read_one, words_of

from hypertok.corpus.sources import plan_shards


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


def put(folder: Path, table: str) -> Path:
    (folder / "а.csv").write_text(table, encoding="utf-8", newline="")
    return folder / "а.csv"


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_one_column_needs_no_quotes(tmp_path: Path, ends: str) -> None:
    rows = ["text", "Печень, орган пищеварения", "Врач сказал, что пройдёт", '"В кавычках, тоже"']
    text, _, report = read_one(put(tmp_path, ends.join(rows)))
    assert text == "Печень, орган пищеварения\n\nВрач сказал, что пройдёт\n\nВ кавычках, тоже"
    assert report.reason == ""


def test_cells_beyond_the_header_are_told(tmp_path: Path) -> None:
    text, _, report = read_one(put(tmp_path, "id,text\n1,Печень, орган\n2,Почка\n"))
    assert text == "Печень\n\nПочка"
    assert report.reason.startswith("rows of more cells than the first one: 1;")


@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_a_first_line_may_name_the_separator(tmp_path: Path, start: str) -> None:
    table = start + "sep=;\r\nauthor;text\r\nИванов;Печень, орган\r\n"
    text, _, report = read_one(put(tmp_path, table))
    assert (text, report.reason) == ("Печень, орган", "")


def test_a_quotation_mark_separates_nothing(tmp_path: Path) -> None:
    """Python 3.13 refuses it as a separator, and before that it took the quoted apart."""
    text, _, report = read_one(put(tmp_path, 'sep="\nauthor;text\nИванов;"Печень; орган"\n'))
    assert (text, report.reason) == ("Печень; орган", "")


def test_a_cell_over_the_limit_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hypertok.corpus.csv_source.CELL_LIMIT", 50)
    path = tmp_path / "а.csv"
    path.write_text(f"text,б\n{'длинно ' * 20},б\nкоротко,б\n", encoding="utf-8")
    text, _, report = read_one(path)
    assert text == "коротко"
    assert "line 2: field larger than field limit (50)" in report.reason


def test_the_line_that_names_the_separator_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hypertok.corpus.csv_source.CELL_LIMIT", 50)
    path = tmp_path / "а.csv"
    path.write_text(f"sep=;\ntext;б\n{'длинно ' * 20};б\nкоротко;б\n", encoding="utf-8")
    text, _, report = read_one(path)
    assert text == "коротко"
    assert "line 3: field larger" in report.reason


def test_a_line_over_the_limit_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hypertok.corpus.csv_source.LINE_LIMIT", 50)
    monkeypatch.setattr("hypertok.corpus.csv_source.BLOCK", 64)
    path = tmp_path / "а.csv"
    long = "длинно," * 60 + "\n"
    path.write_text(f"text,б\nсначала,б\n{long}коротко,б\n{long * 4}", encoding="utf-8")
    text, _, report = read_one(path)
    assert text.split("\n\n") == ["сначала", "коротко"]
    assert "line 3: over 50 characters; it is passed over" in report.reason
    assert report.reason.count("passed over") == 3
    assert report.reason.endswith("2 more such lines")


def test_bytes_of_a_table_that_cannot_be_decoded_are_told(tmp_path: Path) -> None:
    path = tmp_path / "а.csv"
    path.write_bytes(
        "text,б\n".encode() + "печень очищает кровь,б\n".encode() * 50 + "кро".encode() + b"\xe2" + "вь,б\n".encode()
    )
    _, _, report = read_one(path)
    assert report.reason == "characters lost (undecodable bytes or U+FFFD): 1"


def test_a_parquet_whose_name_is_not_utf8_is_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "корпус"
    folder.mkdir()
    pl.DataFrame({"text": RECORDS}).write_parquet(tmp_path / "а.parquet")
    (tmp_path / "а.parquet").rename(folder / os.fsdecode("отчёт.parquet".encode("cp1251")))
    (folder / "б.txt").write_text("печень", encoding="utf-8")
    documents, reports = read(folder)
    assert [document.text for document in documents] == ["печень"]
    assert [report.reason for report in reports if report.status == "skipped"] == ["its name is not UTF-8; rename it"]


@pytest.mark.parametrize("shard_bytes", [200, 8 << 20])
def test_parquet_text_column_in_any_cut(tmp_path: Path, shard_bytes: int) -> None:
    path = tmp_path / "а.parquet"
    pl.DataFrame({"id": range(300), "text": RECORDS, "other": ["лишнее"] * 300}).write_parquet(path, row_group_size=70)
    plan = plan_shards(path, shard_bytes)
    assert (len(plan.shards) > 1) == (shard_bytes < 10_000)
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
