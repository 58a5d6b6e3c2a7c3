"""Ridge regression of rows on two things at once: which group a row belongs to, and which factors it has.

row = group vector + sum of factor vectors + rest. Groups (concepts) are many and have few rows each; factors
(inflections, ways of writing) are few and have many. Groups are therefore eliminated exactly (Schur complement), and
what is left to solve is as large as the number of factors. All columns of a row share one system, so it is factored
once and solved for any block of columns.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

#: Groups that are spread over a dense (groups, factors) table at once.
_CHUNK = 4_096


class Additive:
    """The system for M rows in G groups with K of F factors each, ready to be solved for any values."""

    def __init__(
        self, groups: Tensor, number: int, factors: Tensor, kinds: int, *, group_penalty: float, factor_penalty: float
    ) -> None:
        """Build and factor the system.

        Args:
            groups: (M,) int64, the group of each row, below `number` (G).
            factors: (M, K) int64, the factors of each row, below `kinds` (F), all different.
            group_penalty: how many rows of a group at zero its penalty is worth; 0 for none.
            factor_penalty: the same for a factor; above 0.
        """
        self.groups, self.factors = groups, factors
        sizes = torch.bincount(groups, minlength=number).double() + group_penalty
        self._scale = torch.where(sizes > 0, 1 / sizes, 0.0)  # (G,); an empty group is zero
        together = torch.zeros(kinds, kinds, dtype=torch.float64)
        ones = torch.ones(len(groups), dtype=torch.float64)
        for one in factors.unbind(1):
            for other in factors.unbind(1):
                together.index_put_((one, other), ones, accumulate=True)
        self._by_group = _Sums(groups, number)
        self._by_factor = [_Sums(one, kinds) for one in factors.unbind(1)]
        for first in range(0, number, _CHUNK):
            rows = self._by_group.rows_of(first, min(first + _CHUNK, number))
            held = torch.zeros(min(_CHUNK, number - first), kinds, dtype=torch.float64)
            for one in factors[rows].unbind(1):
                held.index_put_((groups[rows] - first, one), ones[: len(rows)], accumulate=True)
            together -= held.T @ (held * self._scale[first : first + len(held), None])
        together += factor_penalty * torch.eye(kinds, dtype=torch.float64)
        self._factored = torch.linalg.cholesky(together)

    def solve(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Group vectors (G, b) and factor vectors (F, b) that fit the values (M, b), all float64."""
        sums = self._by_group(values)
        rest = values - (sums * self._scale[:, None])[self.groups]
        right = sum((sums_of(rest) for sums_of in self._by_factor[1:]), self._by_factor[0](rest))
        of_factors = torch.cholesky_solve(right, self._factored)
        rest = self._by_group(values - self.sum_of(of_factors, self.factors))
        return rest * self._scale[:, None], of_factors

    @staticmethod
    def sum_of(of_factors: Tensor, factors: Tensor) -> Tensor:
        """(M, b): for each row the sum of the vectors (F, b) of its factors (M, K)."""
        total = of_factors[factors[:, 0]]
        for one in factors.unbind(1)[1:]:
            total = total + of_factors[one]
        return total


class _Sums:
    """Sums of rows by label; many times faster than `index_add_`, which adds rows one call each on a CPU."""

    def __init__(self, labels: Tensor, number: int) -> None:
        self._order = torch.argsort(labels, stable=True)
        sizes = torch.bincount(labels, minlength=number)
        self._starts = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)])

    def __call__(self, values: Tensor) -> Tensor:
        """(labels, b) of values (M, b)."""
        return embedding_bag(self._order, values, self._starts, mode="sum", include_last_offset=True)

    def rows_of(self, first: int, end: int) -> Tensor:
        """Which rows have the labels from `first` to below `end`."""
        return self._order[int(self._starts[first]) : int(self._starts[end])]
