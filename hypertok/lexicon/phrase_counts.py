"""Counting candidate terms in token streams: pairs, then runs of frequent pairs, then what surrounds them.

Each pass looks at one stream at a time and keeps a pruned table of `uint64` keys, so memory depends on the
number of distinct candidates and not on the length of the corpus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from hypertok.corpus.lookup import Keys, find, pack, unpack
from hypertok.corpus.stream import BREAK, COMMA, DASH, FIRST_FORM, LATIN, NUMBER, Tokens
from hypertok.lexicon.phrase_grammar import ABLATIVE, GENITIVE
from hypertok.lexicon.phrase_words import WordTable

Streams = Callable[[], Iterable[Tokens]]
Counts = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.int64]

#: Distinct candidates held at once; 8 million take 130 MB. The shared 107 MB corpus has 0.4 million pairs.
MAX_CANDIDATES = 8_000_000
#: After these a capital letter belongs to the word; after other marks a sentence or a heading may start.
_INSIDE_SENTENCE = (COMMA, NUMBER, LATIN)


@dataclass(frozen=True)
class Candidates:
    """Form sequences of one length: `forms` (R, n) and how often each was seen, `counts` (R,)."""

    keys: Keys
    forms: npt.NDArray[np.int64]
    counts: Counts


def count_pairs(streams: Streams, table: WordTable) -> Candidates:
    """All pairs of neighbouring forms of which the first agrees with the second or governs it."""
    follow = np.where(table.head & (table.noun != 0), GENITIVE, 0).astype(np.uint32)
    follow |= np.where(table.governs & table.head, ABLATIVE, 0).astype(np.uint32)
    opens = _by_id(table.adjective | follow)
    closes = _by_id(table.adjective | table.noun)

    def keys(tokens: Tokens) -> Keys:
        ids = tokens >> np.uint32(2)
        linked = np.flatnonzero(opens[ids[:-1]] & closes[ids[1:]])
        return pack(ids[linked], ids[linked + 1])

    found, counts = _count(map(keys, streams()))
    return Candidates(found, unpack(found) - FIRST_FORM, counts)


def count_runs(streams: Streams, pairs: Candidates) -> tuple[Candidates, Candidates]:
    """Sequences of three and of four forms in which every neighbouring pair is one of `pairs`."""
    threes: list[tuple[Keys, Counts]] = []
    fours: list[tuple[Keys, Counts]] = []
    for tokens in streams():
        _, (_, keys3), (_, keys4) = _runs(tokens >> np.uint32(2), pairs)
        threes.append(_unique(keys3))
        fours.append(_unique(keys4))
        _merge(threes)
        _merge(fours)
    keys, counts = _merge(threes)
    first, second = unpack(keys).T
    three = Candidates(keys, np.column_stack([pairs.forms[first], pairs.forms[second][:, 1]]), counts)
    keys, counts = _merge(fours)
    first, second = unpack(keys).T
    return three, Candidates(keys, np.column_stack([pairs.forms[first], pairs.forms[second]]), counts)


def gather_uses(
    streams: Streams, pairs: Candidates, threes: Candidates, fours: Candidates, concept: Sequence[Numbers]
) -> Iterator[pl.DataFrame]:
    """Every place where a concept is used, one table per stream.

    `concept` gives the concept of each row of the three candidate tables, -1 for none. Columns: concept,
    left, right (form numbers of the neighbours, negative where there is no word), cases (two bits per word, the
    first word lowest), inside (whether the first word's capital letter would mean something), joined (whether a
    number or a Latin word is joined to the first word: «64-битная»).
    """
    for tokens in streams():
        ids = tokens >> np.uint32(2)
        numbers, (start3, keys3), (start4, keys4) = _runs(ids, pairs)
        start2 = np.flatnonzero(numbers >= 0)
        found = [
            (2, start2, concept[0][numbers[start2]]),
            (3, start3, _take(concept[1], find(keys3, threes.keys))),
            (4, start4, _take(concept[2], find(keys4, fours.keys))),
        ]
        padded = np.concatenate([ids.astype(np.int64), [0]]) - FIRST_FORM
        case = (tokens & 3).astype(np.uint8)
        tables = []
        for length, start, used in found:
            start, used = start[used >= 0], used[used >= 0]
            cases = np.zeros(len(start), np.uint8)
            for k in range(length):
                cases |= case[start + k] << np.uint8(2 * k)
            left = np.where(start > 0, padded[start - 1], BREAK - FIRST_FORM)
            inside = (left >= 0) | np.isin(left, np.array(_INSIDE_SENTENCE) - FIRST_FORM)
            before = np.where(start > 1, padded[start - 2], BREAK - FIRST_FORM) + FIRST_FORM
            columns = {
                "concept": used, "left": left, "right": padded[start + length], "cases": cases, "inside": inside,
                "joined": (left == DASH - FIRST_FORM) & np.isin(before, (NUMBER, LATIN)),
            }  # fmt: skip
            tables.append(pl.DataFrame(columns))
        yield pl.concat(tables)


def sub_candidates(pairs: Candidates, threes: Candidates, fours: Candidates) -> Iterator[tuple[int, int, Numbers]]:
    """For each longer table the rows of its parts: (length, length of a part, rows (R, parts)), in order."""
    first, second = unpack(threes.keys).T
    yield 3, 2, np.column_stack([first, second])
    first, last = unpack(fours.keys).T
    middle_keys = pack(fours.forms[:, 1] + FIRST_FORM, fours.forms[:, 2] + FIRST_FORM)
    middle = find(middle_keys, pairs.keys)
    yield 4, 2, np.column_stack([first, middle, last])
    three = [find(pack(first, middle), threes.keys), find(pack(middle, last), threes.keys)]
    yield 4, 3, np.column_stack(three)


def _runs(ids: npt.NDArray[np.uint32], pairs: Candidates) -> tuple[Numbers, tuple[Numbers, Keys], tuple[Numbers, Keys]]:
    """The pair at each position, and where three and four words in a row are linked, with their keys."""
    numbers = pair_numbers(ids, pairs.keys)
    linked = np.concatenate([numbers >= 0, [False, False]])
    start3 = np.flatnonzero(linked[:-1] & linked[1:])
    start4 = start3[linked[start3 + 2]]
    keys3 = pack(numbers[start3], numbers[start3 + 1])
    return numbers, (start3, keys3), (start4, pack(numbers[start4], numbers[start4 + 2]))


def _take(values: Numbers, rows: Numbers) -> Numbers:
    """values[rows], -1 where the row is -1."""
    return np.append(values, -1)[rows]


def pair_numbers(ids: npt.NDArray[np.uint32], keys: Keys) -> npt.NDArray[np.int64]:
    """For each position the row of `keys` that its id and the next one make, or -1. Shape (T - 1,)."""
    numbers = np.full(max(len(ids) - 1, 0), -1, np.int64)
    if not len(keys):
        return numbers
    # Only positions whose two forms both occur in some pair are looked up: a tenth of the stream.
    first, second = unpack(keys).T
    size = int(max(ids.max(initial=0), first.max(), second.max())) + 1
    opens, closes = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
    opens[first], closes[second] = True, True
    where = np.flatnonzero(opens[ids[:-1]] & closes[ids[1:]])
    numbers[where] = find(pack(ids[where], ids[where + 1]), keys)
    return numbers


def _by_id(of_form: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    return np.concatenate([np.zeros(FIRST_FORM, np.uint32), of_form])


def _unique(keys: Keys) -> tuple[Keys, Counts]:
    found, counts = np.unique(keys, return_counts=True)
    return found, counts.astype(np.int64)


def _count(batches: Iterable[Keys]) -> tuple[Keys, Counts]:
    tables: list[tuple[Keys, Counts]] = []
    for keys in batches:
        tables.append(_unique(keys))
        _merge(tables)
    return _merge(tables)


def _merge(tables: list[tuple[Keys, Counts]]) -> tuple[Keys, Counts]:
    """Sum `tables` in place into one; drops the rarest where more than MAX_CANDIDATES are held."""
    if not tables:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    keys = np.concatenate([t[0] for t in tables])
    counts = np.concatenate([t[1] for t in tables])
    if len(tables) > 1:
        order = np.argsort(keys, kind="stable")
        keys, counts = keys[order], counts[order]
        if len(keys):
            starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
            keys, counts = keys[starts], np.add.reduceat(counts, starts)
    floor = 1
    while len(keys) > MAX_CANDIDATES:
        keys, counts = keys[counts > floor], counts[counts > floor]
        floor += 1
    tables[:] = [(keys, counts)]
    return keys, counts
