"""Reading texts: every document of a shard, and after each of its parts the report on it; or of a whole corpus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from hypertok.corpus import encodings
from hypertok.corpus.csv_source import read_csv
from hypertok.corpus.datasets_source import hub_name, read_dataset, read_hub
from hypertok.corpus.formats import format_of
from hypertok.corpus.json_source import read_json
from hypertok.corpus.jsonl_source import read_jsonl
from hypertok.corpus.markup_source import read_markup
from hypertok.corpus.parquet_source import read_parquet
from hypertok.corpus.prose import clean
from hypertok.corpus.records import Document, Part, Piece, Shard, SourceReport, Tally
from hypertok.corpus.sources import Skipped, locate, plan_shards, printable, tell_skipped
from hypertok.corpus.text_source import read_text
from hypertok.corpus.words import is_lookalike

#: A reader gives one document after the other (see `Piece`), and notes the rest in the tally.
Reader = Callable[[Path, Part, Tally], Iterator[Piece]]
_TEXTS: dict[str, Reader] = {"text": read_text, "markdown": read_text, "html": read_markup, "fb2": read_markup}
#: The same for sources of records, which are joined into documents of a handy size or stay what they are (`join`).
_RECORDS: dict[str, Callable[..., Iterator[Piece]]] = {
    "jsonl": read_jsonl,
    "json": read_json,
    "csv": read_csv,
    "parquet": read_parquet,
    "datasets": read_dataset,
    "hub": read_hub,
}


def read_shard(root: Path, shard: Shard, *, join: bool = True, prose: bool = True) -> Iterator[Document | SourceReport]:
    """The documents of a shard in order; those of a part come before the report on it.

    Nothing about a single source is fatal: what cannot be read is a report that says so. A hub dataset is the whole
    corpus: where its stream breaks off midway, an InputError is raised.

    Args:
        join: put small records (JSON lines, table rows) together, which is faster; else each is a document.
        prose: make the documents' prose, too, and look for words of mixed letters in it; takes longer than the text.
    """
    for part in shard.parts:
        yield from _read_part(root, part, join, prose)


def read_documents(root: Path | str, *, seed: int | None = None, skipped: Skipped | None = None) -> Iterator[Document]:
    """The documents of a folder, a file or whatever else can be read; every record is one, and blank ones are left out.

    They come without their prose.

    Args:
        seed: files, large ones in parts, in an order that hangs on it; None for the order of their paths.
        skipped: told path and reason of each file that is left out, several times if it is read in several parts.

    Raises:
        InputError: there is nothing of this name.
    """
    plan = plan_shards(root)
    parts = [part for shard in plan.shards for part in shard.parts]
    order = range(len(parts)) if seed is None else np.random.default_rng(seed).permutation(len(parts))
    for report in plan.reports:
        tell_skipped(plan.root, report, skipped)
    for number in order:
        for found in _read_part(plan.root, parts[number], join=False, prose=False):
            if isinstance(found, SourceReport):
                tell_skipped(plan.root, found, skipped)
            elif found.text.strip():
                yield found


def _read_part(root: Path, part: Part, join: bool, prose: bool) -> Iterator[Document | SourceReport]:
    path = printable(part.path)
    location = locate(root, part.path)
    kind = "hub" if hub_name(root) else "datasets" if location.is_dir() else format_of(part.path)
    tally = Tally(kind, bytes=part.stop - part.start, first=part.start)
    reader = _TEXTS[kind] if kind in _TEXTS else partial(_RECORDS[kind], join=join)
    try:
        for text, make_prose in reader(location, part, tally):
            words, mixed = clean(make_prose()) if prose else ("", [])
            tally.add_lookalikes(run for run in mixed if is_lookalike(run))
            yield Document(path, tally.first + tally.documents, text, words)
            tally.documents += 1
            tally.characters += len(text)
    except OSError as error:
        tally.skip(encodings.explain(error))
    yield tally.report(path)
