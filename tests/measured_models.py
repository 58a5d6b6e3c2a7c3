"""Real models of transformers with random weights, for tests that measure them, over tokenizers made by the tests."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from hypertok.measure.subject import Subject, load_subject

SMALL = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 2048, "pad_token_id": None,
    "bos_token_id": None, "eos_token_id": 600,
}  # fmt: skip
#: What makes each kind worth testing: soft caps, scales, windows, experts, another layout.
KINDS: dict[str, dict[str, Any]] = {
    "llama": {},
    "gemma2": {"final_logit_softcapping": 0.5, "sliding_window": 8},
    "gemma3_text": {"num_hidden_layers": 7, "sliding_window": 8},
    "cohere": {"logit_scale": 0.25},
    "mistral": {"sliding_window": 8},
    "qwen3": {"tie_word_embeddings": True},
    "qwen3_moe": {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 512},
}


def tiny_config(kind: str = "llama", rows: int = 640, **changes: Any) -> Any:
    given = {**({} if kind == "gpt2" else SMALL), "eos_token_id": 600, **KINDS[kind], **changes}
    return AutoConfig.for_model(kind, vocab_size=rows, **given)


def tiny_model(kind: str = "llama", rows: int = 640, scale: float = 10, **changes: Any) -> Any:
    """Random weights, ten times larger than usual, so that probabilities differ."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(tiny_config(kind, rows, **changes)).float().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(scale)
    return model


def tiny_folder(folder: Path, tokenizer: Path, kind: str = "llama", **changes: Any) -> Path:
    """A model folder: the files of a tokenizer, with a model whose rows go with it."""
    shutil.copytree(tokenizer, folder, ignore=shutil.ignore_patterns("config.json"))
    manifest = folder / "manifest.json"
    rows = json.loads(manifest.read_bytes())["facts"]["rows"] if manifest.is_file() else 640
    tiny_model(kind, rows, **changes).save_pretrained(folder)
    return folder


def tiny_subject(folder: Path, tokenizer: Path, kind: str = "llama", **changes: Any) -> Subject:
    return load_subject(tiny_folder(folder, tokenizer, kind, **changes), device="cpu")


def able(subject: Subject) -> Subject:
    """The same coding with a model that can learn texts by heart."""
    return Subject(tiny_model(rows=subject.rows, scale=1, hidden_size=64, intermediate_size=128), subject.coding)


def taught(subject: Subject, rows: Sequence[Sequence[int]], steps: int = 150, rate: float = 1e-2) -> float:
    """Teach a model sequences of ids by heart; the last loss."""
    model, loss = subject.model, torch.zeros(())
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0)
    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])
    labels = torch.tensor([[*row, *[-100] * (width - len(row))] for row in rows])
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        optimizer.step()
    model.eval()
    return float(loss.detach())
