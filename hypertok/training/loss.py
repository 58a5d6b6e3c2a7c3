"""The loss of training: cross-entropy over stock and new rows, whole or cut to the ids in use, as a module.

The stock rows are frozen and get no gradient, and the rows may lie in two parts in any order, because a softmax does
not ask for the order. How it is computed without the logits is in `tiles.py`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from hypertok.errors import InputError
from hypertok.model.split import HeadRows, backbone, causal_lm, head_rows, rows_once
from hypertok.training.tiles import TiledLoss

#: Label of a position that is not predicted.
IGNORED = -100
#: Ids in the sample that stands for all others where the head is cut: 7 % of those of Gemma.
SAMPLED = 16_384


def cross_entropy_sum(head: HeadRows, hidden: Tensor, labels: Tensor, chunk: int = 0) -> Tensor:
    """The summed cross-entropy, in nats, of labels under softmax(head(hidden)); a scalar in fp32.

    Args:
        head: the output rows.
        hidden: (…, d), any data type; products are made in it, everything else in fp32.
        labels: (…,) token ids, already shifted; `IGNORED` where nothing is predicted.
        chunk: rows whose logits are held at once; 0 for as many as suit the device.

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
    # Without detach autograd asks for the gradient of a parameter under no_grad too, and it would be made for nothing.
    new = head.new if head.new is None or torch.is_grad_enabled() else head.new.detach()
    loss: Tensor = TiledLoss.apply(hidden, head.stock, new, targets, chunk, head)  # type: ignore[no-untyped-call]
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
    it when it is measured with its whole head. The sum of exp(logit) over the rest is estimated without bias
    (importance sampling: Bengio and Senécal, 2003).

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
            chunk: rows whose logits are held at once; 0 for as many as suit the device.
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
