"""Arms side by side: seeds pooled by document, differences paired with the stock arm and with the control.

A seed draws another text, which moves all arms by more than they lie apart. So what stands beside another arm's figure
is of seeds that both have: of those that all have in columns and plots, of all that two have in common in a difference.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hypertok.errors import ArtifactError
from hypertok.experiment.definition import Arm, Definition, Line, Role
from hypertok.experiment.results import Results, RunResult, run_path
from hypertok.experiment.training import deciding
from hypertok.measure.bootstrap import Interval, paired_difference, paired_ratio, ratio
from hypertok.measure.quality import Quality
from hypertok.measure.scoring import Bits


@dataclass(frozen=True)
class Side:
    """All seeds of an arm on one budget.

    Attributes:
        runs: what is done.
        shown: of these, the seeds that every trained side has; all where there is none in common.
    """

    arm: Arm
    line: Line
    runs: tuple[RunResult, ...]
    shown: tuple[RunResult, ...]

    @property
    def role(self) -> Role:
        """What it is compared as."""
        return self.arm.role

    @property
    def label(self) -> str:
        """For tables and legends."""
        return self.arm.name if self.line == "characters" else f"{self.arm.name}, equal compute"

    @property
    def as_shown(self) -> Side:
        """The same of the seeds shown alone, as its figures by itself are."""
        return replace(self, runs=self.shown)

    @property
    def sums(self) -> tuple[Bits, Bits]:
        """(bits, characters), shapes (seeds, documents), of the seeds shown."""
        return pooled([run.quality for run in self.shown])

    @property
    def bpc(self) -> Interval:
        """Bits per character over the seeds shown."""
        return ratio(*self.sums)

    @property
    def by_seed(self) -> list[float]:
        """Bits per character of each seed shown."""
        return [run.quality.bits_per_character for run in self.shown]

    @property
    def device(self) -> str:
        """Where the first seed shown was measured."""
        return self.shown[0].provenance.device

    @property
    def characters_per_token(self) -> float:
        """Of the held-out texts; the same for all seeds."""
        return self.runs[0].quality.characters_per_token

    def against(self, other: Side, weights: Bits | None = None, strata: Sequence[str] | None = None) -> Interval | None:
        """Bits per character over those of the other, on the same documents; None without a common seed.

        Args:
            weights: what each document counts, shape (documents,); all alike if None.
            strata: kind of each document, where weights give kinds their shares; see `measure/bootstrap.py`.
        """
        both = self._with(other, weights)
        return paired_ratio(*both, strata=strata) if both else None

    def above(self, other: Side, weights: Bits | None = None, strata: Sequence[str] | None = None) -> Interval | None:
        """Bits per character less those of the other, as `against`."""
        both = self._with(other, weights)
        return paired_difference(*both, strata=strata) if both else None

    def _with(self, other: Side, weights: Bits | None) -> tuple[tuple[Bits, Bits], tuple[Bits, Bits]] | None:
        ours, theirs = common(self, other)
        return (_sums(ours, weights), _sums(theirs, weights)) if ours else None

    def drift_against(self, other: Side, name: str) -> Interval | None:
        """Bits per character on other texts over those of the other arm; None without a common seed, or of one text."""
        both = [
            (one.drift[name], two.drift[name])
            for one, two in zip(*common(self, other), strict=True)
            if name in one.drift and name in two.drift
        ]
        if not both or len(both[0][0].documents) < 2:
            return None
        return paired_ratio(*(pooled([pair[side] for pair in both]) for side in (0, 1)))

    def other_seeds(self, other: Side) -> list[int]:
        """The seeds that both have, where the figures of both by themselves are of others; else none."""
        in_common = {run.seed for run in itertools.chain(*common(self, other)) if run.trained is not None}
        shown = {run.seed for run in (*self.shown, *other.shown) if run.trained is not None}
        return sorted(in_common) if in_common != shown else []

    def points_against(self, other: Side) -> Interval | None:
        """Accuracy on minimal pairs less that of the other arm, in points; the interval is by pair and seed."""
        both = [
            (one.pairs.right, two.pairs.right)
            for one, two in zip(*common(self, other), strict=True)
            if one.pairs is not None and two.pairs is not None
        ]
        if sum(len(pair[0]) for pair in both[:1]) < 2:  # no interval of a single pair
            return None
        ours, theirs = (np.array([pair[side] for pair in both]) * 100.0 for side in (0, 1))
        count = np.ones_like(ours)
        return paired_difference((ours, count), (theirs, count))


def sides(results: Results) -> list[Side]:
    """What there is to compare, in the order of the definition.

    Raises:
        ArtifactError: runs were measured on different texts.
    """
    _refuse_other_texts(results)
    found = []
    shared = shared_seeds(results.runs)
    for arm in results.definition.arms:
        for line in results.definition.lines:
            runs = tuple(run for run in results.runs if run.arm == arm.name and run.line == line)
            if runs:
                shown = tuple(run for run in runs if run.trained is None or run.seed in shared)
                found.append(Side(arm, line, runs, shown or runs))
    return found


def _refuse_other_texts(results: Results) -> None:
    by_texts: dict[tuple[int, ...], list[RunResult]] = {}
    for run in results.runs:
        by_texts.setdefault(tuple(one.characters for one in run.quality.documents), []).append(run)
    if len(by_texts) < 2:
        return
    *_, others, most = sorted(by_texts.values(), key=len)
    raise ArtifactError(
        f"{results.folder}: the runs {most[0].name} and {others[0].name} were measured on different held-out texts; "
        f"remove only those of other texts than the definition's, maybe {run_path(results.folder, others[0].name)} "
        f"({len(most)} of {len(results.runs)} runs are like {most[0].name}), and run again"
    )


def shared_seeds(runs: Sequence[RunResult]) -> set[int]:
    """Seeds that every arm and budget that was trained has."""
    by_side: dict[tuple[str, Line], set[int]] = {}
    for run in runs:
        if run.trained is not None:
            by_side.setdefault((run.arm, run.line), set()).add(run.seed)
    return set.intersection(*by_side.values()) if by_side else set()


def stock_of(definition: Definition, every: Sequence[Side]) -> Side | None:
    """The side that all are compared with."""
    stock = definition.stock
    return next((side for side in every if stock is not None and side.arm.name == stock.name), None)


def control_of(side: Side, every: Sequence[Side]) -> Side | None:
    """The control of an arm: as many rows, the same budget and span, its rows begun and trained in the same way.

    Of several, the one whose tokenizer is made most like the arm's. None reads symbol text, so an arm that does has one
    that reads text as written.
    """
    if side.role != "ours":
        return None
    alike = [other for other in every if other.role == "control" and _must_agree(other) == _must_agree(side)]
    wanted = side.arm.tokenizer.model_dump()
    return min(
        alike,
        key=lambda other: sum(wanted[name] != value for name, value in other.arm.tokenizer.model_dump().items()),
        default=None,
    )


def _must_agree(side: Side) -> tuple[Any, ...]:
    """What an arm and its control have in common, or a difference is not that of their units."""
    arm = side.arm
    training = deciding(arm.train) if arm.trained else None
    return side.line, arm.tokenizer.rows, arm.tokenizer.span, arm.init, training


def common(one: Side, other: Side) -> tuple[list[RunResult], list[RunResult]]:
    """Runs of the seeds that both have; an arm measured untrained, once, stands for every seed."""
    seeds = {run.seed: run for run in other.runs}
    if len(other.runs) == 1 and other.runs[0].trained is None:
        return list(one.runs), [other.runs[0]] * len(one.runs)
    if len(one.runs) == 1 and one.runs[0].trained is None:
        return [one.runs[0]] * len(other.runs), list(other.runs)
    both = [run for run in one.runs if run.seed in seeds]
    return both, [seeds[run.seed] for run in both]


def pooled(found: Sequence[Quality]) -> tuple[Bits, Bits]:
    """(bits, characters), shapes (seeds, documents)."""
    bits, characters = zip(*(one.sums for one in found), strict=True)
    return np.stack(bits), np.stack(characters)


def _sums(runs: Sequence[RunResult], weights: Bits | None) -> tuple[Bits, Bits]:
    bits, characters = pooled([run.quality for run in runs])
    return (bits, characters) if weights is None else (bits * weights, characters * weights)


def pareto(points: Sequence[tuple[float, float]]) -> list[int]:
    """Numbers of the points (more is better, less is better) that no other one beats on both, from left to right.

    >>> pareto([(3.0, 1.6), (4.0, 1.7), (3.5, 1.8)])
    [0, 1]
    """
    order = sorted(range(len(points)), key=lambda number: (-points[number][0], points[number][1]))
    found, best = [], float("inf")
    for number in order:
        if points[number][1] < best:
            found.append(number)
            best = points[number][1]
    return found[::-1]
