"""Engines: results in item order, few items under way at a time, clear words when a worker is killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from typing import overload

import pytest

from hypertok.corpus import engines
from hypertok.errors import HypertokError, InputError


def slow_first(item: int) -> int:
    time.sleep(0.2 if item == 0 else 0)
    return item * item


def very_slow_first(item: int) -> int:
    time.sleep(3 if item == 0 else 0)
    return item


def killed_at_three(item: int) -> int:
    if item == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def refuse(item: int) -> int:
    raise InputError(f"item {item} cannot be used; leave it out")


class Watched(Sequence[int]):
    """The numbers below `size`; remembers how many were asked for."""

    def __init__(self, size: int) -> None:
        self.size, self.asked = size, 0

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, place: int) -> int: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[int]: ...
    def __getitem__(self, place: int | slice) -> int | Sequence[int]:
        raise NotImplementedError

    def __iter__(self) -> Iterator[int]:
        for number in range(self.size):
            self.asked += 1
            yield number


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_come_in_item_order(workers: int) -> None:
    assert list(engines.run(slow_first, range(30), workers=workers)) == [n * n for n in range(30)]


@pytest.mark.parametrize("workers", [1, 2])
def test_no_items_give_no_results(workers: int) -> None:
    assert list(engines.run(slow_first, [], workers=workers)) == []


def test_only_a_few_items_are_under_way() -> None:
    items = Watched(1_000_000)
    results = engines.run(abs, items, workers=2)
    assert [next(results) for _ in range(20)] == list(range(20))
    assert items.asked <= 20 + 4 * 2
    results.close()


def test_results_do_not_pile_up_behind_a_slow_one() -> None:
    items = Watched(1_000_000)
    results = engines.run(very_slow_first, items, workers=2)
    assert next(results) == 0
    assert 20 < items.asked <= 64 + 4 * 2 + 1
    assert [next(results) for _ in range(100)] == list(range(1, 101))
    results.close()


def test_closing_early_leaves_no_worker_behind() -> None:
    results = engines.run(abs, range(100), workers=2)
    next(results)
    assert multiprocessing.active_children()
    results.close()
    assert not multiprocessing.active_children()


def test_an_error_does_not_wait_for_the_work_of_others() -> None:
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), engines.background(time.sleep, 60):
        raise KeyboardInterrupt
    results = engines.run(time.sleep, [0, 60], workers=2)
    next(results)
    results.close()
    assert time.monotonic() - started < 50
    assert not multiprocessing.active_children()


def holds_interrupts(item: int) -> bool:
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="needs signal masks")
def test_interrupts_are_the_parents_from_a_workers_start_on() -> None:
    assert list(engines.run(holds_interrupts, range(2), workers=2)) == [True, True]
    assert not holds_interrupts(0)


def test_a_killed_worker_is_a_clear_error() -> None:
    with pytest.raises(HypertokError, match=r"worker process was killed.*run the same command again"):
        list(engines.run(killed_at_three, range(100), workers=2))
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_work_itself_comes_as_it_is(workers: int) -> None:
    with pytest.raises(InputError, match="item 0 cannot be used"):
        list(engines.run(refuse, range(4), workers=workers))


def test_ray_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r'pip install "hypertok-concepts\[ray\]"'):
        list(engines.run(abs, [1], engine="ray"))
