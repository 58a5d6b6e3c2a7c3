"""Reader for plain text and Markdown, and for every other file that proves to be text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from hypertok.corpus import encodings
from hypertok.corpus.chunks import cut_pieces
from hypertok.corpus.markdown import MarkdownMask, looks_like_markdown
from hypertok.corpus.mojibake import repair_mojibake
from hypertok.corpus.prose import blank_addresses
from hypertok.corpus.records import Part, Piece, Tally

#: A part up to this size is judged (encoding, damage) as a whole; a longer one, which can only be an
#: enormous line or a file that may not be cut, by its beginning.
WHOLE = 10 << 20
#: Bytes decoded at a time.
BLOCK = 1 << 20
#: The bytes of characters that may be cut.
_NOT_ASCII = bytes(range(0x80, 0x100))


def read_text(path: Path, part: Part, tally: Tally) -> Iterator[Piece]:
    """Pieces of a text file."""
    mask: MarkdownMask | None = MarkdownMask() if tally.format == "markdown" else None

    def prose(text: str) -> str:
        nonlocal mask
        if mask is None and looks_like_markdown(text):
            mask = MarkdownMask()
        return mask(text) if mask else blank_addresses(text)

    with open(path, "rb") as file:
        for text in decoded_pieces(file, part, tally):
            yield text, partial(prose, text)
    if mask is not None and mask.in_fence and part.stop == part.size:
        tally.note("a code fence (```) is opened and never closed; the words after it are not counted")


def judge(head: bytes, tally: Tally) -> bool:
    """Whether a file that begins with `head` is text; notes its encoding, or why it is not."""
    reason = encodings.binary_reason(head[: encodings.HEAD])
    tally.encoding = "" if reason else encodings.detect_encoding(head)
    if not tally.encoding:
        tally.skip(reason or "binary: in no encoding known here")
    return bool(tally.encoding)


def read_head(file: BinaryIO, size: int) -> bytes:
    """What the next `size` bytes of a file are judged by: a block, and one that is not ASCII if there is one.

    It does not end inside a character, which would count as damage.
    """
    first = block = file.read(min(BLOCK, size))
    read = len(block)
    while block.isascii() and read < size and (more := file.read(min(BLOCK, size - read))):
        block, read = more, read + len(more)
    head = block if block is first or block.isascii() else first[: encodings.HEAD] + block
    return head if read == size else head.rstrip(_NOT_ASCII) or head


def sha256_range(path: Path, part: Part) -> str:
    """The sha256, in hexadecimal, of the bytes of a part."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        file.seek(part.start)
        position = part.start
        while position < part.stop and (block := file.read(min(BLOCK, part.stop - position))):
            digest.update(block)
            position += len(block)
    return digest.hexdigest()


def decoded_pieces(file: BinaryIO, part: Part, tally: Tally, tell_cuts: bool = True) -> Iterator[str]:
    """The text of a part in pieces, decoded, mojibake repaired; notes encoding, sha256 and damage in `tally`.

    Gives nothing, and says why, when the part is no text. Where a cut inside a line does no harm (to markup
    that a parser puts together again), `tell_cuts` is False.
    """
    digest = hashlib.sha256()
    file.seek(part.start)
    head = file.read(min(WHOLE, part.stop - part.start))
    digest.update(head)
    tally.sha256 = digest.hexdigest()
    if not judge(head, tally):
        return

    def blocks(first: bytes) -> Iterator[bytes]:
        for start in range(0, len(first), BLOCK):
            yield first[start : start + BLOCK]
        position = part.start + len(first)
        del first
        while position < part.stop and (block := file.read(min(BLOCK, part.stop - position))):
            digest.update(block)
            position += len(block)
            yield block
        if position < part.stop:
            tally.lose("shorter than it was: changed while it was read")

    source = blocks(head)
    del head  # the generator holds it, and lets go of it when it has been decoded
    told = tally if tell_cuts else Tally(tally.format)
    for piece in cut_pieces(encodings.decode_blocks(source, tally.encoding), told):
        tally.look_for_damage(piece)
        text, repaired = repair_mojibake(piece)
        tally.repaired.update(dict.fromkeys(repaired))
        yield text
    tally.sha256 = digest.hexdigest()
