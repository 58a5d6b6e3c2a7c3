"""What other systems than the one at hand do, patched in: Windows, macOS, disks that know no links."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import pytest

from hypertok.archive.container import Member
from hypertok.archive.files import _found, write_members
from hypertok.corpus import engines, sources
from hypertok.corpus.counting import count_corpus
from hypertok.corpus.sources import plan_shards, refuse_inside
from hypertok.errors import InputError, quoted
from hypertok.experiment.reading import read_definition
from hypertok.measure.minimal_pairs import MinimalPair, read_pairs


@pytest.mark.parametrize(
    ("path", "typed"), [("notes-1.lexicon", "notes-1.lexicon"), ("мои заметки", '"мои заметки"'), ("a&b", '"a&b"')]
)
def test_cmd_knows_no_single_quotes(path: str, typed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    named = Path(path)
    with monkeypatch.context() as windows:
        windows.setattr(os, "name", "nt")
        assert quoted(named) == typed


def test_what_systems_put_into_a_work_folder_is_no_reason_to_refuse_it(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "а.txt").write_text("Печень очищает кровь.", encoding="utf-8")
    work = tmp_path / "work"
    work.mkdir()
    for name in ("._000000-0123456789abcdef", ".DS_Store", "Thumbs.db", "desktop.ini"):
        (work / name).touch()
    assert count_corpus(tmp_path / "texts", work, workers=1).vocabulary.height == 3
    pytest.importorskip("peft")
    from hypertok.training.work_folder import refuse_output

    (tmp_path / "run.work").mkdir()
    (tmp_path / "run.work" / "desktop.ini").touch()
    refuse_output(tmp_path / "run", tmp_path / "run.work", resume=False)


class Junction:
    """What `os.scandir` tells on Windows of a folder that is another one in truth."""

    def __init__(self, name: str) -> None:
        self.name = name

    def is_symlink(self) -> bool:
        return False

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return True

    def stat(self, *, follow_symlinks: bool = True) -> SimpleNamespace:
        return SimpleNamespace(st_reparse_tag=0 if follow_symlinks else 0xA0000003)


def test_a_corpus_that_junctions_lead_back_to_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "а.txt").write_text("печень", encoding="utf-8")
    (tmp_path / "круг").symlink_to(tmp_path)
    scan = os.scandir

    def scandir(folder: Path) -> Iterator[Junction | os.DirEntry[str]]:
        return (Junction(entry.name) if entry.is_symlink() else entry for entry in scan(folder))

    monkeypatch.setattr(os, "scandir", scandir)
    plan = plan_shards(tmp_path)
    assert [part.path for shard in plan.shards for part in shard.parts] == ["а.txt"]
    assert ["circular link" in report.reason for report in plan.reports] == [True]


def test_a_junction_that_windows_keeps_for_old_programs_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As «My Music» in Documents: it cannot be listed, and what it leads to is not the corpus."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "texts" / "тоже").mkdir(parents=True)
    (tmp_path / "texts" / "музыка").symlink_to(tmp_path / "outside")
    scan = os.scandir

    def scandir(folder: Path) -> Iterator[os.DirEntry[str]]:
        if Path(folder).name in ("музыка", "тоже"):
            raise PermissionError(errno.EACCES, "Access is denied")
        return scan(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(sources, "is_junction", lambda place: place.name == "музыка")
    assert [report.path for report in plan_shards(tmp_path / "texts").reports] == ["тоже"]


def test_junctions_are_neither_packed_nor_unpacked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vault" / "junction").mkdir(parents=True)
    for name in ("а.md", "junction/б.md"):
        (tmp_path / "vault" / name).write_text("печень", encoding="utf-8")
    monkeypatch.setattr(sources, "is_junction", lambda place: place.name == "junction")
    told: list[tuple[str, str]] = []
    found = _found([tmp_path / "vault"], lambda path, reason: told.append((path, reason)))
    assert [name for name, _ in found] == ["vault/а.md"]
    assert told == [(str(tmp_path / "vault" / "junction"), "a symbolic link")]
    with pytest.raises(InputError, match="junction is a symbolic link: unpack into another folder"):
        write_members([Member("junction/в.md", b"1")], tmp_path / "vault", name="x")
    with pytest.raises(InputError, match="junction is a symbolic link: name the file"):
        _found([tmp_path / "vault" / "junction"], None)


def test_an_output_is_inside_the_corpus_whatever_the_case_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("Notes", "notes"):  # one folder there, two here
        (tmp_path / name).mkdir()
    monkeypatch.setattr(Path, "samefile", lambda one, other: str(one).casefold() == str(other).casefold())
    with pytest.raises(InputError, match="lies inside the corpus"):
        refuse_inside(tmp_path / "notes" / "out" / "a.lexicon", tmp_path / "Notes")
    refuse_inside(tmp_path / "a.lexicon", tmp_path / "Notes")


def test_a_wait_for_workers_has_pauses_in_which_an_interrupt_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float | None] = []

    def wait(handles: list[Future[int]], timeout: float | None, return_when: str) -> SimpleNamespace:
        waits.append(timeout)
        return SimpleNamespace(done=set(handles) if len(waits) == 3 else set())

    monkeypatch.setattr(engines, "wait", wait)
    handle = Future[int]()
    handle.set_result(7)
    with engines._Processes(abs, 1) as pool:
        assert pool.result(handle) == 7
    assert waits == [1.0, 1.0, 1.0]


def test_no_more_workers_are_started_than_windows_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Started(Exception):
        pass

    def start(workers: int, **_: object) -> None:
        asked.append(workers)
        raise Started

    monkeypatch.setattr(engines, "_MOST", 61)
    monkeypatch.setattr(engines, "ProcessPoolExecutor", start)
    for workers in (100, 8):
        with pytest.raises(Started):
            next(engines.run(abs, range(200), workers=workers))
    assert asked == [61, 8]


def test_a_mark_of_editors_of_windows_is_no_part_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "defaults.toml").write_text("characters = 55", encoding="utf-8-sig")
    (tmp_path / "one.toml").write_text("[arms.stock]\nstock = true", encoding="utf-8-sig")
    assert read_definition(tmp_path / "one.toml").characters == 55
    (tmp_path / "pairs.jsonl").write_text('{"chosen": "а", "rejected": "б"}\n', encoding="utf-8-sig")
    assert read_pairs(tmp_path / "pairs.jsonl") == [MinimalPair("а", "б", "all")]
