"""Records as documents: each its own where texts are trained on or measured, joined where words are counted."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from corpus_reading import RECORDS, read

from hypertok.corpus.documents import read_documents, read_shard
from hypertok.corpus.records import Document
from hypertok.corpus.sources import plan_shards
from hypertok.errors import InputError


def write_jsonl(folder: Path, records: list[str]) -> Path:
    path = folder / "а.jsonl"
    path.write_text("\n".join(json.dumps({"id": "x", "text": record}) for record in records), encoding="utf-8")
    return path


def write_csv(folder: Path, records: list[str]) -> Path:
    path = folder / "а.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("id", "text"), *((number, record) for number, record in enumerate(records))])
    return path


def write_parquet(folder: Path, records: list[str]) -> Path:
    path = folder / "а.parquet"
    pl.DataFrame({"text": records}).write_parquet(path, row_group_size=70)
    return path


def write_dataset(folder: Path, records: list[str]) -> Path:
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_dict({"text": records}).save_to_disk(str(folder / "набор"))
    return folder / "набор"


WRITERS = [write_jsonl, write_csv, write_parquet, write_dataset]
Writer = Callable[[Path, list[str]], Path]


def singly(path: Path, shard_bytes: int = 8 << 20) -> list[Document]:
    plan = plan_shards(path, shard_bytes)
    found = (item for shard in plan.shards for item in read_shard(plan.root, shard, join=False))
    return [item for item in found if isinstance(item, Document)]


@pytest.mark.parametrize("write", WRITERS)
def test_every_record_is_a_document(write: Writer, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from hypertok.training.data import read_texts

    path = write(tmp_path, [*RECORDS[:5], "", " \n", *RECORDS[5:]])
    texts = list(read_texts(path))
    assert [text.text for text in texts] == [one.text for one in read_documents(path)] == RECORDS
    assert [text.name for text in texts] == [f"{path.name}#{number}" for number in range(len(RECORDS))]


@pytest.mark.parametrize("write", WRITERS)
def test_a_lexicon_counts_them_joined_as_ever(write: Writer, tmp_path: Path) -> None:
    found, _ = read(write(tmp_path, RECORDS))
    assert [(document.index, document.text) for document in found] == [(0, "\n\n".join(RECORDS))]
    found, _ = read(write(tmp_path, RECORDS * 20))
    assert "\n\n".join(document.text for document in found) == "\n\n".join(RECORDS * 20)
    assert all(64 << 10 <= len(document.text) < 65 << 10 for document in found[:-1])
    assert len(found) > 2


@pytest.mark.parametrize("write", WRITERS)
def test_names_are_unique_in_any_cut(write: Writer, tmp_path: Path) -> None:
    found = singly(write(tmp_path, RECORDS), 500)
    assert [document.text for document in found] == RECORDS
    assert len({document.index for document in found}) == len(RECORDS)


def test_names_are_unique_where_rows_outnumber_bytes(tmp_path: Path) -> None:
    path = tmp_path / "а.parquet"
    pl.DataFrame({"text": [RECORDS[0]] * 20_000}).write_parquet(path)
    assert path.stat().st_size < 20_000, "this file no longer shows what it should"
    found = singly(path, path.stat().st_size // 3)
    assert len({document.index for document in found}) == len(found) == 20_000


def test_a_long_record_stays_one_up_to_the_longest_document(tmp_path: Path) -> None:
    long = "печень очищает кровь " * 10_000
    found = singly(write_jsonl(tmp_path, ["Начало.", long, long * 6, "Конец."]))
    assert [document.text for document in found[:2]] == ["Начало.", long]
    assert len(found) == 5, "1.26 million characters are two documents"
    assert "".join(document.text for document in found[2:4]) == long * 6


def test_markdown_left_open_in_a_record_ends_with_it(tmp_path: Path) -> None:
    found = singly(write_jsonl(tmp_path, ["# Печень\n```\nкод", "Кровь течёт."]))
    assert "код" not in found[0].prose
    assert found[1].prose == "Кровь течёт."


def test_what_holds_no_records_is_read_alike(tmp_path: Path) -> None:
    (tmp_path / "а.txt").write_text("Первая строка.\n\nВторая строка.\n" * 60_000, encoding="utf-8")
    (tmp_path / "б.md").write_text("# Печень\n\n```\nкод\n```\n", encoding="utf-8")
    (tmp_path / "в.html").write_text("<p>Печень</p><p>Кровь</p>", encoding="utf-8")
    assert singly(tmp_path, 1 << 20) == read(tmp_path, 1 << 20)[0]


@pytest.mark.parametrize("write", [write_jsonl, write_csv, write_parquet])
def test_records_copied_into_the_held_out_file_are_refused(write: Writer, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from hypertok.training.data import read_texts, refuse_leaks

    (tmp_path / "held").mkdir()
    held = write(tmp_path / "held", ["Эту запись никто не читал.", RECORDS[7], RECORDS[250]])
    known = {text.identity: text.name for text in read_texts(held)}
    path = write(tmp_path, RECORDS)
    with pytest.raises(InputError, match=rf"{path.name}#7: the held-out document {held.name}#1 is the same text"):
        list(refuse_leaks(read_texts(path), known))
    clean = {text.identity: text.name for text in read_texts(held) if text.text not in RECORDS}
    assert len(list(refuse_leaks(read_texts(path), clean))) == len(RECORDS)
