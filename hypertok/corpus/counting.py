"""Counting a corpus: every shard becomes token streams and form tables on disk, then one vocabulary.

Shards are cut by the corpus alone, finished shards are kept in a work folder, and results are merged in
shard order: the outcome is the same bytes for every number of workers, and a killed run goes on where it
stopped. A shard is counted in segments of bounded size, so that even a file that cannot be cut, or a hub
dataset, which is one shard, takes no more memory than any other.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from hypertok.corpus import engines
from hypertok.corpus.documents import read_shard
from hypertok.corpus.elements import Ids
from hypertok.corpus.lookup import find_names
from hypertok.corpus.records import Document, Plan, Shard, SourceReport, merge_reports
from hypertok.corpus.segments import CASES, Segment, segment_folders
from hypertok.corpus.sources import locate, plan_shards
from hypertok.corpus.stream import FIRST_FORM, UNKNOWN, Tokens, renumber
from hypertok.errors import ArtifactError, InputError
from hypertok.progress import Count
from hypertok.replacing import discard, make_like, moved, remove_stale, to_disk, unfinished

#: Version of what a shard folder holds; a change makes older work folders useless, so they are redone.
SHARD_VERSION = 10
#: Distinct forms held in memory at once; the shared 107 MB corpus has 0.32 million. In
#: benchmarks/memory.py (long words, many new ones) the main process peaks at 827 MiB, with 2 million at 981.
MAX_FORMS = 1_500_000
#: Rows of form tables merged at a time: fewer, larger merges are faster and take more memory.
_MERGE_ROWS = 1_000_000
#: Names in a work folder: counted shards, those that a kill left unfinished, and what NFS keeps of open files.
_OWN = re.compile(r"\d{6}-[0-9a-f]{16}|\..*\.unfinished(\..*)?|\.nfs.*")
_NO_FORMS = {"form": pl.String, **dict.fromkeys(CASES, pl.Int64)}


@dataclass(frozen=True)
class CountedCorpus:
    """A counted corpus: the vocabulary with counts, and the token streams on disk.

    Attributes:
        plan: what was to be read, in shards.
        vocabulary: columns form, lower, title, upper, other (counts by case pattern), sorted by form.
        reports: one report per source file.
        fingerprint: sha256 over the files' names and contents.
        pruned: forms dropped because more than `MAX_FORMS` were seen; their tokens read as unknown.
    """

    plan: Plan
    vocabulary: pl.DataFrame
    reports: list[SourceReport]
    fingerprint: str
    pruned: int
    shard_folders: tuple[Path, ...]

    def streams(self) -> Iterator[Tokens]:
        """Token streams of all shards in order, numbered by `vocabulary`. Each (T,), T under 3 million."""
        for segment in self._all_segments():
            yield renumber(np.load(segment / "tokens.npy"), np.load(segment / "ids.npy"))

    def element_tables(self) -> Iterator[pl.DataFrame]:
        """Per segment the elements of runs: columns name, count, documents (how many hold it)."""
        for segment in self._all_segments():
            yield pl.read_parquet(segment / "elements.parquet", glob=False)

    def element_streams(self) -> Iterator[tuple[Ids, npt.NDArray[np.int64], pl.Series]]:
        """Per segment the elements (E,), the length of each document (D,), and the names by number."""
        for segment in self._all_segments():
            names = pl.read_parquet(segment / "elements.parquet", columns=["name"], glob=False)["name"]
            yield np.load(segment / "elements.npy"), np.load(segment / "documents.npy"), names

    def document_lengths(self) -> Iterator[npt.NDArray[np.int64]]:
        """Per segment the elements that each document has. Each (D,)"""
        return (np.load(segment / "documents.npy") for segment in self._all_segments())

    def shard_reports(self) -> Iterator[list[SourceReport]]:
        """Per shard the reports on its parts."""
        return (list(_reports_of(folder)) for folder in self.shard_folders)

    def _all_segments(self) -> Iterator[Path]:
        return (segment for folder in self.shard_folders for segment in segment_folders(folder))


def count_corpus(
    root: Path | str,
    work: Path,
    *,
    like: Path | None = None,
    engine: engines.EngineName = "local",
    workers: int | None = None,
    progress: Count | None = None,
) -> CountedCorpus:
    """Count every file below `root`, keeping finished shards in the folder `work`.

    With `engine="ray"` both folders must lie where every machine of the cluster sees them.

    Args:
        like: the folder that all is counted for: who may read it may read `work`.

    Raises:
        InputError: nothing below `root` could be read as text with Russian words.
        ArtifactError: `work` holds something that was not counted; in the end it would be removed.
    """
    plan = plan_shards(root)
    work = work.absolute()  # workers may have another current folder
    _refuse_other(work)
    make_like(work if like is None else like, work)
    remove_stale(work)
    folders = []
    done, total = 0, plan.bytes
    task = partial(_count_shard, plan.place, work)
    with closing(engines.run(task, plan.shards, engine=engine, workers=workers)) as names:
        for shard, name in zip(plan.shards, names, strict=True):
            folders.append(work / name)
            done += shard.bytes
            if progress:
                progress(done, total)
    reports = list(merge_reports(chain(plan.reports, chain.from_iterable(map(_reports_of, folders)))))
    segments = [segment for folder in folders for segment in segment_folders(folder)]
    vocabulary, pruned = merge_vocabularies(segment / "forms.parquet" for segment in segments)
    if vocabulary.is_empty():
        discard(work)
        raise InputError(_nothing_to_count(root, reports))
    for segment in segments:
        np.save(segment / "ids.npy", _global_ids(segment, vocabulary["form"]))
    return CountedCorpus(plan, vocabulary, reports, fingerprint(reports), pruned, tuple(folders))


def merge_vocabularies(tables: Iterable[Path], max_forms: int = MAX_FORMS) -> tuple[pl.DataFrame, int]:
    """Sum form tables in order; returns (table sorted by form, number of forms pruned).

    Whenever more than `max_forms` are held, the rarest are dropped (lossy counting, Manku and Motwani
    2002): a dropped form was rarer than one occurrence per several million words so far. One that is met
    and dropped again counts again as pruned.
    """
    total, pruned = pl.DataFrame(schema=_NO_FORMS), 0
    for batch in _batches(tables):
        total = pl.concat([total, *batch]).group_by("form").agg(pl.col(CASES).sum())
        del batch
        merged, floor = total.height, 1
        while total.height > max_forms:
            total = total.filter(pl.sum_horizontal(CASES) > floor)
            floor += 1
        pruned += merged - total.height
    return total.sort("form"), pruned


def _batches(tables: Iterable[Path]) -> Iterator[list[pl.DataFrame]]:
    batch: list[pl.DataFrame] = []
    for path in tables:
        batch.append(pl.read_parquet(path, glob=False))
        if sum(table.height for table in batch) >= _MERGE_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def fingerprint(reports: Sequence[SourceReport]) -> str:
    """sha256 over (path, content hash) of all files that were read; independent of the folder's place."""
    digest = hashlib.sha256()
    for report in sorted(reports, key=lambda r: r.path):
        digest.update(f"{report.path}\0{report.sha256}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _count_shard(root: Path, work: Path, shard: Shard) -> str:
    """Count one shard into its own folder below `work` unless that is there already; returns its name."""
    name = _shard_name(root, shard)
    target = work / name
    if target.is_dir():
        return name
    # A name of its own: a cluster that lost sight of a worker may have another one count the same shard.
    beside = unfinished(work, name)
    beside.mkdir(parents=True)
    reports: list[SourceReport] = []
    segment, written = Segment(), 0
    for item in read_shard(root, shard):
        if not isinstance(item, Document):
            reports.append(item)
            continue
        segment.add(item.prose)
        if segment.is_full:
            segment.write(beside / f"{written:06d}")
            segment, written = Segment(), written + 1
    segment.write(beside / f"{written:06d}")
    (beside / "reports.json").write_text(json.dumps([asdict(r) for r in reports]), encoding="utf-8")
    to_disk(beside)
    try:
        moved(beside, target)
    except OSError:
        if not target.is_dir():
            raise
        shutil.rmtree(beside)  # the other worker was first, with the same bytes
    return name


def _global_ids(segment: Path, vocabulary: pl.Series) -> npt.NDArray[np.uint32]:
    """The id in the sorted `vocabulary` of each form of a segment, `UNKNOWN` if it was pruned."""
    forms = pl.read_parquet(segment / "forms.parquet", columns=["form"], glob=False)["form"]
    places = find_names(forms, vocabulary)
    return np.where(places < 0, UNKNOWN, places + FIRST_FORM).astype(np.uint32)


def _refuse_other(work: Path) -> None:
    """See that a work folder is one: it is removed when its lexicon is written."""
    from hypertok.artifact import is_litter  # needs pydantic, which workers do not

    if not work.exists():
        return
    names = [p.name for p in work.iterdir() if not is_litter(p.name)] if work.is_dir() else [work.name]
    others = [name for name in names if not _OWN.fullmatch(name)]
    if others:
        raise ArtifactError(
            f"{work}: is where counted texts are kept until the lexicon is written, and removed then; it holds "
            f"{others[0]}, which is none of them: move it away, or name another output"
        )


def _shard_name(root: Path, shard: Shard) -> str:
    """Folder name that changes when a file of the shard or the way of counting changes."""
    digest = hashlib.sha256(f"{SHARD_VERSION}\0{root}".encode("utf-8", "surrogateescape"))
    for part in shard.parts:
        try:
            status = locate(root, part.path).stat()
            changed = f"{status.st_mtime_ns} {status.st_ctime_ns}"  # ctime: made readable since
        except OSError:  # vanished or a hub data set: read_shard reports it
            changed = ""
        digest.update(f"{part}\0{changed}\n".encode("utf-8", "surrogateescape"))
    return f"{shard.index:06d}-{digest.hexdigest()[:16]}"


def _reports_of(folder: Path) -> Iterator[SourceReport]:
    """The reports on the parts of a counted shard, in their order."""
    for fields in json.loads((folder / "reports.json").read_text(encoding="utf-8")):
        fields["lookalike_examples"] = tuple(fields["lookalike_examples"])
        yield SourceReport(**fields)


def _nothing_to_count(root: Path | str, reports: Sequence[SourceReport]) -> str:
    skipped = [r for r in reports if r.status in ("skipped", "without text")]
    detail = f"; first of {len(skipped)} skipped: {skipped[0].path}: {skipped[0].reason}" if skipped else ""
    return (
        f"{root}: no Russian words found in {len(reports)} files{detail}. "
        "Name a folder that holds Russian text (.txt, .md, .json, .jsonl, .csv, .parquet, .html, .fb2 …)"
    )
