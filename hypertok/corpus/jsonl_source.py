"""Reader for JSON lines (.jsonl, .ndjson): one record a line; a malformed line is told and passed over."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from hypertok.corpus.encodings import codec_of
from hypertok.corpus.fields import record_documents, text_of
from hypertok.corpus.records import FAULTS, Part, Piece, Tally
from hypertok.corpus.text_source import BLOCK, judge, read_head, sha256_range

#: Bytes of the longest record that is read: parsing one takes several times as much memory.
RECORD_LIMIT = 16 << 20


def read_jsonl(path: Path, part: Part, tally: Tally, *, join: bool = True) -> Iterator[Piece]:
    """Pieces of documents made of the records of a part."""
    tally.sha256 = sha256_range(path, part)
    with open(path, "rb") as file:
        yield from record_documents(_texts(file, part, tally), tally, join=join)


def _texts(file: BinaryIO, part: Part, tally: Tally) -> Iterator[str]:
    file.seek(part.start)
    if not judge(read_head(file, part.stop - part.start), tally):
        return
    file.seek(part.start)
    wide = tally.encoding.startswith(("utf-16", "utf-32"))
    lines = _wide_lines(file, tally.encoding) if wide else _lines(file, part, codec_of(tally.encoding))
    named: list[str] = []
    malformed = 0
    for number, (position, line) in enumerate(lines, start=1):
        if line is None:
            why = f"over {RECORD_LIMIT >> 20} MiB"
        elif not line or line.isspace():
            continue
        else:
            tally.look_for_damage(line)
            record, why = _parsed(line)
        if not why:
            yield text_of(record)
            continue
        malformed += 1
        if len(named) < FAULTS:
            # What stands before a later part would have to be read again to count its lines.
            line_name = f"the line at byte {position}" if part.start else f"line {number}"
            named.append(f"{line_name} is no JSON record ({why}), passed over")
    for reason in named:
        tally.lose(reason)
    if malformed > FAULTS:
        tally.lose(f"{malformed - FAULTS} more such lines")


def _parsed(line: str) -> tuple[object, str]:
    """The record of a line, and why it is none, '' if it is."""
    try:
        return json.loads(line), ""
    except RecursionError:
        return None, "nested too deeply"
    except ValueError as error:  # a number may have too many digits, which is no JSONDecodeError
        return None, getattr(error, "msg", str(error))


def _lines(file: BinaryIO, part: Part, codec: str) -> Iterator[tuple[int, str | None]]:
    """The lines of the part, decoded, and the byte at which each begins; None for one that is over RECORD_LIMIT."""
    position = part.start
    while position < part.stop and (line := file.readline(RECORD_LIMIT)):
        begin = position
        position += len(line)
        if len(line) < RECORD_LIMIT or line.endswith(b"\n"):
            yield begin, line.decode(codec, "replace")
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(BLOCK)
            position += len(line)
        yield begin, None


def _wide_lines(file: BinaryIO, encoding: str) -> Iterator[tuple[int, str | None]]:
    """The same for UTF-16 and UTF-32, whose lines do not end at a byte and whose files are never cut: all at 0."""
    reader = io.TextIOWrapper(file, encoding, errors="replace", newline="\n")
    while line := reader.readline(RECORD_LIMIT):
        if len(line) < RECORD_LIMIT or line.endswith("\n"):
            yield 0, line
            continue
        while line and not line.endswith("\n"):
            line = reader.readline(BLOCK)
        yield 0, None
    reader.detach()
