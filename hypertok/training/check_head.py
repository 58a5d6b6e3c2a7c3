"""Is the loss that training computes the one that the model's own head gives? Asked before a run begins."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hypertok.errors import InputError
from hypertok.model.split import backbone, causal_lm, head_rows
from hypertok.training.loss import cross_entropy_sum

#: How far the two may lie apart, relatively.
TOLERANCE = 1e-2


@torch.no_grad()
def check_head(model: nn.Module, ids: Tensor) -> None:
    """Compare our loss with that of the model's own logits, on a few tokens.

    Heads differ (caps, multipliers, norms behind the backbone), and one that does something else than `head_rows` knows
    would be trained towards a wrong loss without any sign of it.

    Args:
        ids: (1, T) token ids, a few.

    Raises:
        InputError: they differ by more than `TOLERANCE`, relatively.
    """
    causal = causal_lm(model)
    logits = causal(input_ids=ids, use_cache=False).logits.float()
    plain = torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:], reduction="sum")
    hidden = backbone(model)(input_ids=ids, use_cache=False).last_hidden_state
    ours = cross_entropy_sum(head_rows(model), hidden[:, :-1], ids[:, 1:])
    if not torch.isclose(plain, ours, rtol=TOLERANCE, atol=TOLERANCE):
        raise InputError(
            f"{type(causal).__name__}: its head is of a kind that hypertok does not know (loss {plain.item():.4f}, "
            f"computed in tiles {ours.item():.4f}); take a model without special treatment of its logits"
        )
