"""What new units are made of, as flat arrays: the delta table in the form in which rows are computed from it.

A unit has one to some thirty constituents, so everything is ragged: one flat array for all units, and where each unit's
part starts. Nothing of shape (units, longest unit, width) is ever built.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

import polars as pl
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from hypertok.corpus.elements import HYPHENATED
from hypertok.errors import ArtifactError, InputError
from hypertok.tokenizer.surface import row_columns

#: Units computed at once; with some 10,000 different constituents of width 1,024 they take 0.1 GB.
BLOCK = 4_096
#: How a whole word is written: the values of `Constituents.shapes`.
NOT_A_WORD, LOWER_WORD, TITLE_WORD, UPPER_WORD = range(4)

_WORD = re.compile(f" ({HYPHENATED})")


class RowReader(Protocol):
    """A matrix with a row for each stock id, of which rows are read when they are asked for.

    `hypertok.model.shard.Matrix` is one that stays on the disk: whole, a matrix in memory can be gigabytes.
    """

    @property
    def rows(self) -> int:
        """Rows it has."""

    @property
    def width(self) -> int:
        """Numbers in a row."""

    def read(self, ids: Tensor, /) -> Tensor:
        """(n, width), the rows of the ids (n,) in their order, of any floating type."""


@dataclass(frozen=True, eq=False)
class Constituents:
    """N units, made of L stock tokens and holding C concepts together. All tensors are int64.

    Attributes:
        ids: (L,) the stock ids, unit after unit.
        starts: (N + 1,) where each unit begins in `ids`; the last is L. No unit is empty.
        lengths: (L,) characters of the unit that end in each constituent; 0 where only a part of one lies in it.
        concepts: (C,) the concepts of the words that each unit holds whole.
        inflections: (C,) theirs.
        concept_starts: (N + 1,) where each unit begins in `concepts`; a unit may have none.
        shapes: (N,) LOWER_WORD, TITLE_WORD or UPPER_WORD for a unit that is a space and one word of one concept,
            NOT_A_WORD for any other.
        counts: (N,) how often each unit is emitted on the learning text.
    """

    ids: Tensor
    starts: Tensor
    lengths: Tensor
    concepts: Tensor
    inflections: Tensor
    concept_starts: Tensor
    shapes: Tensor
    counts: Tensor

    @classmethod
    def of(cls, delta: pl.DataFrame) -> Constituents:
        """The units of a delta table (`hypertok.tokenizer.delta`), in its order; of symbol text, their surface.

        Raises:
            ArtifactError: a unit without constituents, or lists that differ in length.
        """
        text, ids, lengths = row_columns(delta.columns)
        sizes = {name: delta[name].list.len() for name in (ids, lengths, "concepts", "inflections")}
        for one, other in ((ids, lengths), ("concepts", "inflections")):
            _refuse(delta, sizes[one] != sizes[other], f"its lists {one} and {other} differ in length")
        _refuse(delta, sizes[ids] == 0, "it has no constituents")
        texts = zip(delta[text], sizes["concepts"], strict=True)
        return cls(
            ids=_flat(delta[ids]),
            starts=_starts(_tensor(sizes[ids])),
            lengths=_flat(delta[lengths]),
            concepts=_flat(delta["concepts"]),
            inflections=_flat(delta["inflections"]),
            concept_starts=_starts(_tensor(sizes["concepts"])),
            shapes=torch.tensor([_shape(one) if held == 1 else NOT_A_WORD for one, held in texts], dtype=torch.int64),
            counts=_tensor(delta["count"]),
        )

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def owners(self) -> Tensor:
        """(L,) which unit each constituent belongs to."""
        return torch.repeat_interleave(torch.arange(len(self)), self.starts.diff())

    def take(self, units: Tensor) -> Constituents:
        """The units with these numbers (K,), in this order."""
        starts, places = _taken(self.starts, units)
        concept_starts, held = _taken(self.concept_starts, units)
        return Constituents(
            ids=self.ids[places],
            starts=starts,
            lengths=self.lengths[places],
            concepts=self.concepts[held],
            inflections=self.inflections[held],
            concept_starts=concept_starts,
            shapes=self.shapes[units],
            counts=self.counts[units],
        )

    def uniform(self) -> Tensor:
        """(L,) the same weight for all constituents of a unit, summing to 1 in each (float64)."""
        return self.normalised(torch.ones(len(self.ids), dtype=torch.float64))

    def by_length(self) -> Tensor:
        """(L,) weights by character length, summing to 1 in each unit (float64).

        A constituent in which no character ends weighs nothing; a unit in which none ends at all is weighted uniformly.
        """
        return self.normalised(self.lengths.double())

    def by_place(self, ratio: float, *, last: bool) -> Tensor:
        """(L,) weights that shrink by `ratio` with each step from the last (else the first) one, summing to 1."""
        places = torch.arange(len(self.ids))
        owners = self.owners
        steps = self.starts[1:][owners] - 1 - places if last else places - self.starts[:-1][owners]
        return self.normalised(ratio ** steps.double())

    def normalised(self, weights: Tensor) -> Tensor:
        """(L,) the weights (L,) divided by their sum in each unit; uniform where that is 0."""
        owners = self.owners
        sums = torch.zeros(len(self), dtype=torch.float64).index_add_(0, owners, weights.double())
        sizes = self.starts.diff().double()
        return torch.where(sums[owners] > 0, weights / sums[owners], 1 / sizes[owners])


def combine(matrix: RowReader, units: Constituents, weights: Tensor) -> Tensor:
    """(N, width) float32: for each unit the weighted sum of the matrix's rows of its constituents.

    Summed in float64, so that a unit of one constituent repeated has its row to the last bit.

    Args:
        weights: (L,), which sum to 1 in each unit if a mean is wanted.

    Raises:
        InputError: a constituent that is no row of the matrix.
    """
    if len(units.ids) and not 0 <= int(units.ids.min()) <= int(units.ids.max()) < matrix.rows:
        raise InputError(
            f"delta: stock id {int(units.ids.max())} is a constituent, and the model has {matrix.rows} rows; model and "
            "tokenizer do not belong together: extend the tokenizer in this model's folder"
        )
    result = torch.empty(len(units), matrix.width, dtype=torch.float32)
    for first in range(0, len(units), BLOCK):
        starts = units.starts[first : first + BLOCK + 1]
        part = slice(int(starts[0]), int(starts[-1]))
        used, places = torch.unique(units.ids[part], return_inverse=True)
        result[first : first + BLOCK] = embedding_bag(
            places,
            matrix.read(used).double(),
            starts - starts[0],
            mode="sum",
            per_sample_weights=weights[part].double(),
            include_last_offset=True,
        )
    return result


def _shape(text: str | None) -> int:
    """How the one word of a unit's text is written; NOT_A_WORD if there is more, or less, than a space and the word."""
    found = _WORD.fullmatch(text) if text is not None else None
    word = found[1] if found else ""
    if word.islower():
        return LOWER_WORD
    return TITLE_WORD if word.istitle() else UPPER_WORD if word.isupper() else NOT_A_WORD


def _refuse(delta: pl.DataFrame, wrong: pl.Series, what: str) -> None:
    if wrong.any():
        raise ArtifactError(
            f"delta: unit {delta['id'].filter(wrong)[0]}: {what}; make the tokenizer again with hypertok extend"
        )


def _tensor(values: pl.Series) -> Tensor:
    return torch.from_numpy(values.cast(pl.Int64).to_numpy().copy())


def _flat(lists: pl.Series) -> Tensor:
    return _tensor(lists.explode().drop_nulls())


def _starts(sizes: Tensor) -> Tensor:
    return torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)])


def _taken(starts: Tensor, units: Tensor) -> tuple[Tensor, Tensor]:
    """Starts of the chosen units among themselves, and the places of all that they hold."""
    sizes = starts.diff()[units]
    chosen = _starts(sizes)
    shift = torch.repeat_interleave(starts[units] - chosen[:-1], sizes)
    return chosen, torch.arange(int(chosen[-1])) + shift
