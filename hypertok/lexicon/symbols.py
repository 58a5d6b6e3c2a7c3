"""Which character stands for which concept: first what a person recognises, then a fixed order of scripts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import polars as pl

from hypertok.data import data_file, read_rows
from hypertok.errors import InputError

#: What makes a concept: no two share all three.
KEY = ["lemma", "pos", "kind"]


@cache
def everyday_symbols() -> dict[tuple[str, str], str]:
    """The symbols of `hypersymbols.tsv`: (lemma, part of speech) -> symbol."""
    rows = read_rows(data_file("hypersymbols.tsv"), ("symbol", "lemma", "pos", "comment"))
    return {(row["lemma"], row["pos"]): row["symbol"] for _, row in rows}


@cache
def symbol_ranges() -> tuple[tuple[int, int], ...]:
    """The code points that may be symbols, in the order they are given out: (first, last) inclusive."""
    rows = read_rows(data_file("symbol_ranges.tsv"), ("first", "last"))
    return tuple((int(row["first"], 16), int(row["last"], 16)) for _, row in rows)


def all_symbols() -> Iterator[str]:
    """Every character that may be given out, in order; everyday symbols are among them."""
    for first, last in symbol_ranges():
        yield from map(chr, range(first, last + 1))


@cache
def is_symbol(char: str) -> bool:
    """Whether a character may be a concept's symbol: one of the ranges, or an everyday one below them (€)."""
    place = ord(char)
    return any(first <= place <= last for first, last in symbol_ranges()) or char in _everyday_set()


@cache
def _everyday_set() -> frozenset[str]:
    return frozenset(everyday_symbols().values())


def assign_symbols(concepts: pl.DataFrame, kept: dict[tuple[str, str, str], str]) -> pl.Series:
    """A symbol for every concept, in table order.

    Args:
        concepts: columns lemma, pos, kind; the order decides who is served first.
        kept: symbols that concepts already have (from the base lexicon or an override); they stay.

    Raises:
        InputError: more concepts than characters.
    """
    everyday = everyday_symbols()
    reserved = set(everyday.values())
    taken = set(kept.values())
    # Everyday symbols wait for their concepts even in a lexicon that does not have these yet: the next
    # text may bring them.
    free = (s for s in all_symbols() if s not in taken and s not in reserved)
    keys = set(concepts.select(KEY).iter_rows())
    given = []
    for lemma, pos, kind in concepts.select(KEY).iter_rows():
        symbol = kept.get((lemma, pos, kind))
        # A name spelled like a word («роман», «любовь») leaves the symbol to the word.
        if symbol is None and (kind == "word" or (lemma, pos, "word") not in keys):
            symbol = everyday.get((lemma, pos))
            if symbol in taken:
                symbol = None
        if symbol is None:
            symbol = next(free, None)
        if symbol is None:
            raise InputError(
                f"{concepts.height} concepts and no characters left for them; raise --min-count or lower --max-concepts"
            )
        taken.add(symbol)
        given.append(symbol)
    return pl.Series("symbol", given, dtype=pl.String)
