"""Labels of points that lie close together, moved down until none covers another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Box:
    """Where a label stands, y upwards, all in one unit."""

    left: float
    bottom: float
    width: float
    height: float

    def covers(self, other: Box) -> bool:
        """Whether the two share more than an edge."""
        return (
            self.left < other.left + other.width
            and other.left < self.left + self.width
            and self.bottom < other.bottom + other.height
            and other.bottom < self.bottom + self.height
        )


def spread(wanted: Sequence[Box]) -> list[Box]:
    """The same boxes in the same order; the highest stays, one that would cover another goes down to just below it."""
    placed: dict[int, Box] = {}
    for number in sorted(range(len(wanted)), key=lambda place: (-wanted[place].bottom, place)):
        box = wanted[number]
        while hit := [other for other in placed.values() if box.covers(other)]:
            box = replace(box, bottom=min(other.bottom for other in hit) - box.height)
        placed[number] = box
    return [placed[number] for number in range(len(wanted))]
