"""Texts turned into sequences of piece numbers, shard by shard, ready for n-gram counting.

Shards are counted in any process and merged in corpus order. Memory is bounded by keeping at most
`limit` pieces: beyond it, documents are kept or left out by a hash of their content, so the choice depends
neither on the shards nor on the number of workers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import compress

import numpy as np
import numpy.typing as npt

from hypertok.archive.pieces import surfaces

#: Pieces kept for counting. 16 million are about 130 MB of Russian UTF-8 text and take about 450 MB to count.
PIECE_LIMIT = 16_000_000
_HASH_BITS = 32
#: The share of all documents: content hashes are below it.
WHOLE = 1 << _HASH_BITS
#: Characters per piece that no corpus of words comes near; Russian text has 5.
_LONG = 32
_Documents = list[tuple[int, npt.NDArray[np.int32]]]


@dataclass
class Pieces:
    """Documents as numbers into `surfaces`, all of which occur, each with its content hash, which is below `share`."""

    surfaces: list[str] = field(default_factory=list)
    documents: _Documents = field(default_factory=list)
    share: int = WHOLE

    @property
    def number(self) -> int:
        """Number of pieces in the documents that are kept."""
        return sum(len(sequence) for _, sequence in self.documents)


def first_share(characters: int, *, limit: int = PIECE_LIMIT) -> int:
    """The share to count a corpus of so many characters with: less of a large one, still far more than `limit` pieces.

    If all of it is kept in the end, a larger share might have fitted, too: then count again, with `WHOLE`.
    """
    share = WHOLE
    while share // 2 * characters >= _LONG * limit * WHOLE:
        share //= 2
    return share


def count_shard(texts: Iterable[str], *, limit: int = PIECE_LIMIT, share: int = WHOLE) -> Pieces:
    """Cut texts into pieces and number them; of documents with a content hash of `share` or above, none."""
    pieces = Pieces(share=share)
    number: dict[str, int] = {}
    kept = 0
    for text in texts:
        digest = _digest(text)
        if digest >= pieces.share:
            continue
        found = surfaces(text)
        sequence = np.array([number.setdefault(s, len(number)) for s in found], dtype=np.int32)
        pieces.documents.append((digest, sequence))
        kept += len(sequence)
        if kept > limit:
            number = _fit(pieces, number, limit)
            kept = pieces.number
    pieces.surfaces = list(number)
    return pieces


def merge_shards(shards: Iterable[Pieces], *, limit: int = PIECE_LIMIT) -> Pieces:
    """One shard out of several, in the order given."""
    whole = Pieces()
    number: dict[str, int] = {}
    for pieces in shards:
        whole.share = min(whole.share, pieces.share)
        documents = [document for document in pieces.documents if document[0] < whole.share]
        spelled = pieces.surfaces
        if len(documents) < len(pieces.documents):
            documents, spelled = _occurring(documents, spelled)
        renumber = np.array([number.setdefault(s, len(number)) for s in spelled], dtype=np.int32)
        for digest, sequence in documents:
            whole.documents.append((digest, renumber[sequence] if len(sequence) else sequence))
        number = _fit(whole, number, limit)
    whole.surfaces = list(number)
    return whole


def _digest(text: str) -> int:
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=_HASH_BITS // 8).digest())


def _fit(pieces: Pieces, number: dict[str, int], limit: int) -> dict[str, int]:
    """Drop documents until `limit` pieces remain at most; returns the numbers of the surfaces that still occur."""
    before = len(pieces.documents)
    _drop(pieces)
    while pieces.number > limit:
        pieces.share //= 2
        _drop(pieces)
    if len(pieces.documents) == before:
        return number
    pieces.documents, spelled = _occurring(pieces.documents, number)
    return {surface: place for place, surface in enumerate(spelled)}


def _drop(pieces: Pieces) -> None:
    pieces.documents = [document for document in pieces.documents if document[0] < pieces.share]


def _occurring(documents: _Documents, spelled: Collection[str]) -> tuple[_Documents, list[str]]:
    """The surfaces that occur in documents, which are numbered anew.

    Those of dropped ones go: pictures in Base64 have a new one for every few characters.
    """
    occurs = np.zeros(len(spelled), np.bool_)
    for _, sequence in documents:
        occurs[sequence] = True
    renumber = np.cumsum(occurs, dtype=np.int32) - np.int32(1)
    return [(digest, renumber[sequence]) for digest, sequence in documents], list(compress(spelled, occurs.tolist()))
