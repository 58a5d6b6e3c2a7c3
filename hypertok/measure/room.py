"""Whether the weights of a model can lie in memory at all: asked of its files' headers before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hypertok.measure.device import device_of

if TYPE_CHECKING:
    import torch


def require_room(folder: Path, device: str, dtype: str, *, computes: bool) -> None:
    """Refuse a model on the CPU whose weights alone are larger than all memory, in a type that is not the file's.

    Where it is, they are mapped from the file, and what memory has no room for is read again.

    Args:
        dtype: "auto" for the model's own.
        computes: more than a prefill is measured, so "auto" is float32 where the model's own type would be emulated.

    Raises:
        InputError: they are, a file of weights is cut off, or there is no such device.
    """
    import torch

    from hypertok.model.checkpoint import NOT_TEXT
    from hypertok.model.config import read_config
    from hypertok.model.load import is_emulated
    from hypertok.model.memory import require_memory
    from hypertok.model.shard import FLOATS, WeightFile, loaded_size, weight_paths

    if device_of(device) != "cpu":
        return
    entries = [entry for path in weight_paths(folder) for entry in WeightFile.open(path).entries.values()]
    kind = getattr(read_config(folder), "dtype", None) if dtype == "auto" else getattr(torch, dtype)
    if dtype == "auto" and computes and kind is not None and is_emulated(kind, "cpu"):
        kind = torch.float32
    read = [entry for entry in entries if not NOT_TEXT.search(entry.name)]
    if kind is None or {entry.dtype for entry in read} <= {name for name, of in FLOATS.items() if of == _name(kind)}:
        return
    require_memory(
        {f"weights in {_name(kind)}": loaded_size(read, kind.itemsize)},
        f"{folder}: measuring it needs",
        "measure in bfloat16 (--dtype bfloat16, slow on a CPU without instructions for it), or take a smaller model or "
        "a machine with more memory",
    )


def _name(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")
