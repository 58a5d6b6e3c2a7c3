"""How fast an extended model reads and writes, in characters per second beside the stock model, as a Markdown table.

    python benchmarks/speed.py MODEL_DIR model-notes-merged … --text held-out/

The first folder is what the others are compared with. Every model reads the same beginnings of the same text, one made
of many documents, and writes after the same prompts. Models take turns, so that a machine that slows down does so for
all; figures are medians over the rounds, each of them the median of three runs after a warm-up. A model whose new rows
are not trained reads as fast as one whose are, but it writes few of its new units; take a trained one. Run it on a
machine that does nothing else.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median

from measure import facts

from hypertok.corpus.documents import read_documents
from hypertok.corpus.identity import identity_of
from hypertok.measure.speed import Speed, measure_speed
from hypertok.measure.subject import load_subject, without_bars

#: Characters of each document, so that many kinds of text are read.
_OF_EACH = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, help="model folders, the stock one first")
    parser.add_argument("--text", type=Path, required=True, help="held-out texts")
    parser.add_argument("--sizes", nargs="+", type=int, default=[500, 1_000, 2_000, 4_000], help="characters read")
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--most", type=int, default=4_000, help="characters of all sequences of a batch together")
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="float32")
    wanted = parser.parse_args()
    without_bars()
    subjects = [load_subject(folder, dtype=wanted.dtype) for folder in wanted.folders]
    text = "\n\n".join(
        one[:_OF_EACH] for one in sorted((one.text for one in read_documents(wanted.text)), key=identity_of)
    )
    found: dict[tuple[int, int, int], list[Speed]] = {}
    for _ in range(wanted.rounds):
        for size in wanted.sizes:
            batches = [batch for batch in wanted.batches if batch * size <= wanted.most]
            for number, subject in enumerate(subjects if batches else ()):
                for one in measure_speed(
                    subject, [text], batches=batches, characters=size, new_tokens=wanted.new_tokens
                ):
                    found.setdefault((one.batch, size, number), []).append(one)
    print(f"{facts('torch', 'transformers')}, {wanted.dtype}\n")
    print("| batch | characters | model | tokens | reads, characters/s | of stock | writes, characters/s | of stock |")
    print("|--:|--:|---|--:|--:|--:|--:|--:|")
    for (batch, size, number), rounds in sorted(found.items()):
        reads, writes = _medians(rounds)
        stock_reads, stock_writes = _medians(found[batch, size, 0])
        print(
            f"| {batch} | {size:,} | {wanted.folders[number].name} | {rounds[0].prefill_tokens:,} | {reads:,.0f} "
            f"| {reads / stock_reads:.2f} | {writes:,.1f} | {writes / stock_writes:.2f} |"
        )


def _medians(rounds: list[Speed]) -> tuple[float, float]:
    reads = median(one.prefill_characters_per_second for one in rounds)
    return reads, median(one.generated_characters_per_second for one in rounds)


if __name__ == "__main__":
    main()
