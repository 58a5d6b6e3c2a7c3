"""Speed of the codec on one core, as a Markdown table: encode and decode, with a cold and a warm cache.

Speed is megabytes of UTF-8 text per second of processor time of this one process. Cold: a new codec, which
meets every word for the first time. Warm: the same codec once more over the same text. Run on a machine that
does nothing else, for example

    python benchmarks/codec.py notes.lexicon ~/books ~/docs --megabytes 12
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from hypertok.codec.codec import Codec
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


def seconds(work: Callable[[], object]) -> float:
    """Processor seconds that `work` takes."""
    started = time.process_time()
    work()
    return time.process_time() - started


def measure(lexicon: Lexicon, texts: list[str], rounds: int) -> Speed:
    """Best of several rounds (the least disturbed one), after checking that nothing is lost."""
    size = sum(len(text.encode()) for text in texts) / 1e6
    symbols = [lexicon.encode(text) for text in texts]
    if [lexicon.decode(piece) for piece in symbols] != texts:
        raise SystemExit("the codec lost text; a speed would mean nothing")
    taken: list[list[float]] = []
    for _ in range(rounds):
        writer, reader = Codec(lexicon.book), Codec(lexicon.book)
        taken.append(
            [
                seconds(lambda codec=writer: [codec.encode(text) for text in texts]),  # type: ignore[misc]
                seconds(lambda codec=writer: [codec.encode(text) for text in texts]),  # type: ignore[misc]
                seconds(lambda codec=reader: [codec.decode(piece) for piece in symbols]),  # type: ignore[misc]
                seconds(lambda codec=reader: [codec.decode(piece) for piece in symbols]),  # type: ignore[misc]
            ]
        )
    write_cold, write_warm, read_cold, read_warm = (size / min(column) for column in zip(*taken, strict=True))
    ratio = sum(map(len, symbols)) / sum(map(len, texts))
    return Speed(write_cold, write_warm, read_cold, read_warm, ratio)


def rows(lexicon: Lexicon, folders: list[Path], limit: int, rounds: int) -> Iterator[str]:
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
        f"MB of UTF-8 text per processor second, one core, best of {options.rounds}; lexicon of "
        f"{lexicon.concepts.height:,} concepts and {lexicon.forms.height:,} forms; Python "
        f"{platform.python_version()}, {platform.machine()}\n"
    )
    for row in rows(lexicon, options.folders, int(options.megabytes * 1e6), options.rounds):
        print(row, flush=True)


if __name__ == "__main__":
    main()
