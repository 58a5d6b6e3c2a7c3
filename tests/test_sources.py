"""Walking, planning and reading shards: everything is read once, and what is not read is told."""

from __future__ import annotations

import builtins
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from corpus_reading import read_plan
from hypothesis import given, settings
from hypothesis import strategies as st

from hypertok.corpus import chunks
from hypertok.corpus.documents import read_shard
from hypertok.corpus.records import Document, Plan, SourceReport, merge_reports
from hypertok.corpus.sources import plan_shards
from hypertok.errors import InputError

SENTENCE = "Печень очищает кровь и запасает гликоген на чёрный день.\n"


def read_all(plan: Plan) -> tuple[list[Document], dict[str, SourceReport]]:
    documents, reports = read_plan(plan)
    return documents, {report.path: report for report in reports}


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def assert_plan_covers_every_byte_once(plan: Plan) -> None:
    ends: dict[str, int] = {}
    for index, shard in enumerate(plan.shards):
        assert shard.index == index
        for part in shard.parts:
            assert part.start == ends.get(part.path, 0)
            ends[part.path] = part.stop
            assert part.start < part.stop <= part.size
    for shard in plan.shards:
        assert all(ends[part.path] == part.size for part in shard.parts)


def test_a_folder_is_read_in_path_order(tmp_path: Path) -> None:
    for name in ("б.txt", "а/я.md", "а/в.txt", "а.txt"):
        write(tmp_path / name, SENTENCE)
    plan = plan_shards(tmp_path)
    documents, reports = read_all(plan)
    assert [document.path for document in documents] == sorted(reports)
    assert len(plan.shards) == 1
    assert plan.bytes == 4 * len(SENTENCE.encode())
    assert all(report.status == "read" and not report.reason for report in reports.values())


def test_one_file_is_a_corpus(tmp_path: Path) -> None:
    path = write(tmp_path / "заметка.md", f"# Печень\n\n{SENTENCE}")
    documents, reports = read_all(plan_shards(path))
    assert [document.path for document in documents] == ["заметка.md"]
    assert reports["заметка.md"].format == "markdown"


@pytest.mark.parametrize("name", ["книга.rst", "книга.txt"])
def test_titles_underlined_with_tildes_open_no_fence(tmp_path: Path, name: str) -> None:
    text = f"Введение\n~~~~~~~~\n\n{SENTENCE}\nУстановка\n~~~~~~~~~\n\n{SENTENCE}"
    documents, _ = read_all(plan_shards(write(tmp_path / name, text)))
    assert "".join(document.prose for document in documents).count("Печень") == 2


@pytest.mark.parametrize(("name", "record"), [("а.jsonl", '{"text": "%s"}\n'), ("а.csv", "%s\n")])
def test_what_comes_late_tells_the_encoding(tmp_path: Path, name: str, record: str) -> None:
    """A first block in ASCII says nothing of it, and one that ends inside a letter is not damaged."""
    plain = record % "plain ASCII"
    late = plain * ((1 << 20) // len(plain) + 1) + record % SENTENCE.strip() * 9
    before = record.partition("%")[0]
    halved = before + ("x " * (1 << 19))[: (1 << 20) - len(before) - 1] + SENTENCE.strip() + record.partition("s")[2]
    for text, encoding in ((late, "cp1251"), (halved, "utf-8")):
        documents, reports = read_all(plan_shards(write(tmp_path / name, text, encoding)))
        assert reports[name].encoding == encoding
        assert not reports[name].reason
        assert any("очищает кровь" in document.text for document in documents)


def test_a_separator_inside_quotes_parts_nothing(tmp_path: Path) -> None:
    table = f'"номер, код, год";"text"\n1;"{SENTENCE.strip()}"\n'
    documents, _ = read_all(plan_shards(write(tmp_path / "а.csv", table)))
    assert "".join(document.text for document in documents).strip() == SENTENCE.strip()


def test_an_empty_text_field_hides_no_other(tmp_path: Path) -> None:
    line = f'{{"text": " ", "content": "{SENTENCE.strip()}"}}\n'
    documents, _ = read_all(plan_shards(write(tmp_path / "а.jsonl", line)))
    assert any(SENTENCE.strip() in document.text for document in documents)


def test_nothing_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="нет-такой: no such file or folder"):
        plan_shards(tmp_path / "нет-такой")
    with pytest.raises(InputError, match="shard_bytes"):
        plan_shards(tmp_path, shard_bytes=0)


def test_hidden_files_are_left_out(tmp_path: Path) -> None:
    write(tmp_path / ".git" / "config.txt", SENTENCE)
    write(tmp_path / ".obsidian" / "app.json", SENTENCE)
    write(tmp_path / ".скрытый.md", SENTENCE)
    write(tmp_path / "видный.md", SENTENCE)
    plan = plan_shards(tmp_path)
    assert list(read_all(plan)[1]) == ["видный.md"]


def test_links_are_followed_once(tmp_path: Path) -> None:
    corpus, outside = tmp_path / "корпус", tmp_path / "снаружи"
    write(corpus / "тут" / "а.txt", SENTENCE)
    write(outside / "б.txt", SENTENCE)
    (corpus / "0-файл.txt").symlink_to(corpus / "тут" / "а.txt")
    (corpus / "0-папка").symlink_to(corpus / "тут")
    (corpus / "наружу").symlink_to(outside)
    (corpus / "ещё-наружу").symlink_to(outside)
    (outside / "назад").symlink_to(corpus)
    (corpus / "круг").symlink_to(corpus)
    (corpus / "сам").symlink_to(corpus / "сам")
    (corpus / "пусто").symlink_to(corpus / "нет")
    (corpus / "диск").symlink_to("/")
    (corpus / "не-папка").symlink_to(outside / "б.txt" / "в.txt")
    plan = plan_shards(corpus)
    documents, reports = read_all(plan)
    # A real file wins over the link to it; of two links to one folder the first is followed.
    assert [document.path for document in documents] == ["ещё-наружу/б.txt", "тут/а.txt"]
    assert "circular link" in reports["круг"].reason
    assert reports["сам"].reason.startswith("circular link: ")
    assert "circular link" in reports["диск"].reason, "not the whole machine"
    assert "dangling link" in reports["пусто"].reason
    assert "circular link" in reports["ещё-наружу/назад"].reason
    # Links to what is read anyway are passed over without a word: 0-файл.txt, 0-папка, наружу.
    links = {"круг", "сам", "диск", "пусто", "не-папка", "ещё-наружу/назад"}
    assert set(reports) == {"ещё-наружу/б.txt", "тут/а.txt", *links}
    assert "circular" not in reports["не-папка"].reason


def test_nothing_about_one_file_is_fatal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "пустой.txt", "")
    write(tmp_path / "картинка.png", "это не картинка")
    (tmp_path / "данные").write_bytes(b"\0\1\2" * 100)
    os.mkfifo(tmp_path / "труба")
    write(tmp_path / "запрет.txt", SENTENCE)
    write(tmp_path / "исчез.txt", SENTENCE)
    write(tmp_path / "хороший", SENTENCE)
    plan = plan_shards(tmp_path)
    (tmp_path / "исчез.txt").unlink()
    real_open = builtins.open

    def refuse(file: Any, *args: Any, **kwargs: Any) -> Any:
        if str(file).endswith("запрет.txt"):
            raise PermissionError(13, "Permission denied")
        return real_open(file, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", refuse)
    documents, reports = read_all(plan)
    assert [document.path for document in documents] == ["хороший"]
    reasons = {path: report.reason for path, report in reports.items() if report.status == "skipped"}
    without = {path: report.reason for path, report in reports.items() if report.status == "without text"}
    assert without == {"пустой.txt": "empty", "картинка.png": "binary: .png is an image"}
    assert reasons == {
        "данные": "binary: contains zero bytes",
        "труба": "not a regular file (a pipe, socket or device)",
        "запрет.txt": "permission denied",
        "исчез.txt": "vanished before it was read",
    }


def test_a_name_that_is_not_utf8_is_read_and_can_be_printed(tmp_path: Path) -> None:
    name = os.fsdecode("кот.txt".encode("cp1251"))
    try:
        write(tmp_path / name, SENTENCE)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    documents, reports = read_all(plan_shards(tmp_path))
    assert len(documents) == 1
    assert list(reports) == ["\\xea\\xee\\xf2.txt"]


@pytest.mark.parametrize("encoding", ["utf-8", "cp1251", "koi8-r"])
@pytest.mark.parametrize("shard_bytes", [1, 100, 1000, 10**6])
def test_a_big_file_is_cut_at_line_ends(tmp_path: Path, encoding: str, shard_bytes: int) -> None:
    text = "".join(f"{i} {SENTENCE}" for i in range(60)) + "Конец без перевода строки, но с точкой."
    write(tmp_path / "большой.txt", text, encoding)
    plan = plan_shards(tmp_path, shard_bytes)
    assert_plan_covers_every_byte_once(plan)
    assert (sum(len(shard.parts) for shard in plan.shards) > 1) == (shard_bytes < 10**6)
    documents, reports = read_all(plan)
    assert "".join(document.text for document in documents) == text
    report = reports["большой.txt"]
    assert report.encoding == encoding
    assert report.bytes == len(text.encode(encoding))
    assert report.characters == len(text)
    indices = [document.index for document in documents]
    assert indices == sorted(set(indices))


def test_a_text_with_fences_is_never_cut(tmp_path: Path) -> None:
    """A part that begins inside one would take its end for a beginning."""
    write(tmp_path / "дамп.txt", f"{SENTENCE}\n```\nx = 1\n```\n" * 50)
    write(tmp_path / "заметка.md", f"{SENTENCE}\n" * 50)
    plan = plan_shards(tmp_path, 1000)
    assert [part.path for shard in plan.shards for part in shard.parts].count("дамп.txt") == 1
    (document, *_) = (one for one in read_all(plan)[0] if one.path == "дамп.txt")
    assert "x = 1" not in document.prose


def test_utf16_is_never_cut(tmp_path: Path) -> None:
    write(tmp_path / "широкий.txt", SENTENCE * 50, "utf-16")
    plan = plan_shards(tmp_path, 100)
    (part,) = (part for shard in plan.shards for part in shard.parts)
    assert (part.start, part.stop) == (0, part.size)
    assert read_all(plan)[0][0].text == SENTENCE * 50


@given(st.lists(st.integers(min_value=0, max_value=400), max_size=12), st.integers(min_value=1, max_value=2000))
@settings(max_examples=40, deadline=None)
def test_every_plan_gives_the_same_text(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], shard_bytes: int
) -> None:
    root = tmp_path_factory.mktemp("корпус")
    for number, length in enumerate(lengths):
        write(root / f"{number:02}.txt", (SENTENCE * 8)[:length])
    plan = plan_shards(root, shard_bytes)
    assert plan == plan_shards(root, shard_bytes)
    assert_plan_covers_every_byte_once(plan)
    text = "".join(document.text for document in read_all(plan)[0])
    assert text == "".join((SENTENCE * 8)[:length] for length in lengths)


def test_sha256_is_of_the_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "а.txt", SENTENCE, "cp1251")
    _, reports = read_all(plan_shards(tmp_path))
    assert reports["а.txt"].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_mojibake_lookalikes_and_damage_are_reported(tmp_path: Path) -> None:
    write(tmp_path / "каша.txt", SENTENCE.encode().decode("mac_roman"))
    write(tmp_path / "двойники.txt", "Эта cтрока и этa тоже, а HTMLкод нет.")
    (tmp_path / "рана.txt").write_bytes(SENTENCE.encode() * 3 + b"\xff\n")
    documents, reports = read_all(plan_shards(tmp_path))
    assert documents[1].text == SENTENCE
    assert reports["каша.txt"].status == "repaired"
    assert reports["каша.txt"].repaired == "UTF-8 read as Mac Roman"
    assert reports["двойники.txt"].lookalikes == 2
    assert reports["двойники.txt"].lookalike_examples == ("cтрока", "этa")
    assert documents[0].prose.split() == ["Эта", "и", "тоже,", "а", "нет."]
    assert "U+FFFD): 1" in reports["рана.txt"].reason


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    write(tmp_path / "а.md", f"---\nтег: нет\n---\n{SENTENCE}", "utf-8-sig")
    documents, reports = read_all(plan_shards(tmp_path))
    assert documents[0].text.startswith("---")
    assert documents[0].prose.strip() == SENTENCE.strip()
    assert reports["а.md"].encoding == "utf-8-sig"


def test_merging_keeps_single_reports() -> None:
    def parts() -> Iterator[SourceReport]:
        yield SourceReport("а", "text", "utf-8", 3, 2, 1, "read", sha256="1")
        yield SourceReport("б", "text", "", 3, 0, 0, "skipped", "empty")
        yield SourceReport("а", "text", "cp1251", 4, 4, 1, "repaired", "", "каша", 2, ("x",), "2")

    merged = merge_reports(parts())
    assert [report.path for report in merged] == ["а", "б"]
    first = merged[0]
    assert (first.bytes, first.characters, first.documents, first.lookalikes) == (7, 6, 2, 2)
    assert (first.encoding, first.status) == ("utf-8, cp1251", "repaired")
    assert merge_reports(merged) == merged


SHARED = Path(os.environ.get("HYPERTOK_SHARED", Path(__file__).parents[2] / "shared")) / "data" / "corpora"


@pytest.mark.slow
def test_the_shared_corpora_are_read_without_a_complaint() -> None:
    if not SHARED.is_dir():
        pytest.skip(f"no corpora at {SHARED}; set HYPERTOK_SHARED")
    plan = plan_shards(SHARED)
    assert_plan_covers_every_byte_once(plan)
    documents = reports = characters = 0
    for shard in plan.shards:
        for item in read_shard(plan.root, shard):
            if isinstance(item, Document):
                documents += 1
                assert len(item.text) <= chunks.PIECE
            else:
                reports += 1
                characters += item.characters
                # Clean UTF-8 text: nothing may be taken for another encoding, for mojibake or for binary.
                assert (item.status, item.encoding) == ("read", "utf-8"), item
    assert documents >= reports > 4000
    assert characters > 60_000_000
