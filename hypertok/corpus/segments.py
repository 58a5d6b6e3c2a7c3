"""A segment: a part of a shard of bounded size, counted in memory and written as one folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from hypertok.corpus.elements import Elements
from hypertok.corpus.lookup import pack, unpack
from hypertok.corpus.stream import Vocabulary, count_forms, tokenize

#: A segment of a shard ends with the first document past either bound. Measured on 8 MiB of prose:
#: 0.9 million tokens, 0.1 million surfaces; a surface costs about 0.4 kB while its segment is counted.
_SEGMENT_TOKENS = 2_000_000
_SEGMENT_SURFACES = 400_000
#: Columns of a form table: counts by case pattern.
CASES = ("lower", "title", "upper", "other")


class Segment:
    """A part of a shard while it is counted: documents in a row."""

    def __init__(self) -> None:
        self._vocabulary = Vocabulary()
        self._streams = [np.empty(0, np.uint32)]
        self._elements = Elements()
        self._runs = [np.empty(0, np.uint32)]
        self._length = 0

    @property
    def is_full(self) -> bool:
        """Whether it has reached either bound."""
        return self._length >= _SEGMENT_TOKENS or len(self._vocabulary) >= _SEGMENT_SURFACES

    def add(self, prose: str) -> None:
        """Count one document's prose."""
        self._streams.append(tokenize(prose, self._vocabulary))
        self._length += len(self._streams[-1])
        self._runs.append(self._elements.cut(prose))

    def write(self, folder: Path) -> None:
        """Write token stream, form table and elements into `folder`, which must not be there."""
        tokens = np.concatenate(self._streams)
        counts = count_forms(tokens, len(self._vocabulary.forms))
        table = pl.DataFrame({"form": self._vocabulary.forms}, schema={"form": pl.String}).with_columns(
            pl.Series(case, counts[:, k]) for k, case in enumerate(CASES)
        )
        folder.mkdir()
        np.save(folder / "tokens.npy", tokens)
        table.write_parquet(folder / "forms.parquet", compression="lz4")
        self._write_elements(folder)

    def _write_elements(self, folder: Path) -> None:
        ids = np.concatenate(self._runs)
        lengths = np.array([len(run) for run in self._runs[1:]], np.int64)
        number = len(self._elements.names)
        document = np.repeat(np.arange(len(lengths)), lengths)
        held = unpack(np.unique(pack(document, ids)))[:, 1]
        table = pl.DataFrame(
            {
                "name": self._elements.names,
                "count": np.bincount(ids, minlength=number),
                "documents": np.bincount(held, minlength=number),
            }
        )
        np.save(folder / "elements.npy", ids)
        np.save(folder / "documents.npy", lengths)
        table.write_parquet(folder / "elements.parquet", compression="lz4")


def segment_folders(shard_folder: Path) -> list[Path]:
    """The segment folders of a counted shard in order."""
    return sorted(path for path in shard_folder.iterdir() if path.is_dir())
