"""What ids come to in stock tokens: a new unit its constituents, any other id itself.

Units rank after every stock merge, so a text's ids, spelled, are the ids that the stock tokenizer gives it. Stock
tokens that come of a unit and its neighbour (Llama 3.1 has some; `vocabulary/learn.py`) stay as they are, though.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import polars as pl

Ids = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, eq=False)
class Spelling:
    """Stock ids by id.

    Attributes:
        new_ids: (N,) ids of the units, ascending.
        ids: (L,) their constituents, unit after unit.
        starts: (N + 1,) where each unit begins in `ids`.
    """

    new_ids: Ids
    ids: Ids
    starts: Ids

    @classmethod
    def of(cls, delta: pl.DataFrame) -> Spelling:
        """Of the units of a delta table, whose constituents spell text as it is written."""
        delta = delta.sort("id")
        sizes = delta["constituents"].list.len().to_numpy()
        ids = delta["constituents"].explode().to_numpy().astype(np.int64)
        return cls(delta["id"].to_numpy().astype(np.int64), ids, np.concatenate([[0], sizes.cumsum()]).astype(np.int64))

    def spell(self, tokens: Ids, kept: Flags | None = None) -> tuple[Ids, Ids]:
        """Ids (T,) in stock ids.

        Args:
            kept: (T,) which of them stay as they are.

        Returns:
            (S,) ids, and (T,) how many of them each token came to.
        """
        if not len(self.new_ids):
            return tokens, np.ones(len(tokens), np.int64)
        place = np.searchsorted(self.new_ids, tokens).clip(max=len(self.new_ids) - 1)
        spelled = self.new_ids[place] == tokens
        if kept is not None:
            spelled &= ~kept
        sizes = np.where(spelled, self.starts[place + 1] - self.starts[place], 1)
        ends = sizes.cumsum()
        within = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - sizes, sizes)
        of_unit = np.repeat(spelled, sizes)
        found = np.repeat(tokens, sizes)
        found[of_unit] = self.ids[(np.repeat(self.starts[place], sizes) + within)[of_unit]]
        return found, sizes
