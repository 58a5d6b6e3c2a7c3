"""Artefacts are written whole or not at all, and nothing else is replaced."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from things import KIND, Change, open_thing, tree, write_thing

from hypertok.artifact import MANIFEST, Manifest, recover, refuse_foreign, seal, writing
from hypertok.errors import ArtifactError
from hypertok.lexicon.lexicon import KIND as LEXICON


def fail_writing(target: Path, failure: BaseException) -> None:
    """Write half of a thing, see that the old one still stands, fail."""
    with writing(target, KIND) as folder:
        (folder / "a.txt").write_text("половина")
        assert (target / MANIFEST).exists()
        raise failure


def test_a_failed_rewrite_leaves_the_old_one(thing: Path) -> None:
    before = tree(thing)
    for failure in (ValueError, KeyboardInterrupt, SystemExit):
        with pytest.raises(failure):
            fail_writing(thing, failure())
        assert tree(thing) == before
        assert os.listdir(thing.parent) == ["x.thing"]


def test_a_rewrite_replaces_everything(thing: Path) -> None:
    with writing(thing, KIND) as folder:
        (folder / "c.txt").write_text("три")
        seal(folder, KIND)
    assert set(tree(thing)) == {"c.txt", MANIFEST}
    assert os.listdir(thing.parent) == ["x.thing"]


KILLED = """
import os, sys
from pathlib import Path
from hypertok.artifact import Kind, writing

target, rename = Path(sys.argv[1]), Path.rename
def killed_before_the_second(path, to):
    if to == target:
        os.kill(os.getpid(), 9)
    rename(path, to)
Path.rename = killed_before_the_second
with writing(target, Kind("thing", 3, "")):
    pass
"""


def kill_between_renames(target: Path) -> None:
    """A writer is killed after the old folder is out of the way and before the new one is in place."""
    killed = subprocess.run([sys.executable, "-c", KILLED, str(target)], check=False)
    assert killed.returncode == -9
    assert not target.exists()


def test_a_kill_between_the_renames_loses_nothing(thing: Path) -> None:
    before = tree(thing)
    kill_between_renames(thing)
    with pytest.raises(ArtifactError, match=r"rename .*\.x\.thing\.previous to x\.thing"):
        open_thing(thing)
    recover(thing)
    assert tree(thing) == before
    recover(thing)  # nothing left to do
    assert tree(thing) == before


def test_a_write_after_such_a_kill_still_keeps_the_old_one_until_the_end(thing: Path) -> None:
    before = tree(thing)
    kill_between_renames(thing)
    with pytest.raises(ValueError, match="stop"):
        fail_writing(thing, ValueError("stop"))
    assert tree(thing) == before
    write_thing(thing, "два\n")
    assert (thing / "a.txt").read_text("utf-8") == "два\n"
    assert os.listdir(thing.parent) == ["x.thing"]


def test_a_kill_in_mid_write_leaves_the_old_one(thing: Path) -> None:
    before = tree(thing)
    program = (
        "import os, sys; from pathlib import Path; from hypertok.artifact import Kind, writing\n"
        "with writing(Path(sys.argv[1]), Kind('thing', 3, '')) as folder:\n"
        "    (folder / 'a.txt').write_text('half')\n"
        "    os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(thing)], check=False)
    assert killed.returncode == -9
    assert tree(thing) == before
    write_thing(thing)
    assert os.listdir(thing.parent) == ["x.thing"]


def test_two_writers_of_one_target_do_not_mix(tmp_path: Path) -> None:
    target = tmp_path / "x.thing"
    with writing(target, KIND) as first:
        (first / "one.txt").write_text("first")
        with writing(target, KIND) as second:
            (second / "one.txt").write_text("second")
            (second / "more.txt").write_text("second")
            seal(second, KIND)
        (first / "two.txt").write_text("first")
        seal(first, KIND)
    assert set(open_thing(target).files) == {"one.txt", "two.txt"}
    assert (target / "one.txt").read_text() == "first"
    assert os.listdir(tmp_path) == ["x.thing"]


def test_of_writers_that_end_at_once_the_last_one_wins_whole(tmp_path: Path) -> None:
    target, together = tmp_path / "x.thing", Barrier(8)

    def write(number: int) -> Manifest:
        with writing(target, KIND) as folder:
            (folder / f"{number}.txt").write_text("раз", encoding="utf-8")
            together.wait()
            return seal(folder, KIND)

    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(write, range(8)))
    assert open_thing(target) in written
    assert os.listdir(tmp_path) == ["x.thing"]


FOREIGN: dict[str, Change] = {
    "a folder of notes": lambda p: (p.mkdir(), (p / "notes.md").write_text("моё")),
    "an empty folder": lambda p: p.mkdir(),
    "a file": lambda p: p.write_text("моё"),
    "a browser extension": lambda p: (p.mkdir(), (p / MANIFEST).write_text('{"manifest_version": 3}')),
    "a web page": lambda p: (p.mkdir(), (p / MANIFEST).write_text('{"name": "Заметки", "icons": []}')),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_artefact_is_never_replaced(tmp_path: Path, name: str) -> None:
    target = tmp_path / "mine"
    FOREIGN[name](target)
    before = tree(target) if target.is_dir() else target.read_bytes()
    with pytest.raises(ArtifactError, match="not a hypertok artefact; name another output"):
        write_thing(target)
    assert (tree(target) if target.is_dir() else target.read_bytes()) == before


def test_an_artefact_of_another_kind_is_never_replaced(thing: Path) -> None:
    before = tree(thing)
    says = r"x\.thing: exists and is of kind 'thing', and only 'lexicon' is replaced here; name another output, or"
    with pytest.raises(ArtifactError, match=says):
        refuse_foreign(thing, LEXICON)
    with pytest.raises(ArtifactError, match=says), writing(thing, LEXICON):
        pass
    assert tree(thing) == before
    refuse_foreign(thing, KIND)
    refuse_foreign(thing.with_name("nothing there"), LEXICON)


@pytest.mark.parametrize("name", ["мои заметки.md", ".git"])
def test_a_file_of_the_users_among_ours_is_not_deleted(thing: Path, name: str) -> None:
    (thing / ".DS_Store").touch()
    (thing / name).write_text("важно")
    with pytest.raises(ArtifactError, match=rf"{re.escape(name)}: not part of the artefact"):
        write_thing(thing)
    assert (thing / name).read_text() == "важно"
    (thing / name).unlink()
    write_thing(thing)


def test_what_macos_writes_beside_files_is_no_part_of_an_artefact(thing: Path) -> None:
    with writing(thing, KIND) as folder:
        for name in ("a.txt", "._a.txt"):
            (folder / name).write_text("да")
        assert set(seal(folder, KIND).files) == {"a.txt"}
    assert (thing / "._a.txt").is_file()
    (thing / "._a.txt").unlink()
    open_thing(thing)
    (thing / "._manifest.json").touch()
    write_thing(thing)


def test_a_damaged_artefact_can_be_built_again(thing: Path) -> None:
    (thing / "a.txt").unlink()
    os.truncate(thing / "b.bin", 3)
    write_thing(thing)
    open_thing(thing)


def test_a_link_is_followed_not_replaced(thing: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.thing"
    link.symlink_to(thing)
    for content in ("два\n", "три\n"):
        write_thing(link, content)
        assert link.is_symlink()
        assert (thing / "a.txt").read_text("utf-8") == content
    assert sorted(os.listdir(tmp_path)) == ["link.thing", "x.thing"]


def test_the_current_folder_can_be_named(thing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(thing)
    write_thing(Path("."), "два\n")
    assert (thing / "a.txt").read_text("utf-8") == "два\n"


def test_a_missing_parent_is_made(tmp_path: Path) -> None:
    write_thing(tmp_path / "глубоко" / "внутри" / "x.thing")
    open_thing(tmp_path / "глубоко" / "внутри" / "x.thing")


def test_a_path_that_is_not_utf8_is_refused_before_work(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"bytes that are not UTF-8; name another output"):
        refuse_foreign(tmp_path / os.fsdecode(b"\xcf") / "x.lexicon", KIND)
