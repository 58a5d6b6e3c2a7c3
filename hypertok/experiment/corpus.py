"""The training texts read through once: no held-out text in them, their size, their hash.

What was found is kept in `.work`, so that an experiment begun again need not normalise and hash hundreds of megabytes
to learn that all its runs are done. A corpus is known again by path, size and time of every file.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

import hypertok
from hypertok.corpus.datasets_source import hub_name
from hypertok.corpus.sources import locate, plan_shards, printable
from hypertok.errors import InputError
from hypertok.experiment.arms import key_of
from hypertok.experiment.leaks import find_leaks
from hypertok.measure.passages import sha256_of_texts
from hypertok.single_file import write_file
from hypertok.training.code_state import code_state

if TYPE_CHECKING:
    from hypertok.corpus.sources import Skipped
    from hypertok.training.data import Text


class Corpus(BaseModel):
    """What one pass over the training texts found.

    Attributes:
        characters: of all of them.
        sha256: of all of them.
        folders: characters by top folder, "" for texts that lie in none.
        skipped: path and reason of each file that was left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    characters: int
    sha256: str
    folders: dict[str, int]
    skipped: tuple[tuple[str, str], ...]


def read_corpus(
    corpus: Path, held_out: Sequence[Text], beginning: int, work: Path, skipped: Skipped | None = None
) -> Corpus:
    """Read the training texts, or remember what an earlier start found in them.

    Args:
        held_out: none of which may be in them.
        beginning: characters of a held-out document that are measured.
        work: folder in which findings are kept.
        skipped: told path and reason of each file that is left out.

    Raises:
        InputError: no text there, or held-out text in it.
    """
    from hypertok.training.data import read_texts

    kept = _place(corpus, held_out, beginning, work)
    found = _kept(kept) if kept else None
    if found is not None:
        for path, reason in found.skipped:
            if skipped:
                skipped(path, reason)
        return found
    left_out: list[tuple[str, str]] = []

    def note(path: str, reason: str) -> None:
        left_out.append((path, reason))
        if skipped:
            skipped(path, reason)

    folders: Counter[str] = Counter()
    texts = _counted(read_texts(corpus, skipped=note), folders)
    leaks, characters, sha256 = find_leaks(held_out, texts, beginning)
    if leaks:
        raise InputError(next(iter(leaks.values())))
    found = Corpus(characters=characters, sha256=sha256, folders=dict(folders), skipped=tuple(left_out))
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_file(kept, found.model_dump_json().encode())
    return found


def folders_read(corpus: Path, characters: int, seed: int) -> dict[str, int]:
    """Characters by top folder of what an arm with this seed reads first."""
    from hypertok.training.data import read_texts

    found: Counter[str] = Counter()
    deque(_counted(read_texts(corpus, characters=characters, seed=seed), found), maxlen=0)
    return dict(sorted(found.items()))


def folder_of(name: str) -> str:
    """The top folder of a text in its corpus, "" for one that lies in none."""
    return name.partition("/")[0] if "/" in name.rpartition("#")[0] else ""


def _counted(texts: Iterable[Text], by_folder: Counter[str]) -> Iterator[Text]:
    """The texts, their characters counted by folder on the way."""
    for text in texts:
        by_folder[folder_of(text.name)] += len(text)
        yield text


def _place(corpus: Path, held_out: Sequence[Text], beginning: int, work: Path) -> Path | None:
    """Where findings about these files by this code lie; None for texts that are no files here, and changed code.

    Asked before they are read: what changes meanwhile is read anew by the next start.
    """
    commit, dirty = code_state()
    if hub_name(corpus) or dirty:
        return None
    plan = plan_shards(corpus)
    names = dict.fromkeys(part.path for shard in plan.shards for part in shard.parts)
    stamps = [(printable(name), *_stamps(locate(plan.root, name))) for name in names]
    left_out = [(report.path, report.reason) for report in plan.reports]
    held = sha256_of_texts(text.text for text in held_out)
    made_by = hypertok.__version__, commit
    return work / "corpora" / f"{key_of(made_by, printable(str(corpus)), stamps, left_out, held, beginning)[:16]}.json"


def _stamps(path: Path) -> Iterator[tuple[str, int, int]]:
    """Name, size and time of a file, or of all in the folder of a saved dataset."""
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        if file.exists():  # a link may lead nowhere
            status = file.stat()
            yield printable(file.name), status.st_size, status.st_mtime_ns


def _kept(path: Path) -> Corpus | None:
    try:
        return Corpus.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):  # not there, or damaged
        return None
