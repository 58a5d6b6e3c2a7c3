"""Confidence intervals by document and seed: how far a ratio of sums would move with others of the same kind.

Documents are drawn with replacement as often as there are documents, and so are seeds (trainings), where there are
several; the interval lies between the percentiles of what is found. Two arms measured on the same documents are drawn
together (paired): most of what makes documents differ is then the same on both sides, and the interval of their
difference is much narrower than those of the arms. Of two or three seeds an interval is narrower than the truth, and of
one it says nothing about another training: with two, what is drawn varies half as much as seeds do.

Where documents are weighted so that their kinds have given shares, kinds are strata: documents are drawn within each,
and what is drawn is rescaled to the size of its stratum, or the shares would drift from draw to draw. A stratum of one
document adds nothing to the interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hypertok.errors import InputError

#: Documents drawn at once, over all resamples that live together.
_DRAWN = 1 << 22

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Interval:
    """A figure on all documents, and the interval that holds it at this level; what it was drawn from: `documents` of
    each of `seeds`."""

    value: float
    low: float
    high: float
    level: float
    resamples: int
    documents: int
    seeds: int = 1


def ratio(
    numerator: ArrayLike, denominator: ArrayLike, *, resamples: int = 10_000, level: float = 0.95, seed: int = 0
) -> Interval:
    """Interval of sum(numerator) / sum(denominator), both with shape (documents,) or (seeds, documents).

    Raises:
        InputError: fewer than two documents, unequal numbers of them, or a sum of denominators that is not positive.
    """
    columns = _columns(numerator, denominator)
    return _interval(columns, lambda sums: sums[:, 0] / sums[:, 1], resamples, level, seed)


def paired_difference(
    ours: tuple[ArrayLike, ArrayLike],
    theirs: tuple[ArrayLike, ArrayLike],
    *,
    strata: Sequence[str] | None = None,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Interval of the ratio of one arm minus that of the other; arms are (numerator, denominator), shaped as there.

    Args:
        strata: kind of each document, to draw within kinds; None to draw from all documents alike.

    Raises:
        InputError: see `ratio`; strata of another number of documents.
    """
    columns = _columns(*ours, *theirs)
    return _interval(columns, lambda s: s[:, 0] / s[:, 1] - s[:, 2] / s[:, 3], resamples, level, seed, strata)


def paired_ratio(
    ours: tuple[ArrayLike, ArrayLike],
    theirs: tuple[ArrayLike, ArrayLike],
    *,
    strata: Sequence[str] | None = None,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Interval of the ratio of one arm over that of the other: 0.98 is two percent less.

    Args:
        strata: see `paired_difference`.

    Raises:
        InputError: see `paired_difference`; the other arm's numerators must have a positive sum too.
    """
    columns = _columns(*ours, *theirs)
    if not (columns[..., 2].min() >= 0 < columns[..., 2].sum()):
        raise InputError("the arm that is divided by has a negative figure, or none that is positive")
    return _interval(columns, lambda s: s[:, 0] / s[:, 1] / (s[:, 2] / s[:, 3]), resamples, level, seed, strata)


def _columns(*arrays: ArrayLike) -> Array:
    """The arrays as columns, shape (seeds, documents, arrays)."""
    columns = [np.atleast_2d(np.asarray(array, np.float64)) for array in arrays]
    sizes = {column.shape[1] for column in columns}
    if len(sizes) != 1:
        raise InputError(f"arms over {sorted(sizes)} documents cannot be paired; measure them on the same documents")
    if sizes == {0} or sizes == {1}:
        raise InputError(f"an interval by document needs two documents or more, not {sizes.pop()}; give more texts")
    for column in columns[1::2]:
        if column.min() < 0 or not column.sum() > 0:
            raise InputError("the documents have no characters, so there is nothing to divide by")
    return np.stack(columns, axis=-1)


def _interval(
    columns: Array,
    figure: Callable[[Array], Array],
    resamples: int,
    level: float,
    seed: int,
    strata: Sequence[str] | None = None,
) -> Interval:
    if not (0 < level < 1 and resamples > 0):
        raise InputError(f"level {level} must lie between 0 and 1, and resamples {resamples} above 0")
    seeds, documents, _ = columns.shape
    if strata is not None and len(strata) != documents:
        raise InputError(f"{len(strata)} strata for {documents} documents; give one for each document")
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = np.concatenate([figure(sums) for sums in _resampled(columns, resamples, seed, strata)])
    with_figure = drawn[np.isfinite(drawn)]  # a draw of empty documents alone has none
    low, high = np.quantile(with_figure, [(1 - level) / 2, (1 + level) / 2])
    value = float(figure(columns.sum(axis=(0, 1))[None])[0])
    return Interval(value, float(low), float(high), level, resamples, documents, seeds)


def _resampled(columns: Array, resamples: int, seed: int, strata: Sequence[str] | None) -> Iterator[Array]:
    """Sums of columns over documents and seeds drawn with replacement, shapes (some resamples, columns)."""
    generator, (seeds, count, _) = np.random.default_rng(seed), columns.shape
    parts = [columns]
    if strata is not None:
        kinds = np.asarray(strata)
        parts = [columns[:, kinds == one] for one in np.unique(kinds)]
    together = max(1, _DRAWN // count)
    for at in range(0, resamples, together):
        number = min(together, resamples - at)
        by_seed = sum(_drawn(part, number, generator, rescaled=strata is not None) for part in parts)
        often = np.ones((number, 1))
        if seeds > 1:
            drawn = generator.integers(seeds, size=(number, seeds))
            often = (drawn[:, :, None] == np.arange(seeds)).sum(axis=1)
        yield np.einsum("rs,scr->rc", often, by_seed)


def _drawn(columns: Array, number: int, generator: np.random.Generator, *, rescaled: bool) -> Array:
    """Sums over documents drawn with replacement, shape (seeds, columns, number).

    Args:
        rescaled: so that the denominators of each draw are those of all the documents.
    """
    count = columns.shape[1]
    picks = generator.integers(count, size=(number, count))
    sums = np.stack([[column[picks].sum(axis=1) for column in one.T] for one in columns])
    if rescaled:
        whole = columns.sum(axis=1)[:, 1::2, None]
        sums *= np.repeat(np.where(whole > 0, whole / sums[:, 1::2], 0), 2, axis=1)  # a stratum without weight is none
    return sums
