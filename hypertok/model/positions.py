"""How long a text a model can read, by its configuration alone; no torch is needed to ask."""

from __future__ import annotations

from typing import Any


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
