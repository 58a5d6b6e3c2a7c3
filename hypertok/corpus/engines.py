"""Where shard work runs: in this process, in local worker processes, or on a Ray cluster.

Every engine yields the results in the order of the items, whatever order they finish in, so nothing
downstream can depend on the number of workers.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Literal, TypeVar

from hypertok.errors import HypertokError, InputError

Item = TypeVar("Item")
Result = TypeVar("Result")
EngineName = Literal["local", "ray"]

#: Times a Ray task is started anew after its worker died; a machine that fails this often is broken.
RAY_RETRIES = 5


def default_workers() -> int:
    """Number of processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    engine: EngineName = "local",
    workers: int | None = None,
) -> Iterator[Result]:
    """Apply a module-level `function` to every item and yield the results in item order.

    Raises:
        InputError: Ray is asked for and not installed.
        HypertokError: a local worker was killed (out of memory, a signal); finished shards are kept.
    """
    if engine == "ray":
        return _run_ray(function, items)
    workers = min(workers or default_workers(), len(items))
    return map(function, items) if workers <= 1 else _run_processes(function, items, workers)


def _run_processes(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[Result]:
    # spawn: forking a process that runs polars threads can deadlock.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context)
    try:
        pending: list[Future[Result]] = [pool.submit(function, item) for item in items]
        for future in pending:
            yield future.result()
    except BrokenProcessPool as error:
        raise HypertokError(
            "a worker process was killed, most likely for lack of memory; finished work is kept: run the "
            "same command again, with --workers 1 if it happens twice"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _run_ray(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    try:
        import ray
    except ImportError as error:
        raise InputError(
            "--engine ray needs Ray: pip install 'hypertok-concepts[ray]', or leave the option out"
        ) from error
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    task = ray.remote(function).options(max_retries=RAY_RETRIES)
    pending = [task.remote(item) for item in items]
    for reference in pending:
        yield ray.get(reference)
