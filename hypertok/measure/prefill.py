"""The process that `measure_prefill` starts: one model, one text, how much memory that took.

Reads {"folder", "ids", "device", "dtype"} as JSON on standard input and prints the figures as the last line. A process
of its own, because the memory that a process once had cannot be told from what it needs. Not by `ru_maxrss`, either:
on Linux a child begins with the peak of the process that started it. Without /proc (Windows, macOS) psutil tells what
is resident, and the system the peak since the process began, so the loading is in it.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from hypertok.errors import InputError
from hypertok.measure.coding import Coding
from hypertok.measure.device import wait_for
from hypertok.measure.subject import last_logits, load_subject, without_bars
from hypertok.model.memory import forget_peak, peak_method, resident


def main() -> None:
    """Read the task, do it, print what it took; an error goes to standard error as one line."""
    task = json.load(sys.stdin)
    try:
        print(json.dumps(_measure(task)))
    except (InputError, RuntimeError, MemoryError) as error:
        sys.exit(" ".join(f"{type(error).__name__}: {error}".split()))


def cache_bytes(cache: Any) -> int:
    """Bytes of the tensors of a cache of transformers: keys and values, and the states of layers without them."""
    import torch

    # What begins with an underscore is a layer's own bookkeeping, such as its window as a tensor.
    kept = [held for layer in cache.layers for name, held in vars(layer).items() if not name.startswith("_")]
    tensors = [one for held in kept for one in (held.values() if isinstance(held, dict) else (held,))]
    return sum(one.numel() * one.element_size() for one in tensors if isinstance(one, torch.Tensor))


def _measure(task: dict[str, Any]) -> dict[str, Any]:
    import torch
    import transformers.models.auto.modeling_auto  # noqa: F401  (part of the libraries, not of the model)

    without_bars()
    device = torch.device(task["device"])
    cuda = device.type == "cuda"
    before = torch.cuda.memory_allocated(device) if cuda else resident("VmRSS")
    coding = Coding(lambda text: [], lambda ids: "")  # the text comes as ids
    model = load_subject(task["folder"], device=task["device"], dtype=task["dtype"], coding=coding).model
    ids = torch.tensor([task["ids"]], device=model.device)
    loaded = torch.cuda.memory_allocated(device) if cuda else resident("VmRSS")
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    forgotten = not cuda and forget_peak()
    with torch.inference_mode():
        output = model(input_ids=ids, use_cache=True, **last_logits(model))
    wait_for(model.device)
    peak = torch.cuda.max_memory_allocated(device) if cuda else resident("VmHWM")
    return {
        "method": "peak of the CUDA allocator" if cuda else peak_method(forgotten),
        "before": before,
        "loaded": loaded,
        "peak": peak,
        "cache": cache_bytes(output.get("past_key_values", output.get("cache_params"))),  # Mamba's
    }


if __name__ == "__main__":
    main()
