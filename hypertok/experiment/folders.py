"""Bits per character by top folder of the held-out text, and weighted as the corpus has these folders.

A few characters of each document are measured, so kinds of text count by their number of files: where a folder holds
many small ones, the mean is theirs, whatever is read most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from hypertok.experiment.compare import Side
from hypertok.experiment.page import Block, Heading, Paragraph, Table
from hypertok.experiment.results import Plan
from hypertok.experiment.wording import difference, percent
from hypertok.measure.scoring import Bits


def folder_blocks(plan: Plan, every: Sequence[Side], stock: Side | None) -> Iterator[Block]:
    """A table, where the plan tells folders that the corpus has, too, and there are arms to compare."""
    names = sorted(set(plan.folders))
    compared = [side for side in every if side is not stock]
    if len(names) < 2 or stock is None or not compared or not any(map(plan.corpus_folders.get, names)):
        return
    sizes = [document.characters for document in stock.shown[0].quality.documents]
    number = Counter(plan.folders)
    rows = [
        ["held-out documents", *(str(number[name]) for name in names), "", ""],
        ["of their characters", *_shares(names, _by_folder(plan, sizes)), "", ""],
        ["of the corpus", *_shares(names, plan.corpus_folders), "", ""],
        *([f"read by seed {seed}", *_shares(names, read), "", ""] for seed, read in _read_by_seed(every).items()),
    ]
    weights = corpus_weights(plan, sizes)
    alone = [np.array([one == name for one in plan.folders], float) for name in names]
    rows += [
        [
            side.label,
            *(f"{_change(side, stock, one)}{_tokens(side, stock, one)}" for one in alone),
            f"{percent(side.against(stock, weights, plan.folders))}{_tokens(side, stock, weights)}",
            difference(side.above(stock, weights, plan.folders)),
        ]
        for side in compared
    ]
    yield Heading("By folder of the held-out text")
    yield Table(
        (
            "bits per character (tokens) against stock",
            *(name or "(no folder)" for name in names),
            "weighted",
            "above stock, weighted",
        ),
        rows,
    )
    yield Paragraph(
        "Weighted: documents of a folder count as its share of the corpus; what all would be if held-out text were "
        "mixed like it. Intervals draw documents within each folder; of five documents they are too narrow, of one "
        "they say nothing. Some folders have few documents, so theirs stand without intervals. An arm that reads "
        "little of the corpus reads another mix, because whole files come in the order of its seed."
    )


def _change(side: Side, stock: Side, weights: Bits) -> str:
    found = side.against(stock, weights)
    return f"{found.value - 1:+.2%}" if found is not None else ""


def _tokens(side: Side, stock: Side, weights: Bits) -> str:
    """What it reads of the same documents, which is the same for all seeds; nothing of the stock model itself."""
    ours, theirs = (weights @ [document.tokens for document in one.runs[0].quality.documents] for one in (side, stock))
    return f" ({ours / theirs - 1:+.1%})" if ours != theirs else ""


def _read_by_seed(every: Sequence[Side]) -> dict[int, dict[str, int]]:
    """Characters by top folder that all arms of a seed read at equal characters, where results tell."""
    runs = [run for side in every if side.line == "characters" for run in side.runs]
    found = {run.seed: run.trained.folders for run in runs if run.trained is not None and run.trained.folders}
    return dict(sorted(found.items()))


def corpus_weights(plan: Plan, sizes: Sequence[int]) -> Bits:
    """What each held-out document counts, shape (documents,), so that folders have the shares that the corpus has.

    Args:
        sizes: characters of the documents.
    """
    measured = _by_folder(plan, sizes)
    return np.array([plan.corpus_folders.get(name, 0) / measured[name] for name in plan.folders])


def _by_folder(plan: Plan, sizes: Sequence[int]) -> Counter[str]:
    found: Counter[str] = Counter()
    for name, size in zip(plan.folders, sizes, strict=True):
        found[name] += size
    return found


def _shares(names: Sequence[str], characters: dict[str, int]) -> list[str]:
    every = sum(characters.values())
    return [f"{characters.get(name, 0) / every:.1%}" for name in names]
