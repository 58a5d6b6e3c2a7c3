"""Texts turned into sequences of piece numbers, shard by shard, ready for n-gram counting.

Shards are counted in any process and merged in corpus order. Memory is bounded by keeping at most
`limit` pieces: beyond it, documents are kept or left out by a hash of their content, so the choice depends
neither on the shards nor on the number of workers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import compress

import numpy as np
import numpy.typing as npt

from hypertok.archive.pieces import surfaces

#: Pieces kept for counting. 16 million are about 130 MB of Russian UTF-8 text and take about 450 MB to count.
PIECE_LIMIT = 16_000_000
_HASH_BITS = 32


@dataclass
class Shard:
    """Documents as numbers into `surfaces`, all of which occur, each with its content hash, which is below `share`."""

    surfaces: list[str] = field(default_factory=list)
    documents: list[tuple[int, npt.NDArray[np.int32]]] = field(default_factory=list)
    share: int = 1 << _HASH_BITS

    @property
    def pieces(self) -> int:
        """Number of pieces in the documents that are kept."""
        return sum(len(sequence) for _, sequence in self.documents)


def count_shard(texts: Iterable[str], *, limit: int = PIECE_LIMIT) -> Shard:
    """Cut texts into pieces and number them."""
    shard = Shard()
    number: dict[str, int] = {}
    kept = 0
    for text in texts:
        digest = _digest(text)
        if digest >= shard.share:
            continue
        found = surfaces(text)
        sequence = np.array([number.setdefault(s, len(number)) for s in found], dtype=np.int32)
        shard.documents.append((digest, sequence))
        kept += len(sequence)
        if kept > limit:
            number = _fit(shard, number, limit)
            kept = shard.pieces
    shard.surfaces = list(number)
    return shard


def merge_shards(shards: Iterable[Shard], *, limit: int = PIECE_LIMIT) -> Shard:
    """One shard out of several, in the order given."""
    whole = Shard()
    number: dict[str, int] = {}
    for shard in shards:
        renumber = np.array([number.setdefault(s, len(number)) for s in shard.surfaces], dtype=np.int32)
        whole.share = min(whole.share, shard.share)
        for digest, sequence in shard.documents:
            whole.documents.append((digest, renumber[sequence] if len(sequence) else sequence))
        number = _fit(whole, number, limit)
    whole.surfaces = list(number)
    return whole


def _digest(text: str) -> int:
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=_HASH_BITS // 8).digest())


def _fit(shard: Shard, number: dict[str, int], limit: int) -> dict[str, int]:
    """Drop documents until `limit` pieces remain at most; returns the numbers of the surfaces that still occur.

    Surfaces of dropped documents go too: pictures in Base64 have a new one for every few characters.
    """
    before = len(shard.documents)
    _drop(shard)
    while shard.pieces > limit:
        shard.share //= 2
        _drop(shard)
    if len(shard.documents) == before:
        return number
    occurs = np.zeros(len(number), np.bool_)
    for _, sequence in shard.documents:
        occurs[sequence] = True
    renumber = np.cumsum(occurs, dtype=np.int32) - np.int32(1)
    shard.documents = [(digest, renumber[sequence]) for digest, sequence in shard.documents]
    return {surface: place for place, surface in enumerate(compress(number, occurs.tolist()))}


def _drop(shard: Shard) -> None:
    shard.documents = [document for document in shard.documents if document[0] < shard.share]
