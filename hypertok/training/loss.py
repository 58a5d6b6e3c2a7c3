"""Cross-entropy over a large vocabulary without the logits: computed in chunks of positions, gradients at once.

fp32 logits of 8,192 positions over 402,000 rows are 13 GB. Here logits of a chunk live only until its loss and its
gradients are made, in the forward pass: two products with the matrix per chunk (and one with the new rows) where
recomputing in the backward pass takes three. The way is that of the fused losses for large vocabularies (Liger Kernel),
with the difference that matters here: the stock rows are frozen and get no gradient, and the rows may lie in two parts
in any order, because a softmax does not ask for the order.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from hypertok.errors import InputError
from hypertok.model.split import HeadRows, backbone, causal_lm, head_rows, rows_once

#: Label of a position that is not predicted.
IGNORED = -100
#: Logits held at once when no number of positions is asked for: 256 MB of fp32, and as much again for the gradient.
ELEMENTS = 1 << 26
_SMALLEST = 16
#: Ids in the sample that stands for all others where the head is cut: 7 % of those of Gemma.
SAMPLED = 16_384


def chunk_positions(rows: int) -> int:
    """Positions whose logits over so many rows are held at once."""
    return max(_SMALLEST, ELEMENTS // rows)


def cross_entropy_sum(head: HeadRows, hidden: Tensor, labels: Tensor, chunk: int = 0) -> Tensor:
    """The summed cross-entropy, in nats, of labels under softmax(head(hidden)); a scalar in fp32.

    Args:
        head: the output rows.
        hidden: (…, d), any data type; products are made in it, everything else in fp32.
        labels: (…,) token ids, already shifted; `IGNORED` where nothing is predicted.
        chunk: positions at a time; 0 for as many as `ELEMENTS` allows.

    Raises:
        InputError: a label is not among the ids that the head is cut to.
    """
    hidden, labels = hidden.reshape(-1, hidden.shape[-1]), labels.reshape(-1)
    if bool((labels == IGNORED).any()):
        kept = labels != IGNORED
        hidden, labels = hidden[kept], labels[kept]
    targets = labels if head.place is None else head.place[labels]
    if head.place is not None and bool((targets < 0).any()):
        raise InputError(
            f"token id {int(labels[targets < 0][0])}: not among the ids of the texts that the head was cut to; cut it "
            "to these texts too, or train without cut_head"
        )
    step = chunk or chunk_positions(_width(head))
    # Without detach autograd asks for the gradient of a parameter under no_grad too, and it would be made for nothing.
    new = head.new if head.new is None or torch.is_grad_enabled() else head.new.detach()
    loss: Tensor = _ChunkedLoss.apply(  # type: ignore[no-untyped-call]
        hidden, head.stock, new, targets, step, head.softcap, head.multiplier, head.sampled, head.log_weight
    )
    return loss


def _width(head: HeadRows) -> int:
    """Logits of a position."""
    return head.stock.shape[0] + (0 if head.new is None else head.new.shape[0])


def cut_head(head: HeadRows, ids: Tensor) -> HeadRows:
    """A head over some ids and all new rows: as if every other logit were minus infinity.

    Args:
        head: the whole one.
        ids: (K,) ids to keep, in any order, repeated or not.

    Returns:
        The head with a copy of the stock rows of these ids, in its order; its `place` is (S + N,) still, and -1 for an
        id that is not kept.
    """
    size, device = head.stock.shape[0], head.stock.device
    place = torch.arange(size, device=device) if head.place is None else head.place
    used = torch.zeros(len(place), dtype=torch.bool, device=device)
    used[place[ids.to(device)]] = True
    kept = torch.nonzero(used[:size])[:, 0]
    moved = torch.full_like(place, -1)
    moved[kept] = torch.arange(len(kept), device=device)
    moved[size:] = torch.arange(len(kept), len(kept) + len(place) - size, device=device)
    return replace(head, stock=head.stock.detach()[kept], place=moved[place])


def sampled_head(cut: HeadRows, stock: Tensor, rest: Tensor, number: int) -> HeadRows:
    """A cut head and some of what was cut off, drawn anew, that stands for all of it.

    Without them nothing in training keeps the other logits down, and a model whose hidden states move is the worse for
    it when it is measured with its whole head. The sum of exp(logit) over the rest is estimated without bias.

    Args:
        cut: from `cut_head`.
        stock: (S, d) the whole head's.
        rest: (R,) the rows of it that were cut off.
        number: rows to draw, with replacement.
    """
    drawn = rest[torch.randint(len(rest), (number,), device=rest.device)]
    place = cut.place
    if place is not None:
        place = torch.where(place < 0, place, place + number)
    return replace(
        cut,
        stock=torch.cat([stock.detach()[drawn], cut.stock]),
        place=place,
        sampled=number,
        log_weight=math.log(len(rest) / number),
    )


class _ChunkedLoss(torch.autograd.Function):
    """hidden (T, d), stock (S, d) frozen, new (N, d) or None, targets (T,) -> summed loss."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        stock: Tensor,
        new: Tensor | None,
        targets: Tensor,
        chunk: int,
        softcap: float | None,
        multiplier: float,
        sampled: int,
        log_weight: float,
    ) -> Tensor:
        kind = hidden.dtype
        rows = stock.shape[0]
        fresh = None if new is None else new.detach().to(kind)
        width = rows + (0 if fresh is None else fresh.shape[0])
        wants_hidden, wants_new = ctx.needs_input_grad[0], ctx.needs_input_grad[2]
        grad_hidden = torch.zeros_like(hidden) if wants_hidden else None
        grad_new = torch.zeros_like(new, dtype=torch.float32) if wants_new and new is not None else None
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        for start in range(0, len(hidden), chunk):
            part, target = hidden[start : start + chunk], targets[start : start + chunk]
            logits = torch.empty(len(part), width, dtype=torch.float32, device=hidden.device)
            logits[:, :rows] = part @ stock.T
            if fresh is not None:
                logits[:, rows:] = part @ fresh.T
            slope = _shape(logits, softcap, multiplier)
            logits[:, :sampled] += log_weight
            # In place, and divided by the sum where tensors are small: one more copy of the logits took 12 % of a step.
            logits.sub_(logits.amax(dim=-1, keepdim=True))
            chosen = logits.gather(1, target[:, None])
            odds = logits.exp_()
            odds_sum = odds.sum(dim=-1, keepdim=True)
            total += (odds_sum.log() - chosen).sum()
            if not (wants_hidden or wants_new):
                continue
            odds[torch.arange(len(part), device=odds.device), target] -= odds_sum[:, 0]
            if isinstance(slope, Tensor):
                odds.mul_(slope)
                slope = 1.0
            lean, scale = odds.to(kind), slope / odds_sum
            if grad_hidden is not None:
                found = lean[:, :rows] @ stock
                found = found if fresh is None else found.add_(lean[:, rows:] @ fresh)
                grad_hidden[start : start + chunk] = found.mul_(scale)
            if grad_new is not None:
                grad_new += lean[:, rows:].T @ (part * scale).to(kind)
        ctx.grads = grad_hidden, grad_new
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        grad_hidden, grad_new = ctx.grads
        ctx.grads = None
        if grad_hidden is not None:
            grad_hidden = grad_hidden.mul_(grad.to(grad_hidden.dtype))
        if grad_new is not None:
            grad_new = grad_new.mul_(grad)
        return grad_hidden, None, grad_new, None, None, None, None, None, None


def _shape(logits: Tensor, softcap: float | None, multiplier: float) -> Tensor | float:
    """Apply multiplier and cap in place; gives the derivative of the result by the plain logits."""
    if multiplier != 1.0:
        logits.mul_(multiplier)
    if softcap is None:
        return multiplier
    logits.div_(softcap).tanh_()
    slope = (1.0 - logits * logits).mul_(multiplier)
    logits.mul_(softcap)
    return slope


def _left_out(whole: HeadRows, cut: HeadRows) -> Tensor:
    """(R,) the stock rows of a head that a cut one lacks."""
    assert cut.place is not None
    size = whole.stock.shape[0]
    place = torch.arange(size, device=whole.stock.device) if whole.place is None else whole.place
    lost = place[cut.place < 0]
    return lost[lost < size]


class LossModel(nn.Module):
    """A causal language model whose forward pass gives its loss: what the training loop sees.

    The whole model is inside one module, because that is what distributed training wraps.
    """

    #: For transformers.Trainer: the loss is already divided by the labels of the whole accumulated batch.
    accepts_loss_kwargs = True
    cut_stock: Tensor | None
    cut_place: Tensor | None
    rest: Tensor | None

    def __init__(self, model: nn.Module, chunk: int = 0, ids: Tensor | None = None, sampled: int | None = None) -> None:
        """Wrap a model.

        Args:
            model: a transformers model, split or not, in PEFT's wrapper or not; its stock rows are frozen.
            chunk: positions whose logits are held at once; 0 for as many as `ELEMENTS` allows.
            ids: where there are gradients, make the loss over these, the new ones and a sample of the others
                (`sampled_head`), which may be no labels; None for the whole head.
            sampled: ids in the sample, `SAMPLED` if None; the head stays whole where there are not so many others.
        """
        super().__init__()
        self.model = model
        self.chunk = chunk
        self.sampled = SAMPLED if sampled is None else sampled
        cut, rest = None, None
        if ids is not None:
            whole = head_rows(model)
            cut = cut_head(whole, ids)
            rest = _left_out(whole, cut)
            if len(rest) <= self.sampled:
                cut, rest = None, None
        # The new rows are not among them: they are trained, so every step asks the model for them.
        self.register_buffer("cut_stock", None if cut is None else cut.stock, persistent=False)
        self.register_buffer("cut_place", None if cut is None else cut.place, persistent=False)
        self.register_buffer("rest", rest, persistent=False)
        self._no_split_modules = getattr(causal_lm(model), "_no_split_modules", None)

    @property
    def config(self) -> Any:
        """The model's configuration."""
        return causal_lm(self.model).config

    @property
    def logits(self) -> int:
        """How many ids the loss of a training step is made over."""
        whole = head_rows(self.model)
        return _width(whole) if self.cut_stock is None else self.sampled + _width(replace(whole, stock=self.cut_stock))

    def head(self) -> HeadRows:
        """The rows that the loss is made over, new ones as they are now."""
        whole = head_rows(self.model)
        if self.cut_stock is None or self.rest is None or not torch.is_grad_enabled():
            return whole
        cut = replace(whole, stock=self.cut_stock, place=self.cut_place)
        return sampled_head(cut, whole.stock, self.rest, self.sampled)

    def forward(
        self, input_ids: Tensor, labels: Tensor, num_items_in_batch: Tensor | int | None = None
    ) -> dict[str, Tensor]:
        """(B, T) ids and the ids that follow them -> {"loss": mean in nats}.

        Args:
            num_items_in_batch: divide by this many labels instead of those that are here.

        Raises:
            InputError: a label is not among the ids that the head is cut to.
        """
        count = (labels != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        with rows_once(self.model):
            hidden = backbone(self.model)(input_ids=input_ids, use_cache=False).last_hidden_state
            return {"loss": cross_entropy_sum(self.head(), hidden, labels, self.chunk) / count}
