"""Loading a model by transformers from its folder alone, and giving a loaded one more rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM


def load_model(folder: Path, dtype: torch.dtype | str, **options: Any) -> Any:
    """The model on the CPU, in evaluation mode, without foreign code and without a network.

    Args:
        dtype: a torch data type, or "auto" for the checkpoint's own.
        options: further ones of `from_pretrained`.
    """
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, local_files_only=True, trust_remote_code=False, use_safetensors=True, **options
    )
    return model.eval()


def grown(model: Any, rows: int) -> Any:
    """Give the matrices of a loaded model at least so many rows, in place; the further ones are zero, ties stay."""
    inner, head = model.get_input_embeddings(), model.get_output_embeddings()
    tied = inner.weight is head.weight
    missing = rows - inner.weight.shape[0]
    if missing > 0:
        inner.weight = _longer(inner.weight, missing)
        head.weight = inner.weight if tied else _longer(head.weight, missing)
    return model


def _longer(weight: nn.Parameter, missing: int) -> nn.Parameter:
    more = weight.new_zeros(missing, weight.shape[1])
    return nn.Parameter(torch.cat([weight.detach(), more]), requires_grad=weight.requires_grad)
