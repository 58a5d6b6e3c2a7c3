"""Bits per character of archives beside zstd, xz, brotli and PPMd (`python benchmarks/archive.py`).

Needs the `bench` extra and the shared corpora (environment variable HYPERTOK_SHARED). Statistics and
dictionaries are learned from the training split; only the validation split is measured. Prints the tables of
archive.md. `--model FOLDER` keeps the statistics between runs; `--quick` measures every sixth note.
"""

from __future__ import annotations

import argparse
import csv
import lzma
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import brotli
import pyppmd
import zstandard
from measure import CORPORA, facts

from hypertok.archive.container import Member, Packer
from hypertok.archive.learning import statistics_of
from hypertok.archive.shards import count_shard
from hypertok.archive.statistics import CONTEXTS_TABLE, PIECES_TABLE, load_statistics, save_statistics
from hypertok.archive.text_coder import ArchiveModel
from hypertok.lexicon.word_classes import analyse_word

NOTES = "tech_md"
#: Larger files are cut: single notes are the subject, and one novel would outweigh all others.
CUT = 20_000
LEXICON = "00" * 32

Compress = Callable[[bytes], int]
Made = TypeVar("Made")


def texts(split: str) -> list[tuple[str, str]]:
    """(domain, text) of every file of a split, but for the treebanks."""
    with (CORPORA / "splits.tsv").open(encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file, delimiter="\t") if r["split"] == split]
    return [
        (row["domain"], (CORPORA / row["path"]).read_bytes().decode()) for row in rows if row["domain"] != "gold_lemma"
    ]


def learn(folder: Path, train: list[tuple[str, str]]) -> None:
    """Build the statistics of the training split and print what they cost."""
    start = time.process_time()
    shard = count_shard(text for _, text in train)
    counted = time.process_time()
    learned = statistics_of([shard], analyse_word)
    done = time.process_time()
    folder.mkdir(parents=True, exist_ok=True)
    save_statistics(learned, folder)
    print(f"statistics: {counted - start:.1f} s cutting (one core), {done - counted:.1f} s counting (CPU time)")


def competitors(train: list[tuple[str, str]], size: int) -> dict[str, Compress]:
    """Every compressor of the table; dictionaries have `size` bytes."""
    plain = zstandard.ZstdCompressor(level=19)
    found: dict[str, Compress] = {
        "xz -9e": lambda data: len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)),
        "zstd -19": lambda data: len(plain.compress(data)),
        "brotli -11, largest window": lambda data: len(brotli.compress(data, quality=11, lgwin=24)),
    }
    for order in (4, 6, 8, 16, 32):
        found[f"PPMd, order {order}"] = lambda data, order=order: len(
            pyppmd.compress(data, max_order=order, mem_size=512 << 20)
        )
    everything = b"".join(text.encode() for domain, text in train if domain != NOTES)
    notes = b"".join(text.encode() for domain, text in train if domain == NOTES)
    samples = [text.encode()[:100_000] for domain, text in train if domain == NOTES]
    dictionaries = {
        "zstd -19, dictionary trained on notes (1 MB)": zstandard.train_dictionary(1_000_000, samples),
        "zstd -19, dictionary of raw notes": raw((everything + notes)[-size:]),
        "zstd -19, all training text raw": raw(everything + notes),
    }
    for name, dictionary in dictionaries.items():
        settings = zstandard.ZstdCompressionParameters.from_level(
            19, window_log=27, write_checksum=False, write_content_size=False, write_dict_id=False
        )
        dictionary.precompute_compress(compression_params=settings)
        compressor = zstandard.ZstdCompressor(dict_data=dictionary, compression_params=settings)
        found[name] = lambda data, compressor=compressor: len(compressor.compress(data))
        print(f"{name}: {len(dictionary.as_bytes()) / 1e6:.1f} MB")
    return found


def raw(data: bytes) -> zstandard.ZstdCompressionDict:
    """Text itself as a dictionary; the end is cheapest to refer to, so the best matching text comes last."""
    return zstandard.ZstdCompressionDict(data, dict_type=zstandard.DICT_TYPE_RAWCONTENT)


def timed(work: Callable[[], list[Made]], size: int) -> tuple[list[Made], float]:
    """What work makes of so many bytes, and kB/s: the median of five, each repeated to take about a second."""
    start = time.perf_counter()
    made = work()
    repeats = max(1, round(1 / (time.perf_counter() - start)))
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(repeats):
            work()
        taken.append((time.perf_counter() - start) / repeats)
    return made, size / statistics.median(taken) / 1000


def measure(name: str, compress: Compress, single: list[str], whole: bytes | None) -> None:
    """One row: mean over single texts weighted by characters, their median, and all as one."""
    contents = [text.encode() for text in single]
    sizes, speed = timed(lambda: [compress(content) for content in contents], sum(map(len, contents)))
    characters = sum(map(len, single))
    median = statistics.median(8 * size / len(text) for size, text in zip(sizes, single, strict=True))
    together = f"{8 * compress(whole) / characters:.3f}" if whole is not None else "–"
    mean = f"{8 * sum(sizes) / characters:.3f}"
    print(f"| {name} | {mean} | {median:.3f} | {together} | {speed:,.0f} |", flush=True)


def main() -> None:
    """Learn, measure, print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--model", type=Path)
    arguments.add_argument("--quick", action="store_true")
    options = arguments.parse_args()
    print(facts("constriction", "zstandard", "brotli", "pyppmd", "numpy"))
    train = texts("train")
    folder = options.model or Path(tempfile.mkdtemp())
    if not (folder / CONTEXTS_TABLE).exists():
        learn(folder, train)
    size = sum((folder / name).stat().st_size for name in (PIECES_TABLE, CONTEXTS_TABLE))
    start = time.perf_counter()
    packer = Packer(ArchiveModel(load_statistics(folder)), LEXICON)
    print(f"statistics: {size / 1e6:.1f} MB on disk, loaded in {time.perf_counter() - start:.2f} s")

    others = competitors(train, size)
    valid = texts("valid")
    for domain in (NOTES, *sorted({domain for domain, _ in valid} - {NOTES})):
        single = [text for d, text in valid if d == domain]
        if domain == NOTES:
            single = single[:: 6 if options.quick else 1]
            whole: bytes | None = "".join(single).encode()
        else:
            single = [text[:CUT] for text in single]
            whole = None
        count = sum(map(len, single))
        print(f"\n{domain}: {len(single)} texts, {count:,} characters")
        print("| compressor | mean | median | whole | kB/s |\n|---|---|---|---|---|")

        def ours(data: bytes) -> int:
            return len(packer.pack([Member("", data)]))

        for name, compress in {"**hypertok pack**": ours, **others}.items():
            measure(name, compress, single, whole)
        if domain == NOTES:
            unpack_speed(packer, single[:40])
            self_contained(single[:40])


def unpack_speed(packer: Packer, single: list[str]) -> None:
    """Check that some notes come back, and how fast."""
    contents = [text.encode() for text in single]
    archives = [packer.pack([Member("", content)]) for content in contents]
    back, speed = timed(lambda: [packer.unpack(one)[0].content for one in archives], sum(map(len, contents)))
    if back != contents:
        raise SystemExit("notes came back otherwise than they were packed; no figure here would mean anything")
    print(f"\nunpacked {len(single)} of {len(single)} identically, {speed:.0f} kB/s")


def self_contained(single: list[str]) -> None:
    """Archives that need no lexicon."""
    from hypertok.archive.container import self_contained_packer

    packer = self_contained_packer()
    size = sum(len(packer.pack([Member("", text.encode())])) for text in single)
    bits = 8 * size / sum(map(len, single))
    print(f"self-contained: {bits:.3f} bits per character on the first {len(single)} of these notes")


if __name__ == "__main__":
    main()
