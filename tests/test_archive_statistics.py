"""What an archive knows before it begins: counted alike however the texts are cut, and no more than it needs."""

from __future__ import annotations

import os
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from archive_texts import CLASSES, NOTES, tiny_statistics
from hypothesis import given
from hypothesis import strategies as st

from hypertok.archive import shards
from hypertok.archive.learning import build_statistics, statistics_of
from hypertok.archive.ngrams import count_chain
from hypertok.archive.pieces import surfaces
from hypertok.archive.shards import WHOLE, count_shard, first_share, merge_shards
from hypertok.archive.statistics import Statistics, load_statistics, save_statistics
from hypertok.errors import ArtifactError


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60))
def test_chain_counts_every_ngram(values: list[int]) -> None:
    sequence = np.array(values, np.int32)
    levels = count_chain(sequence, sequence, (1, 1, 1))
    assert dict(zip(levels[0].symbols.tolist(), levels[0].counts.tolist(), strict=True)) == Counter(values)
    if len(levels) == 1:
        assert len(values) == 1
        return
    pairs = list(zip(levels[1].parents.tolist(), levels[1].symbols.tolist(), strict=True))
    assert dict(zip(pairs, levels[1].counts.tolist(), strict=True)) == Counter(pairwise(values))
    if len(levels) > 2:
        triples = [
            (*pairs[row], symbol)
            for row, symbol in zip(levels[2].parents.tolist(), levels[2].symbols.tolist(), strict=True)
        ]
        assert dict(zip(triples, levels[2].counts.tolist(), strict=True)) == Counter(
            zip(values, values[1:], values[2:], strict=False)
        )


def same(one: Statistics, other: Statistics) -> bool:
    fields = ("keys", "classes", "lemmas", "counts", "alphabet")
    return all(getattr(one, field) == getattr(other, field) for field in fields) and all(
        len(one.chains[chain]) == len(other.chains[chain])
        and all(
            np.array_equal(getattr(a, column), getattr(b, column))
            for a, b in zip(one.chains[chain], other.chains[chain], strict=True)
            for column in ("parents", "symbols", "counts")
        )
        for chain in one.chains
    )


@pytest.mark.parametrize("limit", [10_000, 100])
def test_statistics_do_not_depend_on_the_shards(limit: int) -> None:
    texts = [f"{note} {number}" for number in range(5) for note in NOTES]
    whole = build_statistics(texts, CLASSES.get, limit)
    for size in (1, 3, 7):
        counted = [count_shard(texts[i : i + size], limit=limit) for i in range(0, len(texts), size)]
        assert same(whole, statistics_of(counted, CLASSES.get, limit))
    assert sum(whole.counts) <= limit + len(texts) + 1


def test_statistics_do_not_depend_on_the_first_share(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{note} {number}" for number in range(40) for note in NOTES]
    limit = 400
    whole = build_statistics(texts, CLASSES.get, limit)
    last = merge_shards([count_shard(texts, limit=limit)], limit=limit).share
    assert last < WHOLE // 4
    cut: list[str] = []
    monkeypatch.setattr(shards, "surfaces", lambda text: cut.append(text) or surfaces(text))
    times = []
    for share in (WHOLE, WHOLE // 2, 2 * last, last):
        cut.clear()
        counted = [count_shard(texts[i : i + 7], limit=limit, share=share) for i in range(0, len(texts), 7)]
        assert same(whole, statistics_of(counted, CLASSES.get, limit))
        times.append(len(cut))
    assert times == sorted(times, reverse=True)
    assert times[-1] < len(texts) // 4, "what is dropped in the end is not cut"


@given(st.integers(0, 10**13), st.integers(10**5, 10**8))
def test_the_first_share_has_more_than_is_kept(characters: int, limit: int) -> None:
    share = first_share(characters, limit=limit)
    kept = share * characters // WHOLE
    assert kept >= 32 * limit or share == WHOLE
    assert kept <= 64 * limit


def test_surfaces_of_dropped_documents_are_not_held() -> None:
    pictures = [f"{number:x}" * 9 + " слово" for number in range(10_000, 30_000, 7)]
    shard = count_shard(pictures, limit=100)
    assert shard.number <= 100
    for kept in (shard, merge_shards([shard, shard], limit=100)):
        assert sorted({int(n) for _, sequence in kept.documents for n in sequence}) == list(range(len(kept.surfaces)))
    kept_texts = ["".join(shard.surfaces[n] for n in sequence) for _, sequence in shard.documents]
    assert kept_texts == [text for text in pictures if text in kept_texts], "in their order, every letter there"
    assert len(kept_texts) > 1


def test_statistics_come_back_from_disk(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        save_statistics(tiny_statistics(), tmp_path / folder)
    names = sorted(os.listdir(tmp_path / "a"))
    assert all((tmp_path / "a" / n).read_bytes() == (tmp_path / "b" / n).read_bytes() for n in names)
    assert same(tiny_statistics(), load_statistics(tmp_path / "a"))
    with pytest.raises(ArtifactError, match=r"pieces\.parquet"):
        load_statistics(tmp_path)
