"""What a model folder says of how it is to be loaded, and is not asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from measured_models import tiny_folder

from hypertok.measure.memory import count_parameters
from hypertok.measure.subject import load_subject
from hypertok.model.config import read_config


@pytest.mark.parametrize("field", ["attn_implementation", "_attn_implementation"])
@pytest.mark.parametrize("said", ["kernels-community/flash-attn", "owner/name", "no such thing"])
def test_how_attention_is_computed_is_not_asked_of_the_model(
    small_stock: Path, tmp_path: Path, field: str, said: str
) -> None:
    """transformers fetches what a configuration names as code for it."""
    folder = tiny_folder(tmp_path / "model", small_stock)
    plain = load_subject(folder, device="cpu").model
    config = json.loads((folder / "config.json").read_bytes())
    (folder / "config.json").write_text(json.dumps(config | {field: said}), encoding="utf-8")
    model = load_subject(folder, device="cpu").model
    assert model.config._attn_implementation == plain.config._attn_implementation == "sdpa"
    assert count_parameters(read_config(folder)) == model.num_parameters()
