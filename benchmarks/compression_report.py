"""Tables and a picture of compression.csv: prints Markdown, writes compression.png."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
from compression import ARMS, CSV, FORMS, HERE, NAMES, OWN, ROWS, SYMBOLS

ORDER = [FORMS, *ARMS, SYMBOLS]
#: Numbers of rows at which the other figures are shown.
SHOWN = (8_000, 32_000, 128_000)


def report(table: pl.DataFrame) -> Iterator[str]:
    """Lines of Markdown: characters per token of every tokenizer and text, then the other figures on literature."""
    yield from (_origins(table), "")
    for name, label in NAMES.items():
        of_one = table.filter(tokenizer=name)
        for text in of_one["text"].unique(maintain_order=True):
            here = of_one.filter(text=text)
            stock = here.row(by_predicate=pl.col("arm") == "stock", named=True)
            yield f"### {label}, {text}: characters per token\n"
            yield (
                f"Stock: {stock['characters_per_token']:.3f} ({stock['tokens_per_word']:.2f} tokens per word, "
                f"{stock['whole_words']:.1%} of words whole).\n"
            )
            yield from _wide(here, "characters_per_token", "{:.3f}")
        for column, what, shape in (
            ("tokens_per_word", "tokens per Cyrillic word", "{:.3f}"),
            ("whole_words", "share of words in one token", "{:.1%}"),
            ("rows_emitted", "share of new rows that occur in it", "{:.1%}"),
        ):
            yield f"### {label}, literature: {what}\n"
            yield from _wide(of_one.filter(pl.col("text") == "literature", pl.col("rows").is_in(SHOWN)), column, shape)


def _origins(table: pl.DataFrame) -> str:
    """What made the figures, which whoever makes the report need not have."""
    if "lexicon" not in table.columns:
        return "The table does not tell which lexicon and version made it."
    made = table.select("hypertok", "lexicon").unique(maintain_order=True)
    return "; ".join(f"hypertok {version}, lexicon {sha256}" for version, sha256 in made.iter_rows())


def _wide(table: pl.DataFrame, column: str, shape: str) -> Iterator[str]:
    """One line for each number of rows, one column for each arm."""
    arms = [arm for arm in ORDER if arm in table["arm"]]
    yield "| new rows | " + " | ".join(arms) + " |"
    yield "|---" * (len(arms) + 1) + "|"
    for rows in sorted(set(table["rows"]) - {0}):
        found = dict(table.filter(rows=rows).select("arm", column).iter_rows())
        cells = ("" if found.get(arm) is None else shape.format(found[arm]) for arm in arms)
        yield f"| {rows:,} | " + " | ".join(cells) + " |"
    yield ""


def plot(table: pl.DataFrame, path: Path) -> None:
    """The curves of every tokenizer on literature, technical text and UD GSD."""
    from matplotlib.figure import Figure

    texts = ("literature", "technical", "UD GSD")
    figure = Figure(figsize=(15, 4 * len(NAMES)), layout="constrained")
    grid = figure.subplots(len(NAMES), len(texts))
    for line, (name, label) in zip(grid, NAMES.items(), strict=True):
        for axes, text in zip(line, texts, strict=True):
            here = table.filter(tokenizer=name, text=text)
            if here.is_empty():
                continue
            for number, arm in enumerate(ORDER):
                points = here.filter(pl.col("arm") == arm).sort("rows")
                if points.height:
                    style = ":" if arm == FORMS else "--" if "control" in arm else "-"
                    axes.plot(
                        points["rows"], points["characters_per_token"], style,
                        color=f"C{number}", marker="o", markersize=3, label=arm,
                    )  # fmt: skip
            stock = here.filter(arm="stock")["characters_per_token"].item()
            axes.axhline(stock, linestyle="--", linewidth=1, color="grey", label="stock")
            axes.set_xscale("log", base=2)
            axes.set_xticks(ROWS, [f"{rows // 1000}k" for rows in ROWS], fontsize=8)
            axes.set_title(f"{label}, {text}")
            axes.set_ylabel("characters per token")
            axes.grid(alpha=0.3)
    grid[0][0].legend(fontsize=8)
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    measured = pl.read_csv(CSV)
    print("\n".join(report(measured)))
    plot(measured.filter(pl.col("text") != OWN), HERE / "compression.png")
