"""Results of the kind `memory`: what is computed for each model and tokenizer, and what was measured of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

from hypertok.experiment.provenance import Provenance
from hypertok.measure.memory import LongestContext, MeasuredMemory

#: The name of the stock tokenizer in the place of an arm's.
STOCK = "stock"
_STRICT = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Prefill(MeasuredMemory):
    """A prefill measured, beside what the configuration predicts of it, in bytes; older results have no prediction.

    Attributes:
        predicted_cache: of the key-value cache after it.
        predicted_peak: of weights and cache together, which it cannot do with less than.
    """

    predicted_cache: int | None = None
    predicted_peak: int | None = None


class MemoryRow(BaseModel):
    """The cache of the same text, stock against extended.

    Attributes:
        model: published model, or "model at hand".
        arm: name; `STOCK` for the stock tokenizer.
        characters, tokens: the text, and what the arm makes of it.
        parameters, weights, new_rows: bytes, parameters in numbers.
        cache: bytes of the key-value cache after the text.
        longest: what cards hold.
        measured: prefills of fresh processes, at the sizes that fit.
    """

    model_config = _STRICT

    model: str
    arm: str
    characters: int
    tokens: int
    parameters: int
    weights: int
    new_rows: int
    cache: int
    longest: tuple[LongestContext, ...] = ()
    measured: tuple[Prefill, ...] = ()

    @field_validator("measured", mode="before")
    @classmethod
    def _of_one_size(cls, given: Any) -> Any:
        """Older results have one prefill, or null."""
        return () if given is None else (given,) if isinstance(given, Mapping) else given


class MemoryResult(BaseModel):
    """All rows of the kind `memory`; `read` characters of held-out text stand behind the numbers of tokens."""

    model_config = _STRICT

    key: str
    read: int
    rows: tuple[MemoryRow, ...]
    skipped: dict[str, str] = {}
    provenance: Provenance
