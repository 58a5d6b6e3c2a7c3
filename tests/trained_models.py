"""Small models, quick training of them, and what training wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tiny_models import put_model, tiny_model
from transformers import TrainerCallback

from hypertok.model.seen import SEEN
from hypertok.tokenizer.hyper import HyperTokenizer
from hypertok.training.options import LoraOptions, TrainOptions

QUICK = TrainOptions(
    context=10, batch=2, accumulate=2, characters=1000, dtype="float32", device="cpu", save_every=2, log_every=1,
    lora=LoraOptions(r=4, dropout=0.1), rows_lr=5e-3, lora_lr=5e-3,
)  # fmt: skip

#: Of units that are only read.
READING = QUICK.model_copy(update={"rows_only": True, "reading": True, "lora": LoraOptions(), "context": 24})

#: The files of what is trained, beside the manifest.
WRITTEN = {"adapter_config.json", "adapter_model.safetensors", "log.jsonl", "new_rows.safetensors", SEEN}

#: What torch says of a full GPU, about.
FULL = "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has 8 MiB free. See a page. Or another one."


def model_folder(tokenizer: Path, output: Path, kind: str = "llama", *, tied: bool = True) -> Path:
    rows = HyperTokenizer.from_pretrained(tokenizer).rows
    return put_model(tokenizer, output, tiny_model(kind, tied=tied, rows=rows))


class Interrupt(TrainerCallback):
    """Stops the run the hard way."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            raise KeyboardInterrupt


def steps(folder: Path) -> list[int]:
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [line["step"] for line in map(json.loads, lines) if "loss" in line]


def same_weights(one: Path, other: Path) -> bool:
    names = ("new_rows.safetensors", "adapter_model.safetensors")
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


def number_of_units(folder: Path) -> int:
    return len(HyperTokenizer.from_pretrained(folder).new_ids)


def held_out(folder: Path) -> Path:
    path = folder / "held.txt"
    path.write_text("Старый мост стоял над рекой, и вода под ним не замерзала. " * 5, encoding="utf-8")
    return path
