"""Speed of extended tokenizers beside their stock tokenizer in the same run, as Markdown tables.

Loading: a fresh process each, the raw library and transformers' AutoTokenizer. Encoding: megabytes of UTF-8 text per
second, one thread (text by text) and batch (all processors), held-out Russian text and English text. Stock and extended
take turns, and at being the first; every round reads texts of its own, for a tokenizer keeps the pieces that it met
first; medians. The extended tokenizers are those that extension.py leaves:

    python benchmarks/extension.py train.lexicon --keep extended/
    python benchmarks/encoding.py extended/qwen3-32000 extended/gemma3-32000 --texts held-out/ --english english/
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from measure import TOKENIZERS, facts
from tokenizers import Tokenizer

SUFFIXES = {".txt", ".md", ".py"}
_LOAD = {
    "tokenizers": "from tokenizers import Tokenizer; import time; t = time.perf_counter(); "
    "Tokenizer.from_file({path!r} + '/tokenizer.json'); print(time.perf_counter() - t)",
    "AutoTokenizer": "from transformers import AutoTokenizer; import time; t = time.perf_counter(); "
    "AutoTokenizer.from_pretrained({path!r}, local_files_only=True); print(time.perf_counter() - t)",
}


def read(folder: Path, megabytes: float) -> list[str]:
    """UTF-8 texts below a folder in path order, about so many megabytes, every few files one."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    step = max(1, int(sum(path.stat().st_size for path in files) // (megabytes * 1e6)))
    return [path.read_text(encoding="utf-8", errors="replace") for path in files[::step]]


def median_pair(rounds: int, first: Callable[[int], float], second: Callable[[int], float]) -> tuple[float, float]:
    """Medians of two measurements, given the number of the round, that take turns at being the first of it."""
    pairs = []
    for number in range(rounds):
        if number % 2:
            after, before = second(number), first(number)
        else:
            before, after = first(number), second(number)
        pairs.append((before, after))
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def load_seconds(how: str, folder: Path) -> float:
    """Seconds to load in a fresh process, imports not counted."""
    code = _LOAD[how].format(path=str(folder))
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def one_by_one(tokenizer: Tokenizer, texts: list[str]) -> None:
    """Encode text by text."""
    for text in texts:
        tokenizer.encode(text, add_special_tokens=False)


def batch(tokenizer: Tokenizer, texts: list[str]) -> None:
    """Encode all texts in one call."""
    tokenizer.encode_batch_fast(texts, add_special_tokens=False)


def speed(work: Callable[[Tokenizer, list[str]], None], tokenizer: Tokenizer, texts: list[str]) -> float:
    """MB/s."""
    start = time.perf_counter()
    work(tokenizer, texts)
    return sum(len(text.encode()) for text in texts) / 1e6 / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("extended", nargs="+", type=Path, help="folders named TOKENIZER-ROWS")
    parser.add_argument("--texts", type=Path, required=True, help="Russian texts")
    parser.add_argument("--english", type=Path, default=Path(os.__file__).parent, help="other texts (.py, .md, .txt)")
    parser.add_argument("--megabytes", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    wanted = parser.parse_args()
    sets = {"Russian": read(wanted.texts, wanted.megabytes), "English and code": read(wanted.english, 2)}
    ways = {"one thread": one_by_one, "batch": batch}
    parts = len(ways) * wanted.rounds  # one for every way and round
    for name, texts in sets.items():
        if len(texts) < parts:
            raise SystemExit(f"{name}: {len(texts)} texts, and {parts} are needed; give more or fewer --rounds")
    print(f"{facts('tokenizers', 'transformers')}\n")
    pairs = {folder: TOKENIZERS / f"tokenizer-{folder.name.split('-')[0]}" / "models" for folder in wanted.extended}
    print("| tokenizer | loaded by | stock, s | extended, s | extended / stock |\n|---|---|---|---|---|", flush=True)
    for folder, stock in pairs.items():
        for how in _LOAD:
            before, after = median_pair(
                wanted.rounds,
                lambda _, s=stock, h=how: load_seconds(h, s),
                lambda _, f=folder, h=how: load_seconds(h, f),
            )
            print(f"| {folder.name} | {how} | {before:.2f} | {after:.2f} | {after / before:.2f} |", flush=True)
    print("\n| tokenizer | text | MB | how | stock, MB/s | extended, MB/s | extended / stock |\n" + "|---" * 7 + "|")
    for folder, stock in pairs.items():
        first, second = (Tokenizer.from_file(str(place / "tokenizer.json")) for place in (stock, folder))
        for name, texts in sets.items():
            for place, (how, work) in enumerate(ways.items()):
                slices = [texts[at::parts] for at in range(place, parts, len(ways))]
                size = sum(len(text.encode()) for part in slices for text in part) / 1e6
                before, after = median_pair(
                    wanted.rounds,
                    lambda number, t=first, w=work, x=slices: speed(w, t, x[number]),
                    lambda number, t=second, w=work, x=slices: speed(w, t, x[number]),
                )
                print(
                    f"| {folder.name} | {name} | {size:.1f} | {how} | {before:.2f} | {after:.2f} "
                    f"| {after / before:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
