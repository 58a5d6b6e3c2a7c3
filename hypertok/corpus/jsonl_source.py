"""Reader for JSON lines (.jsonl, .ndjson): one record a line; a malformed line is told and passed over."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from hypertok.corpus.encodings import codec_of
from hypertok.corpus.fields import record_documents, text_of
from hypertok.corpus.records import FAULTS, Part, Tally
from hypertok.corpus.text_source import BLOCK, judge, read_head, sha256_range

#: Bytes of the longest record that is read: parsing one takes several times as much memory.
RECORD_LIMIT = 16 << 20


def read_jsonl(path: Path, part: Part, tally: Tally, *, join: bool = True) -> Iterator[tuple[str, str]]:
    """Text and prose of documents made of the records of a part."""
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
    malformed: list[tuple[int, str]] = []
    for number, line in enumerate(lines, start=1):
        if line is None:
            malformed.append((number, f"over {RECORD_LIMIT >> 20} MiB"))
        elif line and not line.isspace():
            tally.look_for_damage(line)
            try:
                record = json.loads(line)
            except RecursionError:
                malformed.append((number, "nested too deeply"))
            except ValueError as error:  # a number may have too many digits, which is no JSONDecodeError
                malformed.append((number, getattr(error, "msg", str(error))))
            else:
                yield text_of(record)
    if malformed:
        before = _lines_before(file, part.start)
        for number, why in malformed[:FAULTS]:
            tally.lose(f"line {before + number} is no JSON record ({why}), passed over")
        if len(malformed) > FAULTS:
            tally.lose(f"{len(malformed) - FAULTS} more such lines")


def _lines(file: BinaryIO, part: Part, codec: str) -> Iterator[str | None]:
    """The lines of the part, decoded; None for one that is over RECORD_LIMIT."""
    position = part.start
    while position < part.stop and (line := file.readline(RECORD_LIMIT)):
        position += len(line)
        if len(line) < RECORD_LIMIT or line.endswith(b"\n"):
            yield line.decode(codec, "replace")
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(BLOCK)
            position += len(line)
        yield None


def _wide_lines(file: BinaryIO, encoding: str) -> Iterator[str | None]:
    """The same for UTF-16 and UTF-32, whose lines do not end at a byte and whose files are never cut."""
    reader = io.TextIOWrapper(file, encoding, errors="replace", newline="\n")
    while line := reader.readline(RECORD_LIMIT):
        if len(line) < RECORD_LIMIT or line.endswith("\n"):
            yield line
            continue
        while line and not line.endswith("\n"):
            line = reader.readline(BLOCK)
        yield None
    reader.detach()


def _lines_before(file: BinaryIO, position: int) -> int:
    """Line ends before a byte offset; counted only when a line has to be named."""
    file.seek(0)
    count = 0
    while position > 0 and (block := file.read(min(BLOCK, position))):
        count += block.count(b"\n")
        position -= len(block)
    return count
