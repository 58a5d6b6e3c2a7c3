"""What the archive knows before it reads a text: pieces with their classes, and pruned n-gram counts.

Computed once from the raw training corpus and kept as two Parquet tables in the lexicon folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict

from hypertok.archive.ngrams import Level, count_chain
from hypertok.archive.pieces import shape_and_key
from hypertok.archive.shards import PIECE_LIMIT, Shard, count_shard, merge_shards
from hypertok.errors import ArtifactError

PIECES_TABLE = "pieces.parquet"
CONTEXTS_TABLE = "contexts.parquet"

#: Numbers of the two pieces that are in no text: end of a text, and a piece that has to be spelled.
END = 0
UNKNOWN = 1
#: A symbol is `shape << PIECE_BITS | piece`.
PIECE_BITS = 18
#: Characters that can be spelled even if no piece of the corpus has them; any other costs 21 bits.
_ALPHABET = "\t\n\r" + "".join(map(chr, range(32, 127))) + "ЁАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ" \
    "ёабвгдежзийклмнопрстуфхцчшщъыьэюя «»—–…№“”„•→×°"
#: Numbers of the two characters that are none: end of a piece, and one outside the alphabet.
END_OF_PIECE = 0
UNKNOWN_CHARACTER = 1

#: (class, lemma) of a Russian word's form, or None for a form without analysis.
Analyse = Callable[[str], tuple[str, str] | None]


class Settings(BaseModel):
    """How much is kept; the defaults give about 21 MB of Parquet from 104 MB of text.

    Attributes:
        piece_limit: pieces counted at most; documents beyond are left out by a hash of their content.
        least_count: how often a piece must occur to have a number of its own.
        pieces, classes, characters: least count of an n-gram of 1, 2, 3 … items, per chain.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    piece_limit: int = PIECE_LIMIT
    least_count: int = 3
    pieces: tuple[int, ...] = (1, 1, 2, 2, 2, 2, 2)
    classes: tuple[int, ...] = (1, 1, 1, 2, 3)
    characters: tuple[int, ...] = (1, 1, 2, 3, 4)


@dataclass(frozen=True)
class Statistics:
    """Pieces and chains. Piece numbers run by (class, lemma, key); 0 and 1 are END and UNKNOWN.

    Attributes:
        keys: key of each piece.
        classes: class of each piece: «NOUN gent plur» for a word, a kind for anything else.
        lemmas: what pieces of one part of speech share in all their classes; the key where there is none.
        counts: occurrences of each piece in any shape.
        alphabet: characters, numbered from 2 on.
        chains: "pieces" over symbols, "classes" over shape and class, "characters" inside pieces.
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


def empty_statistics() -> Statistics:
    """Statistics of no corpus: every piece is spelled where it first occurs."""
    return build_statistics([], lambda form: None)


def build_statistics(
    texts: Iterable[str], analyse: Analyse, settings: Settings | None = None
) -> Statistics:
    """Count `texts`; see `statistics_of` for counting in several processes."""
    settings = settings or Settings()
    return statistics_of([count_shard(texts, limit=settings.piece_limit)], analyse, settings)


def statistics_of(
    shards: Iterable[Shard], analyse: Analyse, settings: Settings | None = None
) -> Statistics:
    """Statistics of a corpus counted in shards; the same for any division into shards."""
    settings = settings or Settings()
    corpus = merge_shards(shards, limit=settings.piece_limit)
    shapes, key_of, keys = _normalised(corpus.surfaces)
    sequence, ends = _joined(corpus)
    del corpus
    where = key_of[sequence]
    where[ends] = -1
    totals = np.bincount(where[where >= 0], minlength=len(keys)) if len(keys) else np.zeros(0, np.int64)
    known, classes, lemmas = _ordered(keys, totals, analyse, settings.least_count)
    number = np.full(len(keys) + 1, UNKNOWN, np.int32)
    number[known] = np.arange(2, 2 + len(known), dtype=np.int32)
    number[-1] = END
    items = number[where]
    symbols = ((shapes[sequence] if len(shapes) else sequence).astype(np.int32) << PIECE_BITS) | items
    symbols[ends] = END
    del where, sequence
    class_of = _numbers(classes)
    alphabet = _alphabet(keys)
    with ThreadPoolExecutor(2) as pool:
        pieces = pool.submit(count_chain, items, symbols, settings.pieces, items <= UNKNOWN)
        shaped = (symbols >> PIECE_BITS << PIECE_BITS) | class_of[items]
        by_class = pool.submit(count_chain, class_of[items], shaped, settings.classes)
        spelled = _spelled(keys, alphabet)
        spelling = pool.submit(count_chain, spelled, spelled, settings.characters)
        chains = {
            "pieces": pieces.result(),
            "classes": by_class.result(),
            "characters": spelling.result(),
        }
    return Statistics(
        keys=["", ""] + [keys[i] for i in known],
        classes=classes,
        lemmas=lemmas,
        counts=[int((items == END).sum()), int((items == UNKNOWN).sum()), *totals[known].tolist()],
        alphabet=alphabet,
        chains=chains,
    )


def kind_of(key: str) -> str:
    """Class of a piece that is no analysed word: what its first character is."""
    first = key[0]
    if first in "\r\n":
        return "newline"
    if "\u0400" <= first <= "\u052f":
        return "word"
    if first.isalpha():
        return "latin" if first.isascii() else "letter"
    if first.isdigit():
        return "digits"
    return f"mark {first}"


def _normalised(surfaces: list[str]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    number: dict[str, int] = {}
    shapes = np.zeros(len(surfaces), np.int32)
    key_of = np.zeros(len(surfaces) + 1, np.int32)
    for place, surface in enumerate(surfaces):
        shapes[place], key = shape_and_key(surface)
        key_of[place] = number.setdefault(key, len(number))
    return shapes, key_of, list(number)


def _joined(corpus: Shard) -> tuple[np.ndarray, np.ndarray]:
    """All documents in one array, each with a place for END before it, and one END after the last."""
    end = np.zeros(1, np.int32)
    parts = [part for _, sequence in corpus.documents for part in (end, sequence)] + [end]
    lengths = np.array([len(sequence) + 1 for _, sequence in corpus.documents], np.int64)
    return np.concatenate(parts), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _ordered(
    keys: list[str], totals: np.ndarray, analyse: Analyse, least: int
) -> tuple[np.ndarray, list[str], list[str]]:
    """Pieces with a number of their own, in order, with class and lemma of each (and of END and UNKNOWN)."""
    room = (1 << PIECE_BITS) - 2
    enough = [int(i) for i in np.flatnonzero(totals >= least)]
    if len(enough) > room:
        enough = sorted(enough, key=lambda i: (-int(totals[i]), keys[i]))[:room]
    rows = []
    for i in enough:
        key = keys[i]
        found = analyse(key) if kind_of(key) == "word" else None
        class_, lemma = found or (kind_of(key), key)
        rows.append((class_, lemma, key, i))
    rows.sort()
    places = np.array([row[3] for row in rows], np.int64)
    return places, ["", " unknown", *(row[0] for row in rows)], ["", "", *(row[1] for row in rows)]


def _numbers(classes: list[str]) -> np.ndarray:
    number = {name: place for place, name in enumerate(dict.fromkeys(classes))}
    return np.array([number[name] for name in classes], np.int32)


def _alphabet(keys: list[str]) -> str:
    """Characters of at least three keys, and the usual ones, in code point order."""
    counts: dict[str, int] = dict.fromkeys(_ALPHABET, 3)
    for key in keys:
        for character in set(key):
            counts[character] = counts.get(character, 0) + 1
    return "".join(sorted(character for character, count in counts.items() if count >= 3))


def _spelled(keys: list[str], alphabet: str) -> np.ndarray:
    """All keys, each once, spelled one after the other with END_OF_PIECE between."""
    codes = np.full(0x110000, UNKNOWN_CHARACTER, np.int32)
    codes[[ord(c) for c in alphabet]] = np.arange(2, 2 + len(alphabet))
    separator = 0x10FFFF
    codes[separator] = END_OF_PIECE
    joined = chr(separator) + chr(separator).join(sorted(keys)) + chr(separator)
    return codes[np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)]


def save_statistics(statistics: Statistics, folder: Path) -> None:
    """Write the two tables into `folder`; the same statistics give the same bytes."""
    pieces = pl.DataFrame(
        {
            "key": [*statistics.keys, *statistics.alphabet],
            "class": [*statistics.classes, *["character"] * len(statistics.alphabet)],
            "lemma": [*statistics.lemmas, *[""] * len(statistics.alphabet)],
            "count": [*statistics.counts, *[0] * len(statistics.alphabet)],
        },
        schema={"key": pl.String, "class": pl.String, "lemma": pl.String, "count": pl.Int64},
    )
    contexts = pl.concat(
        pl.DataFrame(
            {
                "chain": pl.Series([chain] * 1, dtype=pl.String).new_from_index(0, len(level)),
                "level": pl.Series([order], dtype=pl.UInt8).new_from_index(0, len(level)),
                "parent": np.diff(level.parents, prepend=np.int32(0)),
                "symbol": level.symbols,
                "count": level.counts,
            }
        )
        for chain, levels in statistics.chains.items()
        for order, level in enumerate(levels)
    )
    for name, table in ((PIECES_TABLE, pieces), (CONTEXTS_TABLE, contexts)):
        table.write_parquet(folder / name, compression="zstd", compression_level=15, statistics=False)


def load_statistics(folder: Path) -> Statistics:
    """Read the two tables of a lexicon folder, whose checksums the manifest has already confirmed.

    Raises:
        ArtifactError: the lexicon has no archive statistics.
    """
    for name in (PIECES_TABLE, CONTEXTS_TABLE):
        if not (folder / name).is_file():
            raise ArtifactError(f"{folder} has no {name}: build the lexicon again with this hypertok")
    table = pl.read_parquet(folder / PIECES_TABLE)
    letters = table.filter(pl.col("class") == "character")
    pieces = table.filter(pl.col("class") != "character")
    chains: dict[str, list[Level]] = {"pieces": [], "classes": [], "characters": []}
    contexts = pl.read_parquet(folder / CONTEXTS_TABLE)
    for (chain, _), rows in contexts.group_by(["chain", "level"], maintain_order=True):
        chains[str(chain)].append(
            Level(
                np.cumsum(rows["parent"].to_numpy(), dtype=np.int32),
                rows["symbol"].to_numpy().astype(np.int32),
                rows["count"].to_numpy().astype(np.int32),
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
