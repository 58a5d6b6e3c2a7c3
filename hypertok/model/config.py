"""What the configuration of a model says by itself, without its weights: how long a text it can read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypertok.errors import InputError
from hypertok.model.extra import require_train


def read_config(folder: Path) -> Any:
    """The configuration of a model folder, with the defaults of its kind.

    Raises:
        InputError: none there, or of a kind that transformers does not know.
    """
    require_train()
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).splitlines() or ["unknown"])[0]
        raise InputError(f"{folder}: no configuration that transformers knows ({reason})") from error


def positions_of(config: Any) -> int | None:
    """The longest sequence that a configuration of transformers allows, in tokens; None where it names no limit."""
    found = getattr(config.get_text_config(decoder=True), "max_position_embeddings", None)
    return found if isinstance(found, int) and found > 0 else None


def position_rows(config: Any) -> int | None:
    """Rows of a model's table of positions (GPT-2, OPT), beyond which reading is an IndexError.

    None where positions are rotations: beyond those it was trained on such a model reads badly, but it reads.
    """
    rotations = getattr(config.get_text_config(decoder=True), "rope_parameters", None)
    return None if rotations else positions_of(config)
