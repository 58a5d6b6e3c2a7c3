"""A GPU with too little memory left, told like any other error.

Other programs use it, too, and what activations take is an estimate: nothing can foresee it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hypertok.errors import InputError


@contextmanager
def full_gpu_told(remedy: str) -> Iterator[None]:
    """Around what a GPU does.

    Raises:
        InputError: it has no room; the message ends in the remedy.
    """
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        reason = ". ".join(str(error).split(". ")[:3])  # what torch itself advises after that is not for our users
        raise InputError(f"the GPU is full ({reason}); {remedy}") from error
