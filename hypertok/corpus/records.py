"""The plain records of the corpus room: what is to be read, what was read, and what is told about it.

A `Plan` cuts a corpus into `Shard`s; reading a shard gives `Document`s and one `SourceReport` per part.
The plan depends on the corpus alone, never on how many workers read it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

#: "without text": empty, or of a name that is never text (a picture); nothing is missed, unlike of what is skipped.
Status = Literal["read", "repaired", "skipped", "without text"]
#: Examples of look-alike words kept per source; enough to recognise the habit, short enough for one line.
_EXAMPLES = 3
#: Faulty records of one source that are told one by one; of the others their number.
FAULTS = 3
#: Different reasons of the parts of one file that are told one by one: a file may have thousands of parts.
_REASONS = 10


@dataclass(frozen=True, slots=True)
class Part:
    """A byte range of one source; the whole file when `start` is 0 and `stop` equals `size`.

    `path` is relative to the corpus root with forward slashes. For Parquet and `datasets` sources, whose
    bytes cannot be cut, the range stands for the same share of the rows.
    """

    path: str
    start: int
    stop: int
    size: int


@dataclass(frozen=True, slots=True)
class Shard:
    """One unit of work: parts that are read one after the other by one worker."""

    index: int
    parts: tuple[Part, ...]

    @property
    def bytes(self) -> int:
        """Bytes on disk that the shard covers."""
        return sum(part.stop - part.start for part in self.parts)


@dataclass(frozen=True, slots=True)
class Document:
    """A piece of text from one source, at most about a million characters long.

    `index` grows within a file and never repeats in it; the parts of a split file count from their first
    byte (Parquet rows that are not joined, from the sum of their first byte and first row). `text` is what
    was decoded, mojibake repaired, otherwise untouched (for HTML and FB2: without the tags). `prose` is the
    part of it in which words count: NFC, with code, addresses and tags blanked; '' where nobody asked for it.
    """

    path: str
    index: int
    text: str
    prose: str


#: What a reader gives of a document: its text, and what makes its prose: to be called of each once and before the next
#: comes, or of none, because a fence that one piece of Markdown opens another may close.
Piece = tuple[str, Callable[[], str]]


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What became of one part of a source.

    `sha256` is of the part's bytes ('' when they could not be read; for `datasets` sources, of the text).
    `reason` is '' when there is nothing to tell. `repaired` names the mojibake that was undone. `partial`: some of the
    text was not read.
    """

    path: str
    format: str
    encoding: str
    bytes: int
    characters: int
    documents: int
    status: Status
    reason: str = ""
    repaired: str = ""
    lookalikes: int = 0
    lookalike_examples: tuple[str, ...] = ()
    sha256: str = ""
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A corpus cut into shards.

    `reports` tells what was left out while walking (dangling links, empty files ...); hidden files, and links to
    something that is read anyway, are passed over without a word.
    """

    root: Path
    shards: tuple[Shard, ...]
    reports: tuple[SourceReport, ...] = ()

    @property
    def place(self) -> Path:
        """`root` for workers, which may have another current folder; a name on the hub stays as it is."""
        return self.root.absolute() if self.root.exists() else self.root

    @property
    def bytes(self) -> int:
        """Bytes on disk that the plan covers."""
        return sum(shard.bytes for shard in self.shards)


@dataclass(slots=True)
class Tally:
    """What a reader notes down while it reads one part; becomes a `SourceReport`."""

    format: str
    encoding: str = ""
    bytes: int = 0
    first: int = 0  # number of the first document
    sha256: str = ""
    reasons: dict[str, None] = field(default_factory=dict)
    repaired: dict[str, None] = field(default_factory=dict)
    skipped: bool = False
    partial: bool = False
    characters: int = 0
    documents: int = 0
    lookalikes: list[str] = field(default_factory=list)
    lookalike_count: int = 0
    lost: int = 0

    def note(self, reason: str) -> None:
        """Add a reason; the same one is told once."""
        self.reasons[reason] = None

    def lose(self, reason: str) -> None:
        """Say that some of the text was not read, and why."""
        self.partial = True
        self.note(reason)

    def skip(self, reason: str) -> None:
        """Say that the source was left out, and why."""
        self.skipped = True
        self.note(reason)

    def add_lookalikes(self, runs: Iterable[str]) -> None:
        """Count look-alike words and keep the first few."""
        for run in runs:
            self.lookalike_count += 1
            if len(self.lookalikes) < _EXAMPLES and run not in self.lookalikes:
                self.lookalikes.append(run)

    def look_for_damage(self, text: str) -> None:
        """Count characters that stand for bytes that could not be decoded."""
        self.lost += text.count("\ufffd")

    def report(self, path: str) -> SourceReport:
        """The report for `path`."""
        if self.lost:
            self.note(f"characters lost (undecodable bytes or U+FFFD): {self.lost}")
        status: Status = "repaired" if self.repaired else "read"
        return SourceReport(
            path=path,
            format=self.format,
            encoding=self.encoding,
            bytes=self.bytes,
            characters=self.characters,
            documents=self.documents,
            status="skipped" if self.skipped else status,
            reason="; ".join(self.reasons),
            repaired=", ".join(self.repaired),
            lookalikes=self.lookalike_count,
            lookalike_examples=tuple(self.lookalikes),
            sha256=self.sha256,
            partial=self.partial,
        )


def merge_reports(reports: Iterable[SourceReport]) -> tuple[SourceReport, ...]:
    """One report per path, in order of first appearance; give the parts of a file in their order.

    The merged sha256 is that of the parts' digests, one after the other in hexadecimal.
    """
    by_path: dict[str, list[SourceReport]] = {}
    for report in reports:
        by_path.setdefault(report.path, []).append(report)
    return tuple(_merge(group) for group in by_path.values())


def _merge(group: list[SourceReport]) -> SourceReport:
    first = group[0]
    if len(group) == 1:
        return first
    statuses = {r.status for r in group}
    # One readable part makes the file read; the reason still tells about the others.
    status: Status = "repaired" if "repaired" in statuses else "read" if "read" in statuses else "skipped"
    examples = dict.fromkeys(example for r in group for example in r.lookalike_examples)
    return replace(
        first,
        encoding=_join(r.encoding for r in group),
        bytes=sum(r.bytes for r in group),
        characters=sum(r.characters for r in group),
        documents=sum(r.documents for r in group),
        status=status,
        reason=_reasons(group),
        repaired=_join(r.repaired for r in group),
        lookalikes=sum(r.lookalikes for r in group),
        lookalike_examples=tuple(examples)[:_EXAMPLES],
        sha256=hashlib.sha256("".join(r.sha256 for r in group).encode()).hexdigest(),
        partial=any(r.partial for r in group) or len({r.status == "skipped" for r in group}) > 1,
    )


def _reasons(group: list[SourceReport]) -> str:
    """What the parts of a file tell, the first few different ones; those of parts that are left out before others."""
    told = list(dict.fromkeys(r.reason for r in sorted(group, key=lambda r: r.status != "skipped") if r.reason))
    more = [f"{len(told) - _REASONS} more reasons"] if len(told) > _REASONS else []
    return "; ".join(told[:_REASONS] + more)


def _join(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(v for v in values if v))
