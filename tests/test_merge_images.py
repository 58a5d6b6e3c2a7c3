"""Models for text and images: what merging keeps of them, and says that it cannot keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("peft")

import torch
from safetensors.torch import load_file
from tiny_models import put_model
from trained_models import QUICK
from transformers import AutoModelForCausalLM, Qwen3_5Config, Qwen3_5ForConditionalGeneration
from typer.testing import CliRunner

from hypertok.cli.main import app
from hypertok.training.train import train


def tiny_qwen() -> Any:
    text = {
        "vocab_size": 640, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 8, "layer_types": ["linear_attention", "full_attention"],
        "linear_num_key_heads": 2, "linear_num_value_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8,
        "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    vision = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 32}
    torch.manual_seed(0)
    config = Qwen3_5Config(text_config=text, vision_config=vision, tie_word_embeddings=True)
    return Qwen3_5ForConditionalGeneration(config)


def test_what_transformers_does_not_load_for_text_is_told(
    small_stock: Path, small_corpus: Path, tmp_path: Path
) -> None:
    folder = put_model(small_stock, tmp_path / "model", tiny_qwen())
    train(folder, small_corpus, tmp_path / "trained", QUICK.model_copy(update={"characters": 200}))
    done = CliRunner().invoke(app, ["merge", str(tmp_path / "trained"), "-o", str(tmp_path / "merged")])
    assert done.exit_code == 0, (done.output, done.exception)
    before, after = (load_file(one / "model.safetensors") for one in (folder, tmp_path / "merged"))
    images = {name for name in before if "visual" in name}
    assert images
    assert not any("visual" in name for name in after)
    assert len(after) == len(before) - len(images), "all else is there"
    assert f"{len(images)} tensors of the model are not in it" in done.stderr
    AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
