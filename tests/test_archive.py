"""Archives: lossless for anything, every flipped bit detected, nothing written outside the target."""

from __future__ import annotations

import hashlib
import math
import os
import zlib
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from archive_texts import NOTES, pack, tiny_statistics, unpack, unpack_files
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hypertok.archive import coder
from hypertok.archive.arithmetic import cell_tables, squash_table, stretch_table
from hypertok.archive.coder import BitReader, BitWriter
from hypertok.archive.container import Member, Packer, read_header
from hypertok.archive.files import pack_files
from hypertok.archive.pieces import join, split, surfaces
from hypertok.archive.text_coder import ArchiveModel
from hypertok.errors import ArtifactError, InputError

SHA256 = hashlib.sha256(b"lexicon").hexdigest()
TEXTS = st.one_of(
    st.text(),
    st.text(alphabet=" \r\n\tабвгеёАБВЁ\u0301-’abcXYZ019.,—«»`#"),
    st.lists(st.sampled_from([*NOTES, "Печень ", "ПЕЧЕНЬ", "getNote", "\x00", "😀", "İ"]), max_size=6).map("".join),
)


@cache
def packer() -> Packer:
    return Packer(ArchiveModel(tiny_statistics()), SHA256)


def resealed(data: bytes) -> bytes:
    """The archive with a CRC that fits its bytes, as a forger would make it."""
    return data[:6] + zlib.crc32(data[:6] + data[10:]).to_bytes(4, "big") + data[10:]


@given(TEXTS)
@settings(max_examples=300)
def test_pieces_join_to_the_text(text: str) -> None:
    assert "".join(surfaces(text)) == text
    assert join(split(text)) == text


@given(TEXTS)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_text_comes_back(text: str) -> None:
    for chosen in (packer(), None):
        assert unpack(pack(text, chosen), chosen) == [Member("", text.encode())]


@given(st.lists(st.tuples(st.text(max_size=8), st.one_of(st.binary(), TEXTS.map(str.encode))), max_size=4))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_members_come_back(pairs: list[tuple[str, bytes]]) -> None:
    members = [Member(path, content) for path, content in [*pairs, ("last", b"\xff")]]
    assert unpack(pack(members, packer()), packer()) == members


def test_a_known_text_is_cheap() -> None:
    archive = pack(NOTES[0], packer())
    assert len(archive) < len(pack(NOTES[0])) < len(zlib.compress(NOTES[0].encode(), 9))


def test_zero_bytes_are_no_text_to_the_model() -> None:
    """They are valid UTF-8, and a tar of notes is full of them."""
    content = "Печень.\n".encode() + bytes(12_000)
    packed = packer().pack([Member("а.tar", content)])
    assert packer().unpack(packed) == [Member("а.tar", content)]
    assert len(packed) < 200


def test_lone_surrogate_is_kept() -> None:
    broken = "\ud800".encode("utf-8", "surrogatepass")
    assert unpack(pack(broken, packer()), packer())[0].content == broken


@pytest.mark.parametrize(
    "content",
    [
        "Печень — железа.",
        b"\xff\xfe\x00",
        [Member("a/печень.md", NOTES[0].encode()), Member("b.bin", b"\xff")],
    ],
    ids=["text", "bytes", "folder"],
)
def test_every_flipped_bit_and_every_cut_is_detected(content: str | bytes | list[Member]) -> None:
    for chosen in (packer(), None):
        data = pack(content, chosen)
        for place in range(len(data) * 8):
            damaged = bytearray(data)
            damaged[place // 8] ^= 1 << place % 8
            with pytest.raises(ArtifactError):
                unpack(bytes(damaged), chosen)
        for length in range(len(data)):
            with pytest.raises(ArtifactError):
                unpack(data[:length], chosen)
        with pytest.raises(ArtifactError):
            unpack(data + b"\0", chosen)


def test_damage_behind_a_forged_crc_never_gives_wrong_output() -> None:
    data = pack("Печень — железа.", packer())
    for place in range(6 * 8, len(data) * 8):
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << place % 8
        if 6 <= place // 8 < 10:
            continue
        try:
            found = unpack(resealed(bytes(damaged)), packer())
        except ArtifactError:
            continue
        assert found == unpack(data, packer())  # the last bits of a stream may not matter


def test_wrong_lexicon_is_named() -> None:
    data = pack("Печень", packer())
    other = Packer(ArchiveModel(tiny_statistics()), hashlib.sha256(b"other").hexdigest())
    with pytest.raises(ArtifactError, match=SHA256[:8]):
        unpack(data, other)
    with pytest.raises(ArtifactError, match=SHA256[:8]):
        unpack(data)
    with pytest.raises(ArtifactError, match="self-contained"):
        unpack(pack("Печень"), packer())
    namesake = Packer(ArchiveModel(tiny_statistics()), SHA256[:8] + "0" * 56)
    with pytest.raises(ArtifactError, match="not the one it was packed with"):
        unpack(data, namesake)


def test_newer_version_and_foreign_files_are_refused() -> None:
    data = bytearray(pack("Печень", packer()))
    data[1] += 1 << 4
    with pytest.raises(ArtifactError, match="newer"):
        unpack(resealed(bytes(data)), packer())
    with pytest.raises(ArtifactError, match="not a hypertok archive"):
        read_header(b"PK\x03\x04 something else")
    assert read_header(pack("Печень", packer())).lexicon == SHA256[:8]


def test_packing_is_the_same_on_every_platform() -> None:
    """Bytes fixed once: any platform that computes other probabilities fails here."""
    archive = pack(NOTES[0] + "\nНезнакомое слово: getElementById()\n", packer())
    assert hashlib.sha256(archive).hexdigest()[:16] == "c2f1431b10868b02"
    assert sum(squash_table()) == 201_359_360


def test_tables_are_monotonic_and_inverse() -> None:
    squash, stretch = squash_table(), stretch_table()
    assert all(a <= b for a, b in pairwise(squash))
    assert (squash[0], squash[-1]) == (1, 65535)
    assert all(a <= b for a, b in pairwise(stretch))
    for p in (1, 77, 5000, 32768, 60000, 65535):
        assert stretch[p] == pytest.approx(math.log(p / (65536 - p)), abs=1e-12)
    _, _, after_zero, after_one = cell_tables()
    assert after_one[0] == 1
    assert after_zero[1] == (1 << 8 | 1)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 65535)), max_size=200))
def test_bits_come_back(decisions: list[tuple[int, int]]) -> None:
    written = []
    for batch in (coder.BATCH, 7):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(coder, "BATCH", batch)
            writer = BitWriter()
            for bit, probability in decisions:
                writer.code(bit, probability)
            written.append(writer.to_bytes())
    assert written[0] == written[1]
    reader = BitReader(written[0])
    assert [reader.code(0, probability) for _, probability in decisions] == [bit for bit, _ in decisions]


def test_folder_comes_back(tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    (vault / "заметки").mkdir(parents=True)
    (vault / "заметки" / "печень.md").write_text(NOTES[0], encoding="utf-8")
    (vault / "пусто.md").write_bytes(b"")
    (vault / "снимок.png").write_bytes(bytes(range(256)))
    pack_files([vault], tmp_path / "vault.ht", packer())
    unpack_files(tmp_path / "vault.ht", tmp_path / "out", packer())
    found = {p.relative_to(tmp_path / "out"): p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert found == {p.relative_to(tmp_path): p.read_bytes() for p in vault.rglob("*") if p.is_file()}


def test_existing_files_stay_unless_forced(tmp_path: Path) -> None:
    note = tmp_path / "note.md"
    note.write_text("Печень", encoding="utf-8")
    pack_files([note], tmp_path / "note.ht", packer())
    with pytest.raises(InputError, match="--force"):
        pack_files([note], tmp_path / "note.ht", packer())
    note.write_text("новее", encoding="utf-8")
    with pytest.raises(InputError, match="--force"):
        unpack_files(tmp_path / "note.ht", tmp_path, packer())
    assert note.read_text(encoding="utf-8") == "новее"
    unpack_files(tmp_path / "note.ht", tmp_path, packer(), force=True)
    assert note.read_text(encoding="utf-8") == "Печень"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["note.ht", "note.md"]


@pytest.mark.parametrize(
    "path",
    ["../x", "a/../../x", "/etc/x", "a//b", "a/./b", "C:/x", "c:x", "a\\b", "\\\\host\\x", "a/", "nul.md",
     "CONIN$", "com¹.txt", "con .txt",
     "x\0y", "x\n", "a ", "a.", "..", "."],
)  # fmt: skip
def test_unsafe_paths_are_refused(path: str, tmp_path: Path) -> None:
    (tmp_path / "bad.ht").write_bytes(pack([Member("good.md", b"x"), Member(path, b"x")], packer()))
    with pytest.raises(ArtifactError, match="unsafe member path"):
        unpack_files(tmp_path / "bad.ht", tmp_path / "out", packer())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("paths", [("a.md", "A.md"), ("й", "и\u0306"), ("a", "a")])
def test_paths_that_may_be_one_file_are_refused(paths: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "bad.ht").write_bytes(pack([Member(path, b"x") for path in paths], packer()))
    with pytest.raises(ArtifactError, match="same path"):
        unpack_files(tmp_path / "bad.ht", tmp_path / "out", packer())


def test_links_are_neither_packed_nor_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    target = tmp_path / "target"
    target.mkdir()
    (target / "folder").symlink_to(outside)
    (target / "note.md").symlink_to(outside / "note.md")
    with pytest.raises(InputError, match="symbolic link: name the file it points to"):
        pack_files([target / "note.md"], tmp_path / "links.ht", packer())
    (target / "Ё.md").write_bytes(b"x")
    os.mkfifo(target / "pipe")
    told: list[tuple[str, str]] = []
    pack_files([target], tmp_path / "links.ht", packer(), skipped=lambda *one: told.append(one))
    assert [member.path for member in unpack((tmp_path / "links.ht").read_bytes(), packer())] == ["target/Ё.md"]
    links = [(str(target / name), "a symbolic link") for name in ("folder", "note.md")]
    assert told == [*links, (str(target / "pipe"), "no regular file")]
    for path in ("folder/x.md", "note.md"):
        (tmp_path / "a.ht").write_bytes(pack([Member(path, b"x")], packer()))
        with pytest.raises(InputError, match="symbolic link"):
            unpack_files(tmp_path / "a.ht", target, packer(), force=True)
    assert not any(outside.iterdir())


def test_nameless_archive_unpacks_under_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "note.ht").write_bytes(pack("Печень", packer()))
    assert unpack_files(tmp_path / "note.ht", tmp_path / "out", packer()) == [tmp_path / "out" / "note"]
