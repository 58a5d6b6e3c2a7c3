"""Counting a corpus: every shard becomes a token stream and a form table on disk, then one vocabulary.

Shards are cut by the corpus alone, finished shards are kept in a work folder, and results are merged in
shard order: the outcome is the same bytes for every number of workers, and a killed run goes on where it
stopped.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from hypertok.corpus import engines
from hypertok.corpus.documents import read_shard
from hypertok.corpus.records import Document, Plan, Shard, SourceReport, merge_reports
from hypertok.corpus.sources import plan_shards
from hypertok.corpus.stream import FIRST_FORM, UNKNOWN, Tokens, Vocabulary, count_forms, renumber, tokenize
from hypertok.errors import InputError

#: Version of what a shard folder holds; a change makes older work folders useless, so they are redone.
SHARD_VERSION = 1
#: Distinct forms held in memory at once. 4 million take about 350 MB; the shared 107 MB corpus has 0.32 million.
MAX_FORMS = 4_000_000
#: Shard tables merged at a time: fewer, larger merges are faster, and 16 shards of 8 MiB hold < 2 M rows.
_MERGE_BATCH = 16
_CASES = ("lower", "title", "upper", "other")
_NO_FORMS = {"form": pl.String, **dict.fromkeys(_CASES, pl.Int64)}

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class CountedCorpus:
    """A counted corpus: the vocabulary with counts, and the token streams on disk.

    Attributes:
        vocabulary: columns form, lower, title, upper, other (counts by case pattern), sorted by form.
        reports: one report per source file.
        fingerprint: sha256 over the files' names and contents.
        pruned: forms dropped because more than `MAX_FORMS` were seen; their tokens read as unknown.
    """

    vocabulary: pl.DataFrame
    reports: list[SourceReport]
    fingerprint: str
    pruned: int
    shard_folders: tuple[Path, ...]

    def streams(self) -> Iterator[Tokens]:
        """The token stream of each shard in order, numbered by `vocabulary`. Each (T,), at most a few million."""
        numbers = self.vocabulary.select("form").with_row_index("number", offset=FIRST_FORM)
        for folder in self.shard_folders:
            forms = pl.read_parquet(folder / "forms.parquet", columns=["form"])
            ids = forms.join(numbers, on="form", how="left", maintain_order="left")["number"]
            table = ids.fill_null(UNKNOWN).to_numpy().astype(np.uint32)
            yield renumber(np.load(folder / "tokens.npy", allow_pickle=False), table)


def count_corpus(
    root: Path,
    work: Path,
    *,
    engine: engines.EngineName = "local",
    workers: int | None = None,
    progress: Progress | None = None,
) -> CountedCorpus:
    """Count every file below `root`, keeping finished shards in the folder `work`.

    With `engine="ray"` both folders must lie where every machine of the cluster sees them.

    Raises:
        InputError: nothing below `root` could be read as text with Russian words.
    """
    plan = plan_shards(root)
    work.mkdir(parents=True, exist_ok=True)
    folders = []
    done, total = 0, sum(shard.bytes for shard in plan.shards)
    task = partial(_count_shard, plan.root, work)
    for shard, name in zip(
        plan.shards, engines.run(task, plan.shards, engine=engine, workers=workers), strict=True
    ):
        folders.append(work / name)
        done += shard.bytes
        if progress:
            progress(done, total)
    reports = _collect_reports(plan, folders)
    vocabulary, pruned = merge_vocabularies(folder / "forms.parquet" for folder in folders)
    if vocabulary.is_empty():
        raise InputError(_nothing_to_count(root, reports))
    return CountedCorpus(vocabulary, reports, fingerprint(reports), pruned, tuple(folders))


def merge_vocabularies(tables: Iterator[Path], max_forms: int = MAX_FORMS) -> tuple[pl.DataFrame, int]:
    """Sum shard vocabularies in order; returns (table sorted by form, number of forms pruned).

    Whenever more than `max_forms` are held, the rarest are dropped (lossy counting, Manku and Motwani
    2002): a dropped form was rarer than one occurrence per several million words so far.
    """
    total, pruned = pl.DataFrame(schema=_NO_FORMS), 0
    batch: list[pl.DataFrame] = []
    paths = list(tables)
    for number, path in enumerate(paths, 1):
        batch.append(pl.read_parquet(path))
        if len(batch) < _MERGE_BATCH and number < len(paths):
            continue
        total = pl.concat([total, *batch]).group_by("form").agg(pl.col(_CASES).sum())
        batch.clear()
        floor = 1
        while total.height > max_forms:
            before = total.height
            total = total.filter(pl.sum_horizontal(_CASES) > floor)
            pruned += before - total.height
            floor += 1
    return total.sort("form"), pruned


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
    vocabulary = Vocabulary()
    streams: list[Tokens] = []
    reports: list[SourceReport] = []
    for item in read_shard(root, shard):
        if isinstance(item, Document):
            streams.append(tokenize(item.prose, vocabulary))
        else:
            reports.append(item)
    tokens = np.concatenate(streams) if streams else np.empty(0, np.uint32)
    counts = count_forms(tokens, len(vocabulary.forms))
    table = pl.DataFrame({"form": vocabulary.forms}, schema={"form": pl.String}).with_columns(
        pl.Series(case, counts[:, k]) for k, case in enumerate(_CASES)
    )
    beside = work / f".{name}.unfinished"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    np.save(beside / "tokens.npy", tokens, allow_pickle=False)
    table.write_parquet(beside / "forms.parquet", compression="lz4")
    (beside / "reports.json").write_text(json.dumps([asdict(r) for r in reports]), encoding="utf-8")
    beside.rename(target)
    return name


def _shard_name(root: Path, shard: Shard) -> str:
    """Folder name that changes when a file of the shard or the way of counting changes."""
    digest = hashlib.sha256(f"{SHARD_VERSION}\0{root}".encode("utf-8", "surrogateescape"))
    for part in shard.parts:
        path = root / part.path if root.is_dir() else root
        try:
            modified = path.stat().st_mtime_ns
        except OSError:  # vanished or a hub data set: read_shard reports it
            modified = 0
        digest.update(f"{part}\0{modified}\n".encode("utf-8", "surrogateescape"))
    return f"{shard.index:06d}-{digest.hexdigest()[:16]}"


def _collect_reports(plan: Plan, folders: Sequence[Path]) -> list[SourceReport]:
    reports = list(plan.reports)
    for folder in folders:
        for fields in json.loads((folder / "reports.json").read_text(encoding="utf-8")):
            fields["lookalike_examples"] = tuple(fields["lookalike_examples"])
            reports.append(SourceReport(**fields))
    return list(merge_reports(reports))


def _nothing_to_count(root: Path, reports: Sequence[SourceReport]) -> str:
    skipped = [r for r in reports if r.status == "skipped"]
    detail = f"; first of {len(skipped)} skipped: {skipped[0].path}: {skipped[0].reason}" if skipped else ""
    return (
        f"{root}: no Russian words found in {len(reports)} files{detail}. "
        "Name a folder that holds Russian text (.txt, .md, .jsonl, .csv, .parquet, .html, .fb2 …)"
    )
