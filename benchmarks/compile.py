"""Time of a training step with layers compiled and not, by processes that share a device, as a Markdown table.

    python benchmarks/compile.py MODEL_DIR [--device cuda] [--batch 16] [--context 512] [--processes 1 4]

MODEL_DIR is an extended folder; of it are read `config.json` and the delta, not the weights: they are random here,
and time does not hang on them. Tokens are random, too, of 60,000 stock ids and all new ones, and the head is cut to
them, as in the experiments; rows are composed, LoRA has rank 32, weights are bf16 (float32 on a CPU without
instructions for it). Every process is a fresh one; all of a line begin their timed steps together. On a GPU let
NVIDIA's MPS run, or processes take turns. Steps are medians of all processes; memory is the peak of torch's allocator
in one of them (GPU alone).
"""

from __future__ import annotations

import argparse
import multiprocessing
import queue
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from hypertok.model.constituents import Constituents
from hypertok.model.load import is_emulated
from hypertok.model.shared_rows import split_shared_rows
from hypertok.tokenizer.kind import DELTA
from hypertok.training.adapter import add_adapter
from hypertok.training.allocator import keep_freed_memory
from hypertok.training.compiling import compile_layers
from hypertok.training.loss import LossModel
from hypertok.training.options import LoraOptions

#: Different stock ids in 20,000,000 characters of the corpus: 60,000, roughly.
STOCK_IDS = 60_000


def dtype_of(device: str) -> torch.dtype:
    """What `train` takes there."""
    return torch.float32 if is_emulated(torch.bfloat16, device) else torch.bfloat16


def step_times(folder: Path, compiled: bool, wanted: argparse.Namespace, together: Any, told: Any) -> None:
    """Warm up, wait for the others, time the steps, tell: seconds of each, of the warm-up, and bytes."""
    if wanted.device == "cpu":
        keep_freed_memory()  # as `train` does
    torch.manual_seed(0)
    delta = pl.read_parquet(folder / DELTA).sort("id")
    new_ids = delta["id"].to_list()
    config = AutoConfig.from_pretrained(folder)
    model = AutoModelForCausalLM.from_config(config, dtype=dtype_of(wanted.device)).requires_grad_(False)
    split_shared_rows(model, new_ids, Constituents.of(delta), "composed")
    model = add_adapter(model, LoraOptions())
    if compiled:
        compile_layers(model)
    ids = torch.cat([torch.randperm(min(new_ids))[:STOCK_IDS], torch.tensor(new_ids)])
    whole = LossModel(model, 0, ids).to(wanted.device).train()
    optimizer = torch.optim.AdamW([p for p in whole.parameters() if p.requires_grad], lr=1e-4, fused=True)

    def step() -> None:
        block = ids[torch.randint(len(ids), (wanted.batch, wanted.context + 1))].to(wanted.device)
        whole(block[:, :-1], block[:, 1:])["loss"].backward()
        torch.nn.utils.clip_grad_norm_([p for p in whole.parameters() if p.requires_grad], 1.0).item()
        optimizer.step()
        optimizer.zero_grad()

    begin, times = time.perf_counter(), []
    for _ in range(3):
        step()
    warm = time.perf_counter() - begin
    together.wait()
    for _ in range(wanted.steps):
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    memory = torch.cuda.max_memory_allocated() if wanted.device != "cpu" else 0
    told.put((statistics.median(times), warm, memory))


def measure(folder: Path, compiled: bool, processes: int, wanted: argparse.Namespace) -> tuple[float, float, int]:
    """Median step, longest warm-up, largest memory."""
    fresh = multiprocessing.get_context("spawn")
    together, told = fresh.Barrier(processes), fresh.Queue()
    parts = [
        fresh.Process(target=step_times, args=(folder, compiled, wanted, together, told)) for _ in range(processes)
    ]
    for part in parts:
        part.start()
    found: list[tuple[float, float, int]] = []
    while len(found) < len(parts):
        try:
            found.append(told.get(timeout=1))
        except queue.Empty:
            if any(part.exitcode for part in parts):  # the others wait for it
                for part in parts:
                    part.terminate()
                sys.exit("a process ended with an error (above); take fewer processes or a smaller batch")
    for part in parts:
        part.join()
    steps, warm, memory = zip(*found, strict=True)
    return statistics.median(steps), max(warm), max(memory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--processes", type=int, nargs="+", default=[1])
    wanted = parser.parse_args()
    cpu = wanted.device == "cpu"
    name = f"CPU, {torch.get_num_threads()} threads" if cpu else torch.cuda.get_device_name()
    kind = str(dtype_of(wanted.device)).removeprefix("torch.")
    print(f"{name}, {kind}, torch {torch.__version__}, {wanted.batch} x {wanted.context} tokens a step\n")
    print("| layers | processes | step, s | tokens/s, all | of not compiled | three steps to warm up, s | GiB each |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for processes in wanted.processes:
        plain = 0.0
        for compiled in (False, True):
            step, warm, memory = measure(wanted.model, compiled, processes, wanted)
            plain = plain or step
            speed = processes * wanted.batch * wanted.context / step
            label = "compiled" if compiled else "as they are"
            cells = [label, f"{processes}", f"{step:.3f}", f"{speed:,.0f}", f"{plain / step:.2f}", f"{warm:.0f}"]
            print(f"| {' | '.join(cells)} | {memory / 2**30:.1f} |", flush=True)


if __name__ == "__main__":
    main()
