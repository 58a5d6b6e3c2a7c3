"""Loading a model by transformers from its folder alone, in a type that its device computes in; more rows for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from hypertok.errors import InputError
from hypertok.model.config import read_config, refuse_adapter, refused

#: What oneDNN is asked about a CPU, by type.
_ASKED = {torch.bfloat16: "_is_mkldnn_bf16_supported", torch.float16: "_is_mkldnn_fp16_supported"}


def load_model(folder: Path, dtype: torch.dtype | str, **options: Any) -> Any:
    """The model on the CPU, in evaluation mode, without foreign code and without a network.

    How attention is computed is chosen here, by transformers, and not by config.json: that may name code to be fetched.

    Args:
        dtype: a torch data type, or "auto" for the checkpoint's own.
        options: further ones of `from_pretrained`.

    Raises:
        InputError: an adapter lies there, or config.json has fields that transformers refuses, or says other sizes than
            the weights have.
    """
    refuse_adapter(folder)
    options = {"attn_implementation": None, **options}
    alone = {"local_files_only": True, "trust_remote_code": False}
    try:
        # Read apart: else the field `_attn_implementation` of config.json would go before the option.
        config = AutoConfig.from_pretrained(folder, **alone)
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder, config=config, dtype=dtype, use_safetensors=True, **alone, **options
        )
    except StrictDataclassError as error:
        raise refused(folder, error) from error
    except RuntimeError as error:
        if "ignore_mismatched_sizes" not in str(error):
            raise
        raise InputError(
            f"{folder / 'config.json'}: says other sizes than the weights beside it have (transformers names them "
            "above); correct it, or download both again"
        ) from error
    return model.eval()


def check_kind(folder: Path) -> None:
    """Refuse a model before texts are read that transformers has no causal language model for.

    Raises:
        InputError: it has none, or see `read_config`.
    """
    config = read_config(folder)
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise InputError(
            f"{folder}: {config.model_type}: transformers loads no causal language model of this kind, so it cannot be "
            "trained or measured; take a model of the family that is for text alone"
        )


def is_emulated(dtype: torch.dtype, device: torch.device | str) -> bool:
    """Whether a device has no instructions for products of this type.

    A CPU without them (two cores, AVX2 alone) makes products of bf16 at 14 GFLOP/s and of fp32 at 138, and a training
    step in bf16 takes 43 times as long.
    """
    if dtype not in _ASKED:
        return False
    kind = torch.device(device).type
    if kind == "cuda":
        return dtype == torch.bfloat16 and not torch.cuda.is_bf16_supported(including_emulation=False)
    if kind != "cpu":  # what oneDNN says is of the CPU
        return False
    try:
        return not getattr(torch.ops.mkldnn, _ASKED[dtype])()
    except AttributeError:  # a build of torch without oneDNN (macOS): its fast products are those of fp32
        return True


def computed(model: Any) -> Any:
    """A model on its device as it is, or in fp32, in place, where its own type would be emulated there."""
    return model.float() if is_emulated(model.dtype, model.device) else model


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
