"""Models with parts that transformers does not load for text: what merging keeps, and says that it cannot keep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("peft")

import torch
from measured_models import tiny_model as measured_model
from safetensors.torch import load_file, save_file
from tiny_models import put_model
from trained_models import QUICK
from transformers import AutoModelForCausalLM, Qwen3_5Config, Qwen3_5ForConditionalGeneration
from typer.testing import CliRunner

from hypertok.cli.main import app
from hypertok.model.merge import merge
from hypertok.training.options import LoraOptions
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
    """What is for images, and what predicts tokens ahead: Qwen3.5's classes drop that without a word."""
    folder = put_model(small_stock, tmp_path / "model", tiny_qwen())
    ahead = {"mtp.fc.weight": torch.ones(32, 64), "mtp.layers.0.mlp.up_proj.weight": torch.ones(48, 32)}
    given = load_file(folder / "model.safetensors")
    save_file(given | ahead, folder / "model.safetensors", metadata={"format": "pt"})
    train(folder, small_corpus, tmp_path / "trained", QUICK.model_copy(update={"characters": 200}))
    done = CliRunner().invoke(app, ["merge", str(tmp_path / "trained"), "-o", str(tmp_path / "merged")])
    assert done.exit_code == 0, (done.output, done.exception)
    before, after = (load_file(one / "model.safetensors") for one in (folder, tmp_path / "merged"))
    lost = {name for name in before if "visual" in name} | set(ahead)
    assert len(lost) > len(ahead)
    assert not any("visual" in name or "mtp" in name for name in after)
    assert len(after) == len(before) - len(lost), "all else is there"
    assert f"{len(lost)} tensors of the model are not in it" in done.stderr
    assert "mtp.fc.weight" in done.stderr
    assert "visual" in done.stderr
    facts = json.loads((tmp_path / "merged" / "manifest.json").read_bytes())["facts"]
    assert facts["lost"] == sorted(lost)
    AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    config = json.loads((tmp_path / "merged" / "config.json").read_bytes())
    assert config["architectures"] == ["Qwen3_5ForCausalLM"], "as transformers wrote it"
    assert "vision_config" not in config


@pytest.mark.parametrize("as_published", [True, False])
def test_experts_under_other_names_are_not_lost(
    as_published: bool, small_stock: Path, small_corpus: Path, tmp_path: Path
) -> None:
    """Files have each expert by itself, as published, or all in one tensor, as transformers holds them."""
    folder = put_model(small_stock, tmp_path / "model", measured_model("qwen3_moe"))
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(folder, save_original_format=as_published)
    targets = ("q_proj", "gate_proj", "up_proj", "down_proj") if as_published else ()
    options = QUICK.model_copy(update={"characters": 200, "lora": LoraOptions(r=4, targets=targets)})
    train(folder, small_corpus, tmp_path / "trained", options)
    assert "lost" not in merge(tmp_path / "trained", tmp_path / "merged").facts
    experts = [name for name in load_file(folder / "model.safetensors") if ".experts." in name]
    assert len(experts) == (2 * 4 * 3 if as_published else 2 * 2)


def test_masks_and_frequencies_of_old_files_are_not_lost(small_stock: Path, small_corpus: Path, tmp_path: Path) -> None:
    """GPT-2 as published: names without `transformer.`, and a mask that the class computes."""
    folder = put_model(small_stock, tmp_path / "model", measured_model("gpt2"))
    weights = {name.removeprefix("transformer."): one for name, one in load_file(folder / "model.safetensors").items()}
    weights["h.0.attn.bias"] = torch.ones(1, 1, 512, 512)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    train(folder, small_corpus, tmp_path / "trained", QUICK.model_copy(update={"characters": 200}))
    assert "lost" not in merge(tmp_path / "trained", tmp_path / "merged").facts
