"""Figures of a report in words: intervals, changes, and whether an aim is met."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hypertok.experiment.results import RunResult
from hypertok.measure.bootstrap import Interval
from hypertok.measure.memory import RESERVE_GIB

#: What is said of the longest texts that cards hold.
ON_A_CARD = (
    f"Characters in a card: {RESERVE_GIB:g} GiB of it is left for everything in passing; a whole text read at once "
    "takes more (3.8 GiB were measured for 32,768 tokens of Gemma-3-270M)."
)

#: Documents of which fewer give no interval worth showing: that of one has no width.
FEW = 5


def interval(one: Interval, documents: int = FEW) -> str:
    """A figure and its interval; the figure alone where fewer documents than `FEW` stand behind it."""
    return f"{one.value:.4f}" + (f" [{one.low:.4f}, {one.high:.4f}]" if documents >= FEW else "")


def percent(one: Interval | None, documents: int = FEW) -> str:
    """A ratio as a change, with its interval as `interval`; nothing without one."""
    if one is None:
        return ""
    return f"{one.value - 1:+.2%}" + (f" [{one.low - 1:+.2%}, {one.high - 1:+.2%}]" if documents >= FEW else "")


def difference(one: Interval | None) -> str:
    """A difference in bits per character, with its interval; nothing without one."""
    return f"{one.value:+.4f} [{one.low:+.4f}, {one.high:+.4f}]" if one is not None else ""


def by_seed(runs: Sequence[RunResult]) -> str:
    """Bits per character of each seed."""
    return ", ".join(f"{run.seed}: {run.quality.bits_per_character:.4f}" for run in runs)


def mean(values: Sequence[float], shown: Callable[[float], Any] = "{:.4f}".format) -> str:
    """The mean as text; nothing of nothing."""
    return str(shown(sum(values) / len(values))) if values else ""


def share(values: Sequence[float]) -> str:
    """The mean of shares, in percent."""
    return mean(values, "{:.2%}".format)


def ratio_verdict(ratio: Interval | None, aim: float, strict: bool) -> str:
    """Of a ratio of bits per character: what was aimed at, and whether the whole interval agrees, of how many seeds."""
    if ratio is None:
        return ""
    good = ratio.value < aim if strict else ratio.value <= aim
    sure = ratio.high <= aim if good else ratio.low > aim
    word = "met" if good else f"missed by {ratio.value - aim:.2%}"
    return f"{word}{_doubt(ratio, sure)} (aim: {'below ' if strict else 'at most '}{(aim - 1) * 100:+.3g}%)"


def points_verdict(points: Interval, aim: float) -> str:
    """Of a difference in points: whether it is at least the aim, and whether the whole interval agrees."""
    sure = points.low >= aim if points.value >= aim else points.high < aim
    return at_least(points.value, aim).replace(" (", f"{_doubt(points, sure)} (")


def _doubt(one: Interval, whole: bool) -> str:
    """What a verdict adds.

    How far apart trainings lie (up to 1 %) the interval of one seed does not tell, and that of two holds the truth 85
    times in 100; of three it is 91, and nothing is added.
    """
    if not whole:
        return ", not surely"
    return {1: ", on one seed", 2: ", on two seeds"}.get(one.seeds, "")


def at_least(value: float, aim: float) -> str:
    """Of a figure without an interval."""
    return f"{'met' if value >= aim else 'missed'} (aim: at least {aim:g})"
