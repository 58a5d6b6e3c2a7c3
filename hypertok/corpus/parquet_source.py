"""Reader for Parquet: the text column if there is one, else every column of strings (nested ones too).

Rows are taken in small slices, so that a row group of any size does not have to be in memory as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from hypertok.corpus.fields import SURROGATE, record_documents, text_field, text_of_cells
from hypertok.corpus.records import Part, Piece, Tally
from hypertok.corpus.text_source import sha256_range
from hypertok.errors import first_line

#: Rows of the first slice, of the largest, and the characters that a slice should give.
_FIRST, _MOST, _TARGET = 64, 1 << 14, 1 << 20


def read_parquet(path: Path, part: Part, tally: Tally, *, join: bool = True) -> Iterator[Piece]:
    """Pieces of documents made of the part's share of the rows."""
    tally.sha256 = sha256_range(path, part)
    tally.encoding = "utf-8"
    if SURROGATE.search(str(path)):  # polars takes no such name
        tally.skip("its name is not UTF-8; rename it")
        return
    try:
        yield from record_documents(_records(path, part, tally, join=join), tally, join=join)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = first_line(error)
        if tally.documents:
            tally.lose(f"damaged Parquet, read up to document {tally.documents}: {reason}")
        else:
            tally.skip(f"not a Parquet file that can be read: {reason}")


def _records(path: Path, part: Part, tally: Tally, *, join: bool) -> Iterator[str]:
    table = pl.scan_parquet(path, glob=False)
    schema = table.collect_schema()
    columns = [name for name, kind in schema.items() if _has_text(kind)]
    field = text_field(name for name in columns if schema[name] == pl.String)
    columns = [field] if field else columns
    if not columns:
        tally.skip("no column of text")
        return
    rows = table.select(pl.len()).collect().item()
    row, end = row_range(rows, part)
    if not join:
        tally.first += row  # compressed, rows may outnumber the bytes that documents are counted from
    categories = [pl.col(name).cast(pl.String) for name in columns if _is_category(schema[name])]
    table = table.select(columns).with_columns(categories)
    step = _FIRST
    while row < end:
        piece = table.slice(row, min(step, end - row)).collect()
        row += piece.height
        size = 0
        for values in piece.iter_rows():
            text = text_of_cells(values)
            size += len(text)
            yield text
        step = max(1, min(_MOST, 4 * step, _TARGET * step // max(1, size)))


def row_range(rows: int, part: Part) -> tuple[int, int]:
    """The rows that a byte range stands for, as if all rows had the same size: (first, one past the last)."""
    size = max(1, part.size)
    return rows * part.start // size, rows * part.stop // size


def _is_category(kind: pl.DataType) -> bool:
    return isinstance(kind, pl.Categorical | pl.Enum)


def _has_text(kind: pl.DataType) -> bool:
    if isinstance(kind, pl.List | pl.Array):
        return isinstance(kind.inner, pl.DataType) and _has_text(kind.inner)
    if isinstance(kind, pl.Struct):
        return any(isinstance(field.dtype, pl.DataType) and _has_text(field.dtype) for field in kind.fields)
    return isinstance(kind, pl.String) or _is_category(kind)
