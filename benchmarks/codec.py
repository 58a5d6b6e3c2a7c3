"""Speed of the codec on one core, as a Markdown table: encode and decode, with a cold and a warm cache.

Speed is megabytes of UTF-8 text per second of processor time of this one process. Cold: a lexicon loaded anew,
which meets every word for the first time and makes its own tables on the way. Warm: the same once more over the
same text. Medians over the rounds. Run on a machine that does nothing else, for example

    python benchmarks/codec.py notes.lexicon ~/books ~/docs --megabytes 12
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

from measure import facts

from hypertok.lexicon.lexicon import Lexicon

SUFFIXES = {".txt", ".md"}


class Speed(NamedTuple):
    """MB/s of each step over one text collection, and how far the symbol text shrank (characters)."""

    encode_cold: float
    encode_warm: float
    decode_cold: float
    decode_warm: float
    ratio: float


def read_texts(folder: Path, limit: int) -> list[str]:
    """Up to `limit` bytes of UTF-8 text below a folder, taken evenly from its files in path order."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    step = max(1, sum(path.stat().st_size for path in files) // max(1, limit))
    texts: list[str] = []
    size = 0
    for path in [file for first in range(step) for file in files[first::step]]:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        texts.append(text)
        size += len(text.encode())
        if size >= limit:
            break
    return texts


def timed(code: Callable[[str], str], pieces: list[str]) -> tuple[float, list[str]]:
    """Processor seconds that encoding or decoding takes, and what comes of it."""
    started = time.process_time()
    made = [code(piece) for piece in pieces]
    return time.process_time() - started, made


def measure(folder: Path, texts: list[str], rounds: int) -> Speed:
    """Medians over rounds that share nothing, after checking that nothing is lost."""
    size = sum(len(text.encode()) for text in texts) / 1e6
    taken: list[tuple[float, ...]] = []
    for _ in range(rounds):
        writer, reader = Lexicon.load(folder).codec, Lexicon.load(folder).codec
        write_cold, symbols = timed(writer.encode, texts)
        write_warm, _ = timed(writer.encode, texts)
        read_cold, back = timed(reader.decode, symbols)
        read_warm, _ = timed(reader.decode, symbols)
        if back != texts:
            raise SystemExit("the codec lost text; a speed would mean nothing")
        taken.append((write_cold, write_warm, read_cold, read_warm))
    ratio = sum(map(len, symbols)) / sum(map(len, texts))
    return Speed(*(size / median(column) for column in zip(*taken, strict=True)), ratio)


def rows(lexicon: Path, folders: list[Path], limit: int, rounds: int) -> Iterator[str]:
    """The table, line by line."""
    yield "| text | MB | encode cold | encode warm | decode cold | decode warm | symbols per character |"
    yield "|---|---|---|---|---|---|---|"
    for folder in folders:
        texts = read_texts(folder, limit)
        if not texts:
            raise SystemExit(f"{folder}: no UTF-8 text in {' or '.join(sorted(SUFFIXES))} files")
        speed = measure(lexicon, texts, rounds)
        size = sum(len(text.encode()) for text in texts) / 1e6
        figures = " | ".join(f"{value:.1f}" for value in speed[:4])
        yield f"| {folder.name} | {size:.1f} | {figures} | {speed.ratio:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lexicon", type=Path)
    parser.add_argument("folders", type=Path, nargs="+", help="one row of the table each")
    parser.add_argument("--megabytes", type=float, default=12, help="text taken from each folder")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    lexicon = Lexicon.load(options.lexicon)
    print(
        f"{facts('polars', 'numpy')}\n\nMB of UTF-8 text per processor second, one core, median of {options.rounds}; "
        f"lexicon of {lexicon.concepts.height:,} concepts and {lexicon.forms.height:,} forms\n"
    )
    for row in rows(options.lexicon, options.folders, int(options.megabytes * 1e6), options.rounds):
        print(row, flush=True)


if __name__ == "__main__":
    main()
