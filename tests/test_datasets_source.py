"""Saved datasets and those of the hub, with and without the package."""

from __future__ import annotations

import socket
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from corpus_reading import RECORDS, read

from hypertok.corpus import datasets_source
from hypertok.corpus.sources import plan_shards
from hypertok.errors import InputError


@pytest.mark.parametrize("shard_bytes", [1000, 8 << 20])
def test_saved_datasets_are_found_and_read(tmp_path: Path, shard_bytes: int) -> None:
    datasets = pytest.importorskip("datasets")
    table = datasets.Dataset.from_dict({"text": RECORDS, "label": list(range(300))})
    datasets.DatasetDict({"train": table, "test": table.select(range(5))}).save_to_disk(str(tmp_path / "набор"))
    (tmp_path / "а.txt").write_text("Рядом лежит текст.", encoding="utf-8")
    documents, reports = read(tmp_path, shard_bytes)
    texts = [text for d in documents if d.path == "набор/train" for text in d.text.split("\n\n")]
    assert texts == RECORDS
    assert [report.path for report in reports] == ["а.txt", "набор/test", "набор/train"]
    assert {report.format for report in reports} == {"text", "datasets"}
    linked = tmp_path / "ссылки"
    linked.mkdir()
    (linked / "а").symlink_to(tmp_path / "набор" / "test")
    (linked / "б").symlink_to(tmp_path / "набор")
    assert [report.path for report in read(linked, shard_bytes)[1]] == ["а", "б/train"], "each once"
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
        assert 'pip install "hypertok-concepts[datasets]"' in report.reason


def test_a_damaged_dataset_is_reported(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    for name in ("dataset_info.json", "state.json"):
        (tmp_path / name).write_text("не json", encoding="utf-8")
    (tmp_path / "data.arrow").write_bytes(b"x" * 10)
    _, (report,) = read(tmp_path)
    assert report.status == "skipped"
    assert "not a dataset that can be read" in report.reason


def test_columns_that_hold_no_text_are_not_decoded(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    sound = [{"bytes": b"no sound at all", "path": None}] * 300
    table = datasets.Dataset.from_dict({"sentence": RECORDS, "sound": sound, "said": [{"by": ["Анна"]}] * 300})
    table = table.cast_column("sound", datasets.Audio())
    table.save_to_disk(str(tmp_path / "речь"))
    table.select_columns(["sound"]).save_to_disk(str(tmp_path / "шум"))
    (document, *_), reports = read(tmp_path)
    assert document.text.startswith(f"{RECORDS[0]}\n\nАнна\n\n")
    found = {report.path: (report.status, report.reason) for report in reports}
    assert found == {"речь": ("read", ""), "шум": ("skipped", "no column of text")}


@pytest.mark.parametrize("depth", ["column", "record", "list"])
@pytest.mark.parametrize(("kind", "decode"), [("Image", True), ("Image", False), ("Audio", True)])
def test_a_url_in_a_dataset_is_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, depth: str, kind: str, decode: bool
) -> None:
    """A picture or a sound may name a URL, which decoding would fetch."""
    datasets = pytest.importorskip("datasets")
    asked: list[Any] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *where, **_options: asked.append(where) or [])
    text = datasets.Value("string")
    plain, media = {"bytes": datasets.Value("binary"), "path": text}, getattr(datasets, kind)(decode=decode)
    linked = {"bytes": None, "path": "https://example.org/печень.png"}

    def placed(said: Any, seen: Any) -> Any:
        cells = {"said": said, "seen": seen}
        return {"column": cells, "record": {"page": cells}, "list": {"pages": [cells]}}[depth]

    rows = [placed(text, linked) for text in RECORDS]
    table = datasets.Dataset.from_list(rows, features=datasets.Features(placed(text, plain)))
    table = table.cast(datasets.Features(placed(text, media)))
    # Saving goes online too.
    monkeypatch.setattr(datasets.Dataset, "_estimate_nbytes", lambda _self: 1, raising=False)
    monkeypatch.setattr(type(media), "embed_storage", lambda _self, storage, **_options: storage)
    table.save_to_disk(str(tmp_path / "набор"))
    documents, (report,) = read(tmp_path)
    assert (report.status, report.reason) == ("read", "")
    assert "\n\n".join(document.text for document in documents).split("\n\n") == RECORDS, "no URL either"

    streamed = table.to_iterable_dataset()
    monkeypatch.setattr(datasets, "load_dataset", lambda *_names, **_options: streamed)
    documents, (report,) = read("hf://owner/name")
    assert (report.status, report.reason) == ("read", "")
    assert "\n\n".join(document.text for document in documents).split("\n\n") == RECORDS
    assert not asked


def test_columns_of_json_are_decoded(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", minversion="4.8")
    kinds = datasets.Features({"said": datasets.Json()})
    rows = [{"said": {"by": "Анна", "text": text}} for text in RECORDS]
    datasets.Dataset.from_list(rows, features=kinds).save_to_disk(str(tmp_path / "набор"))
    documents, _ = read(tmp_path)
    assert "\n\n".join(document.text for document in documents).split("\n\n") == RECORDS


@pytest.mark.parametrize("readable", [0, 256])
def test_rows_that_cannot_be_read_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readable: int) -> None:
    datasets, pyarrow = pytest.importorskip("datasets"), pytest.importorskip("pyarrow")

    class Damaged(list[str]):
        features: ClassVar[Any] = datasets.Features({"text": datasets.Value("string")})

        def select_columns(self, _names: list[str]) -> Damaged:
            return self

        def with_format(self, _name: str) -> Damaged:
            return self

        def __getitem__(self, rows: Any) -> Any:
            if rows.start >= readable:
                raise OSError("Arrow-файл оборван")
            return pyarrow.table({"text": RECORDS[rows] * 100})  # enough for documents before the damage

    for name in ("dataset_info.json", "state.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "data.arrow").write_bytes(b"x" * 10)
    fake = types.SimpleNamespace(load_from_disk=lambda *_args, **_options: Damaged(RECORDS))
    monkeypatch.setitem(sys.modules, "datasets", fake)
    documents, (report,) = read(tmp_path)
    assert (report.status, bool(documents)) == (("read", True) if readable else ("skipped", False))
    assert report.reason.startswith("not a dataset that can be read: OSError: Arrow-файл оборван")
    assert report.reason.endswith("; read up to there") == bool(readable)


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
    datasets = pytest.importorskip("datasets")
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def load_dataset(*args: Any, **options: Any) -> Any:
        calls.append((args, options))
        return datasets.IterableDataset.from_generator(lambda: ({"text": text} for text in RECORDS))

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    documents, (report,) = read(Path(name) if as_path else name)
    assert calls == [(arguments, {"split": split, "streaming": True})]
    assert "\n\n".join(document.text for document in documents).split("\n\n") == RECORDS
    assert report.path == datasets_source.hub_name(name)
    assert report.bytes == sum(len(text.encode()) for text in RECORDS)


def test_columns_of_the_hub_that_hold_no_text_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    table = datasets.Dataset.from_dict({"text": RECORDS, "sound": [{"bytes": b"no sound at all", "path": None}] * 300})
    table = table.cast_column("sound", datasets.Audio())
    streams = {"train": table.to_iterable_dataset(), "test": table.select_columns(["sound"]).to_iterable_dataset()}
    monkeypatch.setattr(datasets, "load_dataset", lambda *_names, split, **_options: streams[split])
    (document, *_), _reports = read("hf://owner/name")
    assert document.text.split("\n\n")[0] == RECORDS[0]
    nothing, (report,) = read("hf://owner/name:test")
    assert not nothing
    assert (report.status, report.reason) == ("skipped", "no column of text")


def test_a_hub_that_fails_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(*_args: Any, **_options: Any) -> Any:
        raise ConnectionError("нет сети")

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    _, (report,) = read("hf://owner/name")
    assert report.reason == "hub dataset: ConnectionError: нет сети"
    with pytest.raises(InputError, match="hf://owner/name"):
        plan_shards("hf://owner")


def test_a_hub_that_breaks_off_midway_gives_no_lexicon_of_the_fragment(monkeypatch: pytest.MonkeyPatch) -> None:
    def rows() -> Iterator[dict[str, str]]:
        yield from ({"text": text * 100} for text in RECORDS)  # enough for documents before the end
        raise ConnectionError("связь оборвана")

    datasets = pytest.importorskip("datasets")
    streamed = datasets.IterableDataset.from_generator(rows)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_names, **_options: streamed)
    with pytest.raises(InputError, match=r"hf://owner/name:train: broke off midway \(ConnectionError: связь оборвана"):
        read("hf://owner/name")
