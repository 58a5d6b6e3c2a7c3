"""Rows of sorted tables: of 64-bit keys that hold two numbers each, and of names."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Keys = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]


def pack(first: npt.NDArray[np.integer[Any]], second: npt.NDArray[np.integer[Any]]) -> Keys:
    """Keys that sort by the first number, then by the second; both fit 32 bits."""
    return first.astype(np.uint64) << np.uint64(32) | second.astype(np.uint64)


def unpack(keys: Keys) -> Rows:
    """The two numbers of each key. Shape (K, 2)."""
    return np.column_stack([keys >> np.uint64(32), keys & np.uint64(0xFFFFFFFF)]).astype(np.int64)


def find(wanted: Keys, keys: Keys) -> Rows:
    """Row of each wanted key in the sorted `keys`, -1 where it is absent."""
    if not len(keys):
        return np.full(len(wanted), -1, np.int64)
    # Sorted needles walk the table in order, which is several times faster than jumping about in it.
    order = np.argsort(wanted)
    needles = wanted[order]
    rows = np.minimum(np.searchsorted(keys, needles), len(keys) - 1)
    result = np.empty(len(wanted), np.int64)
    result[order] = np.where(keys[rows] == needles, rows, -1)
    return result


def find_names(wanted: pl.Series, names: pl.Series) -> Rows:
    """Row of each wanted name in the sorted `names`, which are not empty; -1 where it is absent."""
    # Binary search: a join would hash all names for each segment of a corpus (2 s for 4 million forms).
    rows = names.search_sorted(wanted).clip(0, len(names) - 1)
    known = (names.gather(rows) == wanted).to_numpy()
    return np.where(known, rows.to_numpy(), -1).astype(np.int64)
