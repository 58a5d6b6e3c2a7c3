"""What follows what in the corpus, for the archive: a second reading of the texts as they are, markup included."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from hypertok.archive.learning import statistics_of
from hypertok.archive.shards import Shard as Pieces
from hypertok.archive.shards import count_shard
from hypertok.archive.statistics import Statistics
from hypertok.corpus import engines
from hypertok.corpus.counting import CountedCorpus
from hypertok.corpus.documents import read_shard
from hypertok.corpus.records import Document, Shard
from hypertok.lexicon.morphology import Analyses
from hypertok.lexicon.word_classes import analyse_with


def learn_statistics(
    counted: CountedCorpus,
    analyses: Analyses,
    *,
    engine: engines.EngineName = "local",
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Statistics:
    """Statistics of the corpus that `counted` counted; the same for every number of workers."""
    shards = counted.plan.shards
    pieces = []
    for found in engines.run(partial(_pieces, counted.plan.root), shards, engine=engine, workers=workers):
        pieces.append(found)
        if progress:
            progress(len(pieces), len(shards) + 1)
    statistics = statistics_of(pieces, analyse_with(analyses))
    if progress:
        progress(len(shards) + 1, len(shards) + 1)
    return statistics


def _pieces(root: Path, shard: Shard) -> Pieces:
    return count_shard(item.text for item in read_shard(root, shard) if isinstance(item, Document))
