"""Time and peak memory of a training step, by the way that new rows are trained, as a Markdown table.

    python benchmarks/training.py MODEL_DIR [--rows 16000 250000] [--batch 4] [--context 256]

MODEL_DIR is a stock checkpoint; in memory it gets random new rows. All ways see the same model in bf16, the same random
tokens (every second one new), the same LoRA on all linear layers and the same AdamW (fused, gradients clipped). Two
things favour the others: LoRA's products are made in bf16 everywhere, which plain PEFT does not do, and whole matrices
are trained in bf16, half of the fp32 that our rows and PEFT's tokens have. One thing favours ours: freed memory is kept
by the process (`training/allocator.py`), as `hypertok train` does it; the environment variables MALLOC_MMAP_MAX_=0 and
MALLOC_TRIM_THRESHOLD_=-1 have every line do so. So lines differ by what is done about rows, by that, and by the loss;
all begin with the same one, which the last column shows. The losses:

- hypertok: a tile of rows at a time, gradients made at once, none for frozen rows; it serves no way that trains stock
  rows;
- whole: logits over all positions at once, which is what a user of PEFT gets;
- chunks: the plain loss over as many positions as fit 256 MB, made again in the backward pass, the matrix put together
  once a step. PEFT has no such loss; it is here so that rows can be compared apart from the loss.

Every line is a fresh process on the CPU, which nothing watches: looking at its memory from outside makes its pages
wait. The peak is VmHWM from the first warm-up step on, so without what loading took and with the libraries themselves
(0.4 GiB). A way that needs more than the memory that is free is reported as such, and not tried where arithmetic says
so. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import torch
from measure import facts
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from hypertok.model.checkpoint import Checkpoint
from hypertok.model.constituents import Constituents
from hypertok.model.load import grown, load_model
from hypertok.model.memory import resident
from hypertok.model.shared_rows import split_shared_rows
from hypertok.model.split import backbone, causal_lm, head_rows, is_tied, split_rows
from hypertok.training.adapter import _compute_in_input_type, add_adapter
from hypertok.training.allocator import keep_freed_memory
from hypertok.training.loss import LossModel
from hypertok.training.options import LoraOptions
from hypertok.training.tiles import held_logits

ROWS = (16_000, 32_000, 64_000, 128_000, 250_000)
NAMES = {
    "ours": "hypertok: split rows, flat",
    "composed": "hypertok: split rows, composed",
    "lora": "LoRA alone, no rows trained",
    "tokens": "PEFT `trainable_token_indices`",
    "saved": "PEFT `modules_to_save`",
    "full": "the whole matrix",
}
LOSSES = {name: ("hypertok",) if name in ("ours", "composed", "lora") else ("chunks", "whole") for name in NAMES}
#: Free memory that a line may take; the rest is for the system.
SHARE = 0.95
#: Bytes for each trained fp32 number: weight, gradient, two moments.
TRAINED = 16


class Line(NamedTuple):
    """What is measured: a way, its loss, a number of new rows."""

    way: str
    loss: str
    new: int


class Found(NamedTuple):
    """A step: seconds, numbers trained, loss of the first step, peak in bytes."""

    seconds: float
    trained: int
    first: float
    peak: int


def chunk_positions(rows: int) -> int:
    """Positions whose fp32 logits over so many rows are 256 MB."""
    return max(16, (1 << 26) // rows)


def at_least(line: Line, stock: Checkpoint, positions: int) -> int:
    """Bytes that a line is sure to need: weights, what is trained, logits."""
    ids, width, sides = stock.stock_rows + line.new, stock.input.width, 1 if stock.tied else 2
    new, rows = line.new * width, ids * width
    stored = sum(torch.Size(entry.shape).numel() for shard in stock.shards for entry in shard.entries.values())
    frozen = 2 * (stored + new * sides)
    trained = {
        "ours": (TRAINED - 2) * new * sides,  # not in the frozen matrix
        "composed": (TRAINED - 2 + 12) * new * sides,  # and where rows began, the rows, their gradient
        "lora": 0,
        "tokens": TRAINED * new * sides + 4 * rows,  # and a copy of the matrix and its gradient
        "saved": 8 * rows * 2,  # bf16; a copy of each, tied or not
        "full": 6 * rows * sides,  # bf16: gradient and moments
    }[line.way]
    logits = {
        "hypertok": 4 * held_logits(positions, ids, 0, cpu=True),
        "whole": ids * 10 * positions,  # bf16, fp32 and their log-softmax at once
        "chunks": ids * 4 * min(positions, chunk_positions(ids)),
    }[line.loss]
    return frozen + trained + logits


def made(folder: Path, new: int) -> tuple[Any, list[int]]:
    """The model with random new rows behind its own, and their ids."""
    model = load_model(folder, torch.bfloat16)
    stock = model.get_input_embeddings().weight.shape[0]
    grown(model, stock + new)
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in _matrices(model):
            weight[stock:].normal_(0, weight[:stock].float().std().item())
    model.config.get_text_config().vocab_size = stock + new
    model.requires_grad_(False)
    return model.train(), list(range(stock, stock + new))


def some_units(number: int) -> Constituents:
    """Units like those of Russian text: three of 20,000 stock tokens each, two forms of a concept, 200 inflections."""
    random = torch.Generator().manual_seed(0)
    return Constituents(
        ids=torch.randint(20_000, (3 * number,), generator=random),
        starts=torch.arange(number + 1) * 3,
        lengths=torch.randint(1, 6, (3 * number,), generator=random),
        concepts=torch.arange(number) // 2,
        inflections=torch.randint(200, (number,), generator=random),
        concept_starts=torch.arange(number + 1),
        shapes=torch.ones(number, dtype=torch.int64),
        counts=torch.randint(1_000, (number,), generator=random),
    )


def with_way(model: Any, way: str, new_ids: list[int]) -> Any:
    """The model made ready to be trained in a way."""
    options = LoraOptions()
    if way == "ours":
        split_rows(model, new_ids)
    if way == "composed":
        split_shared_rows(model, new_ids, some_units(len(new_ids)), "composed")
    if way in ("ours", "composed", "lora", "full"):
        wrapped = add_adapter(model, options)
        if way == "full":
            for weight in _matrices(model):
                weight.requires_grad_(True)
        return wrapped
    sides = ["embed_tokens"] if is_tied(model) else ["embed_tokens", "lm_head"]
    how: dict[str, Any] = {"modules_to_save": ["embed_tokens", "lm_head"]}
    if way == "tokens":
        how = {"trainable_token_indices": dict.fromkeys(sides, new_ids)}
    lora = {"r": options.r, "lora_alpha": 2 * options.r, "target_modules": "all-linear"}
    wrapped = get_peft_model(model, LoraConfig(**lora, **how, task_type="CAUSAL_LM"))
    for layer in wrapped.modules():
        if isinstance(layer, LoraLayer):
            _compute_in_input_type(layer)
    return wrapped


def loss_of(kind: str, model: Any, softcap: float | None, multiplier: float) -> Callable[[Tensor, Tensor], Tensor]:
    """The mean loss of ids and of those that follow them."""
    if kind == "hypertok":
        whole = LossModel(model)
        return lambda ids, labels: whole(ids, labels)["loss"]

    def plain(ids: Tensor, labels: Tensor) -> Tensor:
        logits = model(input_ids=ids, use_cache=False).logits
        return F.cross_entropy(logits.float().flatten(0, 1), labels.flatten())

    def part(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
        logits = F.linear(hidden, weight).float() * multiplier
        if softcap is not None:
            logits = torch.tanh(logits / softcap) * softcap
        return F.cross_entropy(logits, labels, reduction="sum")

    def chunks(ids: Tensor, labels: Tensor) -> Tensor:
        hidden = backbone(model)(input_ids=ids, use_cache=False).last_hidden_state.flatten(0, 1)
        weight = causal_lm(model).get_output_embeddings().weight  # PEFT puts it together when it is asked for
        step = chunk_positions(weight.shape[0])
        parts = zip(hidden.split(step), labels.flatten().split(step), strict=True)
        losses = [checkpoint(part, some, weight, these, use_reentrant=False) for some, these in parts]
        return torch.stack(losses).sum() / labels.numel()

    return plain if kind == "whole" else chunks


def one(folder: Path, line: Line, wanted: argparse.Namespace) -> dict[str, Any]:
    """Train a few steps in this process."""
    if line.loss == "hypertok":
        keep_freed_memory()
    model, new_ids = made(folder, line.new)
    head, stock = head_rows(model), new_ids[0]
    model = with_way(model, line.way, new_ids)
    trained = [p for p in model.parameters() if p.requires_grad]
    # Fused for all: other ways of stepping hold copies as large as the rows.
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.0, fused=True)
    loss_from = loss_of(line.loss, model, head.softcap, head.multiplier)
    del head
    random = torch.Generator().manual_seed(0)
    shape = (wanted.warmup + wanted.steps, wanted.batch, wanted.context + 1)
    ids = torch.randint(stock, shape, generator=random)
    fresh = torch.randint(stock, stock + line.new, shape, generator=random)
    ids = torch.where(torch.rand(shape, generator=random) < 0.5, fresh, ids)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    seconds, losses = list[float](), list[float]()
    for batch in ids:
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = loss_from(batch[:, :-1], batch[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - start)
    median, numbers = statistics.median(seconds[wanted.warmup :]), sum(p.numel() for p in trained)
    return {"seconds": median, "trained": numbers, "first": losses[0], "peak": resident("VmHWM")}


def within(limit: int, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Do the work; {} if it wants more than `limit` bytes."""
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))  # an error here, before the system begins to kill
    try:
        return work()
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not re.search("allocate memory|bad_alloc", str(error)):
            raise
        return {}


def measured(line: Line, wanted: argparse.Namespace) -> Found | str:
    """A line from a fresh process, or why there is none."""
    free = int(psutil.virtual_memory().available * SHARE)
    needs = at_least(line, Checkpoint.open(wanted.model), wanted.batch * wanted.context)
    if needs > free:
        return f"not tried: needs more than {needs / 2**30:.1f} GiB, {free / 2**30:.1f} are free"
    command = [sys.executable, __file__, str(wanted.model), "--one", line.way, line.loss, str(line.new), str(free)]
    command += [f"--{name}={getattr(wanted, name)}" for name in ("batch", "context", "steps", "warmup")]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"{process.stderr}\n{line} failed")
    said = {} if process.returncode else json.loads(process.stdout)
    if not said:  # refused, or killed by the system
        return f"out of memory ({free / 2**30:.1f} GiB were free)"
    return Found(**said)


def row(line: Line, found: Found | str, ours: Found | None) -> str:
    """A row of the table."""
    cells = ["–", "–", "–", str(found), "–", "–"]
    if isinstance(found, Found):
        slower = f"{found.seconds / ours.seconds:.2f}" if ours else "–"
        larger = f"{found.peak / ours.peak:.2f}" if ours else "–"
        cells = [f"{found.trained / 1e6:.1f}", f"{found.seconds:.2f}", slower]
        cells += [f"{found.peak / 2**30:.2f}", larger, f"{found.first:.3f}"]
    return f"| {line.new:,} | {NAMES[line.way]} | {line.loss} | {' | '.join(cells)} |"


def aims(new: int, done: dict[tuple[str, str], Found], numbers: int) -> Iterator[str]:
    """What the lines of a number of rows, of so many numbers, say about the two aims."""
    ours, alone = done.get(("ours", "hypertok")), done.get(("lora", "hypertok"))
    tokens = [(found.seconds, loss) for (way, loss), found in done.items() if way == "tokens"]
    if ours and tokens:
        seconds, loss = min(tokens)
        times = f"{seconds / ours.seconds:.1f} times as fast as `trainable_token_indices` with its faster loss ({loss})"
        yield f"- {new:,} rows: ours is {times}; the aim is 3 at 250,000"
    if ours and alone:
        own = alone.peak + (TRAINED - 2) * numbers  # it holds them too, frozen
        told = f"LoRA alone with {TRAINED} bytes for each number of the new rows ({own / 2**30:.2f} GiB)"
        yield f"- {new:,} rows: our peak is {ours.peak / own:.3f} of {told}; the aim is at most 1.1"


def table(wanted: argparse.Namespace) -> None:
    """Measure and print, line by line."""
    stock = Checkpoint.open(wanted.model)
    print(f"{facts('torch', 'transformers', 'peft')}\n")
    print(
        f"{stock.config.get('model_type', 'model')}, {'tied' if stock.tied else 'untied'}, {stock.stock_rows:,} stock "
        f"rows of width {stock.input.width:,}, bf16; {wanted.batch} blocks of {wanted.context} tokens a step, median "
        f"of {wanted.steps} steps after {wanted.warmup}; every way with LoRA of rank {LoraOptions().r}\n"
    )
    columns = "new rows", "trained beside LoRA by", "loss", "numbers trained, M", "step, s", "times ours", "peak, GiB"
    print(f"| {' | '.join(columns)} | times ours | first loss |\n|{'---|' * 9}", flush=True)
    told: list[str] = []
    for new in wanted.rows:
        done: dict[tuple[str, str], Found] = {}
        for line in (Line(way, loss, new) for way in NAMES if way in wanted.ways for loss in LOSSES[way]):
            found = measured(line, wanted)
            if isinstance(found, Found):
                done[line.way, line.loss] = found
            print(row(line, found, done.get(("ours", "hypertok"))), flush=True)
        told += aims(new, done, new * stock.input.width * (1 if stock.tied else 2))
    print("\n" + "\n".join(told))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, metavar="MODEL_DIR", help="folder of a stock checkpoint")
    parser.add_argument("--rows", nargs="+", type=int, default=ROWS)
    parser.add_argument("--ways", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--batch", type=int, default=4, help="blocks of a step")
    parser.add_argument("--context", type=int, default=256, help="tokens of a block")
    parser.add_argument("--steps", type=int, default=5, help="steps that are measured")
    parser.add_argument("--warmup", type=int, default=2, help="steps before them")
    parser.add_argument("--one", nargs=4, metavar=("WAY", "LOSS", "ROWS", "LIMIT"), help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if not wanted.one:
        table(wanted)
    else:
        way, loss, new, limit = wanted.one
        print(json.dumps(within(int(limit), lambda: one(wanted.model, Line(way, loss, int(new)), wanted))))


def _matrices(model: Any) -> list[Tensor]:
    """The embedding matrix and, if it is another one, that of the head."""
    inner, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    return [inner] if inner is head else [inner, head]


if __name__ == "__main__":
    main()
