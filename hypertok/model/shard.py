"""A safetensors file: what its header says, rows of a matrix read without the rest, and a header to write.

The format: eight bytes with the header's length (little-endian), the header (JSON: name -> dtype, shape, begin and end
inside the data; `__metadata__` -> strings), then the tensors' raw bytes with no gap. The library's own reader maps the
file, which counts the pages it has touched as the process's memory, and its writer needs all tensors at once; here
rows go through a buffer of a few MiB.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hypertok.errors import InputError

#: A model in one file; transformers takes it before an index.
SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
#: Bytes that are read and written at once.
BLOCK = 8 << 20
#: Data types of a matrix that can be extended, and what torch calls them.
FLOATS = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}
_BYTES = {"BF16": 2, "F16": 2, "F32": 4}
#: The format's own limit.
_HEADER_LIMIT = 100_000_000


@dataclass(frozen=True)
class Entry:
    """One tensor in a file.

    Attributes:
        name: its name in the checkpoint.
        dtype: as the format calls it ("BF16").
        shape: its dimensions.
        start: where its bytes begin, counted from the beginning of the file.
        size: bytes.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    size: int


@dataclass(frozen=True)
class WeightFile:
    """A safetensors file.

    Attributes:
        path: the file.
        metadata: its `__metadata__`.
        entries: its tensors by name, in the order of their bytes.
    """

    path: Path
    metadata: dict[str, str]
    entries: dict[str, Entry]

    @classmethod
    def open(cls, path: Path) -> WeightFile:
        """Read the header.

        Raises:
            InputError: not a safetensors file, or one that is cut off.
        """
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 + length or not 2 <= length <= _HEADER_LIMIT:
                raise InputError(_damaged(path, f"its header would have {length:,} bytes, the file has {size:,}"))
            try:
                header = json.loads(file.read(length))
                metadata = header.pop("__metadata__", None) or {}
                entries = sorted(_entries(header, 8 + length), key=lambda entry: (entry.start, entry.size))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise InputError(_damaged(path, f"unreadable header: {error}")) from error
        end = 8 + length
        for entry in entries:
            if entry.start != end:
                raise InputError(_damaged(path, f"{entry.name} begins at byte {entry.start:,} and not at {end:,}"))
            end += entry.size
        if end != size:
            raise InputError(_damaged(path, f"it should have {end:,} bytes and has {size:,}"))
        return cls(path, metadata, {entry.name: entry for entry in entries})

    @property
    def size(self) -> int:
        """Bytes of all tensors."""
        return sum(entry.size for entry in self.entries.values())


@dataclass(frozen=True)
class Matrix:
    """A matrix of a checkpoint, one row per token id, still on disk.

    Attributes:
        shard: the file it is in.
        name: its name in the checkpoint.
    """

    shard: WeightFile
    name: str

    @property
    def entry(self) -> Entry:
        """Where it lies in the file."""
        return self.shard.entries[self.name]

    @property
    def rows(self) -> int:
        """Token ids it has rows for."""
        return self.entry.shape[0]

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return self.entry.shape[1]

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return self.width * _BYTES[self.entry.dtype]

    @cached_property
    def dtype(self) -> torch.dtype:
        """The data type of its numbers."""
        return getattr(torch, FLOATS[self.entry.dtype])  # type: ignore[no-any-return]

    def blocks(self) -> Iterator[torch.Tensor]:
        """All rows in order, (n, width) at a time, n as many as fill `BLOCK` bytes."""
        step = max(1, BLOCK // self.row_bytes)
        with self.shard.path.open("rb", buffering=0) as file:
            file.seek(self.entry.start)
            for first in range(0, self.rows, step):
                count = min(step, self.rows - first)
                buffer = bytearray(count * self.row_bytes)
                _fill(file, memoryview(buffer), self.shard.path)
                yield self._tensor(buffer, count)

    def read(self, ids: slice | Sequence[int] | NDArray[Any] | torch.Tensor) -> torch.Tensor:
        """The rows of some ids, in their order, (n, width), in the matrix's own data type.

        Raises:
            InputError: the matrix has no such row.
        """
        if isinstance(ids, slice):
            wanted = np.arange(*ids.indices(self.rows), dtype=np.int64)
        else:
            wanted = np.asarray(ids, dtype=np.int64)
        if wanted.size == 0:
            return self._tensor(bytearray(), 0)
        distinct, where = np.unique(wanted, return_inverse=True)
        if distinct[0] < 0 or distinct[-1] >= self.rows:
            wrong = distinct[0] if distinct[0] < 0 else distinct[-1]
            raise InputError(f"{self.shard.path}: {self.name} has rows 0 to {self.rows - 1:,}, not {wrong:,}")
        buffer = bytearray(len(distinct) * self.row_bytes)
        view = memoryview(buffer)
        with self.shard.path.open("rb", buffering=0) as file:
            for first, last in runs(distinct):
                file.seek(self.entry.start + int(distinct[first]) * self.row_bytes)
                _fill(file, view[first * self.row_bytes : last * self.row_bytes], self.shard.path)
        rows = self._tensor(buffer, len(distinct))
        if len(distinct) == len(wanted) and bool((where == np.arange(len(where))).all()):
            return rows
        return rows[torch.from_numpy(where)]

    def _tensor(self, buffer: bytearray, count: int) -> torch.Tensor:
        if not count:
            return torch.empty((0, self.width), dtype=self.dtype)
        return torch.frombuffer(buffer, dtype=self.dtype).view(count, self.width)


def header_of(entries: Iterable[Entry], metadata: Mapping[str, str]) -> tuple[bytes, dict[str, int]]:
    """The beginning of a file that will hold these tensors, in this order; their own `start` is passed over.

    Returns:
        The bytes before the data, and where each tensor's bytes begin in the file.
    """
    fields: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    inside: dict[str, int] = {}
    end = 0
    for entry in entries:
        inside[entry.name] = end
        fields[entry.name] = {
            "dtype": entry.dtype,
            "shape": list(entry.shape),
            "data_offsets": [end, end + entry.size],
        }
        end += entry.size
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format wants the data aligned
    head = len(text).to_bytes(8, "little") + text
    return head, {name: len(head) + begin for name, begin in inside.items()}


def loaded_size(entries: Iterable[Entry], itemsize: int | None = None) -> int:
    """Bytes of tensors in memory.

    Args:
        itemsize: bytes of a number, where they are loaded in another type; None as they are in the file.
    """
    return sum(
        entry.size if itemsize is None or entry.dtype not in FLOATS else math.prod(entry.shape) * itemsize
        for entry in entries
    )


def runs(ids: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """(first, last + 1) positions of each stretch of consecutive numbers in a sorted array."""
    if not len(ids):
        return
    cuts = np.flatnonzero(np.diff(ids) != 1) + 1
    edges = [0, *cuts.tolist(), len(ids)]
    yield from pairwise(edges)


def _entries(header: dict[str, Any], base: int) -> Iterator[Entry]:
    for name, fields in header.items():
        begin, end = fields["data_offsets"]
        shape = tuple(int(number) for number in fields["shape"])
        dtype = str(fields["dtype"])
        if dtype in _BYTES and math.prod(shape) * _BYTES[dtype] != end - begin:
            raise ValueError(f"{name} of shape {shape} in {dtype} does not take {end - begin:,} bytes")
        yield Entry(name, dtype, shape, base + begin, end - begin)


def _fill(file: io.FileIO, view: memoryview, path: Path) -> None:
    """Fill a buffer from the file: one read may give less than asked for."""
    done = 0
    while done < len(view):
        count = file.readinto(view[done:])
        if not count:
            raise InputError(_damaged(path, "it became shorter while it was read"))
        done += count


def _damaged(path: Path, what: str) -> str:
    return f"{path}: not a whole safetensors file ({what}); download or copy it again"


def weight_paths(folder: Path) -> list[Path]:
    """The files that transformers reads a model's weights from, as far as they are there; nothing is refused here."""
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    try:
        named = {Path(name).name for name in json.loads((folder / INDEX).read_bytes())["weight_map"].values()}
    except (OSError, ValueError, LookupError, AttributeError, TypeError):  # transformers says what is wrong with it
        return []
    return [path for name in sorted(named) if (path := folder / name).is_file()]
