"""The configuration of a merged model: the model's own again, in the form that it came in.

transformers 5 writes what it has read under names of its own (`rope_parameters`). Readers of the older form (vLLM on
transformers 4, scripts) look for `rope_theta` and `rope_scaling`, and take defaults in silence where there are none.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypertok.model.checkpoint import CONFIG
from hypertok.single_file import write_file

_DTYPES = ("dtype", "torch_dtype")


def keep_config(own: dict[str, Any], folder: Path) -> None:
    """Write a model's own configuration over what transformers wrote of it, with the data type as merged.

    What transformers wrote stays where the class is another one: the text part of a model for images, too.

    Args:
        own: what stands in config.json of the model that was merged; its own code (`auto_map`) is not named.
        folder: of the merged model.
    """
    written = json.loads((folder / CONFIG).read_bytes())
    if own.get("architectures") != written["architectures"]:
        return
    dtype = written["dtype"]
    kept = _with_dtype({key: value for key, value in own.items() if key != "auto_map"}, dtype)
    if not any(key in kept for key in _DTYPES):
        kept["torch_dtype"] = dtype  # both forms are read by transformers 5, this one alone by 4
    write_file(folder / CONFIG, (json.dumps(kept, ensure_ascii=False, indent=2) + "\n").encode())


def _with_dtype(config: dict[str, Any], dtype: str) -> dict[str, Any]:
    """The configuration and those of the model's parts in it with another data type, where they name one."""
    kept = dict(config)
    for key, value in config.items():
        if key in _DTYPES:
            kept[key] = dtype
        elif key.endswith("_config") and isinstance(value, dict):
            kept[key] = _with_dtype(value, dtype)
    return kept
