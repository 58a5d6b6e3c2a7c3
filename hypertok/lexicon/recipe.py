"""What a lexicon is built by, and the steps that building tells of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Step = Literal["count", "analyse", "context", "phrases", "statistics", "write"]
#: Called with (step, how much of it is done, of how much).
Progress = Callable[[Step, int, int], None]


class Recipe(BaseModel):
    """Everything besides the corpus that decides what the lexicon holds.

    Attributes:
        min_count: rarest concept kept, in uses; predicted words need at least 3.
        max_concepts: most concepts kept, the most frequent first.
        phrases: whether multiword concepts are looked for.
        min_phrase_count: rarest multiword concept kept; None chooses by corpus size.
        context: whether the readings of ambiguous forms are weighed by their contexts in the corpus.
        statistics: whether it is learned what follows what, which packing archives and extending tokenizers needs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_count: int = Field(1, ge=1)
    max_concepts: int = Field(250_000, ge=1)
    phrases: bool = True
    min_phrase_count: int | None = Field(None, ge=2)
    context: bool = True
    statistics: bool = True
