"""Reader for .csv and .tsv: the text column if there is one, else every cell that is not a number.

Cells of a .csv may be quoted and then contain line ends; in a .tsv a quotation mark is just a character,
so that a stray one cannot swallow the rest of the file. Such files are never cut into parts.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hypertok.corpus.encodings import codec_of
from hypertok.corpus.fields import record_documents, text_field, text_of_cells
from hypertok.corpus.records import FAULTS, Part, Piece, Tally
from hypertok.corpus.text_source import BLOCK, judge, read_head, sha256_range

if TYPE_CHECKING:
    from _csv import Reader as CsvReader

#: Characters of the longest cell that is read.
CELL_LIMIT = 8 << 20
#: Characters of the longest line: `csv` holds one whole, however many cells it has.
LINE_LIMIT = 16 << 20
_QUOTED = re.compile('"[^"]*"')
#: Excel's first line, which is no row.
_SEPARATOR = re.compile(r"sep=([^\n\r])\r?\n", re.IGNORECASE)
_NUMBER = re.compile(r"[\s\d.,:+%eE-]*")


def read_csv(path: Path, part: Part, tally: Tally, *, join: bool = True) -> Iterator[Piece]:
    """Pieces of documents made of the rows of a table."""
    tally.sha256 = sha256_range(path, part)
    with open(path, "rb") as file:
        head = read_head(file, part.size)
        if not judge(head, tally):
            return
        file.seek(0)
        codec = codec_of(tally.encoding)
        text = io.TextIOWrapper(file, codec, errors="replace", newline="")
        reader, passed = _reader(path, _lines(text, tally), head.decode(codec, "replace"))
        rows = _rows(reader, passed, tally)
        yield from record_documents(rows, tally, join=join)


def _lines(file: io.TextIOWrapper, tally: Tally) -> Iterator[str]:
    """The lines with their ends; one that is over `LINE_LIMIT` is empty, whatever its memory would be."""
    number = passed = 0
    while line := file.readline(LINE_LIMIT):
        number += 1
        if len(line) == LINE_LIMIT and not line.endswith(("\n", "\r")):
            passed += 1
            if passed <= FAULTS:
                tally.lose(f"line {number}: over {LINE_LIMIT:,} characters; it is passed over")
            while line and not line.endswith(("\n", "\r")):
                line = file.readline(BLOCK)
            line = "\n"
        tally.look_for_damage(line)
        yield line
    if passed > FAULTS:
        tally.lose(f"{passed - FAULTS} more such lines")


def _reader(path: Path, file: Iterator[str], head: str) -> tuple[CsvReader, int]:
    """A reader of the rows, and how many lines stand before them.

    A .csv is parted by the separator that its first line has most of outside quotes.
    """
    csv.field_size_limit(CELL_LIMIT)
    if path.suffix.lower() == ".tsv":
        return csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE), 0
    said = _SEPARATOR.match(head)
    if said:
        next(file)
        head = head[said.end() :]
    first = _QUOTED.sub("", head.partition("\n")[0])
    counted = max(",;\t|", key=first.count)
    return csv.reader(file, delimiter=said[1] if said and said[1] != '"' else counted), int(bool(said))


def _rows(reader: CsvReader, passed: int, tally: Tally) -> Iterator[str]:
    column: int | None = None
    width = 0
    first = True
    failures = longer = 0
    while True:
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            failures += 1
            if failures <= FAULTS:
                tally.lose(f"line {passed + reader.line_num}: {error}; the row is passed over")
            continue
        if first:
            first = False
            width = len(row)
            field = text_field(name.strip() for name in row)
            if field is not None:
                column = [name.strip() for name in row].index(field)
                continue
        if column is None:
            yield text_of_cells(cell for cell in row if not _NUMBER.fullmatch(cell))
        elif width == 1:  # whoever writes one column by hand puts no quotes around commas
            yield reader.dialect.delimiter.join(row)
        elif column < len(row):
            longer += len(row) > width
            yield row[column]
    if longer:
        tally.lose(f"rows of more cells than the first one: {longer}; a cell with a separator in it has to be quoted")
    if failures > FAULTS:
        tally.lose(f"{failures - FAULTS} more such rows")
