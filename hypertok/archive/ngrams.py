"""Pruned n-gram counts as chains of sorted arrays.

A chain predicts symbols from contexts of growing length. Level 0 counts single symbols. Level 1 counts pairs;
its parent is the number of the item before. From level 2 on the parent is a *row* of the level below, the row
that counted the n-gram ending just before the symbol. So a context costs no hash and no copy of its words,
rows of one parent lie together in symbol order, and the count of any interval of symbols after any context is
found by bisection and two look-ups in cumulative counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int32 = npt.NDArray[np.int32]

#: Symbols are below 2**21 (shape and piece number), rows below 2**42.
SYMBOL_BITS = 21


@dataclass(frozen=True)
class Level:
    """Rows sorted by (parent, symbol), each with its count."""

    parents: Int32
    symbols: Int32
    counts: Int32

    def __len__(self) -> int:
        return len(self.symbols)


def count_chain(
    items: Int32,
    symbols: Int32,
    minimum: Sequence[int],
    breaks: npt.NDArray[np.bool_] | None = None,
) -> list[Level]:
    """Count the n-grams of a sequence.

    Args:
        items: what stands at each place, as a context of length one.
        symbols: what is predicted at each place; equals `items` unless the symbol says more.
        minimum: per level, the least count that a row must have to be kept.
        breaks: places that no longer context may reach over (unknown pieces, ends of documents).
    """
    levels = [_level(np.zeros(len(symbols), np.int64), symbols, minimum[0])[0]]
    places = np.arange(1, len(symbols), dtype=np.int32)
    parents = items[:-1].astype(np.int64)
    for order, least in enumerate(minimum[1:], 1):
        level, keys, kept = _level(parents, symbols[places], least)
        levels.append(level)
        if order + 1 == len(minimum) or not len(level):
            break
        rows, known = _find(kept, keys)
        del keys
        if breaks is not None:
            known &= ~breaks[places]
        known &= places + 1 < len(symbols)
        places = places[known] + np.int32(1)
        parents = rows[known]
    return levels


def _level(
    parents: npt.NDArray[np.int64], symbols: Int32, least: int
) -> tuple[Level, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    keys = (parents << SYMBOL_BITS) | symbols
    ordered = np.sort(keys)
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    counts = np.diff(starts, append=len(ordered))
    good = counts >= least
    kept = ordered[starts[good]]
    level = Level(
        (kept >> SYMBOL_BITS).astype(np.int32),
        (kept & ((1 << SYMBOL_BITS) - 1)).astype(np.int32),
        counts[good].astype(np.int32),
    )
    return level, keys, kept


def _find(
    kept: npt.NDArray[np.int64], keys: npt.NDArray[np.int64], step: int = 1 << 20
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Row of each key among the kept ones, and whether it is there; in steps, to bound memory."""
    rows = np.empty(len(keys), np.int64)
    known = np.empty(len(keys), np.bool_)
    for start in range(0, len(keys), step):
        part = keys[start : start + step]
        place = np.searchsorted(kept, part)
        place[place == len(kept)] = 0
        rows[start : start + step] = place
        known[start : start + step] = kept[place] == part
    return rows, known
