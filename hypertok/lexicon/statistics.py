"""What follows what in the corpus, for the archive: a second reading of the texts as they are, markup included.

Cutting the texts into pieces uses every worker; learning from the pieces takes one processor for as long as
the rest of the build, so it runs beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from hypertok.archive.learning import statistics_of
from hypertok.archive.shards import WHOLE, Pieces, count_shard, first_share, merge_shards
from hypertok.archive.statistics import save_statistics
from hypertok.corpus import engines
from hypertok.corpus.counting import CountedCorpus
from hypertok.corpus.documents import read_shard
from hypertok.corpus.records import Document, Shard, SourceReport
from hypertok.errors import InputError
from hypertok.lexicon.word_classes import analyse_word
from hypertok.progress import Count

#: Shards held before they are merged: of 8 MiB of text, about a million pieces, each.
_TOGETHER = 16


@contextmanager
def learning_statistics(
    counted: CountedCorpus,
    folder: Path,
    *,
    engine: engines.EngineName = "local",
    workers: int | None = None,
    progress: Count | None = None,
) -> Iterator[Callable[[], None]]:
    """Learn the archive's statistics in the background; the call handed out waits until they are in `folder`.

    The tables are the same for every engine and number of workers.

    Args:
        counted: what the first reading gave.

    Raises:
        Changed: a source is not what it was then; seen when it has been read again.
    """
    reading = partial(_cut_corpus, counted, engine=engine, workers=workers, progress=progress)
    share = first_share(sum(report.characters for report in counted.reports))
    cut = reading(share)
    if share < WHOLE:
        cut = [merge_shards(cut)]
        if cut[0].share == share:  # a corpus of hardly any words, or of the same document many times
            cut = reading(WHOLE)
    with engines.background(partial(_learn, folder), cut) as wait:
        yield wait


def _cut_corpus(
    counted: CountedCorpus, share: int, *, engine: engines.EngineName, workers: int | None, progress: Count | None
) -> list[Pieces]:
    """The pieces of a share of all documents, shards merged where they are many."""
    plan = counted.plan
    cut: list[Pieces] = []
    if progress:
        progress(0, len(plan.shards))
    found = engines.run(partial(_cut, plan.place, share), plan.shards, engine=engine, workers=workers)
    with closing(found):
        for done, ((pieces, now), before) in enumerate(zip(found, counted.shard_reports(), strict=True), 1):
            _refuse_changed(before, now)
            cut.append(pieces)
            if len(cut) > _TOGETHER:
                cut = [merge_shards(cut)]  # together they have a limit
            if progress:
                progress(done, len(plan.shards))
    return cut


def _cut(root: Path, share: int, shard: Shard) -> tuple[Pieces, list[SourceReport]]:
    reports: list[SourceReport] = []

    def texts() -> Iterator[str]:
        for item in read_shard(root, shard, prose=False):
            if isinstance(item, Document):
                yield item.text
            else:
                reports.append(item)

    return count_shard(texts(), share=share), reports


class Changed(InputError):
    """A source is not what it was at the first reading."""


def _refuse_changed(before: Sequence[SourceReport], now: Sequence[SourceReport]) -> None:
    """A disk or a network that is gone by now would leave statistics of nothing."""
    for report, known in zip(now, before, strict=True):
        if (report.status, report.sha256) != (known.status, known.sha256):
            reason = f" ({report.reason})" if report.status == "skipped" else ""
            raise Changed(
                f"{report.path}: not what it was when its words were counted, a short time ago{reason}; see that it is "
                "there and stays as it is, and start again"
            )


def _learn(folder: Path, pieces: Sequence[Pieces]) -> None:
    save_statistics(statistics_of(pieces, analyse_word), folder)
