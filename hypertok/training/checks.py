"""What a run needs of memory and disk, estimated from the files' headers before anything is loaded.

The weights, the adapter with gradient and optimizer and the tile of logits are arithmetic; what the new rows, the
activations and the program itself take was measured (`benchmarks/room.py`). Only what is sure to fail is refused: more
than all the memory there is, or than the free disk.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch

from hypertok.errors import InputError
from hypertok.model.checkpoint import NOT_TEXT, Checkpoint
from hypertok.model.config import position_rows, read_config
from hypertok.model.memory import require_memory
from hypertok.model.pair import DTYPES, Pair
from hypertok.single_file import require_disk
from hypertok.training.options import TrainOptions, is_named
from hypertok.training.reading_loss import HELD_BYTES
from hypertok.training.tiles import held_logits

#: fp32 weight and gradient, and the two moments of AdamW.
_WHOLE, _MOMENTS = 8, 8
_TRAINED = _WHOLE + _MOMENTS
#: Beside it for each number of the new rows: what an allocator keeps. Measured with Gemma-3-270M, flat, over LoRA alone
#: without the rows in its weights: 250,000 rows 18 bytes in all, 16,000 rows 19 (benchmarks/training.md).
_BESIDE = 2
#: Rows that are not flat are made anew in every step, of shared vectors that are trained, too. Measured likewise:
#: 250,000 composed rows 46 bytes in all without matrix units, 59 with them, 16,000 rows 77.
_MADE = 26
#: What a checkpoint holds of a trained number: weight and two moments; and the result: the weight.
_SAVED, _WRITTEN = 12, 4
#: Rows that are not flat train half as many numbers again: of 250,000 rows and the adapter 249 million, not 168
#: (benchmarks/training.md).
_SHARED = 1.5
#: Numbers that one layer keeps per position for the backward pass, in widths: what its norms read (in fp32, so twice),
#: queries, keys, values, attention's output, inputs of the adapter, residuals; and in widths of the feed-forward: gate,
#: up and their product, and the adapter's input. Bytes for each layer and position, counted from the tensors that
#: autograd saves, and estimated: Gemma-3-270M 42,000 (39,400; measured on a GPU 44,800), layers of the shape of
#: Qwen3-0.6B 66,000 (61,400), the same as Llama makes them 53,800 (61,400).
_WIDTHS, _INNER_WIDTHS = 18, 4
#: A weight of a single expert. Where files hold all of a layer in one tensor, PEFT does not know the kind mostly, and
#: adapts no expert by itself; nor does it of these kinds.
_OF_EXPERT = re.compile(r"(?:^|\.)experts\.\d+\.")
_UNKNOWN_EXPERTS = ("qwen2_moe",)
#: What makes a run fit.
LESS_MEMORY = (
    "lower batch (--batch, and raise --accumulate) or context (--context), recompute activations (--set "
    "recompute=true), take bfloat16 (--dtype bfloat16) or a model with fewer new rows"
)
#: Bytes of a process before it loads a model: torch, transformers, a tokenizer of 262,144 tokens.
_LIBRARIES = 900 << 20


@dataclass(frozen=True)
class Needs:
    """Bytes that a run needs.

    Attributes:
        weights: the frozen model, without the new rows.
        rows: new rows, their gradients and optimizer state, and what they are made of.
        adapter: the adapter, its gradient and optimizer state.
        logits: the tile of the loss, and the mean of the rows that it keeps.
        activations: estimated; adapted experts among them.
        checkpoint: bytes on the disk of one.
        result: of what is written in the end.
        process: what the program itself takes, on a CPU.
    """

    weights: int
    rows: int
    adapter: int
    logits: int
    activations: int
    checkpoint: int
    result: int
    process: int = 0

    @property
    def parts(self) -> dict[str, int]:
        """Bytes of memory by what takes them."""
        names = ("weights", "rows", "adapter", "logits", "activations", "process")
        return {name: getattr(self, name) for name in names}

    @property
    def memory(self) -> int:
        """All memory, in bytes."""
        return sum(self.parts.values())


def estimate(pair: Pair, options: TrainOptions, spread: int = 1, *, cpu: bool = False) -> Needs:
    """What training this model with these options needs on each device.

    Args:
        options: settled (`precision.settled`), for "auto" has no size.
        spread: devices that FSDP spreads the model over.
        cpu: it is trained there, where the program lies in the same memory.
    """
    return estimate_of(pair.checkpoint, len(pair.new_ids), options, spread, cpu=cpu, has_rows=True)


def estimate_of(
    checkpoint: Checkpoint, new: int, options: TrainOptions, spread: int = 1, *, cpu: bool, has_rows: bool
) -> Needs:
    """The same for a model with so many new rows.

    Args:
        has_rows: they are in its files already: the frozen model that is split is without them.
    """
    config = checkpoint.text_config
    size = DTYPES[options.dtype].itemsize
    entries = checkpoint.loaded
    numbers = sum(torch.Size(entry.shape).numel() for entry in entries.values())
    sides = 1 if checkpoint.tied else 2
    width = checkpoint.input.width
    rows = new * width * sides
    frozen = numbers - rows if has_rows else numbers
    matrices = {checkpoint.input.name, checkpoint.output.name}
    inside = {
        name: entry.shape
        for name, entry in entries.items()
        if not options.rows_only
        and len(entry.shape) == 2
        and name not in matrices
        and _is_target(name, options.lora.targets)
    }
    adapter = options.lora.r * sum(map(sum, inside.values()))
    # PEFT adds the adapter of experts to their weights in every step, and autograd keeps these sums.
    known = config.get("model_type") not in _UNKNOWN_EXPERTS
    adapted = sum(prod(shape) for name, shape in inside.items() if known and _OF_EXPERT.search(name))
    # GPT-2 says n_layer, GPT-Neo num_layers.
    layers = int(next(filter(None, map(config.get, ("num_hidden_layers", "n_layer", "num_layers"))), 0))
    wide = _WIDTHS * width + _INNER_WIDTHS * int(config.get("intermediate_size") or 4 * width)
    kept = layers * width + wide if options.recompute else layers * wide
    positions, made = options.batch * options.context, options.rows != "flat"
    tile = held_logits(positions, checkpoint.stock_rows, options.loss_chunk, cpu=cpu)
    logits = tile * (4 + size) + positions * width * 4
    return Needs(
        weights=frozen * size // spread,  # rows and their gradient lie whole in each device for a time
        rows=(_WHOLE + _MOMENTS // spread + _BESIDE + (_MADE if made else 0)) * rows,
        adapter=_TRAINED * adapter // spread,
        logits=HELD_BYTES if options.reading else logits,
        activations=(positions * kept + adapted // (max(1, layers) if options.recompute else 1)) * size,
        checkpoint=_SAVED * (round(rows * (_SHARED if made else 1)) + adapter),
        result=_WRITTEN * (rows + adapter),
        process=_LIBRARIES if cpu else 0,
    )


def steps(options: TrainOptions, blocks: int, ranks: int = 1) -> int:
    """How many optimizer steps a run takes over so many blocks."""
    return -(-blocks // (options.batch * options.accumulate * ranks))


def checkpoints(options: TrainOptions, blocks: int, ranks: int = 1) -> int:
    """How many checkpoints of a run lie on the disk at once, at most: one is removed when the next is whole.

    One process may save after any step, by the clock (`callbacks.Schedule`).
    """
    every = 1 if ranks == 1 else options.save_every
    return min(options.keep + 1, -(-steps(options, blocks, ranks) // every))


def check_room(needs: Needs, work: Path, *, cpu: bool, written: int = 0, checkpoints: int = 1) -> None:
    """Refuse a run that cannot fit.

    Args:
        work: its work folder, beside which the result is written.
        written: bytes of the disk that the run has written already, if it is resumed.
        checkpoints: that lie there at once.

    Raises:
        InputError: too little memory or disk; the message says what needs how much.
    """
    memory = None if cpu else torch.cuda.mem_get_info(own_gpu())[1]
    require_memory(needs.parts, "training needs", LESS_MEMORY, memory=memory)
    needed = needs.checkpoint * checkpoints + needs.result - written
    require_disk(work, needed, "checkpoints and the result need about", "write to another disk")


def own_gpu() -> int:
    """The GPU that accelerate gives this process; asking another one would make a context there."""
    return int(os.environ.get("LOCAL_RANK", "0")) % max(1, torch.cuda.device_count())


def check_positions(folder: Path, context: int) -> None:
    """Refuse blocks that are longer than a model's table of positions, before torch ends in an IndexError.

    Raises:
        InputError: they are, or see `read_config`.
    """
    positions = position_rows(read_config(folder))
    if positions is not None and context > positions:
        raise InputError(
            f"context {context}: {folder} has a table of {positions:,} positions and can read no longer block; lower "
            "context"
        )


def _is_target(name: str, targets: Sequence[str]) -> bool:
    """Whether a layer of this weight's name gets an adapter."""
    layer = name.removesuffix(".weight")
    if NOT_TEXT.search(layer):
        return False
    return not targets or any(is_named(layer, target) for target in targets)
