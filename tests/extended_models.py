"""Real model classes at a tiny size with random weights, saved as checkpoints, and how tests extend them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    Gemma3Config,
    Gemma3ForCausalLM,
    Gemma3ForConditionalGeneration,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
)

from hypertok.model.checkpoint import Checkpoint
from hypertok.model.resize import write_extended

#: No multiple of 64, as models with added tokens have it.
STOCK, NEW, ROWS, WIDTH = 100, 37, 192, 32
_TEXT: dict[str, Any] = {
    "vocab_size": STOCK,
    "hidden_size": WIDTH,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 64,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "decoder_sparse_step": 1}
_IMAGES = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}


def _gemma3_images() -> PreTrainedModel:
    text = {**_TEXT, "sliding_window": 8}
    config = Gemma3Config(text_config=text, vision_config=_IMAGES, mm_tokens_per_image=4, image_token_index=99)
    return Gemma3ForConditionalGeneration(config)


MODELS: dict[str, Callable[[], PreTrainedModel]] = {
    "qwen3 tied": lambda: Qwen3ForCausalLM(Qwen3Config(**_TEXT, tie_word_embeddings=True)),
    "qwen3 untied": lambda: Qwen3ForCausalLM(Qwen3Config(**_TEXT, tie_word_embeddings=False)),
    "qwen3-moe": lambda: Qwen3MoeForCausalLM(Qwen3MoeConfig(**_TEXT, **_EXPERTS)),
    "gemma3 text": lambda: Gemma3ForCausalLM(Gemma3TextConfig(**_TEXT, sliding_window=8)),
    "gemma3 images": _gemma3_images,
    "llama tied": lambda: LlamaForCausalLM(LlamaConfig(**_TEXT, tie_word_embeddings=True)),
    "llama untied": lambda: LlamaForCausalLM(LlamaConfig(**_TEXT)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**_TEXT, sliding_window=None)),
}


def saved(model: PreTrainedModel, folder: Path, dtype: torch.dtype = torch.bfloat16, shard: str = "5GB") -> Checkpoint:
    model.to(dtype).save_pretrained(folder, max_shard_size=shard)
    return Checkpoint.open(folder)


def extend(checkpoint: Checkpoint, output: Path, ids: Any = None, rows: int = ROWS) -> tuple[int, Tensor, Tensor]:
    """Rows of the extended model, the new input rows and the new output rows (for a tied model the same)."""
    ids = range(STOCK, STOCK + NEW) if ids is None else ids
    new_input = torch.randn(len(ids), checkpoint.input.width)
    new_output = new_input if checkpoint.tied else torch.randn(len(ids), checkpoint.output.width)
    output.mkdir(exist_ok=True)
    total = write_extended(checkpoint, output, ids, new_input, None if checkpoint.tied else new_output, rows)
    return total, new_input, new_output


def all_tensors(folder: Path) -> dict[str, Tensor]:
    return {name: tensor for path in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(path).items()}


def bits(tensor: Tensor) -> bytes:
    return tensor.detach().contiguous().view(torch.uint8).numpy().tobytes()


def loaded(folder: Path, dtype: Any = "auto") -> PreTrainedModel:
    """What transformers makes of a folder; every weight of the model is in it, and no other."""
    model, info = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert not info["mismatched_keys"]
    return model.eval()
