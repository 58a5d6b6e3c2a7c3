"""The loss for units that are only read: how far what follows them is predicted otherwise than after stock tokens.

That is the divergence (Kullback and Leibler) of two predictions by the same frozen model: after a text with units in
it, and after the same text in stock tokens, its own teacher. It tells more of a row than the one token that follows
(Hinton et al., 2015), and where it is 0 nothing is lost. With an adapter trained beside the rows, and the model without
it as the teacher, it fell half as fast: `experiments/LOG.md`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import log_softmax

from hypertok.model.split import HeadRows, backbone, head_rows
from hypertok.training.loss import IGNORED, LossModel
from hypertok.training.tiles import logits_of

#: Logits held at once, of each prediction: the matrix is read once for 64 positions where it has 262,144 rows.
_ELEMENTS = 1 << 24
#: Bytes for each of them: two predictions in fp32, the share of one, and a product that is added up.
HELD_BYTES = _ELEMENTS * 4 * 5


class Divergence(torch.autograd.Function):
    """hidden (T, d), taught (T, d) -> the sum of KL(taught ‖ hidden) in nats over the stock rows of `head`, fp32.

    The gradient, that of `hidden` alone, is made in the forward pass.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, taught: Tensor, head: HeadRows) -> Tensor:
        """The loss, and its gradient for `backward`."""
        step = max(1, _ELEMENTS // len(head.stock))
        total = hidden.new_zeros((), dtype=torch.float32)
        grad = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        rows = head.stock.to(hidden.dtype)
        for first in range(0, len(hidden), step):
            part = slice(first, first + step)
            logits, slope = logits_of(head, (hidden[part] @ rows.T).float())
            ours = log_softmax(logits, dim=1)
            theirs = log_softmax(logits_of(head, (taught[part] @ rows.T).float())[0], dim=1)
            share = theirs.exp()
            total += (share * theirs.sub_(ours)).sum()
            if grad is not None:
                grad[part] = ours.exp_().sub_(share).mul_(slope).to(hidden.dtype) @ rows
        ctx.grad = grad
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient, times that of the loss."""
        found, ctx.grad = ctx.grad, None
        return None if found is None else found.mul_(grad.to(found.dtype)), None, None


class ReadingModel(LossModel):
    """A split, frozen model whose forward pass gives the divergence; units themselves are never predicted."""

    @property
    def logits(self) -> int:
        """How many ids the loss of a training step is made over."""
        return len(self.head().stock)

    def forward(  # type: ignore[override]
        self,
        input_ids: Tensor,
        labels: Tensor,
        stock_ids: Tensor,
        stock_labels: Tensor,
        num_items_in_batch: Tensor | int | None = None,
    ) -> dict[str, Tensor]:
        """(B, T) ids in units and stock tokens, (B, S) in stock tokens, with labels -> {"loss": mean in nats}.

        Args:
            num_items_in_batch: divide by this many labels instead of those that are here.
        """
        count = (labels != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        body, training = backbone(self.model), self.model.training
        self.model.eval()  # the teacher drops nothing out
        with torch.no_grad():
            taught = body(input_ids=stock_ids, use_cache=False).last_hidden_state[stock_labels != IGNORED]
        self.model.train(training)
        hidden = body(input_ids=input_ids, use_cache=False).last_hidden_state[labels != IGNORED]
        loss: Tensor = Divergence.apply(hidden, taught, self.head())  # type: ignore[no-untyped-call]
        return {"loss": loss / count}

    def head(self) -> HeadRows:
        """The stock rows that are predicted over. Where the head is cut nothing stands for the other ids: what a frozen
        model predicts of them does not drift."""
        whole = head_rows(self.model)
        if self.cut_stock is None or not torch.is_grad_enabled():
            return whole
        return replace(whole, stock=self.cut_stock)
