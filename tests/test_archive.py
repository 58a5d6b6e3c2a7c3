"""Archives: lossless for anything, every flipped bit detected, nothing written outside the target."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hypertok.archive import Member, Packer, pack, pack_files, read_header, unpack, unpack_files
from hypertok.archive.arithmetic import cell_tables, squash_table, stretch_table
from hypertok.archive.coder import BitReader, BitWriter
from hypertok.archive.learning import Settings, build_statistics, statistics_of
from hypertok.archive.ngrams import count_chain
from hypertok.archive.pieces import join, split, surfaces
from hypertok.archive.shards import count_shard
from hypertok.archive.statistics import Statistics, load_statistics, save_statistics
from hypertok.archive.text_coder import ArchiveModel
from hypertok.errors import ArtifactError, InputError

NOTES = [
    "# Печень\n\nПечень — самая большая железа. В печени идёт цикл мочевины, печень запасает гликоген.\n",
    "# Цикл Кребса\n\nЦикл Кребса идёт в митохондриях. Печень без него не живёт; сердце — тоже.\n",
    "---\ntags: [код]\n---\n\n```python\ndef get_note(path):\n    return path.read_text()\n```\n",
    "Книга лежала на столе. На столе стояла лампа, под лампой спал кот. Кот видел во сне печень.\n",
]
CLASSES = {
    "печень": ("NOUN nomn", "печень"),
    "печени": ("NOUN loct", "печень"),
    "столе": ("NOUN loct", "стол"),
}
SHA256 = hashlib.sha256(b"lexicon").hexdigest()
TEXTS = st.one_of(
    st.text(),
    st.text(alphabet=" \r\n\tабвгеёАБВЁ\u0301-’abcXYZ019.,—«»`#"),
    st.lists(st.sampled_from([*NOTES, "Печень ", "ПЕЧЕНЬ", "getNote", "\x00", "😀", "İ"]), max_size=6).map("".join),
)


@cache
def tiny_statistics() -> Statistics:
    return build_statistics(NOTES * 3, CLASSES.get)


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
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_text_comes_back(text: str) -> None:
    for chosen in (packer(), None):
        assert unpack(pack(text, chosen), chosen) == [Member("", text.encode())]


@given(st.lists(st.tuples(st.text(max_size=8), st.one_of(st.binary(), TEXTS.map(str.encode))), max_size=4))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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


def test_lone_surrogate_is_refused_in_text_and_kept_in_bytes() -> None:
    with pytest.raises(InputError, match="character 3 is a lone surrogate"):
        pack("при\ud800вет", packer())
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
        assert stretch[p] == pytest.approx(np.log(p / (65536 - p)), abs=1e-12)
    _, _, after_zero, after_one = cell_tables()
    assert after_one[0] == 1
    assert after_zero[1] == (1 << 8 | 1)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 65535)), max_size=200))
def test_bits_come_back(decisions: list[tuple[int, int]]) -> None:
    writer = BitWriter()
    for bit, probability in decisions:
        writer.code(bit, probability)
    reader = BitReader(writer.to_bytes())
    assert [reader.code(0, probability) for _, probability in decisions] == [bit for bit, _ in decisions]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60))
def test_chain_counts_every_ngram(values: list[int]) -> None:
    sequence = np.array(values, np.int32)
    levels = count_chain(sequence, sequence, (1, 1, 1))
    assert dict(zip(levels[0].symbols.tolist(), levels[0].counts.tolist(), strict=True)) == Counter(values)
    if len(levels) == 1:
        assert len(values) == 1
        return
    pairs = list(zip(levels[1].parents.tolist(), levels[1].symbols.tolist(), strict=True))
    assert dict(zip(pairs, levels[1].counts.tolist(), strict=True)) == Counter(pairwise(values))
    if len(levels) > 2:
        triples = [
            (*pairs[row], symbol)
            for row, symbol in zip(levels[2].parents.tolist(), levels[2].symbols.tolist(), strict=True)
        ]
        assert dict(zip(triples, levels[2].counts.tolist(), strict=True)) == Counter(
            zip(values, values[1:], values[2:], strict=False)
        )


def same(one: Statistics, other: Statistics) -> bool:
    fields = ("keys", "classes", "lemmas", "counts", "alphabet")
    return all(getattr(one, field) == getattr(other, field) for field in fields) and all(
        len(one.chains[chain]) == len(other.chains[chain])
        and all(
            np.array_equal(getattr(a, column), getattr(b, column))
            for a, b in zip(one.chains[chain], other.chains[chain], strict=True)
            for column in ("parents", "symbols", "counts")
        )
        for chain in one.chains
    )


@pytest.mark.parametrize("limit", [10_000, 100])
def test_statistics_do_not_depend_on_the_shards(limit: int) -> None:
    texts = [f"{note} {number}" for number in range(5) for note in NOTES]
    recipe = Settings(piece_limit=limit)
    whole = build_statistics(texts, CLASSES.get, recipe)
    for size in (1, 3, 7):
        shards = [count_shard(texts[i : i + size], limit=limit) for i in range(0, len(texts), size)]
        assert same(whole, statistics_of(shards, CLASSES.get, recipe))
    assert sum(whole.counts) <= limit + len(texts) + 1


def test_statistics_come_back_from_disk(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        save_statistics(tiny_statistics(), tmp_path / folder)
    names = sorted(os.listdir(tmp_path / "a"))
    assert all((tmp_path / "a" / n).read_bytes() == (tmp_path / "b" / n).read_bytes() for n in names)
    assert same(tiny_statistics(), load_statistics(tmp_path / "a"))
    with pytest.raises(ArtifactError, match=r"pieces\.parquet"):
        load_statistics(tmp_path)


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
    with pytest.raises(InputError, match="symbolic link"):
        pack_files([target], tmp_path / "links.ht", packer())
    for path in ("folder/x.md", "note.md"):
        (tmp_path / "a.ht").write_bytes(pack([Member(path, b"x")], packer()))
        with pytest.raises(InputError, match="symbolic link"):
            unpack_files(tmp_path / "a.ht", target, packer(), force=True)
    assert not any(outside.iterdir())


def test_nameless_archive_unpacks_under_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "note.ht").write_bytes(pack("Печень", packer()))
    assert unpack_files(tmp_path / "note.ht", tmp_path / "out", packer()) == [tmp_path / "out" / "note"]
