"""What the archive knows before it reads a text: pieces with their classes, and pruned n-gram counts.

Computed once from the raw training corpus and kept as two Parquet tables in the lexicon folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from hypertok.archive.ngrams import Level
from hypertok.errors import ArtifactError

PIECES_TABLE = "pieces.parquet"
CONTEXTS_TABLE = "contexts.parquet"

#: Numbers of the two pieces that are in no text: end of a text, and a piece that has to be spelled.
END = 0
UNKNOWN = 1
#: A symbol is `shape << PIECE_BITS | piece`.
PIECE_BITS = 18
#: Numbers of the two characters that are none: end of a piece, and one outside the alphabet.
END_OF_PIECE = 0
UNKNOWN_CHARACTER = 1

#: "pieces" predicts symbols after pieces; "marked" does so too, from the documents rich in code and markup
#: alone; "classes" predicts shape and class after classes; "characters" those of a piece.
CHAINS = ("pieces", "marked", "classes", "characters")
_CHARACTER = "character"


@dataclass(frozen=True)
class Statistics:
    """Pieces and chains. Piece numbers run by (class, lemma, key); 0 and 1 are END and UNKNOWN.

    Attributes:
        keys: key of each piece.
        classes: class of each piece: «NOUN gent plur» for a word, a kind for anything else.
        lemmas: what pieces of one part of speech share in all their classes; the key where there is none.
        counts: occurrences of each piece in any shape.
        alphabet: characters, numbered from 2 on.
        chains: levels of each chain of `CHAINS`.
    """

    keys: list[str]
    classes: list[str]
    lemmas: list[str]
    counts: list[int]
    alphabet: str
    chains: dict[str, list[Level]]

    @property
    def class_names(self) -> list[str]:
        """Classes in the order of their pieces."""
        return list(dict.fromkeys(self.classes))


def save_statistics(statistics: Statistics, folder: Path) -> None:
    """Write the two tables into `folder`; the same statistics give the same bytes."""
    alphabet = len(statistics.alphabet)
    pieces = pl.DataFrame(
        {
            "key": [*statistics.keys, *statistics.alphabet],
            "class": [*statistics.classes, *[_CHARACTER] * alphabet],
            "lemma": [*statistics.lemmas, *[""] * alphabet],
            "count": [*statistics.counts, *[0] * alphabet],
        },
        schema={"key": pl.String, "class": pl.String, "lemma": pl.String, "count": pl.Int64},
    )
    # Parents are sorted, so their differences are small and compress ten times better.
    contexts = pl.concat(
        pl.DataFrame(
            {
                "parent": np.diff(level.parents, prepend=np.int32(0)),
                "symbol": level.symbols,
                "count": level.counts,
            }
        ).select(
            pl.lit(CHAINS.index(chain), pl.UInt8).alias("chain"),
            pl.lit(order, pl.UInt8).alias("level"),
            "parent",
            "symbol",
            "count",
        )
        for chain, levels in statistics.chains.items()
        for order, level in enumerate(levels)
    )
    for name, table in ((PIECES_TABLE, pieces), (CONTEXTS_TABLE, contexts)):
        table.write_parquet(folder / name, compression="zstd", compression_level=9, statistics=False)


def load_statistics(folder: Path) -> Statistics:
    """Read the two tables of a lexicon folder, whose checksums the manifest has already confirmed.

    Raises:
        ArtifactError: the lexicon has no archive statistics.
    """
    for name in (PIECES_TABLE, CONTEXTS_TABLE):
        if not (folder / name).is_file():
            raise ArtifactError(
                f"{folder} has no {name}, which archives need: build the lexicon again with this hypertok and with "
                "statistics"
            )
    table = pl.read_parquet(folder / PIECES_TABLE, glob=False)
    letters = table.filter(pl.col("class") == _CHARACTER)
    pieces = table.filter(pl.col("class") != _CHARACTER)
    contexts = pl.read_parquet(folder / CONTEXTS_TABLE, glob=False)
    chains: dict[str, list[Level]] = {chain: [] for chain in CHAINS}
    order = contexts["chain"].to_numpy().astype(np.int32) * 256 + contexts["level"].to_numpy()
    starts = np.flatnonzero(np.diff(order, prepend=-1))
    parents, symbols, counts = (contexts[name].to_numpy() for name in ("parent", "symbol", "count"))
    for start, stop in zip(starts, [*starts[1:], len(order)], strict=True):
        chains[CHAINS[int(order[start]) // 256]].append(
            Level(
                np.cumsum(parents[start:stop], dtype=np.int32),
                symbols[start:stop],
                counts[start:stop],
            )
        )
    return Statistics(
        keys=pieces["key"].to_list(),
        classes=pieces["class"].to_list(),
        lemmas=pieces["lemma"].to_list(),
        counts=pieces["count"].to_list(),
        alphabet="".join(letters["key"].to_list()),
        chains=chains,
    )
