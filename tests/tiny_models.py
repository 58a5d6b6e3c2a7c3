"""Tiny models of real classes with random weights, for tests of what is done to them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from things import seal_again
from transformers import AutoModelForCausalLM, Gemma3TextConfig, LlamaConfig, Qwen3Config

from hypertok.artifact import MANIFEST

KINDS = ("gemma3", "llama", "qwen3")
_COMMON: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
}


def tiny_config(kind: str, *, tied: bool, rows: int = 128, softcap: float | None = None) -> Any:
    """The configuration of a model with two layers of width 32."""
    fields = {**_COMMON, "vocab_size": rows, "tie_word_embeddings": tied, "bos_token_id": 1, "eos_token_id": 2}
    if kind == "gemma3":
        return Gemma3TextConfig(**fields, pad_token_id=0, sliding_window=16, final_logit_softcapping=softcap)
    return {"llama": LlamaConfig, "qwen3": Qwen3Config}[kind](**fields)


def tiny_model(kind: str, *, tied: bool, rows: int = 128, softcap: float | None = None, seed: int = 0) -> Any:
    """A model in fp32; its weights are larger than a new model's, so that its logits differ from each other."""
    torch.manual_seed(seed)
    config = tiny_config(kind, tied=tied, rows=rows, softcap=softcap)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.3 if "embed" in name or "lm_head" in name else 0.15)
    return model.eval()


def put_model(tokenizer_folder: Path, output: Path, model: Any) -> Path:
    """The folder of a tokenizer and a model, as `hypertok extend` makes it of a model with weights."""
    shutil.copytree(tokenizer_folder, output)
    model.save_pretrained(output)
    if (output / MANIFEST).exists():
        seal_again(output)
    return output
