"""Does memory stay bounded while a corpus is counted, however many distinct forms it has?

    python benchmarks/memory.py [--gib 1] [--workers 2] [--zipf 1.15]

Writes a synthetic corpus to a temporary folder (pseudo-random Russian-like words, Zipf ranks with so heavy
a tail that new forms never cease), counts it in a process of its own, and prints the largest resident set of
that process and of each worker. Needs about three times the corpus size of free disk; Linux only.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import measure
import numpy as np

FILE_BYTES = 64 << 20
#: P(rank > n) falls as n to the power of -0.15: a word in ten is new even after a hundred million.
ZIPF = 1.15
SYLLABLES = [c + v for c in "бвгджзклмнпрстфхцчшщ" for v in "аеиоуыюя"] + list("аеиоуэюяй")
WORDS_AT_ONCE = 200_000

COUNT = """
import json, sys, time
from pathlib import Path
from hypertok.corpus.counting import count_corpus

began = time.perf_counter()
counted = count_corpus(sys.argv[1], Path(sys.argv[2]), workers=int(sys.argv[3]))
seconds = time.perf_counter() - began
tokens = sum(len(stream) for stream in counted.streams())
print(json.dumps({"forms": counted.vocabulary.height, "pruned": counted.pruned, "seconds": seconds,
                  "tokens": tokens}))
"""


def word(rank: int) -> str:
    """The word of a rank: longer the rarer, a different one for every rank."""
    syllables = []
    while True:
        rank, rest = divmod(rank, len(SYLLABLES))
        syllables.append(SYLLABLES[rest])
        if not rank:
            return "".join(syllables)


def write_corpus(folder: Path, size: int, zipf: float, seed: int = 0) -> None:
    """Files of `FILE_BYTES` that make up about `size` bytes; the same for the same arguments."""
    rng = np.random.default_rng(seed)
    common = [word(rank) for rank in range(100_000)]
    written = 0
    while written < size:
        with (folder / f"{written // FILE_BYTES:06d}.txt").open("wb") as file:
            while file.tell() < min(FILE_BYTES, size - written):
                ranks = rng.zipf(zipf, WORDS_AT_ONCE).tolist()
                words = [common[rank] if rank < len(common) else word(rank) for rank in ranks]
                lines = [" ".join(words[i : i + 500]).capitalize() for i in range(0, len(words), 500)]
                file.write((".\n\n".join(lines) + ".\n\n").encode())
            written += FILE_BYTES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gib", type=float, default=1.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--zipf", type=float, default=ZIPF, help="exponent; the nearer to 1, the more new words")
    parser.add_argument("--json", action="store_true", help="print figures for a program")
    parser.add_argument("--folder", type=Path, help="where to put the corpus [default: the system's choice]")
    options = parser.parse_args()
    size = int(options.gib * (1 << 30))
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        free = shutil.disk_usage(folder).free
        if free < 3 * size + (1 << 30):
            sys.exit(f"{free >> 30} GiB free on disk and {(3 * size >> 30) + 1} needed; name another --folder")
        corpus = Path(folder, "corpus")
        corpus.mkdir()
        began = time.perf_counter()
        write_corpus(corpus, size, options.zipf)
        print(f"corpus written in {time.perf_counter() - began:.0f} s", file=sys.stderr)
        figures = count(corpus, Path(folder, "work"), options.workers)
    print(json.dumps(asdict(figures)) if options.json else table(figures))


@dataclass(frozen=True)
class Figures:
    """What counting took; bytes and seconds."""

    bytes: int
    parent: int
    workers: list[int]
    tree: int
    forms: int
    pruned: int
    seconds: float
    tokens: int


def count(corpus: Path, work: Path, workers: int) -> Figures:
    """Count in a process of its own and watch it."""
    size = sum(file.stat().st_size for file in corpus.iterdir())
    command = [sys.executable, "-c", COUNT, str(corpus), str(work), str(workers)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process,
        measure.Watch(process.pid) as memory,
    ):
        out, _ = process.communicate()
    if process.returncode:
        sys.exit(f"counting failed with exit code {process.returncode}")
    parent = memory.peaks.pop(process.pid)
    # What is smaller than an interpreter with polars is a helper of multiprocessing.
    others = sorted((peak for peak in memory.peaks.values() if peak > 48 * measure.MIB), reverse=True)
    return Figures(bytes=size, parent=parent, workers=others, tree=memory.tree, **json.loads(out))


def table(figures: Figures) -> str:
    """The figures as Markdown."""
    rows = [
        ("corpus", f"{figures.bytes / (1 << 30):.2f} GiB, {figures.tokens:,} tokens"),
        ("distinct forms kept", f"{figures.forms:,}"),
        ("rare forms pruned", f"{figures.pruned:,}"),
        ("time", f"{figures.seconds:.0f} s"),
        ("peak resident set, main process", f"{figures.parent / measure.MIB:.0f} MiB"),
        (
            "peak resident set, each worker",
            ", ".join(f"{peak / measure.MIB:.0f}" for peak in figures.workers) + " MiB",
        ),
        ("peak of all together", f"{figures.tree / measure.MIB:.0f} MiB"),
    ]
    lines = [f"{measure.facts('numpy', 'polars')}", "", "| counting | |", "|---|---|"]
    return "\n".join(lines + [f"| {name} | {value} |" for name, value in rows])


if __name__ == "__main__":
    main()
