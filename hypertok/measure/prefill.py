"""The process that `measure_prefill` starts: one model, one text, how much memory that took.

Reads {"folder", "ids", "device", "dtype"} as JSON on standard input and prints the figures as the last line. A process
of its own, because the memory that a process once had cannot be told from what it needs. Not by `ru_maxrss`, either:
on Linux a child begins with the peak of the process that started it. Without /proc (Windows, macOS) psutil tells what
is resident, and the system the peak since the process began, so the loading is in it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from hypertok.errors import InputError
from hypertok.measure.subject import Coding, last_logits, load_subject, wait_for, without_bars

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


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
    forgotten = not cuda and _forget_peak()
    with torch.inference_mode():
        output = model(input_ids=ids, use_cache=True, **last_logits(model))
    wait_for(model.device)
    peak = torch.cuda.max_memory_allocated(device) if cuda else resident("VmHWM")
    return {
        "method": "peak of the CUDA allocator" if cuda else _method(forgotten),
        "before": before,
        "loaded": loaded,
        "peak": peak,
        "cache": cache_bytes(output.get("past_key_values", output.get("cache_params"))),  # Mamba's
    }


def _method(forgotten: bool) -> str:
    """What the peak is of; `forgotten`: the loading is not in it."""
    if _STATUS.is_file():
        return f"peak RSS of a fresh process{'' if forgotten else ', loading included'}"
    name = "peak working set" if hasattr(_usage(), "peak_wset") else "peak RSS (ru_maxrss)"
    return f"{name} of a fresh process, loading included"


def resident(line: str) -> int:
    """Bytes resident now (VmRSS) or at the most (VmHWM)."""
    if not _STATUS.is_file():
        return _resident_without_proc(peak=line == "VmHWM")
    found = next((one for one in _STATUS.read_text().splitlines() if one.startswith(line)), None)
    if found is None:  # a sandbox's kernel
        raise InputError(f"{_STATUS} tells no {line}, so memory cannot be measured here; leave it out")
    return int(found.split()[1]) << 10


def _resident_without_proc(*, peak: bool) -> int:
    usage = _usage()
    if not peak:
        return int(usage.rss)
    if hasattr(usage, "peak_wset"):  # Windows, which has no `resource`
        return int(usage.peak_wset)
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most << 10  # bytes on macOS, KiB elsewhere


def _usage() -> Any:
    """What psutil knows of the memory of this process."""
    import psutil  # type: ignore[import-untyped, unused-ignore]

    return psutil.Process().memory_info()


def _forget_peak() -> bool:
    """Begin the peak anew from what is resident now; whether the system let us."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
