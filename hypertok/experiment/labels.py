"""Labels of points that lie close together, moved down until none covers another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

#: Of the unit; a box that was moved touches the one above by less.
_EDGE = 1e-6


@dataclass(frozen=True)
class Box:
    """Where a label stands, y upwards, all in one unit."""

    left: float
    bottom: float
    width: float
    height: float

    def covers(self, other: Box) -> bool:
        """Whether the two share more than an edge, roundings of it included."""
        across = min(self.left + self.width, other.left + other.width) - max(self.left, other.left)
        up = min(self.bottom + self.height, other.bottom + other.height) - max(self.bottom, other.bottom)
        return min(across, up) > _EDGE


def moved_apart(wanted: Sequence[Box]) -> list[Box]:
    """The same boxes in the same order; the highest stays, one that would cover another goes down to just below it."""
    placed: dict[int, Box] = {}
    for number in sorted(range(len(wanted)), key=lambda place: (-wanted[place].bottom, place)):
        box = wanted[number]
        while hit := [other for other in placed.values() if box.covers(other)]:
            box = replace(box, bottom=min(other.bottom for other in hit) - box.height)
        placed[number] = box
    return [placed[number] for number in range(len(wanted))]
