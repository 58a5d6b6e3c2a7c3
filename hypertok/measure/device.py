"""Where a model is measured: the device, and waiting for it."""

from __future__ import annotations

from typing import Any

from hypertok.errors import InputError, first_line

#: What helps where the GPU is full.
LIGHTER = "free it of other programs, or measure in bfloat16 or on the CPU (dtype, device)"


def device_of(name: str) -> str:
    """A device of torch that can be used; "auto" is a CUDA GPU where there is one.

    A CUDA device is looked up, not tried: a context of this process would take memory, or the whole GPU where it is
    exclusive, from the process that measures memory.

    Raises:
        InputError: no such device, or not on this machine.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type != "cuda":
            torch.zeros(1, device=device).item()
            return name
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) < count:
            return name
        reason = f"torch {torch.__version__} finds {count} CUDA GPUs"
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = first_line(error)
    raise InputError(
        f"device {name!r} cannot be used here ({reason}); give cpu, cuda, cuda:1 …, mps, or auto for a CUDA GPU "
        "where there is one, and install the build of torch that your GPU needs"
    )


def wait_for(device: Any) -> None:
    """Wait until a GPU has done what it was given: it works on while Python goes on, and a clock would stop early."""
    import torch

    kind = torch.device(device).type
    if kind == "cuda":
        torch.cuda.synchronize(device)
    elif kind == "mps":
        torch.mps.synchronize()
