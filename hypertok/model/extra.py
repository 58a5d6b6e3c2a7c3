"""The packages that models need beside those of the tokenizer: the extra `train`."""

from __future__ import annotations

from importlib.util import find_spec

from hypertok.errors import InputError, install

PACKAGES = ("torch", "transformers", "peft", "accelerate", "safetensors")


def missing_packages() -> list[str]:
    """Those that are not installed."""
    return [name for name in PACKAGES if find_spec(name) is None]


def require_train() -> None:
    """See that the packages are there, before anything that imports them.

    Raises:
        InputError: one is not installed.
    """
    if missing := missing_packages():
        raise InputError(f"models need {', '.join(missing)}, not installed here; install with: {install('train')}")
