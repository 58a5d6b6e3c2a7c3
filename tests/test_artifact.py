"""Artefacts on disk are read as written, and refused with a remedy when anything about them is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from things import KIND, Change, change_manifest, open_thing, tree, write_thing

from hypertok.artifact import MANIFEST, Manifest, open_checked, read_manifest, sha256_of
from hypertok.errors import ArtifactError


def test_what_was_written_is_read(thing: Path) -> None:
    manifest = open_thing(thing)
    assert set(manifest.files) == {"a.txt", "b.bin"}
    assert manifest.facts == {"строк": 1}
    assert os.listdir(thing.parent) == ["x.thing"]
    assert read_manifest(thing, KIND) == manifest


def test_the_same_content_is_the_same_bytes(thing: Path, tmp_path: Path) -> None:
    again = write_thing(tmp_path / "y.thing")
    assert tree(tmp_path / "y.thing") == tree(thing)
    assert again.sha256 == open_thing(thing).sha256 == sha256_of(thing / MANIFEST)
    assert write_thing(tmp_path / "z.thing", "два\n").sha256 != again.sha256
    assert write_thing(tmp_path / "z.thing", recipe={"n": 1}).sha256 != again.sha256


def flip_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, tuple[Change, str]] = {
    "a flipped bit": (lambda f: flip_bit(f / "b.bin"), "b.bin: changed or damaged"),
    "a truncated file": (lambda f: os.truncate(f / "b.bin", 100), "b.bin: changed or damaged"),
    "an emptied file": (lambda f: os.truncate(f / "a.txt", 0), "a.txt: changed or damaged"),
    "a longer file": (lambda f: (f / "a.txt").write_text("раз\nдва\n"), "a.txt: changed or damaged"),
    "a lost file": (lambda f: (f / "a.txt").unlink(), "a.txt: named in the manifest and not there"),
    "a folder for a file": (
        lambda f: ((f / "a.txt").unlink(), (f / "a.txt").mkdir()),
        "named in the manifest and not there",
    ),
    "a truncated manifest": (lambda f: os.truncate(f / MANIFEST, 40), "unreadable manifest"),
    "an empty manifest": (lambda f: os.truncate(f / MANIFEST, 0), "unreadable manifest"),
    "a binary manifest": (lambda f: (f / MANIFEST).write_bytes(b"\xff\xfe\0"), "unreadable manifest"),
    "a list for a manifest": (lambda f: (f / MANIFEST).write_text("[]"), "unreadable manifest"),
    "a deeply nested manifest": (lambda f: (f / MANIFEST).write_text("[" * 10**5), "unreadable manifest"),
    "no manifest": (lambda f: (f / MANIFEST).unlink(), "no thing here"),
    "an unknown key": (lambda f: change_manifest(f, colour="red"), "unreadable manifest"),
    "files that are no table": (lambda f: change_manifest(f, files=["a.txt"]), "unreadable manifest"),
    "another kind": (lambda f: change_manifest(f, kind="lexicon"), "of kind 'lexicon', and 'thing' is needed"),
    "an older schema": (lambda f: change_manifest(f, schema_version=2), "written by an older hypertok"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_refused_with_a_remedy(thing: Path, name: str) -> None:
    damage, says = DAMAGES[name]
    damage(thing)
    with pytest.raises(ArtifactError) as error:
        open_thing(thing)
    assert says in str(error.value)
    assert str(thing) in str(error.value)
    assert KIND.command in str(error.value)


def test_every_single_byte_counts(thing: Path) -> None:
    path = thing / "a.txt"
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x80]) + whole[place + 1 :])
        with pytest.raises(ArtifactError):
            open_thing(thing)


def test_a_newer_schema_says_upgrade_whatever_else_it_brings(thing: Path) -> None:
    change_manifest(thing, schema_version=4, shards={"new": "layout"}, files=["a.txt"])
    with pytest.raises(ArtifactError, match=r"schema 4.*reads up to 3.*pip install \."):
        open_thing(thing)


@pytest.mark.parametrize("name", ["../secret.txt", "sub/../../secret.txt", "..", ".", "", "sub/a.txt"])
def test_file_names_cannot_leave_the_folder(thing: Path, name: str) -> None:
    secret = thing.parent / "secret.txt"
    secret.write_text("тайна")
    (thing / "sub").mkdir()
    (thing / "sub" / "a.txt").write_text("тайна")
    change_manifest(thing, files={name: sha256_of(secret)})
    with pytest.raises(ArtifactError, match="named in the manifest and not there"):
        open_thing(thing)


def test_an_absolute_file_name_is_refused(thing: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("тайна")
    change_manifest(thing, files={str(secret): sha256_of(secret)})
    with pytest.raises(ArtifactError, match="not there"):
        open_thing(thing)


def test_a_file_that_is_not_read_need_only_be_there(thing: Path) -> None:
    def opened() -> Manifest:
        return open_checked(thing, KIND, unread=(".bin",))

    flip_bit(thing / "b.bin")
    assert "b.bin" in opened().files
    (thing / "b.bin").unlink()
    with pytest.raises(ArtifactError, match=r"b\.bin: named in the manifest and not there"):
        opened()


def test_the_folder_where_somebody_works_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArtifactError, match="no thing here; make one with"):
        open_thing(Path())


def test_a_file_instead_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "x.thing").write_text("это файл")
    with pytest.raises(ArtifactError, match=r"x\.thing"):
        open_thing(tmp_path / "x.thing")
    with pytest.raises(ArtifactError, match="no thing here"):
        open_thing(tmp_path / "нет такого")
