"""Cross-entropy over a large vocabulary, a tile of rows at a time: logits are never whole.

fp32 logits of 8,192 positions over 402,000 rows are 13 GB. Here a softmax over the rows is made as attention is made
over keys: its sum is kept online while tiles pass (Milakov and Gimelshein, 2018), and with it what each position is
drawn to, the mean of the rows under the softmax (FlashAttention, Dao et al., 2022). That mean is the gradient of the
hidden states, so frozen rows are read once, in the forward pass. The gradient of new rows needs the whole sum: their
logits are made a second time, as Cut Cross-Entropy (Wijmans et al., 2024) does with those of all rows.

What was here before, logits of all rows for as many positions as fit 256 MB, held those, a copy of the new rows and a
piece of their gradient beside it. It was as fast on two cores that make 300 GFLOP/s of bf16 products: 1,024 positions
and 512,000 rows took 6.0 s, now 5.7; 2,048 and 35,000 rows 0.85 and 0.81.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hypertok.model.split import HeadRows

#: Logits held at once. A CPU's cache holds 16 MB of fp32; tiles of 4 and of 64 to 256 MB were up to 8 % slower.
_ELEMENTS, _ELEMENTS_GPU = 1 << 22, 1 << 26
_SMALLEST = 64


def held_logits(positions: int, rows: int, chunk: int, *, cpu: bool) -> int:
    """How many logits are held at once, of so many positions and rows in all; `chunk` as in `TiledLoss`."""
    return positions * min(rows, chunk or _tile_rows(positions, cpu=cpu))


def _tile_rows(positions: int, *, cpu: bool) -> int:
    return max(_SMALLEST, (_ELEMENTS if cpu else _ELEMENTS_GPU) // max(positions, 1))


class TiledLoss(torch.autograd.Function):
    """hidden (T, d), stock (S, d) frozen, new (N, d) or None, targets (T,) rows -> summed loss, fp32.

    `chunk` rows at a time, 0 for as many as suit the device; `head` says what becomes of a product. Gradients are made
    in the forward pass.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, stock: Tensor, new: Tensor | None, targets: Tensor, chunk: int, head: HeadRows
    ) -> Tensor:
        """The loss, and its gradients for `backward`."""
        wants_hidden, wants_new = ctx.needs_input_grad[0], ctx.needs_input_grad[2]
        size, kind = stock.shape[0], hidden.dtype
        tile = chunk or _tile_rows(len(hidden), cpu=hidden.device.type == "cpu")
        targets = targets[:, None]
        high = hidden.new_full((len(hidden), 1), -math.inf, dtype=torch.float32)
        total, chosen = torch.zeros_like(high), torch.zeros_like(high)
        mean = torch.zeros_like(hidden, dtype=torch.float32) if wants_hidden else None
        room = _Room(hidden, min(tile, max(size, 0 if new is None else len(new))))
        for first, rows in chain(_tiles(stock, kind, tile), _tiles(new, kind, tile, size)):
            logits, slope = logits_of(head, room.product(hidden, rows), head.sampled - first)
            at, inside = _inside(targets - first, len(rows))
            chosen = torch.where(inside, logits.gather(1, at), chosen)
            top = torch.maximum(high, logits.amax(dim=1, keepdim=True))
            fade, high = (high - top).exp_(), top
            odds = logits.sub_(top).exp_()
            total.mul_(fade).add_(odds.sum(dim=1, keepdim=True))
            if mean is not None:
                mean.mul_(fade)
                if first < size:
                    mean.add_(room.narrow(_times(odds, slope)) @ rows)
        log_sum = high + total.log()
        if mean is not None:
            mean.div_(total)
            # What a position is to be drawn to, and is not yet: for a new target in the loop below.
            lean = torch.where(targets < size, _slope(head, chosen), 0.0)
            mean.sub_(stock[targets[:, 0].clamp(max=size - 1)] * lean)
        grad_new = torch.empty_like(new, dtype=torch.float32) if wants_new and new is not None else None
        if mean is not None or grad_new is not None:
            for first, rows in _tiles(new, kind, tile):
                logits, slope = logits_of(head, room.product(hidden, rows))
                at, inside = _inside(targets - size - first, len(rows))
                odds = logits.sub_(log_sum).exp_().scatter_add_(1, at, -inside.float())
                odds = room.narrow(_times(odds, slope))
                if mean is not None:
                    mean.add_(odds @ rows)
                if grad_new is not None:
                    grad_new[first : first + tile] = odds.T @ hidden
        ctx.grads = None if mean is None else mean.to(kind), grad_new
        loss: Tensor = (log_sum - chosen).sum()
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients, times that of the loss."""
        grad_hidden, grad_new = ctx.grads
        ctx.grads = None
        if grad_hidden is not None:
            grad_hidden = grad_hidden.mul_(grad.to(grad_hidden.dtype))
        if grad_new is not None:
            grad_new = grad_new.mul_(grad)
        return grad_hidden, None, grad_new, None, None, None


class _Room:
    """Memory for a tile's products and logits, taken once: in memory that the processor's cache does not hold, making
    fp32 of bf16 and bf16 of it again take as long as the products where there are matrix units."""

    def __init__(self, hidden: Tensor, tile: int) -> None:
        self.low = hidden.new_empty(len(hidden) * tile)
        self.high = self.low if self.low.dtype == torch.float32 else torch.empty_like(self.low, dtype=torch.float32)

    def product(self, hidden: Tensor, rows: Tensor) -> Tensor:
        """(T, d), (n, d) -> (T, n) in fp32; the one before is overwritten."""
        shape = len(hidden), len(rows)
        low, high = (flat[: math.prod(shape)].view(shape) for flat in (self.low, self.high))
        torch.mm(hidden, rows.T, out=low)
        return high if self.high is self.low else high.copy_(low)

    def narrow(self, odds: Tensor) -> Tensor:
        """(T, n) fp32 in the type of the products; written over the product that they come of."""
        return odds if self.high is self.low else self.low[: odds.numel()].view_as(odds).copy_(odds)


def logits_of(head: HeadRows, logits: Tensor, sampled: int = 0) -> tuple[Tensor, Tensor | float]:
    """(T, n) products of hidden states and rows, the first few of the sample, in fp32 -> their logits, in the same
    memory, and the derivative of these by the products."""
    if head.multiplier != 1.0:
        logits.mul_(head.multiplier)
    if head.softcap is not None:
        logits.div_(head.softcap).tanh_().mul_(head.softcap)
    slope = _slope(head, logits)
    if sampled > 0:
        logits[:, :sampled] += head.log_weight
    return logits, slope


def _slope(head: HeadRows, logits: Tensor) -> Tensor | float:
    """The derivative of capped logits by the product, before the weight of the sample is added."""
    if head.softcap is None:
        return head.multiplier
    return (1.0 - (logits / head.softcap).square()).mul_(head.multiplier)


def _times(odds: Tensor, slope: Tensor | float) -> Tensor:
    return odds if isinstance(slope, float) and slope == 1.0 else odds.mul_(slope)


def _tiles(matrix: Tensor | None, kind: torch.dtype, tile: int, before: int = 0) -> Iterator[tuple[int, Tensor]]:
    """The place of each tile's first row, `before` rows standing first, and its rows in the type of the products."""
    for first in range(0, 0 if matrix is None else len(matrix), tile):
        assert matrix is not None
        yield before + first, matrix[first : first + tile].to(kind)


def _inside(at: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """Columns of a tile that may be read, and whether they are meant: without asking a GPU for numbers."""
    return at.clamp(0, rows - 1), (at >= 0) & (at < rows)
