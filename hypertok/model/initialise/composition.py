"""Concept vector + inflection offset, so that all forms of a concept share what they share.

A unit that is one word gets its length-weighted mean (`weighted`) moved towards a composed vector:

    composed = level + slope * concept's part of the means + concept's own part + inflection + way of writing

1. The weighted means of all known forms (new units, and stock words as if they were units) are split by ridge
   regression into a concept and an inflection part. The concept part pools all forms, however they are cut.
2. The true rows of the stock words are regressed on that concept part, one slope for each column (means are noisy, so
   slopes are below 1), and the rest is split the same way into an own part for each concept (zero for a concept
   that has no stock form) and offsets for each inflection and way of writing.
3. How far to move, 0 to 1, for concepts with and without stock forms apart, and how strongly to hold back own parts
   (the ridge penalty), are chosen on stock words held out, by squared distance to their true rows.

All other units (phrases, pieces of words, words that the lexicon does not know) get the weighted mean.

Source: the project's own (sharing between the rows beats training them one by one: `experiments/LOG.md`). On the
real Gemma-3-270M (5,078 stock words, lexicon of the training corpora) the squared distance of held-out words falls to
0.59 of the weighted mean's where the concept has other stock forms, to 0.72 where it has none. Most of the latter is
the slope: one slope for all columns alone gives 0.76, a ridge map of the means 0.75; with no slope composition gave
0.86. The rows get shorter (0.77 on average; weighted means 0.83, true rows 1.03). Whether the model gains is for probes
to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from hypertok.model.constituents import NOT_A_WORD, UPPER_WORD, Constituents, RowReader, combine
from hypertok.model.initialise.additive import Additive
from hypertok.model.initialise.rows import NewRows, StockRows

#: Ridge penalties tried for a concept's own part, in rows: 1 halves what a single stock form says.
PENALTIES = (0.3, 1.0, 3.0)
#: Penalty of an offset; most are fitted on hundreds of rows, so it matters for rare inflections only.
OFFSET_PENALTY = 1.0
#: Fewer stock words than this decide nothing: units then get the weighted mean.
LEAST_WORDS = 40
#: Columns of the rows worked on at once: 150,000 forms take 0.15 GB per array.
_COLUMNS = 128
_FOLDS = 4
#: Columns, evenly spread, that the choice is made on: a few hundred say the same as all.
_CHOICE_COLUMNS = 256


def initialise(rows: StockRows, units: Constituents) -> NewRows:
    """New rows; input and output are fitted apart.

    `facts` has, for each side: words, stock words fitted on; penalty; share_known and share_new, how far units whose
    concept has, or has not, a stock form were moved; error_known and error_new, the squared distance of held-out
    words' rows after moving, as a share of that of their weighted means (1 if there were none).
    """
    words = rows.words()
    result: list[Tensor] = []
    facts: dict[str, float] = {}
    for name, matrix in (("input", rows.input), ("output", rows.output)):
        if matrix is not None:
            made, chosen = _side(matrix, words.ids, words.units, units)
            result.append(made)
            facts |= {f"{name}.{fact}": value for fact, value in {"words": len(words.ids), **vars(chosen)}.items()}
    return NewRows(result[0], result[1] if len(result) > 1 else None, facts)


@dataclass(frozen=True)
class _Choice:
    """What held-out words decided."""

    penalty: float = PENALTIES[-1]
    share_known: float = 0.0
    share_new: float = 0.0
    error_known: float = 1.0
    error_new: float = 1.0


@dataclass(frozen=True, eq=False)
class _Design:
    """Forms by concept (groups, numbered among themselves) and by inflection and way of writing (factors)."""

    groups: Tensor
    factors: Tensor
    number: int
    kinds: int

    @classmethod
    def of(cls, *parts: Constituents) -> _Design:
        """Of whole words, one list after the other."""
        firsts = [part.concept_starts[:-1] for part in parts]
        concepts = torch.cat([part.concepts[first] for part, first in zip(parts, firsts, strict=True)])
        inflections = torch.cat([part.inflections[first] for part, first in zip(parts, firsts, strict=True)])
        known, groups = torch.unique(concepts, return_inverse=True)
        kept, inflected = torch.unique(inflections, return_inverse=True)
        shapes = torch.cat([part.shapes for part in parts]) - 1
        return cls(groups, torch.stack([inflected, len(kept) + shapes], 1), len(known), len(kept) + UPPER_WORD)

    def system(self, chosen: Tensor | slice, penalty: float) -> Additive:
        """The regression over the chosen forms."""
        return Additive(
            self.groups[chosen], self.number, self.factors[chosen], self.kinds,
            group_penalty=penalty, factor_penalty=OFFSET_PENALTY,
        )  # fmt: skip


def _side(matrix: RowReader, ids: Tensor, words: Constituents, units: Constituents) -> tuple[Tensor, _Choice]:
    """New rows of one matrix, and how they were decided on."""
    result = combine(matrix, units, units.by_length())
    if len(words) < LEAST_WORDS:
        return result, _Choice()
    means = combine(matrix, words, words.by_length())
    stock = matrix.read(ids)
    some = slice(None, None, -(-matrix.width // _CHOICE_COLUMNS))
    chosen = _choose(stock[:, some], means[:, some], _Design.of(words))
    moved = (units.shapes != NOT_A_WORD).nonzero().flatten()
    if not len(moved) or not (chosen.share_known or chosen.share_new):
        return result, chosen
    design, own = _Design.of(words, units.take(moved)), slice(len(words))
    pooling, rest = design.system(slice(None), 0.0), design.system(own, chosen.penalty)
    known = torch.bincount(design.groups[own], minlength=design.number)[design.groups[len(words) :]] > 0
    share = torch.where(known, chosen.share_known, chosen.share_new).double()[:, None]
    for columns in _column_blocks(matrix.width):
        mean = torch.cat([means[:, columns], result[moved, columns]]).double()
        pooled = pooling.solve(mean)[0][design.groups]
        true = stock[:, columns].double()
        composed = _composed(rest, true, pooled, design, own, slice(len(words), None))
        mean = mean[len(words) :]
        result[moved, columns] = (mean + share * (composed - mean)).float()
    return result, chosen


def _composed(
    rest: Additive, true: Tensor, pooled: Tensor, design: _Design, fitted: Tensor | slice, asked: Tensor | slice
) -> Tensor:
    """Composed vectors of the asked forms, from all forms' pooled means and the true rows of the fitted ones."""
    known, level, centre = pooled[fitted], true.mean(0), pooled[fitted].mean(0)
    slope = ((known - centre) * (true - level)).sum(0) / (known - centre).square().sum(0).clamp(min=1e-30)
    own, offsets = rest.solve(true - level - slope * (known - centre))
    own_and_offsets = own[design.groups[asked]] + Additive.sum_of(offsets, design.factors[asked])
    return level + slope * (pooled[asked] - centre) + own_and_offsets


def _choose(true: Tensor, means: Tensor, design: _Design) -> _Choice:
    """The penalty and the shares that bring held-out words nearest to their true rows."""
    folds = list(_held_out(design))
    systems = [[design.system(~held, penalty) for penalty in PENALTIES] for _, held in folds]
    pooling = design.system(slice(None), 0.0)
    before = torch.zeros(2, dtype=torch.float64)  # squared distance of the means, by kind of fold
    along, length = torch.zeros(2, 2, len(PENALTIES), dtype=torch.float64)  # (kind, penalty) each
    for columns in _column_blocks(true.shape[1]):
        mean, wanted = means[:, columns].double(), true[:, columns].double()
        pooled = pooling.solve(mean)[0][design.groups]
        for (kind, held), fitted in zip(folds, systems, strict=True):
            missing = wanted[held] - mean[held]
            before[kind] += missing.square().sum()
            for number, rest in enumerate(fitted):
                step = _composed(rest, wanted[~held], pooled, design, ~held, held) - mean[held]
                along[kind, number] += (missing * step).sum()
                length[kind, number] += step.square().sum()
    # A share s of the step leaves before - 2 s along + s² length; nothing was held out where before is 0.
    shares = torch.where(length > 0, along / length, 0.0).clamp(0, 1)
    left = (before[:, None] - 2 * shares * along + shares.square() * length) / before.clamp(min=1e-300)[:, None]
    left = torch.where(before[:, None] > 0, left, 1.0)
    best = int(left.sum(0).argmin())
    return _Choice(PENALTIES[best], *shares[:, best].tolist(), *left[:, best].tolist())


def _held_out(design: _Design) -> Iterator[tuple[int, Tensor]]:
    """Kind (0: its concept keeps other stock forms, 1: it keeps none) and mask (M,) of each set of words held out."""
    sizes = torch.bincount(design.groups, minlength=design.number)
    order = torch.argsort(design.groups, stable=True)
    after = torch.empty_like(order)  # forms of the concept with a higher id: 0 for the rarest, as units are rare
    after[order] = (sizes.cumsum(0) - 1)[design.groups[order]] - torch.arange(len(order))
    masks = [(0, (sizes[design.groups] > 1) & (after == turn)) for turn in range(2)]
    masks += [(1, design.groups % _FOLDS == turn) for turn in range(_FOLDS)]
    return ((kind, held) for kind, held in masks if held.any() and not held.all())


def _column_blocks(width: int) -> Iterator[slice]:
    return (slice(first, first + _COLUMNS) for first in range(0, width, _COLUMNS))
