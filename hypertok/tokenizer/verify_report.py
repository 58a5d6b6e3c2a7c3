"""What a proof says: its lines, the report of all of them, and the counting behind a line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

#: Counterexamples that a line shows.
SHOWN = 3
#: Characters of a value in one.
LONGEST = 60


@dataclass(frozen=True)
class Line:
    """One line of the proof.

    Attributes:
        name: what was to be shown.
        passed: whether it was.
        checked: how much was checked, in `unit`s.
        unit: what is counted ("ids", "texts").
        detail: figures, or the first counterexamples, or why it was skipped.
        skipped: it could not be tried; then `passed` is False, and the line does not count against the report.
    """

    name: str
    passed: bool
    checked: int
    unit: str
    detail: str = ""
    skipped: bool = False

    @classmethod
    def untried(cls, name: str, unit: str, why: str) -> Line:
        """A line that is skipped."""
        return cls(name, False, 0, unit, f"not checked: {why}", skipped=True)


@dataclass(frozen=True)
class Report:
    """All lines of the proof; `folder` is the extended tokenizer and `stock_sha256` the identity of the stock one."""

    folder: str
    stock_sha256: str
    lines: tuple[Line, ...]

    @property
    def passed(self) -> bool:
        """Whether no line failed and at least one passed."""
        return any(line.passed for line in self.lines) and all(line.passed or line.skipped for line in self.lines)

    def to_json(self) -> str:
        """The report for machines."""
        return json.dumps({"passed": self.passed, **asdict(self)}, ensure_ascii=False, indent=1) + "\n"


class Tally:
    """Counts what is checked for one line and keeps the first counterexamples."""

    def __init__(self, name: str, unit: str) -> None:
        self.name, self.unit = name, unit
        self.checked = self.failed = 0
        self.examples: list[str] = []

    def want(self, right: bool, example: Callable[[], str] | str, count: int = 1) -> None:
        """Count `count` checks; `example` says what is wrong when they are not `right`."""
        self.checked += count
        if not right:
            self.failed += 1
            if len(self.examples) < SHOWN:
                self.examples.append(example if isinstance(example, str) else example())

    def line(self, detail: str = "") -> Line:
        """The line of what was counted; `detail` is left out when anything was wrong."""
        if self.failed:
            detail = f"{self.failed:,} wrong: " + "; ".join(self.examples)
        elif not self.checked:
            detail = f"nothing to check. {detail}".rstrip()
        return Line(self.name, not self.failed and self.checked > 0, self.checked, self.unit, detail)


def short(value: object) -> str:
    """The value's repr, cut off where it is long."""
    shown = repr(value)
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"
