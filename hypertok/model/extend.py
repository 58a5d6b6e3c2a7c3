"""Tokenizer and model extended in one go: a folder that transformers loads, with a row for every new unit.

The rows come from a strategy (`model/initialise/`) or from whatever else makes them of the stock rows and of what the
units are made of; training them is another step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from hypertok.artifact import Manifest
from hypertok.lexicon.lexicon import Lexicon
from hypertok.model.checkpoint import Checkpoint
from hypertok.model.initialise import STRATEGIES, Constituents, NewRows, StockRows, initialise, refuse_unfit
from hypertok.model.initialise.words import stock_words
from hypertok.model.pair import identity
from hypertok.model.resize import check_disk, write_extended
from hypertok.model.seen import SEEN
from hypertok.progress import Steps, silent
from hypertok.tokenizer.extend import Addition, ExtendOptions, extend
from hypertok.tokenizer.stock import Stock


@dataclass(frozen=True, eq=False)
class Making:
    """What rows are made from.

    Attributes:
        checkpoint: the stock model.
        folder: where the extended tokenizer lies already (tokenizer.json), not sealed yet.
        delta: its delta table.
        units: the same as flat arrays.
        rows: the stock rows, still on the disk.
    """

    checkpoint: Checkpoint
    folder: Path
    delta: pl.DataFrame
    units: Constituents
    rows: StockRows


@dataclass(frozen=True, eq=False)
class Made:
    """New rows, the name of the way they were made, and figures for the manifest."""

    rows: NewRows
    name: str
    facts: Mapping[str, Any]


RowMaker = Callable[[Making], Made]
DEFAULT_INIT = "weighted"


def extend_model(
    model_folder: Path | str,
    lexicon_path: Path | str,
    output: Path | str,
    options: ExtendOptions | None = None,
    *,
    init: str | RowMaker = DEFAULT_INIT,
    progress: Steps | None = None,
) -> Manifest:
    """Extend tokenizer and model of a folder by units learned from a lexicon; the result is one folder.

    Args:
        model_folder: a checkpoint in safetensors, its config.json and tokenizer.json beside it.
        lexicon_path, output, options: as `hypertok.extend` takes them.
        init: name of a strategy (`hypertok.model.initialise.STRATEGIES`), or a function that makes the rows:
            `hypertok.training.probe.chooser(texts)` is what the command calls auto and composer.
        progress: told (step, done, of).

    Raises:
        InputError: the model is of a kind that cannot be extended, the tokenizer is not its own, no such strategy,
            or one that cannot serve the model.
        TooFewRows: an InputError, whose `found` says for how many rows there are units.
        ArtifactError: the lexicon is damaged, or `output` is something else.
    """
    checkpoint = Checkpoint.open(model_folder)
    if isinstance(init, str):
        refuse_unfit(init, tied=checkpoint.tied)
    checkpoint.check_tokens(Stock.load(checkpoint.folder).data["model"]["vocab"].values())
    tell = progress or silent

    def write_weights(folder: Path, delta: pl.DataFrame, rows: int) -> Addition:
        tell("rows", 0, 1)
        check_disk(checkpoint, folder, rows)  # some ways to make rows take long
        making = Making(checkpoint, folder, delta, Constituents.of(delta), rows_of(checkpoint, lexicon_path))
        made = by_strategy(init, making) if isinstance(init, str) else init(making)
        tell("rows", 1, 1)
        tell("weights", 0, 1)
        written = write_extended(checkpoint, folder, delta["id"].to_numpy(), made.rows.input, made.rows.output, rows)
        if made.name not in STRATEGIES:  # trained on texts that nobody noted
            (folder / SEEN).unlink(missing_ok=True)
        tell("weights", 1, 1)
        facts = {"rows": written, "init": dict(made.facts)}
        return Addition({"model": identity(checkpoint)}, {"init": made.name}, facts)

    return extend(checkpoint.folder, lexicon_path, output, options, progress=progress, also=write_weights)


def by_strategy(name: str, making: Making) -> Made:
    """Rows by one of the strategies.

    Raises:
        InputError: no such strategy, or one that cannot serve this model.
    """
    rows = initialise(name, making.rows, making.units)
    return Made(rows, name, rows.facts)


def rows_of(checkpoint: Checkpoint, lexicon_path: Path | str) -> StockRows:
    """The rows of a stock model, with its own words, which the lexicon knows; all of it read when it is asked for."""
    return StockRows(
        checkpoint.input,
        None if checkpoint.tied else checkpoint.output,
        lambda: stock_words(Stock.load(checkpoint.folder), Lexicon.load(lexicon_path)),
    )
