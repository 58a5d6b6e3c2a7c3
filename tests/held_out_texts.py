"""Held-out documents of the large corpora, for the tests that need real text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl


def held_out_texts(shared_data: Path) -> Iterator[tuple[str, str]]:
    """(domain, text) of each, in the order of the table."""
    corpora = shared_data / "corpora"
    table = pl.read_csv(corpora / "splits.tsv", separator="\t").filter(pl.col("split") == "valid")
    for path, domain in table.select("path", "domain").iter_rows():
        yield domain, (corpora / path).read_text(encoding="utf-8", errors="replace")


def corpus_sample(shared_data: Path) -> list[str]:
    """Beginnings of 248 validation documents: technical Markdown, prose, poems, drama; about 1.2M characters."""
    taken: Counter[str] = Counter()
    texts = []
    for domain, text in held_out_texts(shared_data):
        if domain != "gold_lemma" and taken[domain] < 1_000_000:
            texts.append(text[:20_000])
            taken[domain] += len(text)
    return texts
