"""What `hypertok train` says that it needs of memory, beside what it takes, as a Markdown table.

    python benchmarks/room.py MODEL_DIR TEXTS [--rows ROWS_DIR] [--device auto]

MODEL_DIR is a stock model, ROWS_DIR the same extended; of TEXTS as much is read as that takes. Every line is a fresh
process that trains for a few steps. On a CPU the peak is that of the whole process, on a GPU what the allocator had
given out at most; the estimate is the one that refuses a run (`training/checks.py`), with the libraries' own memory on
a CPU.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measure import facts

STEPS = 8
#: (ways to train rows, blocks of a batch, tokens of a block); the first are small, so that rows can be seen.
STOCK = (("flat", 2, 128), ("flat", 8, 256), ("flat", 16, 256))
EXTENDED = (("flat", 2, 128), ("factored", 2, 128), ("composed", 2, 128), ("composed", 8, 256))


def one(task: dict[str, Any]) -> dict[str, Any]:
    """Train, in this process."""
    import torch

    from hypertok.model.memory import resident
    from hypertok.model.pair import Pair
    from hypertok.training.checks import estimate
    from hypertok.training.options import TrainOptions
    from hypertok.training.precision import settled
    from hypertok.training.train import train

    characters = 3 * STEPS * task["batch"] * task["context"]
    options = TrainOptions(
        rows=task["rows"], batch=task["batch"], context=task["context"], characters=characters, device=task["device"]
    )
    options = settled(options)
    pair = Pair.open(task["model"])
    with tempfile.TemporaryDirectory() as folder:
        device = train(task["model"], task["texts"], Path(folder) / "run", options).manifest.facts["device"]
    cpu = device == "cpu"
    peak = resident("VmHWM") if cpu else torch.cuda.max_memory_allocated()
    needs = estimate(pair, options, cpu=cpu)
    return {"new": len(pair.new_ids), "estimate": needs.memory, "peak": peak, "device": device}


def lines(models: list[Path], texts: Path, device: str) -> Iterator[dict[str, Any]]:
    """Each in a process of its own."""
    for model, kinds in zip(models, (STOCK, EXTENDED), strict=False):
        for rows, batch, context in kinds:
            task = {"model": str(model), "texts": str(texts), "device": device}
            task |= {"rows": rows, "batch": batch, "context": context}
            done = subprocess.run([sys.executable, __file__, "--one", json.dumps(task)], capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"{rows}, {batch} x {context}: {done.stderr.strip()[-2000:]}")
            yield {**task, **json.loads(done.stdout.splitlines()[-1])}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("texts", type=Path, nargs="?")
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu"))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(one(json.loads(asked.one))))
        return
    if asked.model is None or asked.texts is None:
        parser.error("name a model folder and texts")
    print(facts("torch", "transformers", "peft") + "\n", flush=True)
    print("| new rows | trained | batch | device | estimated, GiB | peak, GiB | estimated / peak |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for line in lines([asked.model, *([asked.rows] if asked.rows else [])], asked.texts, asked.device):
        way = line["rows"] if line["new"] else "adapter alone"
        print(
            f"| {line['new']:,} | {way} | {line['batch']} x {line['context']} | {line['device']} "
            f"| {line['estimate'] / 2**30:.2f} | {line['peak'] / 2**30:.2f} | {line['estimate'] / line['peak']:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
