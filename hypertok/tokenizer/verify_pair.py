"""The pair that a proof is about: the stock tokenizer and the folder of the extended one, opened and checked.

A folder that is not what its manifest says, or of another stock tokenizer or lexicon, is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
from tokenizers import Tokenizer

from hypertok.artifact import Manifest, open_checked
from hypertok.codec.marks import SYMBOLS_FIRST, low_symbols
from hypertok.errors import ArtifactError
from hypertok.tokenizer.kind import (
    DELTA,
    GIVEN_UP,
    KIND,
    SYMBOLS,
    read_table,
    refuse_other_lexicon,
    symbol_text,
)
from hypertok.tokenizer.plain import read_plain
from hypertok.tokenizer.stock import Stock, built
from hypertok.tokenizer.verify_texts import CYRILLIC


@dataclass(frozen=True, eq=False)
class Extension:
    """The stock tokenizer and the extended one, with what is asked of them again and again.

    Attributes:
        folder: the extended tokenizer.
        manifest: its manifest.
        stock: the stock tokenizer that it was made from.
        data: the content of the extended tokenizer.json.
        delta: a row for each unit (`tokenizer.delta`).
        given_up: the stock tokens whose ids units have now (`tokenizer.unused`), None without --replace-unused.
    """

    folder: Path
    manifest: Manifest
    stock: Stock
    data: dict[str, Any] = field(repr=False)
    delta: pl.DataFrame = field(repr=False)
    given_up: pl.DataFrame | None = field(repr=False)

    @cached_property
    def span(self) -> str:
        """How far a unit reaches, "word" or "phrase"."""
        return str(self.manifest.recipe.get("span", "phrase"))

    @cached_property
    def symbol_text(self) -> bool:
        """Whether the units are of symbol text."""
        return symbol_text(self.manifest.recipe)

    @cached_property
    def codec_symbols(self) -> frozenset[str]:
        """The symbols that the codec writes."""
        return frozenset(read_table(self.folder / SYMBOLS)["symbol"])

    @cached_property
    def units(self) -> dict[str, int]:
        """Id of each unit's vocabulary string."""
        return dict(zip(self.delta["token"].to_list(), self.delta["id"].to_list(), strict=True))

    @cached_property
    def unit_texts(self) -> list[str]:
        """Texts of the units that hold whole characters only."""
        return self.delta["text"].drop_nulls().to_list()

    @cached_property
    def freed(self) -> frozenset[int]:
        """Stock ids that units have now."""
        return frozenset() if self.given_up is None else frozenset(self.given_up["id"]) & set(self.delta["id"])

    @cached_property
    def kept(self) -> dict[str, int]:
        """The stock vocabulary without the ids given up."""
        return {token: id_ for token, id_ in self.stock.vocabulary.items() if id_ not in self.freed}

    @cached_property
    def merges(self) -> list[tuple[str, str]]:
        """The extended tokenizer's merges in rank order."""
        return Stock(self.folder, self.data, self.stock.family).merges

    @cached_property
    def new_merges(self) -> list[tuple[str, str]]:
        """Those that the stock tokenizer does not have."""
        known = set(self.stock.merges)
        return [merge for merge in self.merges if merge not in known]

    @cached_property
    def same_pre_tokenizer(self) -> bool:
        """Whether the pre-tokenizer is the stock's."""
        return bool(self.data.get("pre_tokenizer") == self.stock.data.get("pre_tokenizer"))

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The extended tokenizer as `tokenizers` loads it."""
        return read_plain(self.folder / "tokenizer.json")

    @cached_property
    def bare(self) -> Tokenizer:
        """The extended tokenizer without units and their merges: what is left is the changed pre-tokenizer."""
        stock_merges, model = set(self.stock.merges), self.data["model"]
        vocabulary = {token: id_ for token, id_ in model["vocab"].items() if token not in self.units}
        merges = [list(merge) for merge in self.merges if merge in stock_merges]
        whole = {"truncation": None, "padding": None}
        return built({**self.data, **whole, "model": {**model, "vocab": vocabulary, "merges": merges}})

    @cached_property
    def untouched(self) -> Callable[[str], bool]:
        """Tells the texts that must be cut exactly as before."""
        if not self.symbol_text:
            return lambda text: CYRILLIC.search(text) is None
        own = re.compile(f"[{re.escape(low_symbols(self.codec_symbols))}{chr(SYMBOLS_FIRST)}-\U0010ffff]")
        return lambda text: not (CYRILLIC.search(text) or own.search(text))


def open_pair(folder: Path, stock: Stock, lexicon: Path | None) -> Extension:
    """Read the folder of an extended tokenizer; `lexicon` is the one it should have been made from, if it is at hand.

    Raises:
        ArtifactError: the folder is damaged, or its parents are others.
    """
    manifest = open_checked(folder, KIND)
    if manifest.parents.get("stock") != stock.sha256:
        raise ArtifactError(
            f"{folder}: made from another tokenizer than {stock.path} is now (sha256 "
            f"{str(manifest.parents.get('stock'))[:12]}… then, {stock.sha256[:12]}… here); it was changed since, or is "
            f"another one: name the tokenizer it was made from, or make it again with: {KIND.command}"
        )
    if lexicon is not None:
        refuse_other_lexicon(folder, manifest, lexicon)
    try:
        data = json.loads((folder / "tokenizer.json").read_bytes())
        given_up = folder / GIVEN_UP
        table = read_table(given_up) if given_up.is_file() else None
        return Extension(folder, manifest, stock, data, read_table(folder / DELTA), table)
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise ArtifactError(f"{folder}: cannot be read ({error}); make it again with: {KIND.command}") from None
