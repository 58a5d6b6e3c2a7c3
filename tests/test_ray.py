"""Counting on Ray: the same bytes as on this machine alone, also when a Ray worker is killed at work.

Starts a Ray of its own on the loopback address; nothing is sent anywhere.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hypertok.corpus import counting, engines
from hypertok.corpus.counting import CountedCorpus, count_corpus
from hypertok.corpus.sources import plan_shards
from hypertok.errors import HypertokError, InputError

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
ray: Any = pytest.importorskip("ray", reason="Ray is not installed: pip install 'hypertok-concepts[ray]'")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="finds Ray's workers in /proc"),
]
SHARDS = 10
SHARD_BYTES = 3_000_000


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten files, each a shard that takes one worker most of a second."""
    rng = random.Random(1)
    folder = tmp_path_factory.mktemp("notes")
    for number in range(SHARDS):
        stock = ["".join(rng.choices("абвгдежзиклмнопрстуя", k=rng.randint(2, 9))) for _ in range(30_000)]
        words = rng.choices(stock, cum_weights=range(1, len(stock) + 1), k=250_000)
        (folder / f"{number}.txt").write_text(" ".join(words), encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def _one_shard_per_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "plan_shards", partial(plan_shards, shard_bytes=SHARD_BYTES))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.fixture
def _two_processors() -> Iterator[None]:
    """A Ray that the caller started."""
    ray.init(address="local", num_cpus=2, include_dashboard=False, _node_ip_address="127.0.0.1")
    yield
    ray.shutdown()


class Killer(threading.Thread):
    """Sends SIGKILL to the first worker of our own Ray that is seen in the middle of a shard."""

    def __init__(self, corpus: Path, work: Path) -> None:
        super().__init__(daemon=True)
        self.corpus, self.work = corpus, work
        self.killed: int | None = None

    def run(self) -> None:
        while self.killed is None:
            time.sleep(0.01)
            if not any(self.work.glob("[0-9]*")):  # let the first shards be finished
                continue
            for pid in descendants(os.getpid()):
                if reads(pid, self.corpus):
                    os.kill(pid, signal.SIGKILL)
                    self.killed = pid
                    return


def descendants(pid: int) -> list[int]:
    found, pending = list[int](), [pid]
    while pending:
        parent = pending.pop()
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                children = [int(child) for child in task.read_text().split()]
            except OSError:  # ended meanwhile
                continue
            found += children
            pending += children
    return found


def reads(pid: int, corpus: Path) -> bool:
    """Whether a process is a Ray worker that has a file of the corpus open."""
    try:
        if not Path(f"/proc/{pid}/cmdline").read_text().startswith("ray::"):
            return False
        return any(Path(os.readlink(fd)).is_relative_to(corpus) for fd in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:  # ended, or closed the file, meanwhile
        return False


def everything(counted: CountedCorpus) -> tuple[object, ...]:
    streams = np.concatenate(list(counted.streams()))
    return counted.vocabulary.rows(), streams.tobytes(), counted.fingerprint, counted.reports


def test_a_killed_worker_changes_nothing(corpus: Path, tmp_path: Path) -> None:
    local = everything(count_corpus(corpus, tmp_path / "local", workers=2))
    killer = Killer(corpus, tmp_path / "ray")
    killer.start()
    counted = count_corpus(corpus, tmp_path / "ray", engine="ray", workers=3)
    assert killer.killed, "no worker was killed, so nothing was proved"
    half_done = list((tmp_path / "ray").glob(".*.unfinished"))
    assert len(half_done) == 1, "the worker was killed between two shards, so nothing was proved"
    assert len(counted.shard_folders) == SHARDS
    assert everything(counted) == local
    assert not ray.is_initialized(), "what was started must be shut down"


@pytest.mark.usefixtures("_two_processors")
def test_a_running_ray_is_used_and_left_running(corpus: Path, tmp_path: Path) -> None:
    ours = ray.get_runtime_context().get_node_id()
    counted = count_corpus(corpus, tmp_path / "ray", engine="ray")
    assert ray.get_runtime_context().get_node_id() == ours
    assert everything(counted) == everything(count_corpus(corpus, tmp_path / "local"))


@pytest.mark.usefixtures("_two_processors")
def test_a_worker_that_always_dies_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "RAY_RETRIES", 1)
    with pytest.raises(HypertokError, match="Ray lost a task 2 times"):
        list(engines.run(os._exit, [1], engine="ray"))


@pytest.mark.usefixtures("_two_processors")
def test_an_error_of_the_work_itself_comes_as_it_is() -> None:
    missing = Path("no such folder")
    with pytest.raises(InputError, match=r"^no such folder: .*give a folder"):
        list(engines.run(plan_shards, [missing], engine="ray"))
    with pytest.raises(ValueError, match="invalid literal"):
        list(engines.run(int, ["слово"], engine="ray"))


@pytest.mark.usefixtures("_two_processors")
def test_results_come_in_item_order_with_few_items_under_way() -> None:
    results = engines.run(abs, range(-500, 0), engine="ray", workers=4)
    assert list(results) == list(range(500, 0, -1))


def test_an_address_that_nobody_answers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(InputError, match=r"Ray cluster at RAY_ADDRESS=127\.0\.0\.1:1 cannot be used"):
        list(engines.run(abs, [1], engine="ray"))


def test_nothing_is_reported_home() -> None:
    from ray._common.usage import usage_lib

    list(engines.run(abs, [1], engine="ray", workers=1))
    assert not usage_lib.usage_stats_enabled()
