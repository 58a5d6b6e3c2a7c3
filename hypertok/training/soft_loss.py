"""Cross-entropy of an extended model's next token on a teacher that knows stock tokens alone, beside that on the text.

Every new unit is made of stock tokens, so the two vocabularies compare without matching texts, which distillation
across tokenizers has to do (Minixhofer, Vulić and Ponti, 2025): what the model gives to all that begins with a stock
token, the token itself and all units that it is the first of, is what the teacher gives to this token. Where the text
is known to go on with the token a, the teacher's next prediction says more: how what begins with a is shared by the
second token.

The cells of a position, which together are the whole vocabulary:

- all that begins with a', for the likeliest stock tokens a' but the true one;
- all units that begin with the true one, a, and b', for the likeliest second tokens b';
- what else begins with a: a itself, and units that go on in another way;
- all else.

With t and q what teacher and model give to a cell, the loss is -sum t log q, and its slope in the logit of a token v
in the cell c is p(v) (1 - t(c) / q(c)). Cross-entropy on the text itself takes the same logits, so both losses are made
here, and their gradients at once, for some positions at a time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hypertok.model.split import HeadRows
from hypertok.training.tiles import capped_logits, within

#: Logits held at once, of one kind. 1 << 24 in fp32 are 64 MB.
_ELEMENTS, _ELEMENTS_GPU = 1 << 24, 1 << 26
#: Tensors of this size at once, teacher's and model's.
_KINDS = 8
#: A cell that the model gives less counts as this much: sums of fp32 odds are not better.
_LEAST = 1e-7


def held_elements(*, cpu: bool) -> int:
    """How many fp32 numbers of the size of logits are held at once."""
    return _KINDS * part_elements(cpu=cpu)


def part_elements(*, cpu: bool) -> int:
    """How many logits a part of the positions may have."""
    return _ELEMENTS if cpu else _ELEMENTS_GPU


class Cells(NamedTuple):
    """Units by their first two constituents. N units in C cells; rows are those of the head's stock part.

    Attributes:
        first: (C,) the row of the first constituent.
        second: (C,) that of the second.
        of: (N,) the cell of each unit.
    """

    first: Tensor
    second: Tensor
    of: Tensor


class Targets(NamedTuple):
    """What a teacher gives to the cells of T positions.

    Attributes:
        true: (T,) the row of the true first token.
        true_odds: (T,) its probability.
        rows: (T, K) other likely first tokens, the true one may be among them.
        odds: (T, K) their probabilities; that of the true one is not read.
        cells: (T, M) likely cells of the true first token.
        cell_odds: (T, M) their probabilities, given all before the first token; 0 where there are not so many.
    """

    true: Tensor
    true_odds: Tensor
    rows: Tensor
    odds: Tensor
    cells: Tensor
    cell_odds: Tensor


class SoftLoss(torch.autograd.Function):
    """hidden (T, d), labels (T,) rows, stock (S, d) frozen, new (N, d) -> summed cross-entropy in nats, fp32.

    `share` of it is on what the teacher gives to cells, the rest on the labels.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        labels: Tensor,
        stock: Tensor,
        new: Tensor,
        head: HeadRows,
        cells: Cells,
        targets: Targets,
        share: float,
    ) -> Tensor:
        """The loss, and its gradients for `backward`."""
        kind = hidden.dtype
        step = max(1, part_elements(cpu=hidden.device.type == "cpu") // (len(stock) + len(new)))
        frozen, fresh = stock.to(kind), new.to(kind)
        grad_hidden, grad_new = torch.empty_like(hidden), torch.zeros_like(new, dtype=torch.float32)
        loss = hidden.new_zeros((), dtype=torch.float32)
        # The sample that stands for ids that are left out comes first in a cut head.
        cells = cells._replace(first=cells.first + head.sampled)
        for begin in range(0, len(hidden), step):
            part = hidden[begin : begin + step]
            told = Targets(*(tensor[begin : begin + step] for tensor in targets))
            told = told._replace(true=told.true + head.sampled, rows=told.rows + head.sampled)
            # One column for each position, so that sums over units are sums of rows.
            old, slope = capped_logits(head, frozen @ part.T)
            old[: head.sampled] += head.log_weight
            units, unit_slope = capped_logits(head, fresh @ part.T)
            top = torch.maximum(old.amax(0), units.amax(0))
            label = labels[begin : begin + step]
            at, in_old = within(label, len(old))
            at_units, in_units = within(label - len(old), len(units))
            chosen = torch.where(in_old, old.gather(0, at[None])[0], units.gather(0, at_units[None])[0]) - top
            old.sub_(top).exp_()
            units.sub_(top).exp_()
            total = old.sum(0) + units.sum(0)
            old.div_(total)
            units.div_(total)
            value, ratio, unit_ratio = _ratios(old, units, cells, told)
            loss += share * value + (1.0 - share) * (total.log() - chosen).sum()
            drawn = old.mul_(ratio.mul_(-share).add_(1.0)).scatter_add_(0, at[None], (share - 1.0) * in_old[None])
            drawn = drawn.mul_(slope).to(kind)
            drawn_units = units.mul_(unit_ratio.mul_(-share).add_(1.0))
            drawn_units.scatter_add_(0, at_units[None], (share - 1.0) * in_units[None])
            drawn_units = drawn_units.mul_(unit_slope).to(kind)
            grad_hidden[begin : begin + step] = drawn.T @ frozen + drawn_units.T @ fresh
            grad_new += drawn_units @ part
        ctx.grads = grad_hidden, grad_new
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients, times that of the loss."""
        grad_hidden, grad_new = ctx.grads
        ctx.grads = None
        return grad_hidden.mul_(grad.to(grad_hidden.dtype)), None, None, grad_new.mul_(grad), None, None, None, None


def _ratios(old: Tensor, units: Tensor, cells: Cells, told: Targets) -> tuple[Tensor, Tensor, Tensor]:
    """The loss of some positions, and what the teacher gives over what the model gives, by stock row and by unit.

    Args:
        old: (S, T) probabilities of the stock rows.
        units: (N, T) of the units.
    """
    size, number = len(old), len(cells.first)
    begun = old.index_add(0, cells.first[cells.of], units)
    inside = units.new_zeros(number, units.shape[1]).index_add_(0, cells.of, units)
    other = (told.rows != told.true[:, None]).T
    rows, odds = told.rows.T, told.odds.T * other
    given = begun.gather(0, rows) * other
    given_true = begun.gather(0, told.true[None])[0]
    known = (told.cell_odds > 0).T
    cell_rows, cell_odds = told.cells.T, told.cell_odds.T
    given_cells = inside.gather(0, cell_rows) * known
    rest, rest_odds = given_true - given_cells.sum(0), told.true_odds - cell_odds.sum(0)
    tail, tail_odds = 1.0 - given.sum(0) - given_true, 1.0 - odds.sum(0) - told.true_odds

    def compared(theirs: Tensor, ours: Tensor) -> tuple[Tensor, Tensor]:
        theirs, ours = theirs.clamp(min=0.0), ours.clamp(min=_LEAST)
        return -(theirs * ours.log()).sum(), theirs / ours

    one, by_row = compared(odds, given)
    two, by_cell = compared(cell_odds, given_cells)
    three, by_rest = compared(rest_odds, rest)
    four, by_tail = compared(tail_odds, tail)
    # One row more on both: where to write what is not meant.
    ratio = by_tail.expand(size + 1, -1).clone()
    ratio.scatter_(0, torch.where(other, rows, size), by_row)
    ratio.scatter_(0, told.true[None], by_rest[None])
    of_cells = torch.cat([ratio[cells.first], ratio[:1]])
    of_cells.scatter_(0, torch.where(known, cell_rows, number), by_cell)
    return one + two + three + four, ratio[:size], of_cells[cells.of]
