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
Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

#: Symbols are below 2**21 (shape and piece number), rows below 2**42.
_SYMBOL_BITS = 21


@dataclass(frozen=True)
class Level:
    """Rows sorted by (parent, symbol), each with its count."""

    parents: Int32
    symbols: Int32
    counts: Int32

    def __len__(self) -> int:
        return len(self.symbols)


def count_chain(items: Int32, symbols: Int32, minimum: Sequence[int], breaks: Bool | None = None) -> list[Level]:
    """Count the n-grams of a sequence; levels stop where no row is left.

    Args:
        items: what stands at each place, as a context of length one.
        symbols: what is predicted at each place; equals `items` unless the symbol says more.
        minimum: per level, the least count that a row must have to be kept.
        breaks: places that no longer context may reach over (unknown pieces, ends of documents).
    """
    levels = [_level(*np.unique(symbols.astype(np.int64), return_counts=True), minimum[0])]
    places = np.arange(1, len(symbols), dtype=np.int32)
    keys = items[:-1].astype(np.int64)
    for order, least in enumerate(minimum[1:], 1):
        keys <<= _SYMBOL_BITS
        keys |= symbols[places]
        if order + 1 == len(minimum):
            level = _level(*np.unique(keys, return_counts=True), least)
            return [*levels, level] if len(level) else levels
        distinct, counts, group = _grouped(keys)
        level = _level(distinct, counts, least)
        if not len(level):
            return levels
        levels.append(level)
        good = counts >= least
        known = good[group]
        if breaks is not None:
            known &= ~breaks[places]
        known &= places < len(symbols) - 1
        places = places[known] + np.int32(1)
        keys = (np.cumsum(good) - 1)[group[known]]
    return levels


def _grouped(keys: Int64) -> tuple[Int64, Int64, Int32]:
    """Distinct keys in order, their counts, and for each key its place among the distinct ones.

    By sorting: looking 14 million keys up in the distinct ones by bisection took three times as long.
    """
    order = np.argsort(keys)
    ordered = keys[order]
    new = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    group = np.empty(len(keys), np.int32)
    group[order] = np.cumsum(new, dtype=np.int32) - np.int32(1)
    starts = np.flatnonzero(new)
    return ordered[starts], np.diff(starts, append=len(ordered)), group


def _level(distinct: Int64, counts: Int64, least: int) -> Level:
    if least > 1:
        good = counts >= least
        distinct, counts = distinct[good], counts[good]
    parents = (distinct >> _SYMBOL_BITS).astype(np.int32)
    symbols = (distinct & ((1 << _SYMBOL_BITS) - 1)).astype(np.int32)
    return Level(parents, symbols, counts.astype(np.int32))
