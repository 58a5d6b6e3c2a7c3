"""Matrices of a GGUF file made anew: with a row more for each new token, or with trained values.

Where the type of a matrix that grows can be written by the `gguf` package, it stays and so does every old row, bit for
bit; otherwise (K-quants) the whole matrix becomes F16, which holds the dequantised values. A matrix with trained values
has 8 bits at least: what training changes is less than the steps of fewer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hypertok.tokenizer.gguf_file import Tensor, size_of

Array = np.ndarray[Any, np.dtype[Any]]

#: Types that `gguf` can quantise to.
KEPT_TYPES = ("F32", "F16", "BF16", "Q8_0", "Q5_0", "Q5_1", "Q4_0", "Q4_1")
#: Types that hold trained values. Gemma-3-270M with LoRA trained on 600,000 characters: the types of its 4-bit file
#: (Q5_0, Q8_0; F16 for K-quants) cost 1.83 % [1.29, 2.40] more bits per character, Q8_0 everywhere nothing (-0.03 %).
TRAINED_TYPES = ("F32", "F16", "BF16", "Q8_0")
#: Rows worked on at once: 4096 rows of 8192 columns are 128 MiB in float32.
CHUNK = 4096


@dataclass(frozen=True)
class Parts:
    """The stock ids that a unit was made of and their weights in its row."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]


def grown_tensor(
    tensor: Tensor, units: Mapping[int, Parts], rows: int, of: Callable[[Sequence[int]], Array] | None = None
) -> Tensor:
    """The matrix (or vector) with a row for each of `rows` tokens.

    Args:
        tensor: one over the stock vocabulary, its last dimension.
        units: what the row of each new id is made of; an id within the stock rows has its row replaced.
        rows: tokens in all; ids beyond the stock rows that are no units get the mean of all stock rows.
        of: gives the rows of new ids, (ids, columns) in float32, where they are not made of constituents.
    """
    matrix = _Matrix(tensor)
    kind = matrix.new_type
    shape = (*tensor.shape[:-1], rows)

    def new_rows(ids: Sequence[int]) -> Array:
        return matrix.of([units[one] for one in ids]) if of is None else of(ids)

    return Tensor(tensor.name, shape, int(kind), size_of(shape, int(kind)), lambda: matrix.grown(units, rows, new_rows))


def replaced_tensor(tensor: Tensor, values: Callable[[slice], Array]) -> Tensor:
    """The matrix with other values: `values` gives some of its rows in float32, (rows, columns)."""
    matrix, rows = _Matrix(tensor, TRAINED_TYPES, "Q8_0"), tensor.shape[-1]
    kind = int(matrix.new_type)

    def chunks() -> Iterator[Array]:
        return (matrix.written(values(slice(start, start + CHUNK))) for start in range(0, rows, CHUNK))

    return Tensor(tensor.name, tensor.shape, kind, size_of(tensor.shape, kind), chunks)


def values_of(tensor: Tensor, rows: slice) -> Array:
    """Some rows of a matrix as float32, (rows, columns)."""
    return _Matrix(tensor).values(rows)


class _Matrix:
    """The rows of a tensor, read as they are asked for."""

    def __init__(self, tensor: Tensor, kept: Sequence[str] = KEPT_TYPES, otherwise: str = "F16") -> None:
        import gguf

        self.tensor = tensor
        self.type = gguf.GGMLQuantizationType(tensor.type)
        self.new_type = self.type if self.type.name in kept else gguf.GGMLQuantizationType[otherwise]

    @cached_property
    def raw(self) -> Array:
        """The stock rows as they stand in the file, (rows, bytes of a row)."""
        (content,) = self.tensor.chunks()
        return np.asarray(content).reshape(self.tensor.shape[-1], -1)

    def values(self, ids: Any) -> Array:
        """Stock rows as float32, (rows, columns)."""
        import gguf

        raw = np.ascontiguousarray(self.raw[ids])
        return np.asarray(gguf.dequantize(raw, self.type), dtype=np.float32).reshape(len(raw), -1)

    def written(self, values: Array) -> Array:
        """Float32 rows in the new type, (rows, bytes of a row)."""
        import gguf

        quantised: Array = np.ascontiguousarray(gguf.quantize(values, self.new_type))
        return quantised.view(np.uint8).reshape(len(values), -1)

    @cached_property
    def mean(self) -> Array:
        """Mean of all stock rows, (1, columns)."""
        starts = range(0, len(self.raw), CHUNK)
        total = sum(self.values(slice(start, start + CHUNK)).sum(axis=0, dtype=np.float64) for start in starts)
        mean: Array = np.asarray(total / len(self.raw), dtype=np.float32)
        return mean[None]

    def of(self, units: Sequence[Parts]) -> Array:
        """Weighted means of the units' constituents, (units, columns)."""
        lengths = [len(unit.ids) for unit in units]
        weights = np.array([weight for unit in units for weight in unit.weights], dtype=np.float32)
        rows = self.values([identifier for unit in units for identifier in unit.ids]) * weights[:, None]
        starts = np.cumsum([0, *lengths[:-1]])
        return np.asarray(np.add.reduceat(rows, starts) / np.add.reduceat(weights, starts)[:, None])

    def grown(
        self, units: Mapping[int, Parts], rows: int, new_rows: Callable[[Sequence[int]], Array]
    ) -> Iterator[Array]:
        """All rows of the new matrix in order, as bytes of the new type."""
        stock = len(self.raw)
        for start in range(0, rows, CHUNK):
            stop = min(start + CHUNK, rows)
            parts = []
            if start < stock:
                inside = slice(start, min(stop, stock))
                same = self.new_type is self.type
                parts.append(self.raw[inside] if same else self.written(self.values(inside)))
            beyond = stop - max(start, stock)
            new = [identifier for identifier in range(start, stop) if identifier in units]
            if beyond > 0:
                parts.append(np.repeat(self.written(self.mean), beyond, axis=0))
            block = np.concatenate(parts)
            if new:
                block[[i - start for i in new]] = self.written(new_rows(new))
            yield block
