"""What follows what in the corpus, for the archive: a second reading of the texts as they are, markup included.

Cutting the texts into pieces uses every worker; learning from the pieces takes one processor for as long as
the rest of the build, so it runs beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from hypertok.archive.learning import statistics_of
from hypertok.archive.shards import Pieces, count_shard, merge_shards
from hypertok.archive.statistics import save_statistics
from hypertok.corpus import engines
from hypertok.corpus.documents import read_shard
from hypertok.corpus.records import Document, Plan, Shard, SourceReport, merge_reports
from hypertok.errors import InputError
from hypertok.lexicon.word_classes import analyse_word
from hypertok.progress import Count

#: Shards held before they are merged: of 8 MiB of text, about a million pieces, each.
_TOGETHER = 16


@contextmanager
def learning_statistics(
    plan: Plan,
    folder: Path,
    reports: Sequence[SourceReport],
    *,
    engine: engines.EngineName = "local",
    workers: int | None = None,
    progress: Count | None = None,
) -> Iterator[Callable[[], None]]:
    """Learn the archive's statistics in the background; the call handed out waits until they are in `folder`.

    The tables are the same for every engine and number of workers.

    Args:
        reports: of the first reading, one per source.

    Raises:
        Changed: a source is not what it was then; seen before learning begins.
    """
    cut: list[Pieces] = []
    again = list(plan.reports)
    if progress:
        progress(0, len(plan.shards))
    found = engines.run(partial(_cut, plan.place), plan.shards, engine=engine, workers=workers)
    with closing(found):
        for done, (pieces, told) in enumerate(found, 1):
            cut.append(pieces)
            again += told
            if len(cut) > _TOGETHER:
                cut = [merge_shards(cut)]  # together they have a limit
            if progress:
                progress(done, len(plan.shards))
    _refuse_changed(reports, merge_reports(again))
    with engines.background(partial(_learn, folder), cut) as wait:
        yield wait


def _cut(root: Path, shard: Shard) -> tuple[Pieces, list[SourceReport]]:
    reports: list[SourceReport] = []

    def texts() -> Iterator[str]:
        for item in read_shard(root, shard):
            if isinstance(item, Document):
                yield item.text
            else:
                reports.append(item)

    return count_shard(texts()), reports


class Changed(InputError):
    """A source is not what it was at the first reading."""


def _refuse_changed(before: Iterable[SourceReport], now: Iterable[SourceReport]) -> None:
    """A disk or a network that is gone by now would leave statistics of nothing."""
    known = {report.path: (report.status, report.sha256) for report in before}
    for report in now:
        if known.get(report.path) != (report.status, report.sha256):
            reason = f" ({report.reason})" if report.status == "skipped" else ""
            raise Changed(
                f"{report.path}: not what it was when its words were counted, a short time ago{reason}; see that it is "
                "there and stays as it is, and start again"
            )


def _learn(folder: Path, pieces: Sequence[Pieces]) -> None:
    save_statistics(statistics_of(pieces, analyse_word), folder)
