"""Counting on Ray: the same bytes as on this machine alone, also when a Ray worker is killed at work.

Starts a Ray of its own on the loopback address; nothing is sent anywhere.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hypertok.corpus import counting, engines
from hypertok.corpus.counting import CountedCorpus, count_corpus
from hypertok.corpus.records import Document, Shard, SourceReport
from hypertok.corpus.sources import plan_shards
from hypertok.errors import HypertokError, InputError

ray: Any = pytest.importorskip("ray", reason='Ray is not installed: pip install "hypertok-concepts[ray]"')
pytestmark = pytest.mark.slow
SHARDS = 6
SHARD_BYTES = 100_000


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six files, each a shard."""
    rng = random.Random(1)
    folder = tmp_path_factory.mktemp("notes")
    for number in range(SHARDS):
        stock = ["".join(rng.choices("абвгдежзиклмнопрстуя", k=rng.randint(2, 9))) for _ in range(3_000)]
        words = rng.choices(stock, cum_weights=range(1, len(stock) + 1), k=8_000)
        (folder / f"{number}.txt").write_text(" ".join(words), encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def _one_shard_per_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "plan_shards", partial(plan_shards, shard_bytes=SHARD_BYTES))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.fixture(scope="class")
def _two_processors() -> Iterator[None]:
    """A Ray that the caller started."""
    ray.init(address="local", num_cpus=2, include_dashboard=False, _node_ip_address="127.0.0.1")
    yield
    ray.shutdown()


def everything(counted: CountedCorpus) -> tuple[object, ...]:
    streams = np.concatenate(list(counted.streams()))
    return counted.vocabulary.rows(), streams.tobytes(), counted.fingerprint, counted.reports


def test_a_killed_worker_changes_nothing(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = everything(count_corpus(corpus, tmp_path / "local", workers=2))
    once = tmp_path / "killed"

    # A function inside a function goes to Ray's workers by value, with what it does to them.
    def count_or_die(root: Path, work: Path, shard: Shard) -> str:
        from hypertok.corpus import counting

        read_shard = counting.read_shard

        def read_and_die(root: Path, shard: Shard) -> Iterator[Document | SourceReport]:
            for item in read_shard(root, shard):
                yield item
                once.touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            if shard.index == SHARDS // 2 and not once.exists():
                counting.read_shard = read_and_die
            return counting._count_shard(root, work, shard)
        finally:
            counting.read_shard = read_shard

    with monkeypatch.context() as patch:
        patch.setattr(counting, "_count_shard", count_or_die)
        counted = count_corpus(corpus, tmp_path / "ray", engine="ray", workers=3)
    assert once.exists(), "no worker was killed, so nothing was proved"
    assert len(counted.shard_folders) == SHARDS
    assert everything(counted) == local
    assert not ray.is_initialized(), "what was started must be shut down"


@pytest.mark.usefixtures("_two_processors")
class TestARunningRay:
    def test_it_is_used_and_left_running(self, corpus: Path, tmp_path: Path) -> None:
        ours = ray.get_runtime_context().get_node_id()
        counted = count_corpus(corpus, tmp_path / "ray", engine="ray")
        assert ray.get_runtime_context().get_node_id() == ours
        assert everything(counted) == everything(count_corpus(corpus, tmp_path / "local"))

    def test_a_worker_that_always_dies_is_a_clear_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engines, "RAY_RETRIES", 1)
        with pytest.raises(HypertokError, match="Ray lost a task 2 times"):
            list(engines.run(os._exit, [1], engine="ray"))

    def test_an_error_of_the_work_itself_comes_as_it_is(self) -> None:
        missing = Path("no such folder")
        with pytest.raises(InputError, match=r"^no such folder: .*give a folder"):
            list(engines.run(plan_shards, [missing], engine="ray"))
        with pytest.raises(ValueError, match="invalid literal"):
            list(engines.run(int, ["слово"], engine="ray"))

    def test_results_come_in_item_order(self) -> None:
        results = engines.run(abs, range(-500, 0), engine="ray", workers=4)
        assert list(results) == list(range(500, 0, -1))


def test_an_address_that_nobody_answers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(InputError, match=r"Ray cluster at RAY_ADDRESS=127\.0\.0\.1:1 cannot be used"):
        list(engines.run(abs, [1], engine="ray"))


def test_nothing_is_reported_home(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray._common.usage import usage_lib

    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    engines._import_ray()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0", "before Ray starts, which may set it by itself"
    list(engines.run(abs, [1], engine="ray", workers=1))
    assert not usage_lib.usage_stats_enabled()
