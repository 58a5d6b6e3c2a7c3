"""What a strategy is given and gives: the stock model's rows, and new ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from hypertok.errors import InputError
from hypertok.model.constituents import Constituents, RowReader


@dataclass(frozen=True, eq=False)
class StockWords:
    """Stock tokens that are words the lexicon knows, taken as if they were new units: what strategies are fitted on.

    Attributes:
        ids: (M,) int64, their stock ids.
        units: what the tokenizer would make of each if it were not there; `units.shapes` says in which case.
            Each is a whole word.
    """

    ids: Tensor
    units: Constituents


@dataclass(frozen=True, eq=False)
class StockRows:
    """The rows of a stock model by id. Whatever the model multiplies them by (Gemma's embed_scale) stays outside.

    Attributes:
        input: the embedding.
        output: the output matrix; None if the model is tied, so that `input` is both.
        words: gives the stock's own word forms, for the strategies that learn from them (see `words.stock_words`).
    """

    input: RowReader
    output: RowReader | None
    words: Callable[[], StockWords]

    def __post_init__(self) -> None:
        if self.output is None:
            return
        head, embedding = ((matrix.rows, matrix.width) for matrix in (self.output, self.input))
        if head != embedding:
            raise InputError(
                f"the model's output matrix is {head} and its embedding {embedding}; only models in which they have "
                "the same shape can be extended"
            )

    @property
    def tied(self) -> bool:
        """Whether one matrix is both embedding and output."""
        return self.output is None


@dataclass(frozen=True, eq=False)
class NewRows:
    """Rows for N units.

    Attributes:
        input: (N, d) float32.
        output: (N, d) float32; None if the model is tied.
        facts: what the strategy chose or measured on the way, for reports.
    """

    input: Tensor
    output: Tensor | None = None
    facts: Mapping[str, float] = field(default_factory=dict)


def on_both_sides(rows: StockRows, side: Callable[[RowReader], Tensor]) -> NewRows:
    """The same function of a stock matrix for the input and, if untied, for the output."""
    return NewRows(side(rows.input), None if rows.output is None else side(rows.output))
