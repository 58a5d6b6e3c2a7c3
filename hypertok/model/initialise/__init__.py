"""Strategies that make rows for new units from the stock model's rows, one per file.

Each is `initialise(rows, units) -> NewRows`, deterministic, on the CPU, in float32, and each row depends only on what
its unit is made of (and, for `composition`, on the other forms of its concept), never on the order of units.
Which one trains best on a model is for a probe to say (`--init auto`): loss before training does not predict it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hypertok.errors import InputError
from hypertok.model.constituents import Constituents
from hypertok.model.initialise import asymmetric, composition, mean, mix, weighted
from hypertok.model.initialise.rows import NewRows, StockRows, StockWords

__all__ = [
    "STRATEGIES",
    "Constituents",
    "NewRows",
    "StockRows",
    "StockWords",
    "Strategy",
    "candidates",
    "initialise",
    "refuse_unfit",
]


@dataclass(frozen=True)
class Strategy:
    """A way to make rows.

    Attributes:
        initialise: the function itself.
        tied: whether it can serve a tied model.
    """

    initialise: Callable[[StockRows, Constituents], NewRows]
    tied: bool = True


STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        "mean": Strategy(mean.initialise),
        "weighted": Strategy(weighted.initialise),
        "asymmetric": Strategy(asymmetric.initialise, tied=False),
        "mix": Strategy(mix.initialise),
        "composition": Strategy(composition.initialise),
    }
)


def candidates(rows: StockRows) -> tuple[str, ...]:
    """Names of the strategies that these rows can be given to."""
    return tuple(name for name, strategy in STRATEGIES.items() if strategy.tied or not rows.tied)


def refuse_unfit(name: str, *, tied: bool) -> None:
    """See before long work that a strategy can serve a model.

    Raises:
        InputError: no such strategy, or one that cannot serve a tied model.
    """
    if name not in STRATEGIES:
        raise InputError(f"init {name}: no such strategy; choose one of {', '.join(STRATEGIES)}")
    if tied and not STRATEGIES[name].tied:
        raise InputError(
            f"init {name}: the model is tied, so each row is input and output in one, and this strategy makes the two "
            "apart; use --init weighted"
        )


def initialise(name: str, rows: StockRows, units: Constituents) -> NewRows:
    """Rows for the units by the strategy of this name.

    Raises:
        InputError: no such strategy, or one that cannot serve this model; constituents that are no rows of it.
    """
    refuse_unfit(name, tied=rows.tied)
    return STRATEGIES[name].initialise(rows, units)
