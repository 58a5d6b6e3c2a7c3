"""New rows that share what makes them: small common functions are trained, and the rows written flat afterwards.

Row by row, training moves only what the text holds often; a function of all rows learns from every unit of a text at
once. Two ways, and both begin exactly at the rows that the model has:

- `factored`: a vector for each concept, one for each inflection, and a small residual for each row;
- `composed`: the same, and the composer: maps (d, d) of the stock rows of a unit's first, last and length-weighted mean
  constituent, and a map of a few facts about the unit.

Source: the project's own (`experiments/LOG.md`: one linear map of all rows beats rows trained one by one).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hypertok.model.constituents import NOT_A_WORD, Constituents
from hypertok.model.split import is_tied, split_rows

Kind = Literal["flat", "factored", "composed"]
#: Everything is trained with one learning rate; these say how far a step goes. Of the maps, in row sizes for inputs of
#: size 1: at a rate of 1e-3 a share of 0.3 falls faster than 1.0 and ends where it does, 3.0 diverges (Gemma-3-270M,
#: 16k phrase rows, model frozen, 495k characters: 1.454, 1.451 and 1.716 bits per character).
MAP = 0.3
#: Of the vectors of concepts and inflections, and of the residual, which moves for its own row alone. With LoRA, after
#: 124k and 495k characters: 1.401 and 1.319 bits per character; without them 1.409 and 1.330; thrice as large 1.418.
VECTOR, RESIDUAL = 0.1, 0.05


class SharedRows(nn.Module):
    """Stands in the place of `FlatRows`; all tensors but the trained ones are made anew, not saved.

    Whatever is shared is one table, and a row a weighted sum of some of its rows: one pass over the new rows, where
    one for each part takes twice the time with 250,000 of them. The maps are applied to each different constituent, not
    to each unit.
    """

    base: Tensor
    places: Tensor
    weights: Tensor
    starts: Tensor
    source: Tensor
    facts: Tensor

    def __init__(self, base: Tensor, units: Constituents, matrix: Tensor | None = None) -> None:
        """Rows that begin as `base` (N, d).

        Args:
            units: what the N rows belong to.
            matrix: (V, d) by id, with the rows of the constituents, for composed rows; None for factored ones.
        """
        super().__init__()
        number, width = base.shape
        owners = torch.repeat_interleave(torch.arange(number), units.concept_starts.diff())
        concepts, concept_of = torch.unique(units.concepts, return_inverse=True)
        inflections, inflection_of = torch.unique(units.inflections, return_inverse=True)
        ones = torch.ones(len(owners))
        entries = [(owners, concept_of, ones), (owners, inflection_of + len(concepts), ones)]
        self.concept = _zeros(len(concepts), width)
        self.inflection = _zeros(len(inflections), width)
        self.residual = _zeros(number, width)
        self.maps: nn.Parameter | None = None
        buffers = {"base": base.detach().to(torch.float32, copy=True)}
        if matrix is not None:
            used, of = torch.unique(units.ids, return_inverse=True)
            source = matrix.detach()[used.to(matrix.device)].float()
            self.size = MAP * float(source.square().mean().sqrt())
            source -= source.mean(0)
            buffers["source"] = (source / source.square().mean().sqrt().clamp(min=1e-6)).to(matrix.dtype)
            buffers["facts"] = facts_of(units)
            self.maps = _zeros(width, 3 * width)
            self.fact_map = _zeros(buffers["facts"].shape[1], width)
            first, last, mean = (len(concepts) + len(inflections) + number * len(used) for number in range(3))
            every, ones = torch.arange(number), torch.ones(number)
            entries += [(every, first + of[units.starts[:-1]], ones), (every, last + of[units.starts[1:] - 1], ones)]
            entries += [(units.owners, mean + of, units.by_length().float())]
        owner, place, weight = (torch.cat(column) for column in zip(*entries, strict=True))
        order = torch.argsort(owner, stable=True)
        ends = torch.bincount(owner, minlength=number).cumsum(0)
        buffers |= {"places": place[order], "weights": weight[order], "starts": F.pad(ends, (1, 0))}
        for name, value in buffers.items():
            self.register_buffer(name, value.to(base.device), persistent=False)

    def forward(self) -> Tensor:
        """The rows, (N, d) fp32."""
        parts, rows = [VECTOR * self.concept, VECTOR * self.inflection], self.base
        if self.maps is not None:
            mapped = (self.source @ self.maps.to(self.source.dtype)).float()
            parts += [self.size * part for part in mapped.chunk(3, dim=1)]
            rows = torch.addmm(rows, self.facts, self.size * self.fact_map)
        shared = F.embedding_bag(
            self.places, torch.cat(parts), self.starts, mode="sum", per_sample_weights=self.weights,
            include_last_offset=True,
        )  # fmt: skip
        return torch.add(rows, self.residual, alpha=RESIDUAL).add_(shared)


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


def split_shared_rows(model: Any, new_ids: Sequence[int], units: Constituents, kind: Kind) -> Any:
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
            begin = matrix.detach()[ids.to(matrix.device)]
            sides.append(SharedRows(begin, units, matrix if kind == "composed" else None))
    return split_rows(model, new_ids, *sides)


def _zeros(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(shape))
