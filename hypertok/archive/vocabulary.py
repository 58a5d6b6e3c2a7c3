"""The numbered pieces and the binary tree through which a piece is coded.

A piece is reached in three stages: its class (what kind of thing, for a word its part of speech and
inflection), its lemma among those of its part of speech (its concept), and, rarely, which of several
spellings. Pieces are numbered in that order, so every node of the tree cuts an interval of numbers, and
the counts of its two sides after any context are found by bisection. Cuts halve the weight of their interval.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate, pairwise

from hypertok.archive.statistics import Statistics


class Cuts:
    """Where to cut intervals of a sequence of weights; cuts are kept, for the same ones come again."""

    def __init__(self, weights: list[int]) -> None:
        self.sums = list(accumulate(weights, initial=0))
        self._cuts: dict[int, int] = {}

    def cut(self, start: int, stop: int) -> int:
        """The cut inside start … stop (at least two items) that comes nearest to halving its weight."""
        key = start << 24 | stop
        found = self._cuts.get(key)
        if found is None:
            sums = self.sums
            half = (sums[start] + sums[stop]) // 2
            found = bisect_left(sums, half, start + 1, stop - 1)
            if found > start + 1 and half - sums[found - 1] < sums[found] - half:
                found -= 1
            self._cuts[key] = found
        return found

    def share_above(self, start: int, cut: int, stop: int) -> float:
        """Share of the interval's weight that lies from `cut` on, never quite 0 or 1."""
        sums = self.sums
        return (sums[stop] - sums[cut] + 0.5) / (sums[stop] - sums[start] + 1.0)


class Vocabulary:
    """Pieces by number with their place in the tree.

    Attributes:
        number: number of each key.
        keys: key of each number.
        pieces: cuts over all pieces.
        classes: cuts over the classes.
        class_of: class of each piece.
        first_of_class: the first piece of each class, and the number of pieces.
        lemmas: per part of speech, cuts over its lemmas.
        speech_of_class: part of speech of each class.
        lemma_of: each piece's lemma, numbered within its part of speech.
        first_lemma: number of lemmas in the parts of speech before, to number lemmas across all.
    """

    def __init__(self, statistics: Statistics) -> None:
        self.keys = statistics.keys
        self.number = {key: place for place, key in enumerate(self.keys)}
        self.pieces = Cuts(statistics.counts)
        names = statistics.class_names
        place = {name: number for number, name in enumerate(names)}
        self.class_of = [place[name] for name in statistics.classes]
        self.first_of_class = [bisect_left(self.class_of, c) for c in range(len(names) + 1)]
        starts = self.first_of_class
        self.classes = Cuts([sum(statistics.counts[a:b]) for a, b in pairwise(starts)])
        self._number_lemmas(statistics, names)

    def _number_lemmas(self, statistics: Statistics, names: list[str]) -> None:
        # The part of speech is the first word of the class; its classes share one tree of lemmas.
        heads = [name.split(" ")[0] for name in names]
        speech = {head: number for number, head in enumerate(dict.fromkeys(heads))}
        self.speech_of_class = [speech[head] for head in heads]
        found: list[dict[str, int]] = [{} for _ in speech]
        for class_, lemma, count in zip(self.class_of, statistics.lemmas, statistics.counts, strict=True):
            weights = found[self.speech_of_class[class_]]
            weights[lemma] = weights.get(lemma, 0) + count
        ordered = [sorted(weights) for weights in found]
        numbers = [{lemma: place for place, lemma in enumerate(lemmas)} for lemmas in ordered]
        self.lemma_of = [
            numbers[self.speech_of_class[class_]][lemma]
            for class_, lemma in zip(self.class_of, statistics.lemmas, strict=True)
        ]
        self.lemmas = [Cuts([w[lemma] for lemma in ls]) for w, ls in zip(found, ordered, strict=True)]
        self.first_lemma = list(accumulate((len(ls) for ls in ordered), initial=0))
