"""Layers compiled by torch: one program for all of them, and an error that says what to do where there can be none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypertok.errors import InputError
from hypertok.model.split import causal_lm
from hypertok.training.options import TrainOptions


def compile_layers(model: Any) -> None:
    """Compile the layers in place, each by itself: they are alike, so it is done once.

    Args:
        model: a transformers model, split or not, in PEFT's wrapper or not.
    """
    kinds = set(causal_lm(model)._no_split_modules or ())
    for layer in model.modules():
        if type(layer).__name__ in kinds:
            layer.compile()


@contextmanager
def compiling(options: TrainOptions) -> Iterator[None]:
    """Around the loop: layers are compiled in its first step.

    Raises:
        InputError: they cannot be.
    """
    try:
        yield
    except RuntimeError as error:  # of private classes of torch
        if not options.compile or not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise
        lines = [line for line in str(error).splitlines() if line.strip()]
        what = lines[0] if lines else repr(error)
        raise InputError(
            f"compile: torch cannot compile the layers of this model here ({what}); see that a C++ compiler is "
            "installed, or leave compile out"
        ) from error
