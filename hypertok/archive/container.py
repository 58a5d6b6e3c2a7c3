"""An archive as bytes: header, member table, one stream of coded texts, checks (docs/archive-format.md).

A flipped bit is detected before anything is decoded (CRC-32 over the archive finds every change of up to
32 neighbouring bits), and what was decoded is checked again (a digest of names, contents and lexicon) before
it is handed out, so that neither damage nor a wrong lexicon can give wrong output.
"""

from __future__ import annotations

import hashlib
import lzma
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial

from hypertok.archive.coder import BitReader, BitWriter
from hypertok.archive.learning import empty_statistics
from hypertok.archive.text_coder import ArchiveModel, TextCoder
from hypertok.errors import ArtifactError, InputError
from hypertok.progress import Count

MAGIC = 0xB7
VERSION = 1
_SELF_CONTAINED, _TABLE, _NAMED = 1, 2, 4
_LEXICON_BYTES = 4
_CHECK_BYTES = 4
#: Bits of a number in the table: no file is larger, and longer ones would cost quadratic time.
_LONGEST_NUMBER = 63
_LZMA = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]


@dataclass(frozen=True)
class Member:
    """One file of an archive: its relative path with «/» ("" if it was packed without a name), its bytes."""

    path: str
    content: bytes


@dataclass(frozen=True)
class Header:
    """What an archive says of itself before it is decoded; `lexicon` begins the lexicon's sha256 (hex)."""

    self_contained: bool
    lexicon: str


class Packer:
    """Packs and unpacks with one lexicon, or with none; keep it, for loading takes a second."""

    def __init__(self, model: ArchiveModel, lexicon_sha256: str | None) -> None:
        """`lexicon_sha256` names the lexicon that `model` came from; None makes self-contained archives."""
        self._model = model
        self._sha256 = lexicon_sha256

    def pack(self, members: Iterable[Member], progress: Count | None = None) -> bytes:
        """The archive of these members. UTF-8 text is coded by the model, anything else by LZMA.

        Args:
            members: files.
            progress: is told how many characters of text are coded, of how many.

        Raises:
            InputError: there are no members, or a name is not valid text.
        """
        members = list(members)
        if not members:
            raise InputError("nothing to pack: name at least one file")
        texts = [_as_text(member.content) for member in members]
        named = any(member.path for member in members)
        table = len(members) > 1 or texts[0] is None
        writer = BitWriter()
        coder = TextCoder(self._model, writer)
        done, total = 0, sum(len(text) for text in texts if text is not None)
        for member, text in zip(members, texts, strict=True):
            if named:
                try:
                    member.path.encode()
                except UnicodeEncodeError as error:
                    raise InputError(f"{member.path!r} is not valid text: rename the file") from error
                coder.write(member.path)
            if text is not None:
                tell = progress and partial(_share, progress, done, len(text), total)
                coder.write(text, tell)
                done += len(text)
        if progress:
            progress(done, total)
        flags = (_TABLE if table else 0) | (_NAMED if named else 0)
        lexicon = b""
        if self._sha256 is None:
            flags |= _SELF_CONTAINED
        else:
            lexicon = bytes.fromhex(self._sha256)[:_LEXICON_BYTES]
        body = (_table(members, texts) if table else b"") + writer.to_bytes()
        start = bytes([MAGIC, VERSION << 4 | flags]) + lexicon
        rest = _digest(members, self._sha256) + body
        return start + zlib.crc32(start + rest).to_bytes(_CHECK_BYTES, "big") + rest

    def unpack(self, data: bytes, named: Callable[[str], None] | None = None) -> list[Member]:
        """The members of an archive.

        Args:
            data: of the archive.
            named: told the path of each member, as it stands there, before the member's content is decoded.

        Raises:
            ArtifactError: not an archive, damaged, cut short, newer, or packed with another lexicon.
        """
        header = read_header(data)
        if header.self_contained != (self._sha256 is None):
            raise ArtifactError(
                "the archive is self-contained: unpack it without a lexicon (no --lexicon)"
                if header.self_contained
                else f"the archive needs the lexicon whose sha256 begins with {header.lexicon}: name it with --lexicon"
            )
        if self._sha256 is not None and not self._sha256.startswith(header.lexicon):
            raise ArtifactError(
                f"the archive was packed with the lexicon whose sha256 begins with {header.lexicon}, "
                f"not with {self._sha256[: 2 * _LEXICON_BYTES]}…: name that one with --lexicon"
            )
        flags = data[1] & 15
        at = _start_length(flags) + _CHECK_BYTES
        digest, body = data[at : at + _CHECK_BYTES], data[at + _CHECK_BYTES :]
        is_text, blobs = [True], [b""]
        if flags & _TABLE:
            is_text, blobs, body = _read_table(body)
        coder = TextCoder(self._model, BitReader(body))
        members = []
        for text, blob in zip(is_text, blobs, strict=True):
            path = coder.read() if flags & _NAMED else ""
            if named is not None:
                named(path)
            members.append(Member(path, coder.read().encode() if text else blob))
        if digest != _digest(members, self._sha256):
            raise ArtifactError(
                "the archive does not give back what was packed: the lexicon is not the one it was packed with (name "
                "that one with --lexicon), or this hypertok computes differently from the one that packed it (unpack "
                "with that one)"
            )
        return members


def _share(progress: Count, before: int, size: int, total: int, share: float) -> None:
    progress(before + int(share * size), total)


@cache
def self_contained_packer() -> Packer:
    """A packer that needs no lexicon: pieces are spelled in the archive where they first occur."""
    return Packer(ArchiveModel(empty_statistics()), None)


def read_header(data: bytes) -> Header:
    """Check an archive's form and CRC and say what it needs.

    Raises:
        ArtifactError: not an archive, damaged, cut short, or newer than this hypertok.
    """
    if len(data) < 2 or data[0] != MAGIC:
        raise ArtifactError(f"not a hypertok archive: it does not begin with the byte {MAGIC:#x}")
    version, flags = data[1] >> 4, data[1] & 15
    length = _start_length(flags)
    if len(data) < length + 2 * _CHECK_BYTES:
        raise ArtifactError("the archive is cut short: copy it again")
    found = int.from_bytes(data[length : length + _CHECK_BYTES], "big")
    intact = zlib.crc32(data[:length] + data[length + _CHECK_BYTES :]) == found
    if version > VERSION:
        or_damaged = "" if intact else ", or its second byte is damaged: copy it again"
        raise ArtifactError(f"the archive has format {version}, newer than {VERSION}: upgrade hypertok{or_damaged}")
    if not intact or version != VERSION or flags & 8:
        raise ArtifactError("the archive is damaged or cut short (CRC-32 differs): copy it again")
    return Header(bool(flags & _SELF_CONTAINED), data[2:length].hex())


def _start_length(flags: int) -> int:
    return 2 if flags & _SELF_CONTAINED else 2 + _LEXICON_BYTES


def _as_text(content: bytes) -> str | None:
    if b"\0" in content:  # no text that people write; long runs of it cost the model two bytes and a half each
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _digest(members: list[Member], sha256: str | None) -> bytes:
    digest = hashlib.blake2b((sha256 or "").encode(), digest_size=_CHECK_BYTES)
    for member in members:
        for part in (member.path.encode(), member.content):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.digest()


def _table(members: list[Member], texts: list[str | None]) -> bytes:
    """Number of members, size of each that is not text plus one (0: text), length of the blob, the blob."""
    raw = b"".join(m.content for m, text in zip(members, texts, strict=True) if text is None)
    packed = lzma.compress(raw, format=lzma.FORMAT_RAW, filters=_LZMA) if raw else b""
    sizes = [len(member.content) + 1 if text is None else 0 for member, text in zip(members, texts, strict=True)]
    return b"".join(map(_varint, [len(members), *sizes, len(packed)])) + packed


def _read_table(body: bytes) -> tuple[list[bool], list[bytes], bytes]:
    try:
        count, at = _read_varint(body, 0)
        if count > len(body):
            raise IndexError
        sizes = []
        for _ in range(count):
            size, at = _read_varint(body, at)
            sizes.append(size)
        length, at = _read_varint(body, at)
        total = sum(max(size - 1, 0) for size in sizes)
        raw = b""
        if length:
            unpacker = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_LZMA)
            raw = unpacker.decompress(body[at : at + length], max_length=total + 1)
        if len(raw) != total:
            raise IndexError
    except (IndexError, OverflowError, lzma.LZMAError) as error:
        raise ArtifactError("the archive's member table is damaged: copy it again") from error
    blobs = []
    start = 0
    for size in sizes:
        blobs.append(raw[start : start + max(size - 1, 0)])
        start += max(size - 1, 0)
    return [size == 0 for size in sizes], blobs, body[at + length :]


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
        if shift > _LONGEST_NUMBER:
            raise IndexError
