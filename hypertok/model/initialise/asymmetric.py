"""Untied models only: plain mean with its norm restored for the input, length-weighted mean for the output.

A mean of several rows is shorter than they are, and the first layers of a model see that: it is made as long as the
unit's own constituents are on the mean. For a tied model that does harm (the norm of an output row raises its logit),
so a tied model is refused rather than silently given what `weighted` gives.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hypertok.model.constituents import BLOCK, Constituents, RowReader, combine
from hypertok.model.initialise.rows import NewRows, StockRows


def initialise(rows: StockRows, units: Constituents) -> NewRows:
    """New rows; input and output differ."""
    assert rows.output is not None  # `refuse_unfit` has refused tied models
    return NewRows(_calibrated(rows.input, units), combine(rows.output, units, units.by_length()))


def _calibrated(matrix: RowReader, units: Constituents) -> Tensor:
    """(N, d) means, each as long as its constituents are on average; what cancels to nothing stays nothing."""
    weights = units.uniform()
    result = combine(matrix, units, weights)
    used, places = torch.unique(units.ids, return_inverse=True)
    norms = torch.cat([torch.linalg.vector_norm(matrix.read(ids).double(), dim=1) for ids in used.split(BLOCK)])
    wanted = torch.zeros(len(units), dtype=torch.float64).index_add_(0, units.owners, norms[places] * weights)
    for first in range(0, len(units), BLOCK):  # in float64, which the whole matrix need not be at once
        part = result[first : first + BLOCK].double()
        length = torch.linalg.vector_norm(part, dim=1)
        factor = torch.where(length > 0, wanted[first : first + BLOCK] / length, 1.0)
        result[first : first + BLOCK] = part * factor[:, None]
    return result
