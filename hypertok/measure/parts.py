"""What is measured of a model beside its bits per character, by name: for one model and for the arms of an experiment.

Each part is a call that gives fields of a result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from hypertok.measure.copy_task import measure_copy
from hypertok.measure.emission import measure_emission
from hypertok.measure.memory import BYTES, predict_memory
from hypertok.measure.minimal_pairs import MinimalPair, measure_pairs
from hypertok.measure.reading import measure_reading
from hypertok.measure.speed import measure_speed
from hypertok.measure.subject import Subject

Figures = dict[str, Any]
LiveName = Literal["speed", "emission", "copy", "pairs", "reading"]


def live_parts(
    subject: Subject,
    texts: Sequence[str],
    pairs: Callable[[], Sequence[MinimalPair]],
    *,
    samples: int,
    new_tokens: int,
    context: int,
    seed: int,
    **speed: Any,
) -> dict[LiveName, Callable[[], Figures]]:
    """The parts that need the model in memory, in the order in which they are measured.

    Args:
        pairs: reads the minimal pairs.
        speed: further arguments of `measure_speed`.
    """
    budget: dict[str, Any] = {"new_tokens": new_tokens, "seed": seed}
    return {
        "speed": lambda: {"speed": measure_speed(subject, texts, **budget, **speed)},
        "emission": lambda: {"emission": measure_emission(subject, texts, samples=samples, **budget)},
        "copy": lambda: {"copied": measure_copy(subject, texts, samples=samples)},
        "pairs": lambda: {"pairs": measure_pairs(subject, pairs(), context=context)},
        "reading": lambda: {
            "reading": measure_reading(subject, texts, context=context, passages=4 * samples, seed=seed)
        },
    }


def predicted(
    config: Any, *, characters_per_token: float, new_rows: int, cards: Sequence[float], dtype: str = "auto"
) -> Figures:
    """Memory by the configuration, and the longest texts that cards of so many GiB hold.

    Args:
        dtype: of weights and cache; "auto" is the configuration's own.
    """
    found = predict_memory(
        config, characters_per_token=characters_per_token, new_rows=new_rows, bytes_per_element=BYTES.get(dtype)
    )
    return {"predicted": found, "longest": tuple(found.longest_context(card) for card in cards)}
