"""Folders that look like a model to whoever reads its files: matrices and a configuration, no class."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

INPUT, OUTPUT, NORM = "model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"
ROWS, WIDTH = 70, 6
CONFIG = {"model_type": "llama", "vocab_size": ROWS}


def matrix(seed: int, rows: int = ROWS, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    return torch.randn(rows, WIDTH, generator=torch.Generator().manual_seed(seed)).to(dtype)


def write(folder: Path, shards: dict[str, dict[str, Tensor]], config: dict[str, Any] | None = None) -> Path:
    """A model's folder with these weight files; with an index if there are several."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG if config is None else config), encoding="utf-8")
    for name, tensors in shards.items():
        save_file(tensors, folder / name, metadata={"format": "pt"})
    if len(shards) > 1:
        weight_map = {tensor: name for name, tensors in shards.items() for tensor in tensors}
        index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


def one_file(folder: Path, tensors: dict[str, Tensor], config: dict[str, Any] | None = None) -> Path:
    return write(folder, {"model.safetensors": tensors}, config)


def untied(folder: Path) -> Path:
    return write(
        folder,
        {
            "model-00001-of-00002.safetensors": {INPUT: matrix(1), NORM: torch.ones(WIDTH)},
            "model-00002-of-00002.safetensors": {OUTPUT: matrix(2)},
        },
    )
