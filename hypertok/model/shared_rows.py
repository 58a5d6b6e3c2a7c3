"""New rows that share what makes them: small common functions are trained, and the rows written flat afterwards.

Row by row, training moves only what the text holds often; a function of all rows learns from every unit of a text at
once. Two ways, and both begin exactly at the rows that the model has:

- `factored`: a vector for each concept, one for each inflection, and a small residual for each row;
- `composed`: the same, and the composer: maps (d, d) of the stock rows of a unit's first, last and length-weighted mean
  constituent, and a map of a few facts about the unit.

Source: the project's own (DESIGN.md 5.4: one linear map of all rows beats rows trained one by one).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hypertok.model.constituents import NOT_A_WORD, Constituents
from hypertok.model.split import is_tied, split_rows

#: Everything is trained with one learning rate; these say how far a step goes. Of the maps, in row sizes for inputs of
#: size 1: at a rate of 1e-3 a share of 0.3 falls faster than 1.0 and ends where it does, 3.0 diverges (Gemma-3-270M,
#: 16k phrase rows, model frozen, 495k characters: 1.454, 1.451 and 1.716 bits per character).
MAP = 0.3
#: Of the vectors of concepts and inflections, and of the residual, which moves for its own row alone. With LoRA, after
#: 124k and 495k characters: 1.401 and 1.319 bits per character; without them 1.409 and 1.330; thrice as large 1.418.
VECTOR, RESIDUAL = 0.1, 0.05


class SharedRows(nn.Module):
    """Stands in the place of `FlatRows`; all tensors but the trained ones are made anew, not saved."""

    base: Tensor
    concept_of: Tensor
    inflection_of: Tensor
    concept_starts: Tensor

    def __init__(self, base: Tensor, units: Constituents, composer: nn.Module | None = None) -> None:
        """Rows that begin as `base` (N, d).

        Args:
            units: what the N rows belong to.
            composer: gives (N, d), to be added; None for factored rows.
        """
        super().__init__()
        number, width = base.shape
        concepts, concept_of = torch.unique(units.concepts, return_inverse=True)
        inflections, inflection_of = torch.unique(units.inflections, return_inverse=True)
        for name, value in (
            ("base", base.detach().to(torch.float32, copy=True)),
            ("concept_of", concept_of),
            ("inflection_of", inflection_of),
            ("concept_starts", units.concept_starts),
        ):
            self.register_buffer(name, value.to(base.device), persistent=False)
        self.concept = _zeros(len(concepts), width)
        self.inflection = _zeros(len(inflections), width)
        self.residual = _zeros(number, width)
        self.composer = composer

    def forward(self) -> Tensor:
        """The rows, (N, d) fp32."""
        rows = self.base + RESIDUAL * self.residual
        if len(self.concept_of):
            rows = rows + VECTOR * _summed(self.concept_of, self.concept, self.concept_starts)
            rows = rows + VECTOR * _summed(self.inflection_of, self.inflection, self.concept_starts)
        return rows if self.composer is None else rows + self.composer()


class Composer(nn.Module):
    """What units with the same constituents have in common: linear maps of the constituents' stock rows.

    The maps are applied to each different stock row once, not to each unit.
    """

    source: Tensor
    places: Tensor
    starts: Tensor
    shares: Tensor
    facts: Tensor

    def __init__(self, matrix: Tensor, units: Constituents) -> None:
        """Maps that give zero.

        Args:
            matrix: (V, d) rows by id, of which those of the constituents are used.
            units: the N units.
        """
        super().__init__()
        used, places = torch.unique(units.ids, return_inverse=True)
        rows = matrix.detach()[used.to(matrix.device)].float()
        self.size = MAP * float(rows.square().mean().sqrt())
        rows -= rows.mean(0)
        for name, value in (
            ("source", (rows / rows.square().mean().sqrt().clamp(min=1e-6)).to(matrix.dtype)),
            ("places", places),
            ("starts", units.starts),
            ("shares", units.by_length().float()),
            ("facts", facts_of(units)),
        ):
            self.register_buffer(name, value.to(matrix.device), persistent=False)
        width = matrix.shape[1]
        self.maps = _zeros(width, 3 * width)
        self.fact_map = _zeros(self.facts.shape[1], width)

    def forward(self) -> Tensor:
        """(N, d) fp32."""
        mapped = (self.source @ self.maps.to(self.source.dtype)).float()
        first, last, mean = mapped.chunk(3, dim=1)
        made = F.embedding(self.places[self.starts[:-1]], first) + F.embedding(self.places[self.starts[1:] - 1], last)
        made = made + F.embedding_bag(
            self.places, mean, self.starts, mode="sum", per_sample_weights=self.shares, include_last_offset=True
        )
        return self.size * (made + self.facts @ self.fact_map)


def facts_of(units: Constituents) -> Tensor:
    """(N, 6) fp32 of size about 1: a constant; whether one word; how many constituents, characters, concepts, uses."""
    characters = torch.zeros(len(units), dtype=torch.int64).index_add_(0, units.owners, units.lengths)
    return torch.stack(
        [
            torch.ones(len(units)),
            (units.shapes != NOT_A_WORD).float(),
            units.starts.diff() / 4,
            characters / 10,
            units.concept_starts.diff() / 2,
            units.counts.clamp(min=0).add(1).log() / 10,
        ],
        dim=1,
    )


def split_shared_rows(model: Any, new_ids: Sequence[int], units: Constituents, kind: str) -> Any:
    """`split_rows` with rows that are trained as `kind` says, beginning at those that the model has.

    Args:
        new_ids: (N,) of the units, in their order.
        kind: flat, factored or composed.
    """
    sides: list[nn.Module | None] = []
    if kind != "flat":
        ids = torch.as_tensor(new_ids)
        matrices = [model.get_input_embeddings().weight]
        matrices += [] if is_tied(model) else [model.get_output_embeddings().weight]
        for matrix in matrices:
            composer = Composer(matrix, units) if kind == "composed" else None
            sides.append(SharedRows(matrix.detach()[ids.to(matrix.device)], units, composer))
    return split_rows(model, new_ids, *sides)


def _zeros(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(shape))


def _summed(of: Tensor, vectors: Tensor, starts: Tensor) -> Tensor:
    return F.embedding_bag(of, vectors, starts, mode="sum", include_last_offset=True)
