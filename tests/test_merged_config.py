"""A merged model's config.json is the model's own again, in the form that it came in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("peft")

import torch
from tiny_models import put_model, tiny_model
from trained_models import QUICK
from transformers import AutoModelForCausalLM

from hypertok.model.merge import merge
from hypertok.model.pair import Pair
from hypertok.model.trained import merged
from hypertok.training.train import train

SCALING = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 128,
}  # fmt: skip
SHORT = QUICK.model_copy(update={"characters": 200})


def as_transformers_4_wrote(folder: Path) -> dict[str, Any]:
    """config.json of a Llama 3 as it is published."""
    path = folder / "config.json"
    config = json.loads(path.read_bytes())
    del config["rope_parameters"], config["dtype"]
    config |= {
        "rope_theta": 500000.0, "rope_scaling": SCALING, "torch_dtype": "float32", "transformers_version": "4.43.0",
        "auto_map": {"AutoModelForCausalLM": "code.Model"},
    }  # fmt: skip
    path.write_text(json.dumps(config), encoding="utf-8")
    return dict(config)


def test_rotations_stay_where_readers_of_the_older_form_look(
    small_stock: Path, small_corpus: Path, tmp_path: Path
) -> None:
    folder = put_model(small_stock, tmp_path / "model", tiny_model("llama", tied=True, rows=640))
    config = as_transformers_4_wrote(folder)
    train(folder, small_corpus, tmp_path / "trained", SHORT)
    merge(tmp_path / "trained", tmp_path / "merged", dtype="bfloat16")
    written = json.loads((tmp_path / "merged" / "config.json").read_bytes())
    del config["auto_map"]
    assert written == config | {"torch_dtype": "bfloat16"}, "and no `rope_parameters` beside `rope_theta`"
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert loaded.dtype == torch.bfloat16
    expected = merged(Pair.open(folder).load("bfloat16"), tmp_path / "trained")
    assert loaded.config.rope_parameters == expected.config.rope_parameters
    assert loaded.config.rope_parameters["rope_theta"] == 500000.0
    ids = torch.tensor([[1, 5, 9, 300, 17, 4]])
    with torch.no_grad():
        assert torch.equal(loaded(ids).logits, expected(ids).logits)


def test_a_configuration_of_transformers_5_stays_as_it_is(
    small_stock: Path, small_corpus: Path, tmp_path: Path
) -> None:
    folder = put_model(small_stock, tmp_path / "model", tiny_model("qwen3", tied=False, rows=640))
    train(folder, small_corpus, tmp_path / "trained", SHORT)
    merge(tmp_path / "trained", tmp_path / "merged")
    before, after = (json.loads((one / "config.json").read_bytes()) for one in (folder, tmp_path / "merged"))
    assert after == before
    assert "rope_theta" not in after
