"""Mixes what static counts and the text so far say about one binary decision.

Each source gives a probability; their logits are added with weights, and the weights follow the text
(logistic mixing, of PAQ: Mahoney, 2005). A source's weight depends on the phase of the decision, on how often its
context was seen and on whether it was ever followed by anything else, so the mixer learns which evidence to trust.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import Any, Protocol

import numpy as np

from hypertok.archive.arithmetic import (
    CLAMP,
    ONE,
    STEPS,
    cell_tables,
    confidence_table,
    squash_table,
    stretch_table,
)
from hypertok.archive.ngrams import Level

#: Phases of coding: shape, class, lemma, variant, spelled character, repeated spelled piece.
SHAPE, CLASS, LEMMA, VARIANT, SPELLING, REPEAT = range(6)
#: Weights per phase: 15 chain levels of 40 slots, then 7 adaptive contexts of 20.
_LEVELS = 15
_LEVEL_SLOTS = 40
_CELL_SLOTS = 20
_CELLS_AT = _LEVELS * _LEVEL_SLOTS
PHASE_WEIGHTS = _CELLS_AT + 7 * _CELL_SLOTS
WEIGHTS = 6 * PHASE_WEIGHTS
#: Prior strength of the shorter context, per distinct symbol seen; 0.5 and 1.0 measured 0.1 % worse.
_PRIOR = 0.7
#: Learning rate of the weights; 0.005 and 0.02 measured 0.3 % and 0.1 % worse.
RATE = 0.01
#: Each chain feeds the mixer only its longest contexts, into which the shorter ones have gone as priors;
#: feeding all of them measured no better and a third slower, one 0.3 % worse.
_FED = 2
_CELL_BITS = 24
_CELL_MASK = (1 << _CELL_BITS) - 1
_SPREAD = 0x2545F491

#: Range of rows still possible: [start, stop, symbols, cumulative counts, first weight].
Range = list[Any]


class Coder(Protocol):
    """Writes bits, or reads them."""

    def code(self, bit: int, probability: int) -> int:
        """Code one bit whose probability of being 1 is `probability` / 2**16; a reader ignores `bit`."""


class Chain:
    """A chain of levels laid out for look-up; `slots` is its first number among the 15 chain levels."""

    def __init__(self, levels: list[Level], items: int, slots: int) -> None:
        self._levels: list[tuple[Any, ...]] = []
        for order, level in enumerate(levels):
            parents = 1 if order == 0 else items if order == 1 else len(levels[order - 1])
            starts = np.searchsorted(level.parents, np.arange(parents + 1)).astype(np.int32)
            counts = np.concatenate([[0], np.cumsum(level.counts, dtype=np.int64)]).astype(np.int32)
            views = (memoryview(a.data) for a in (starts, np.ascontiguousarray(level.symbols), counts))
            self._levels.append((*views, (slots + order) * _LEVEL_SLOTS))

    def ranges(self, rows: list[int], first: int = 0) -> list[Range]:
        """Rows that may come next: one range per level from `first`, given the parent row at each."""
        found: list[Range] = []
        for row, (starts, symbols, counts, slot) in zip(rows[first:], self._levels[first:], strict=False):
            start, stop = starts[row], starts[row + 1]
            if start == stop:
                break
            found.append([start, stop, symbols, counts, slot])
        return found

    def rows_after(self, item: int, ranges: list[Range], first: int = 0) -> list[int]:
        """Parent rows for the next place, once every range has shrunk to the one row that was coded."""
        return [0, item, *(span[0] for span in ranges[1 - first :])]


class Predictor:
    """The adaptive state: weights, and counts of what followed each context in this archive."""

    def __init__(self, weights: list[float]) -> None:
        self.weights = list(weights)
        self._cells = array("H", bytes(2 << _CELL_BITS))
        self._stretch = stretch_table()
        self._squash = squash_table()
        self._confidence = confidence_table()
        self._estimate, self._slot, self._after_zero, self._after_one = cell_tables()

    def decide(
        self,
        coder: Coder,
        bit: int,
        phase: int,
        node: int,
        prior: float,
        contexts: list[int],
        chains: tuple[tuple[list[Range], int], ...],
    ) -> int:
        """Code one decision and learn from it.

        Args:
            coder: where the bit goes, or comes from.
            bit: the decision when encoding; ignored when decoding.
            phase: which weights to use.
            node: which decision this is, among all that share `contexts`.
            prior: probability of 1 for want of anything better.
            contexts: hashes of the adaptive contexts, at most 7.
            chains: ranges still possible, shortest context first, and the symbol from which the bit is 1.
                The ranges shrink with the decision, and those left empty go.
        """
        weights = self.weights
        stretch = self._stretch
        confidence = self._confidence
        cells = self._cells
        base = phase * PHASE_WEIGHTS
        estimate = self._estimate
        confident = self._slot
        total = 0.0
        evidence: list[tuple[int, float]] = []
        middles: list[tuple[Range, int]] = []
        for ranges, middle in chains:
            p = prior
            silent = len(ranges) - _FED
            for span in ranges:
                start, stop, symbols, counts, slot = span
                at = bisect_left(symbols, middle, start, stop)
                last = counts[stop]
                seen = last - counts[start]
                strength = _PRIOR * (stop - start)
                p = (last - counts[at] + strength * p) / (seen + strength)
                middles.append((span, at))
                if silent > 0:
                    silent -= 1
                    continue
                which = base + slot + (confidence[seen] if seen < 300 else 36)
                if not start < at < stop:
                    which += 2
                if span is ranges[-1]:
                    which += 1
                logit = stretch[int(p * ONE)]
                total += weights[which] * logit
                evidence.append((which, logit))
        if not evidence:
            evidence.append((base, stretch[int(prior * ONE)]))
            total = weights[base] * evidence[0][1]
        spread = node * _SPREAD
        places = [(context ^ spread) & _CELL_MASK for context in contexts]
        slot = base + _CELLS_AT
        for place in places:
            cell = cells[place]
            if cell:
                which = slot + confident[cell]
                logit = estimate[cell]
                total += weights[which] * logit
                evidence.append((which, logit))
            slot += _CELL_SLOTS
        if total > CLAMP:
            total = CLAMP
        elif total < -CLAMP:
            total = -CLAMP
        probability = self._squash[int((total + 12.0) * STEPS)]
        bit = coder.code(bit, probability)
        step = (bit - probability / ONE) * RATE
        for which, logit in evidence:
            weights[which] += step * logit
        after = self._after_one if bit else self._after_zero
        for place in places:
            cells[place] = after[cells[place]]
        edge = 0 if bit else 1
        for span, at in middles:
            span[edge] = at
        for ranges, _ in chains:
            while ranges and ranges[-1][0] >= ranges[-1][1]:
                ranges.pop()
        return bit
