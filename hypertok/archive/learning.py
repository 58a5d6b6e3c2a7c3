"""Statistics learned from a corpus: which pieces get a number, in which order, and what follows what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hypertok.archive.ngrams import Int32, Level, count_chain
from hypertok.archive.pieces import shape_and_key
from hypertok.archive.shards import PIECE_LIMIT, Pieces, count_shard, merge_shards
from hypertok.archive.statistics import (
    END,
    END_OF_PIECE,
    PIECE_BITS,
    UNKNOWN,
    UNKNOWN_CHARACTER,
    Statistics,
)

#: (class, lemma) of a Russian word's form, or None for a form without analysis. The first word of the class
#: is the part of speech, which has its own lemmas.
Analyse = Callable[[str], tuple[str, str] | None]

#: Characters that can be spelled even if the corpus has them not; any other costs 21 bits where it is new.
_USUAL = "\t\n\r" + "".join(map(chr, range(32, 127))) + "".join(map(chr, range(0x410, 0x450))) + "Ёё\u00a0«»—–…№“”„•→×°"
#: Documents with a smaller share of words among their pieces count as marked up: 90 % of technical notes do
#: (by length), 12 % of verse, 2 % of prose and none of drama. Their chain saves 3 % on notes.
_MARKED_SHARE = 0.6
#: How often a piece must occur to have a number of its own. With this and the counts below about 21 MB of Parquet
#: come of 104 MB of text.
_LEAST_COUNT = 3
#: Per chain, the least count of n-grams of 1, 2, 3 … items. It must not fall with the length: of every n-gram that is
#: kept the predictor has the shorter ones, too.
_PIECES, _MARKED, _CLASSES, _CHARACTERS = (1, 2, 2, 2, 3), (1, 1, 1), (1, 1, 1, 2, 3), (1, 1, 2, 3, 4)
_WORD, _NEWLINE, _LATIN, _LETTER, _DIGITS, _MARK = "word", "newline", "latin", "letter", "digits", "mark"


def empty_statistics() -> Statistics:
    """Statistics of no corpus: every piece is spelled where it first occurs."""
    return build_statistics([], lambda form: None)


def build_statistics(texts: Iterable[str], analyse: Analyse, limit: int = PIECE_LIMIT) -> Statistics:
    """Learn from `texts`; see `statistics_of` for counting in several processes."""
    return statistics_of([count_shard(texts, limit=limit)], analyse, limit)


def statistics_of(shards: Iterable[Pieces], analyse: Analyse, limit: int = PIECE_LIMIT) -> Statistics:
    """Statistics of a corpus counted in shards; the same for any division into shards.

    Args:
        limit: pieces counted at most; documents beyond are left out by a hash of their content.
    """
    corpus = merge_shards(shards, limit=limit)
    # Every document has END before it, and END follows the last.
    lengths = np.array([len(sequence) + 1 for _, sequence in corpus.documents], np.int64)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    gap = np.full(1, len(corpus.surfaces), np.int32)
    sequence = np.concatenate([p for _, document in corpus.documents for p in (gap, document)] + [gap])
    corpus.documents.clear()
    surfaces = _Surfaces(corpus.surfaces)
    keys = surfaces.keys

    key_at = surfaces.key[sequence]
    totals = np.bincount(key_at, minlength=len(keys) + 1)[: len(keys)]
    known = _numbered(keys, totals, analyse)
    number = np.full(len(keys) + 1, UNKNOWN, np.int32)
    number[known.places] = np.arange(2, 2 + len(known.places), dtype=np.int32)
    number[-1] = END
    items = number[key_at]
    symbols = (surfaces.shape[sequence] << PIECE_BITS) | items
    del key_at
    marked = np.repeat(_marked(surfaces, sequence, ends), lengths)
    del sequence

    class_of = _class_numbers(known.classes)
    unknown = int((items == UNKNOWN).sum())
    chains = {
        "pieces": count_chain(items, symbols, _PIECES, items <= UNKNOWN),
        "marked": _within(marked, items, symbols, _MARKED),
        "classes": count_chain(class_of[items], (symbols >> PIECE_BITS << PIECE_BITS) | class_of[items], _CLASSES),
    }
    alphabet = _alphabet(keys)
    spelled = _spelled(keys, alphabet)
    chains["characters"] = count_chain(spelled, spelled, _CHARACTERS)
    return Statistics(
        keys=["", "", *(keys[i] for i in known.places)],
        classes=known.classes,
        lemmas=known.lemmas,
        counts=[len(ends), unknown, *totals[known.places].tolist()],
        alphabet=alphabet,
        chains=chains,
    )


def kind_of(key: str) -> str:
    """Class of a piece that is no analysed word: what its first character is."""
    first = key[0]
    if first in "\r\n":
        return _NEWLINE
    if "\u0400" <= first <= "\u052f":
        return _WORD
    if first.isalpha():
        return _LATIN if first.isascii() else _LETTER
    return _DIGITS if first.isdigit() else f"{_MARK} {first}"


class _Surfaces:
    """Shape and key of every surface; one place more stands for END."""

    def __init__(self, surfaces: list[str]) -> None:
        number: dict[str, int] = {}
        self.shape = np.zeros(len(surfaces) + 1, np.int32)
        self.key = np.zeros(len(surfaces) + 1, np.int32)
        for place, surface in enumerate(surfaces):
            self.shape[place], key = shape_and_key(surface)
            self.key[place] = number.setdefault(key, len(number))
        self.key[-1] = len(number)
        self.keys = list(number)


@dataclass(frozen=True)
class _Numbered:
    places: npt.NDArray[np.int64]
    classes: list[str]
    lemmas: list[str]


def _numbered(keys: list[str], totals: npt.NDArray[Any], analyse: Analyse) -> _Numbered:
    """Pieces with a number of their own, in order of their numbers; classes and lemmas start at number 0."""
    room = (1 << PIECE_BITS) - 2
    enough = [int(i) for i in np.flatnonzero(totals >= _LEAST_COUNT)]
    if len(enough) > room:
        enough = sorted(enough, key=lambda i: (-int(totals[i]), keys[i]))[:room]
    rows = []
    for i in enough:
        kind = kind_of(keys[i])
        class_, lemma = (analyse(keys[i]) if kind == _WORD else None) or (kind, keys[i])
        rows.append((class_, lemma, keys[i], i))
    rows.sort()
    return _Numbered(
        np.array([row[3] for row in rows], np.int64),
        [" end", " unknown", *(row[0] for row in rows)],
        ["", "", *(row[1] for row in rows)],
    )


def _class_numbers(classes: list[str]) -> Int32:
    number = {name: place for place, name in enumerate(dict.fromkeys(classes))}
    return np.array([number[name] for name in classes], np.int32)


def _marked(surfaces: _Surfaces, sequence: Int32, ends: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Documents in which words are few among the pieces."""
    is_word = np.array([kind_of(key) == _WORD for key in surfaces.keys] + [False], np.bool_)
    words = np.concatenate([[0], np.cumsum(is_word[surfaces.key[sequence]], dtype=np.int64)])
    marked: npt.NDArray[np.bool_] = words[ends[1:]] - words[ends[:-1]] < _MARKED_SHARE * np.diff(ends)
    return marked


def _within(kept: npt.NDArray[np.bool_], items: Int32, symbols: Int32, minimum: tuple[int, ...]) -> list[Level]:
    places = np.append(np.flatnonzero(kept), len(items) - 1)  # and the END after the last document
    items = items[places]
    return count_chain(items, symbols[places], minimum, items <= UNKNOWN)


def _alphabet(keys: list[str]) -> str:
    """Characters of at least three keys, and the usual ones, in code point order."""
    counts: dict[str, int] = dict.fromkeys(_USUAL, 3)
    for key in keys:
        for character in set(key):
            counts[character] = counts.get(character, 0) + 1
    return "".join(sorted(character for character, count in counts.items() if count >= 3))


def _spelled(keys: list[str], alphabet: str) -> Int32:
    """All keys, each once, spelled one after the other with END_OF_PIECE between."""
    codes = np.full(0x110000, UNKNOWN_CHARACTER, np.int32)
    codes[[ord(c) for c in alphabet]] = np.arange(2, 2 + len(alphabet))
    separator = "\U0010ffff"
    codes[ord(separator)] = END_OF_PIECE
    joined = separator + separator.join(sorted(keys)) + separator
    return codes[np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.dtype("<u4"))]
