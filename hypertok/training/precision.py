"""The data type that "auto" trains in."""

from __future__ import annotations

import torch

from hypertok.model.load import is_emulated
from hypertok.training.options import TrainOptions


def settled(options: TrainOptions) -> TrainOptions:
    """The options with "auto" replaced: bfloat16, or float32 on a device that would emulate it."""
    if options.dtype != "auto":
        return options
    device = "cuda" if options.device == "auto" and torch.cuda.is_available() else "cpu"
    return options.model_copy(update={"dtype": "float32" if is_emulated(torch.bfloat16, device) else "bfloat16"})
