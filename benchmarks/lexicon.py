"""What building and loading a lexicon costs, beside training a BPE vocabulary on the same text.

    python benchmarks/lexicon.py [--corpus FOLDER] [--runs 3]

Three tables: `build-lexicon` and sentencepiece in turns on the same text; how the steps of a build grow when
the corpus doubles; how a lexicon of 250,000 concepts and a million forms loads. Every run is a process of its
own, and memory is that of the process and all its workers. Run it on a machine that does nothing else. Linux.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import accumulate
from math import log2
from pathlib import Path
from statistics import median
from typing import Any

import measure

from hypertok.corpus.documents import read_shard
from hypertok.corpus.engines import default_workers
from hypertok.corpus.records import Document
from hypertok.corpus.sources import plan_shards

HERE = Path(__file__).resolve().parent
SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
#: Counting and learning statistics read all of the text, so they grow with it by nature; analysis must not.
ANALYSIS = ("analyse", "context", "phrases", "assemble")
STEPS = ("count", *ANALYSIS, "statistics", "write")
CONCEPTS, FORMS = 250_000, 1_000_000
SENTENCEPIECE: dict[str, Any] = {
    "model_type": "bpe",
    "vocab_size": 32_000,
    "character_coverage": 0.9995,
    "input_sentence_size": 0,  # everything
    "max_sentence_length": 10_000_000,  # bytes; longer lines would be left out
    "num_threads": default_workers(),  # as many as a build
}

BUILD = """
import json, sys, time
from pathlib import Path

def main():
    from hypertok import build_lexicon
    began = time.perf_counter()
    told = []
    result = build_lexicon(sys.argv[1], Path(sys.argv[2]),
                           progress=lambda step, done, total: told.append((time.perf_counter(), step, done)))
    facts = result.manifest.facts
    print(json.dumps({"began": began, "told": told, "ended": time.perf_counter(),
                      "distinct_forms": facts["distinct_forms"], "words": facts["words"]}))

if __name__ == "__main__":
    main()
"""
TRAIN = """
import json, sys
import sentencepiece
sentencepiece.SentencePieceTrainer.train(
    input=sys.argv[1], model_prefix=sys.argv[2], minloglevel=2, **json.loads(sys.argv[3]))
print("{}")
"""
LOAD = """
import json, sys, time
def memory(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name + ":"))
times = [time.perf_counter()]
from hypertok import Lexicon
times.append(time.perf_counter())
lexicon = Lexicon.load(sys.argv[1])
times.append(time.perf_counter())
loaded, peak = memory("VmRSS"), memory("VmHWM")
text = sys.argv[2]
code = lexicon.encode(text)
times.append(time.perf_counter())
if lexicon.decode(code) != text or len(code) >= len(text):
    sys.exit("the synthetic lexicon does not encode its own forms")
print(json.dumps({"times": times, "loaded": loaded, "peak": peak}))
"""


#: So that the runs measure this checkout, installed or not.
PATH = os.pathsep.join(filter(None, (str(HERE.parent), os.environ.get("PYTHONPATH"))))


@dataclass(frozen=True)
class Run:
    """One process: seconds from start to end, its peak memory (whole tree, bytes), and what it printed."""

    seconds: float
    memory: int
    printed: dict[str, Any]


def run(*command: str) -> Run:
    """Run Python with `command` and watch it."""
    began = time.perf_counter()
    with (
        subprocess.Popen(
            [sys.executable, *command],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": PATH},
        ) as process,
        measure.Watch(process.pid) as memory,
    ):
        printed, _ = process.communicate()
        seconds = time.perf_counter() - began
    if process.returncode:
        sys.exit(f"a run failed with exit code {process.returncode}: {' '.join(command[1:3])}")
    return Run(seconds, memory.tree, json.loads(printed.splitlines()[-1]))


def build(corpus: Path, work: Path) -> Run:
    """Build a lexicon anew; it is deleted again."""
    script = work / "build.py"
    script.write_text(BUILD, encoding="utf-8")
    output = work / "built.lexicon"
    try:
        return run(str(script), str(corpus), str(output))
    finally:
        shutil.rmtree(output, ignore_errors=True)


def step_seconds(printed: dict[str, Any]) -> dict[str, float]:
    """Seconds of each step, from what the build told about its progress.

    Time up to a sign of progress belongs to that step. Time up to the start of a step belongs to counting
    if that went before (there the shards' counts are merged), else to assembling.
    """
    seconds = dict.fromkeys(STEPS, 0.0)
    before, previous = printed["began"], "count"
    for at, step, done in printed["told"]:
        owner = step if done else "count" if previous == "count" else "assemble"
        seconds[owner] = seconds.get(owner, 0.0) + at - before
        before, previous = at, step
    seconds["write"] += printed["ended"] - before
    return seconds


def write_paragraphs(corpus: Path, target: Path) -> int:
    """The decoded text of all documents, one paragraph per line; returns its size in bytes."""
    plan = plan_shards(corpus)
    with target.open("w", encoding="utf-8", errors="replace") as file:
        for shard in plan.shards:
            for item in read_shard(plan.root, shard):
                if isinstance(item, Document):
                    lines = item.text.replace("\r\n", "\n").split("\n\n")
                    file.writelines(f"{' '.join(line.split())}\n" for line in lines if line.strip())
    return target.stat().st_size


def choose(corpus: Path, share: float, target: Path) -> int:
    """Link files that hold a share of the corpus's bytes into `target`; returns their bytes.

    They come in the order of the hashes of their names, so a smaller share is part of every larger one.
    """
    names = [path.relative_to(corpus) for path in corpus.rglob("*") if path.is_file()]
    names.sort(key=lambda name: hashlib.sha256(name.as_posix().encode()).digest())
    ends = list(accumulate((corpus / name).stat().st_size for name in names))
    count = min(range(1, len(names) + 1), key=lambda count: abs(ends[count - 1] - share * ends[-1]))
    for name in names[:count]:
        link = target / name
        link.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(corpus / name, link)
        except OSError:  # on another file system
            shutil.copyfile(corpus / name, link)
    return ends[count - 1]


def compare(corpus: Path, runs: int, work: Path) -> str:
    """Building a lexicon and training sentencepiece, in turns."""
    text = work / "paragraphs.txt"
    text_bytes = write_paragraphs(corpus, text)
    ours, theirs = [], []
    for _ in range(runs):
        ours.append(build(corpus, work))
        theirs.append(run("-c", TRAIN, str(text), str(work / "model"), json.dumps(SENTENCEPIECE)))
    text.unlink()
    settings = ", ".join(f"{name}={value}" for name, value in SENTENCEPIECE.items())
    rows = [("`hypertok build-lexicon`", ours), ("sentencepiece, 32k BPE", theirs)]
    return "\n".join(
        [
            f"## Building, beside sentencepiece ({runs} runs each, in turns)",
            "",
            f"sentencepiece reads the same {text_bytes / 1e6:.0f} MB of decoded text from one file, one "
            f"paragraph per line; reading and decoding the corpus is not in its time. Settings: {settings}.",
            "",
            "| | time, median (all), s | peak memory, MiB |",
            "|---|---|---|",
            *(
                f"| {name} | {median(r.seconds for r in found):.1f} "
                f"({', '.join(f'{r.seconds:.1f}' for r in found)}) "
                f"| {max(r.memory for r in found) / measure.MIB:.0f} |"
                for name, found in rows
            ),
        ]
    )


def growth(corpus: Path, runs: int, work: Path) -> str:
    """The steps of a build on shares of the corpus that double."""
    lines: list[str] = []
    before, smaller = 0.0, 0
    for share in SHARES:
        chosen = work / "share"
        size = choose(corpus, share, chosen)
        found = [build(chosen, work) for _ in range(runs)]
        shutil.rmtree(chosen)
        each = [step_seconds(r.printed) for r in found]
        steps = {step: median(seconds[step] for seconds in each) for step in STEPS}
        analysis = median(sum(seconds[step] for step in ANALYSIS) for seconds in each)
        cells = [
            f"{share:g}",
            f"{size / 1e6:.1f}",
            f"{found[0].printed['words']:,}",
            f"{found[0].printed['distinct_forms']:,}",
            *(f"{steps[step]:.1f}" for step in STEPS),
            f"{analysis:.1f}",
            f"× {(analysis / before) ** (1 / log2(size / smaller)):.2f}" if 0 < smaller < size else "",
        ]
        before, smaller = analysis, size
        lines.append(f"| {' | '.join(cells)} |")
    head = ["share of bytes", "MB", "words", "distinct forms", *STEPS, "analysis", "growth"]
    return "\n".join(
        [
            "## Growth: the corpus doubles four times",
            "",
            "Files come in the order of the hashes of their names, up to the share of all bytes. Seconds, median of "
            f"{runs}; *analysis* is {', '.join(ANALYSIS)} together, and *growth* is that of analysis from one line to "
            "the next, for bytes that exactly double.",
            "",
            f"| {' | '.join(head)} |",
            "|" + "---|" * len(head),
            *lines,
        ]
    )


def loading(runs: int, work: Path) -> str:
    """A large lexicon in a fresh process."""
    from synthetic_lexicon import ENDINGS, stem, write_lexicon

    folder = work / "large.lexicon"
    write_lexicon(folder, CONCEPTS, FORMS)
    text = " ".join(stem(n * 17 % CONCEPTS) + ENDINGS[n % 3] for n in range(1000))
    found = [run("-c", LOAD, str(folder), text).printed for _ in range(runs + 1)][1:]  # the first warms the disk
    imports, load, encode = (median(r["times"][k + 1] - r["times"][k] for r in found) for k in range(3))
    size = sum(file.stat().st_size for file in folder.iterdir())
    return "\n".join(
        [
            f"## Loading {CONCEPTS:,} concepts and {FORMS:,} forms ({size / 1e6:.0f} MB on disk)",
            "",
            f"A made-up lexicon in a fresh process, files in the disk cache, median of {runs}.",
            "",
            "| | |",
            "|---|---|",
            f"| load | {load:.2f} s |",
            f"| with importing hypertok | {load + imports:.2f} s |",
            f"| first encode after that, {len(text.split()):,} words | {encode * 1000:.0f} ms |",
            f"| resident after loading | {max(r['loaded'] for r in found) / measure.MIB:.0f} MiB |",
            f"| peak while loading | {max(r['peak'] for r in found) / measure.MIB:.0f} MiB |",
        ]
    )


def main() -> None:
    """Print the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=measure.CORPORA)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=("build", "growth", "loading"), help="one table instead of all three")
    options = parser.parse_args()
    if options.only != "loading" and not options.corpus.is_dir():
        sys.exit(f"{options.corpus}: no such folder; name one with --corpus")
    print("# Building and loading a lexicon\n")
    print(f"{measure.facts('pymorphy3', 'polars', 'numpy', 'sentencepiece')}. `python benchmarks/lexicon.py`")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if options.only in (None, "build"):
            print(f"\n{compare(options.corpus, options.runs, work)}", flush=True)
        if options.only in (None, "growth"):
            print(f"\n{growth(options.corpus, options.runs, work)}", flush=True)
        if options.only in (None, "loading"):
            print(f"\n{loading(options.runs, work)}", flush=True)


if __name__ == "__main__":
    main()
