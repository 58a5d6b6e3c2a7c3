"""Figures of a report in words: intervals, changes, and whether an aim is met."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hypertok.experiment.results import RunResult
from hypertok.measure.bootstrap import Interval


def interval(one: Interval) -> str:
    """A figure and its interval."""
    return f"{one.value:.4f} [{one.low:.4f}, {one.high:.4f}]"


def percent(one: Interval | None) -> str:
    """A ratio as a change, with its interval; nothing without one."""
    return f"{one.value - 1:+.2%} [{one.low - 1:+.2%}, {one.high - 1:+.2%}]" if one is not None else ""


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
    """Of a ratio of bits per character: what was aimed at, and whether the whole interval, of several seeds, agrees."""
    if ratio is None:
        return ""
    good = ratio.value < aim if strict else ratio.value <= aim
    sure = ratio.high <= aim if good else ratio.low > aim
    word = "met" if good else f"missed by {ratio.value - aim:.2%}"
    return f"{word}{_doubt(ratio, sure)} (aim: {'below ' if strict else 'at most '}{(aim - 1) * 100:+.3g}%)"


def points_verdict(points: Interval, aim: float) -> str:
    """Of a difference in points: whether it is at least the aim; whether the whole interval is, of several seeds."""
    sure = points.low >= aim if points.value >= aim else points.high < aim
    return at_least(points.value, aim).replace(" (", f"{_doubt(points, sure)} (")


def _doubt(one: Interval, whole: bool) -> str:
    """What a verdict adds: how far apart trainings of two seeds lie (up to 1 %) the interval of one does not tell."""
    if not whole:
        return ", not surely"
    return "" if one.seeds > 1 else ", on one seed"


def at_least(value: float, aim: float) -> str:
    """Of a figure without an interval."""
    return f"{'met' if value >= aim else 'missed'} (aim: at least {aim:g})"
