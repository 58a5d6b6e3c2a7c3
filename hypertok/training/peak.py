"""The most memory that a training took."""

from __future__ import annotations

import gc
from contextlib import suppress
from dataclasses import dataclass

import torch

from hypertok.errors import InputError
from hypertok.model.memory import forget_peak, resident
from hypertok.training.allocator import give_back_freed_memory


@dataclass(frozen=True)
class Peak:
    """Counted from `begin` on.

    On a CPU it is of the whole process, with the libraries and whatever else it holds; on a GPU of what torch's
    allocator has given out on this process's device.

    Attributes:
        gpu: number of the device; None for the CPU.
        told: whether the system has let an earlier peak be forgotten.
    """

    gpu: int | None
    told: bool

    @classmethod
    def begin(cls, gpu: int | None) -> Peak:
        """Forget what was before, such as the training of another arm in this process."""
        if gpu is not None:
            torch.cuda.reset_peak_memory_stats(gpu)
            return cls(gpu, told=True)
        gc.collect()
        give_back_freed_memory()
        return cls(None, forget_peak())

    def bytes(self) -> int | None:
        """The peak so far; None where the system does not tell it: any but Linux, and some sandboxes."""
        if self.gpu is not None:
            return torch.cuda.max_memory_allocated(self.gpu)
        if self.told:
            with suppress(InputError):  # at the end of hours of training
                return resident("VmHWM")
        return None
