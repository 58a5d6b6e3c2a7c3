"""Tables and a picture of compression.csv: prints Markdown, writes compression.png."""

from __future__ import annotations

import csv
from pathlib import Path

from compression import CSV, HERE, NAMES, ROWS
from measure import facts


def report() -> str:
    """The tables, one for each tokenizer and text."""
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


if __name__ == "__main__":
    print(report())
    plot(HERE / "compression.png")
