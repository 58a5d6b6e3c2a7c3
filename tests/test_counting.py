"""Counting a corpus: right counts, the same bytes whatever runs it and whatever kills it."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from hypertok.corpus import counting, segments
from hypertok.corpus.counting import CountedCorpus, count_corpus, merge_vocabularies
from hypertok.corpus.sources import plan_shards
from hypertok.corpus.stream import count_forms
from hypertok.corpus.words import WORD, form_of
from hypertok.errors import InputError

CASES = ["lower", "title", "upper", "other"]
TEXT = ("печень кровь сердце цикл кребса память оператор ёлка кое-кто за́мок дом книга врач лёгкое код "
         "Москва НИИ Нью-Йорк и в на не что он это как")  # fmt: skip
WORDS = TEXT.split()


def write_corpus(folder: Path, files: int, words: int, seed: int = 0) -> Path:
    """Text files of pseudo-random sentences, a few words of which are new in every file."""
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        own = ["".join(rng.choices("абвгдежзиклмнопрстуя", k=7)) for _ in range(20)]
        chosen = rng.choices(WORDS + own, k=words)
        lines = [" ".join(chosen[i : i + 12]).capitalize() + "." for i in range(0, words, 12)]
        (folder / f"{number:02d}.txt").write_text("\n\n".join(lines), encoding="utf-8")
    return folder


def everything(counted: CountedCorpus) -> tuple[object, ...]:
    """All a count gives, in a form that can be compared."""
    streams = np.concatenate(list(counted.streams()))
    table = counted.vocabulary
    return (
        table.columns,
        table.rows(),
        streams.tobytes(),
        counted.fingerprint,
        counted.reports,
        counted.pruned,
    )


def naive_counts(folder: Path) -> dict[str, tuple[int, ...]]:
    """Counts by case pattern of every form in plain Russian text files; of our machinery only what a word is."""
    seen = Counter(word for file in folder.glob("*.txt") for word in WORD.findall(file.read_text(encoding="utf-8")))
    counts: dict[str, list[int]] = {}
    for word, count in seen.items():
        letters = [c for c in word if c.isalpha()]
        lower = [c.islower() for c in letters]
        case = 0 if all(lower) else 1 if not lower[0] and all(lower[1:]) else 2 if not any(lower) else 3
        counts.setdefault(form_of(word), [0, 0, 0, 0])[case] += count
    return {form: tuple(row) for form, row in counts.items()}


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "plan_shards", partial(plan_shards, shard_bytes=20_000))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "notes", files=6, words=1800)


@pytest.mark.usefixtures("small_shards")
def test_counts_are_those_of_a_naive_count(corpus: Path, tmp_path: Path) -> None:
    counted = count_corpus(corpus, tmp_path / "work")
    assert len(counted.shard_folders) > 3
    rows = {form: tuple(row) for form, *row in counted.vocabulary.select("form", *CASES).iter_rows()}
    assert rows == naive_counts(corpus)
    assert counted.vocabulary["form"].is_sorted()
    assert counted.pruned == 0
    streamed = np.sum([count_forms(tokens, len(rows)) for tokens in counted.streams()], axis=0)
    assert (streamed == counted.vocabulary.select(CASES).to_numpy()).all()


@pytest.mark.usefixtures("small_shards")
def test_the_same_bytes_for_every_worker_count_and_run(corpus: Path, tmp_path: Path) -> None:
    first = everything(count_corpus(corpus, tmp_path / "work", workers=1))
    for run, workers in enumerate((1, 2, 3, 3)):
        assert everything(count_corpus(corpus, tmp_path / f"work{run}", workers=workers)) == first


def test_the_fingerprint_follows_names_and_contents_not_the_place(corpus: Path, tmp_path: Path) -> None:
    def fingerprint(folder: Path) -> str:
        return count_corpus(folder, tmp_path / "work").fingerprint

    copy = write_corpus(tmp_path / "elsewhere", files=6, words=1800)
    assert fingerprint(copy) == fingerprint(corpus)
    (copy / "00.txt").rename(copy / "renamed.txt")
    renamed = fingerprint(copy)
    assert renamed != fingerprint(corpus)
    (copy / "renamed.txt").write_text("Печень здорова.", encoding="utf-8")
    assert fingerprint(copy) != renamed


@pytest.mark.usefixtures("small_shards")
def test_only_what_changed_is_counted_again(tmp_path: Path) -> None:
    corpus, work = write_corpus(tmp_path / "notes", files=6, words=1800), tmp_path / "work"
    before = count_corpus(corpus, work)
    stamps = {folder: modified(folder) for folder in before.shard_folders}
    (corpus / "05.txt").write_text("Совсем другой текст.", encoding="utf-8")
    after = count_corpus(corpus, work)
    kept = set(before.shard_folders) & set(after.shard_folders)
    assert 0 < len(kept) < len(before.shard_folders)
    assert all(modified(folder) == stamps[folder] for folder in kept)
    assert everything(after) == everything(count_corpus(corpus, tmp_path / "fresh"))


def modified(shard_folder: Path) -> list[int]:
    """When the counted files of a shard were written."""
    names = ("reports.json", "*/tokens.npy", "*/forms.parquet")
    return [path.stat().st_mtime_ns for name in names for path in sorted(shard_folder.glob(name))]


#: Counts with two workers, which stand still for ever in the middle of every shard from the eighth on; says so when
#: seven are finished and two half done. Workers import this file too, so what they read is replaced in them as well.
DRIVER = """
import sys, time
from functools import partial
from pathlib import Path
from hypertok.corpus import counting
from hypertok.corpus.sources import plan_shards

read_shard = counting.read_shard

def read_or_stand_still(root, shard):
    for item in read_shard(root, shard):
        yield item
        if shard.index >= 7:
            time.sleep(600)

calls = []

def progress(done, total):
    calls.append(done)
    if len(calls) == 7:
        while len(list(Path(sys.argv[2]).glob(".*"))) < 2:
            time.sleep(0.01)
        print("under way", flush=True)

counting.read_shard = read_or_stand_still
counting.plan_shards = partial(plan_shards, shard_bytes=20_000)
if __name__ == "__main__":
    counting.count_corpus(Path(sys.argv[1]), Path(sys.argv[2]), workers=2, progress=progress)
"""


@pytest.mark.usefixtures("small_shards")
def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    corpus, work = write_corpus(tmp_path / "notes", files=14, words=1800), tmp_path / "work"
    (tmp_path / "driver.py").write_text(DRIVER, encoding="utf-8")
    command = [sys.executable, tmp_path / "driver.py", corpus, work]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout
        assert driver.stdout.readline() == "under way\n"
        workers = children(driver.pid)
        driver.send_signal(signal.SIGKILL)
    wait_until_gone(workers)
    finished = {folder: modified(folder) for folder in work.iterdir() if not folder.name.startswith(".")}
    assert len(finished) == 7
    assert len(list(work.glob(".*"))) == 2, "no worker was killed in the middle of a shard"
    resumed = count_corpus(corpus, work, workers=2)
    assert set(finished) < set(resumed.shard_folders), "the kill came too late to prove anything"
    assert all(modified(folder) == stamps for folder, stamps in finished.items())
    assert not list(work.glob(".*")), "what the killed workers left half done is still there"
    assert everything(resumed) == everything(count_corpus(corpus, tmp_path / "undisturbed", workers=2))


def children(pid: int) -> list[int]:
    """Child processes of `pid` (Linux; elsewhere none are known and nothing is checked)."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def wait_until_gone(pids: list[int]) -> None:
    """Workers whose parent was killed end by themselves."""
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline, f"still running although their parent is gone: {pids}"
        time.sleep(0.05)


def test_long_shards_are_counted_in_segments(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = count_corpus(corpus, tmp_path / "whole", workers=1)
    monkeypatch.setattr(segments, "_SEGMENT_TOKENS", 3000)
    cut = count_corpus(corpus, tmp_path / "cut", workers=1)
    assert len(cut.shard_folders) == 1
    assert len(list(cut.streams())) >= 3
    assert everything(cut) == everything(whole)


def test_a_file_made_readable_since_is_counted_again(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "notes", files=1, words=100)
    first = count_corpus(corpus, tmp_path / "work")
    time.sleep(0.02)  # longer than a tick of the file system's clock
    (corpus / "00.txt").chmod(0o600)
    again = count_corpus(corpus, tmp_path / "work")
    assert again.shard_folders != first.shard_folders
    assert everything(again) == everything(first)


def test_one_file_is_a_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "note.md").write_text("# Печень\n\nПечень болит.", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    counted = count_corpus("note.md", Path("work"), workers=2)
    assert counted.vocabulary["form"].to_list() == ["болит", "печень"]
    assert [report.path for report in counted.reports] == ["note.md"]


def test_nothing_to_count_is_an_error_that_says_why(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "empty.txt").touch()
    with pytest.raises(InputError, match=r"no Russian words found.*empty\.txt: empty"):
        count_corpus(tmp_path / "notes", tmp_path / "work")


def test_pruning_is_deterministic_and_keeps_what_is_frequent(tmp_path: Path) -> None:
    tables = form_tables(tmp_path)
    whole, none = merge_vocabularies(tables)
    assert none == 0
    assert whole.height > 1000
    pruned, dropped = merge_vocabularies(tables, max_forms=100)
    assert pruned.height <= 100
    assert dropped >= whole.height - pruned.height
    again, dropped_again = merge_vocabularies(iter(tables), max_forms=100)
    assert (again.rows(), dropped_again) == (pruned.rows(), dropped)
    frequent = whole.sort(pl.sum_horizontal(CASES), "form", descending=[True, False]).head(10)
    assert set(frequent.rows()) <= set(pruned.rows()), "frequent forms keep their exact counts"


@pytest.fixture(autouse=True)
def _small_merges(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many merges even of little text."""
    monkeypatch.setattr(counting, "_MERGE_ROWS", 400)


def form_tables(folder: Path) -> list[Path]:
    """Form tables with Zipf counts over a growing stock of forms."""
    rng = np.random.default_rng(7)
    paths = []
    for number in range(20):
        ranks, counts = np.unique(rng.zipf(1.3, 2000) % 100_000, return_counts=True)
        rows = {"form": [f"форма{rank}" for rank in ranks], "lower": counts, **dict.fromkeys(CASES[1:], 0)}
        paths.append(folder / f"{number}.parquet")
        pl.DataFrame(rows, schema={"form": pl.String, **dict.fromkeys(CASES, pl.Int64)}).write_parquet(paths[-1])
    return paths
