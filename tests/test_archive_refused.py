"""Archives, and the commands around them: nothing is left out, passed over or ignored without a word."""

from __future__ import annotations

import io
import json
import lzma
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from archive_texts import pack, unpack, unpack_files

from hypertok.archive import files
from hypertok.archive.container import _LZMA, Member, Packer, _read_table, _varint, self_contained_packer
from hypertok.archive.files import pack_files, write_members
from hypertok.archive.text_coder import TextCoder
from hypertok.cli import archive as command
from hypertok.errors import ArtifactError, InputError


@pytest.fixture
def lexicon(tmp_path: Path) -> Path:
    """What counts as a lexicon where none is read."""
    folder = tmp_path / "notes.lexicon"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"kind": "lexicon", "schema_version": 1}))
    return folder


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    folder = tmp_path / "vault"
    for name in ("a/x.md", "b/X.md"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("Печень", encoding="utf-8")
    return folder


def test_a_folder_that_cannot_be_listed_is_an_error(vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def refusing(path: Any) -> Iterator[os.DirEntry[str]]:
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(PermissionError):
        pack_files([vault], vault.parent / "vault.ht", self_contained_packer())
    assert not (vault.parent / "vault.ht").exists()


@pytest.mark.parametrize("paths", [("a", "a/b"), ("a/b/c", "A/B"), ("й/x", "и\u0306")])
def test_a_file_that_is_the_folder_of_another_is_refused(paths: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "bad.ht").write_bytes(pack([Member("good", b"x"), *(Member(path, b"x") for path in paths)]))
    with pytest.raises(ArtifactError, match=r"is a file, and .* nothing was written"):
        unpack_files(tmp_path / "bad.ht", tmp_path / "out", self_contained_packer())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("path", ["a/" * 100_000 + "a", "я" * 3_000])
def test_a_path_that_no_system_takes_is_refused(path: str, tmp_path: Path) -> None:
    """A kilobyte of an archive: all folders on the way, as strings, would be 10 GB."""
    with pytest.raises(ArtifactError, match=r"^.{,300}longer than 4,096 bytes; nothing was written"):
        write_members(unpack(pack([Member(path, b"x")])), tmp_path / "out", name="x")
    assert not (tmp_path / "out").exists()


def test_what_could_not_be_unpacked_is_not_packed(vault: Path) -> None:
    output = vault.parent / "x.ht"
    with pytest.raises(InputError, match=r"'x\.md' and 'X\.md' have the same path where letter case"):
        pack_files([vault / "a" / "x.md", vault / "b" / "X.md"], output, self_contained_packer())
    with pytest.raises(InputError, match=r"'x\.md' and 'x\.md' have the same path: rename"):
        pack_files([vault / "a" / "x.md"] * 2, output, self_contained_packer())
    (vault / "b" / "a").write_bytes(b"")
    with pytest.raises(InputError, match=r"'a' is a file, and 'a/x\.md' is inside a folder of that path"):
        pack_files([vault / "a", vault / "b" / "a"], output, self_contained_packer())
    assert not output.exists()
    pack_files([vault], output, self_contained_packer())  # side by side in their own folders they can


def test_names_that_other_systems_refuse_are_told_together_before_anything_is_read(
    vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("10:30 созвон.md", "и т.д.", "а\udcff.md", "con.md"):
        (vault / name).write_bytes(b"x")
    monkeypatch.setattr(Path, "read_bytes", None)
    with pytest.raises(InputError) as caught:
        pack_files([vault], vault.parent / "x.ht", self_contained_packer())
    said = str(caught.value)
    assert "'vault/10:30 созвон.md' (it has a colon, which" in said
    assert "'vault/con.md' ('con.md' is not a file name on Windows)" in said
    assert said.endswith("and 1 more; rename them")
    (vault / "10:30 созвон.md").unlink()
    (vault / "con.md").unlink()
    with pytest.raises(InputError, match=r"\(it is not UTF-8\).*; rename them"):
        pack_files([vault], vault.parent / "x.ht", self_contained_packer())


def test_an_archive_does_not_pack_or_replace_what_it_holds(vault: Path) -> None:
    output = vault / "b" / "x.ht"
    pack_files([vault], output, self_contained_packer())
    before = output.read_bytes()
    for paths, place in (([vault], output), ([vault / "a" / "x.md"], vault / "a" / "x.md")):
        with pytest.raises(InputError, match="is one of the files to pack"):
            pack_files(paths, place, self_contained_packer(), force=True)
    assert output.read_bytes() == before
    assert (vault / "a" / "x.md").read_text(encoding="utf-8") == "Печень"
    pack_files([vault / "a"], output, self_contained_packer(), force=True)


def test_packing_tells_how_far_it_is(vault: Path) -> None:
    told: list[tuple[int, int]] = []
    (vault / "c.md").write_text("Печень " * 9_000, encoding="utf-8")
    pack_files([vault], vault.parent / "x.ht", self_contained_packer(), progress=lambda *one: told.append(one))
    total = 6 + 6 + 63_000
    assert told == sorted(told)
    assert {whole for _, whole in told} == {total}
    assert told[-1][0] == total
    assert len({done for done, _ in told}) > 4


def test_an_output_that_cannot_be_is_refused_before_packing(
    vault: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Packer, "pack", None)
    with pytest.raises(InputError, match=r"x\.ht lies in a folder that is not there"):
        pack_files([vault], tmp_path / "none" / "x.ht", self_contained_packer())
    with pytest.raises(InputError, match="vault is a folder"):
        pack_files([vault], vault, self_contained_packer())
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match=r"x\.ht lies in a folder that you may not write to"):
        pack_files([vault], tmp_path / "x.ht", self_contained_packer())


def test_what_is_wrong_with_a_source_is_told_of_the_source(vault: Path, lexicon: Path) -> None:
    with pytest.raises(InputError, match=r"none/x\.md does not exist"):
        command.pack(lexicon, [vault / "none" / "x.md"], self_contained=True)
    (vault / "loop").symlink_to(vault / "loop")
    with pytest.raises(InputError, match="loop is a symbolic link"):
        command.pack(lexicon, [vault / "loop"], self_contained=True)
    with pytest.raises(InputError, match="not written to standard output"):
        command.pack(lexicon, [vault], Path("-"), self_contained=True)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("path", "told"), [("d", "is a file where the archive has a folder"), ("e", "is a folder where the archive has")]
)
def test_what_stands_in_the_way_leaves_nothing_written(tmp_path: Path, path: str, told: str, force: bool) -> None:
    members = [Member("x.md", b"x"), Member("d/y.md", b"y"), Member("e", b"z")]
    out = tmp_path / "out"
    (out / "e" if path == "e" else out).mkdir(parents=True)
    if path == "d":
        (out / "d").write_bytes("моё".encode())
    with pytest.raises(InputError, match=told):
        write_members(members, out, name="a", force=force)
    assert [one.name for one in out.rglob("*")] == [path]


def test_a_folder_that_becomes_a_link_meanwhile_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outside").mkdir()
    mkdir = Path.mkdir

    def swapped(self: Path, *given: Any, **named: Any) -> None:
        mkdir(self, *given, **named)
        if self.name == "d" and not self.is_symlink():
            self.rmdir()
            self.symlink_to(tmp_path / "outside")

    monkeypatch.setattr(Path, "mkdir", swapped)
    with pytest.raises(InputError, match="symbolic link"):
        write_members([Member("d/x.md", b"x")], tmp_path / "out", name="a")
    assert not any((tmp_path / "outside").iterdir())


def test_archive_and_members_are_written_whole_or_not_at_all(
    vault: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `write_file` writes: beside the place, and then moved to it."""
    written: list[str] = []
    monkeypatch.setattr(files, "write_file", lambda path, data, of_many=False: written.append(path.name))
    pack_files([vault], tmp_path / "x.ht", self_contained_packer())
    write_members([Member("a/x.md", "Врач.".encode()), Member("b/X.md", "Он.".encode())], tmp_path / "out", name="x")
    assert written == ["x.ht", "x.md", "X.md"]
    assert not (tmp_path / "x.ht").exists()
    assert not any(one.is_file() for one in (tmp_path / "out").rglob("*"))


def test_a_hostile_archive_is_an_error_of_the_archive(tmp_path: Path) -> None:
    """Its sums are right, and its text a capitalised piece without characters."""
    (tmp_path / "bad.ht").write_bytes(bytes.fromhex("b711d1d5acad61626364bcf80cee"))
    with pytest.raises(ArtifactError, match="spells a piece without characters"):
        unpack_files(tmp_path / "bad.ht", tmp_path / "out", self_contained_packer())
    assert not (tmp_path / "out").exists()


def test_a_path_of_very_many_folders_is_no_traceback(tmp_path: Path) -> None:
    (place,) = write_members([Member("/".join(["a"] * 250), b"x")], tmp_path / "out", name="x")
    assert place.read_bytes() == b"x"
    with pytest.raises(ArtifactError, match="it is more than 250 folders deep"):
        write_members([Member("/".join(["b"] * 1_500), b"x")], tmp_path / "out", name="x")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]


def test_a_table_of_more_bytes_than_it_tells_is_damage() -> None:
    """Else a small archive of one text could hold gigabytes that no member asks for."""
    packed = lzma.compress(bytes(5_000_000), format=lzma.FORMAT_RAW, filters=_LZMA)
    assert _read_table(b"\x01\x00\x00rest") == ([True], [b""], b"rest")
    with pytest.raises(ArtifactError, match="member table is damaged"):
        _read_table(b"\x01\x00" + _varint(len(packed)) + packed)
    with pytest.raises(ArtifactError, match="member table is damaged"):
        _read_table(b"\x01" + _varint(1 << 65) + _varint(len(packed)) + packed)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_what_ends_unpacking_leaves_nothing_half_unpacked(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(path: Path, data: bytes, *, of_many: bool) -> None:
        if data == b"last":
            raise error
        path.write_bytes(data)

    monkeypatch.setattr("hypertok.archive.files.write_file", write)
    members = [Member("a/b/x.md", b"x"), Member("a/y.md", b"y"), Member("z/last.md", b"last")]
    with pytest.raises(type(error)):
        write_members(members, tmp_path / "new" / "out", name="x")
    assert not any(tmp_path.iterdir())
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "own.md").write_bytes(b"own")
    with pytest.raises(type(error)):
        write_members(members, tmp_path, name="x")
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "a", tmp_path / "a" / "own.md"]


def test_an_endless_number_is_damage() -> None:
    frame = bytes([0xB7, 0x13])
    rest = bytes(4) + b"\xff" * 1000
    data = frame + zlib.crc32(frame + rest).to_bytes(4, "big") + rest
    with pytest.raises(ArtifactError, match="member table is damaged"):
        unpack(data)


def test_a_damaged_version_may_be_damage(tmp_path: Path) -> None:
    whole = pack([Member("x.md", b"x")])
    with pytest.raises(ArtifactError, match=r"format 9, newer than 1: upgrade hypertok, or its second byte is damaged"):
        unpack(bytes([whole[0], whole[1] | 0x80]) + whole[2:])


def test_self_contained_takes_no_text_for_the_lexicon(vault: Path, lexicon: Path) -> None:
    first, second, output = vault / "a" / "x.md", vault / "b" / "X.md", vault.parent / "x.ht"
    with pytest.raises(InputError, match=r"x\.md: no lexicon"):
        command.pack(first, [second], output, self_contained=True)
    assert not output.exists()
    command.pack(lexicon, [second], output, self_contained=True)
    assert unpack(output.read_bytes()) == [Member("X.md", second.read_bytes())]


def test_a_folder_named_by_a_dot_is_packed_beside_itself(
    vault: Path, lexicon: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(vault)
    command.pack(lexicon, [Path()], self_contained=True)
    members = unpack((vault.parent / "vault.ht").read_bytes())
    assert [member.path for member in members] == ["vault/a/x.md", "vault/b/X.md"]


def test_a_lexicon_that_is_not_needed_is_refused(tmp_path: Path, lexicon: Path) -> None:
    (tmp_path / "x.ht").write_bytes(pack([Member("x.md", b"x")]))
    with pytest.raises(InputError, match=r"self-contained.*leave out --lexicon"):
        command.unpack(tmp_path / "x.ht", tmp_path / "out", lexicon)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no archive", "not"),
        (pack([Member("x.md", b"x")])[:-1], ""),
        (pack([Member("../x.md", b"x")]), "unsafe member path"),
    ],
)
def test_an_archive_that_cannot_be_unpacked_is_named(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "bad.ht").write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"bad\.ht: .*{said}"):
        command.unpack(tmp_path / "bad.ht", tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "taken", "said"),
    [
        ([Member("a/x.md", "Печень".encode()), Member("y.md", b"y")], "out/a/x.md", "x.md exists: unpack into another"),
        ("Печень", "out/notes", "notes exists: unpack into another"),
        ([Member("x.md", b"x")], "out", "out is a file: name a folder to unpack into"),
    ],
)
def test_what_is_in_the_way_is_found_before_anything_is_decoded(
    content: Any, taken: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.ht").write_bytes(pack(content))
    (tmp_path / taken).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / taken).write_bytes(b"mine")
    read, decoded = TextCoder.read, list[str]()
    monkeypatch.setattr(TextCoder, "read", lambda coder: decoded.append(read(coder)) or decoded[-1])
    with pytest.raises(InputError, match=said):
        command.unpack(tmp_path / "notes.ht", tmp_path / "out")
    assert decoded == [member.path for member in content[:1] if isinstance(member, Member)], "a name at most"
    if taken != "out":
        command.unpack(tmp_path / "notes.ht", tmp_path / "out", force=True)
        assert (tmp_path / taken).read_bytes() == "Печень".encode()


def test_an_archive_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(pack([Member("x.md", b"x")]))))
    command.unpack(Path("-"), tmp_path)
    assert (tmp_path / "x.md").read_bytes() == b"x"
