"""How long work says how far it has come: it calls what it was given."""

from __future__ import annotations

from collections.abc import Callable

#: Told the name of a step, how much of it is done, and of how much.
Steps = Callable[[str, int, int], None]
#: The same of work with one step.
Count = Callable[[int, int], None]


def silent(step: str, done: int, total: int) -> None:
    """For work that nobody asks."""
