"""Where shard work runs: in this process, in local worker processes, or on a Ray cluster.

Every engine yields the results in the order of the items, whatever order they finish in, so nothing
downstream can depend on the number of workers. A bounded number of items is under way at any time, so a
million of them cost no more memory than a hundred.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from typing import Any, Generic, Literal, Self, TypeVar
from urllib.parse import urlsplit

from hypertok.errors import HypertokError, InputError, install

Item = TypeVar("Item")
Result = TypeVar("Result")
EngineName = Literal["local", "ray"]

#: Items under way per worker: enough that no worker waits for the next one.
_AHEAD = 4
#: Results held behind one that is slow (a file that cannot be cut); of statistics one is 10 to 15 MB.
_HELD = 64
#: Seconds of one wait: on Windows Ctrl-C is heard between two of them.
_WAIT_SECONDS = 1.0
#: Processes that one pool can have: Windows waits for no more.
_MOST = 61 if os.name == "nt" else sys.maxsize
#: Items under way on Ray at least, so that a cluster that grows on demand sees the demand.
_RAY_AHEAD = 64
#: A cluster that is up answers in milliseconds, one far away in less than this.
_ANSWER_SECONDS = 10.0
#: Times Ray starts a task anew after its worker or machine died (errors of the task itself are not retried).
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
) -> Generator[Result, None, None]:
    """Apply `function`, one that other processes can import, to every item; yield the results in item order.

    `workers` bounds how many items are worked on at once; None takes every processor of the machine or
    cluster. The Ray engine uses the Ray this program is connected to, else the cluster that the environment
    variable RAY_ADDRESS names, else it starts one on this machine and shuts that one down at the end.
    Closing the generator early drops the items under way.

    Raises:
        InputError: Ray is asked for and not installed, or its cluster cannot be reached.
        HypertokError: a local worker was killed (out of memory, a signal), or Ray lost a task too often.
    """
    if engine == "ray":
        return _run_in(lambda: _RayTasks(function, workers), items)
    workers = min(workers or default_workers(), len(items), _MOST)
    if workers <= 1:
        return (function(item) for item in items)
    return _run_in(lambda: _Processes(function, workers), items)


@contextmanager
def background(function: Callable[[Item], Result], item: Item) -> Iterator[Callable[[], Result]]:
    """Work on one item in a process of its own meanwhile; the call that is handed out waits for the result.

    Raises:
        HypertokError: (from that call) the process was killed.
    """
    with _Processes(function, 1) as pool:
        handle = pool.submit(item)
        yield lambda: pool.result(handle)


class _Pool(ABC, Generic[Item, Result]):
    """What runs items elsewhere; a handle stands for an item under way. `limit`: most items under way."""

    limit: int

    @abstractmethod
    def submit(self, item: Item) -> Any:
        """Start an item; returns its handle."""

    @abstractmethod
    def wait_for_any(self, handles: list[Any]) -> list[Any]:
        """Those that have finished; at least one."""

    @abstractmethod
    def result(self, handle: Any) -> Result:
        """The result of a finished item, or its error."""

    @abstractmethod
    def close(self, *, at_once: bool) -> None:
        """Drop what has not begun and free the workers; `at_once` drops also what they are working on."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self.close(at_once=error is not None)


def _run_in(open_pool: Callable[[], _Pool[Item, Result]], items: Sequence[Item]) -> Generator[Result, None, None]:
    """Keep up to `limit` items under way, yield results in item order; what finishes early waits."""
    if not items:
        return
    with open_pool() as pool:
        waiting = enumerate(items)
        under_way: dict[Any, int] = {}
        finished: dict[int, Any] = {}
        for number in range(len(items)):
            while number not in finished:
                for index, item in islice(waiting, max(0, min(pool.limit - len(under_way), _HELD - len(finished)))):
                    under_way[pool.submit(item)] = index
                for handle in pool.wait_for_any(list(under_way)):
                    finished[under_way.pop(handle)] = handle
            yield pool.result(finished.pop(number))


class _Processes(_Pool[Item, Result]):
    """Worker processes of this machine."""

    def __init__(self, function: Callable[[Item], Result], workers: int) -> None:
        self.limit = _AHEAD * workers
        self._function = function
        # spawn: forking a process that runs polars threads can deadlock.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare_worker)

    def submit(self, item: Item) -> Future[Result]:
        try:
            with _interrupts_held():
                return self._pool.submit(self._function, item)
        except BrokenProcessPool as error:
            raise _killed() from error

    def wait_for_any(self, handles: list[Future[Result]]) -> list[Future[Result]]:
        while not (done := wait(handles, _WAIT_SECONDS, FIRST_COMPLETED).done):
            pass
        return list(done)

    def result(self, handle: Future[Result]) -> Result:
        self.wait_for_any([handle])
        try:
            return handle.result()
        except BrokenProcessPool as error:
            raise _killed() from error

    def close(self, *, at_once: bool) -> None:
        if at_once:  # an item may take an hour, and an error or Ctrl-C should not wait for it
            for process in list(self._pool._processes.values()):  # `terminate_workers` from Python 3.14 on
                process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back, also for good in processes that start here: one that is still importing would tell of it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare_worker() -> None:
    """Leave Ctrl-C to the parent, and do not wait for work for ever when the parent was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


def _killed() -> HypertokError:
    return HypertokError(
        "a worker process was killed, most likely for lack of memory; finished work is kept: run the same "
        "command again, with --workers 1 if it happens twice (in a script of your own, the call must stand "
        'below `if __name__ == "__main__":`)'
    )


class _RayTasks(_Pool[Item, Result]):
    """Tasks on a Ray cluster."""

    def __init__(self, function: Callable[[Item], Result], workers: int | None) -> None:
        self._ray = ray = _import_ray()
        self._started = not ray.is_initialized()
        if self._started:
            _connect(ray, workers)
        self.limit = workers or max(_RAY_AHEAD, _AHEAD * int(ray.cluster_resources().get("CPU", 1)))
        self._function = ray.put(function)
        self._task = ray.remote(_apply).options(num_cpus=1, max_retries=RAY_RETRIES, retry_exceptions=False)
        self._open: set[Any] = set()

    def submit(self, item: Item) -> Any:
        handle = self._task.remote(self._function, item)
        self._open.add(handle)
        return handle

    def wait_for_any(self, handles: list[Any]) -> list[Any]:
        done: list[Any] = self._ray.wait(handles, num_returns=1)[0]
        self._open.difference_update(done)
        return done

    def result(self, handle: Any) -> Result:
        errors = self._ray.exceptions
        try:
            value: Result = self._ray.get(handle)
            return value
        except errors.RayTaskError as error:  # raised by the task itself
            if isinstance(error.cause, HypertokError):
                raise error.cause from None
            raise
        except errors.RayError as error:
            raise HypertokError(
                f"Ray lost a task {RAY_RETRIES + 1} times ({type(error).__name__}), most likely for lack "
                "of memory; finished work is kept: run the same command again, with fewer --workers"
            ) from error

    def close(self, *, at_once: bool) -> None:
        for handle in self._open:
            self._ray.cancel(handle)  # interrupts it if it has begun
        if self._started:
            self._ray.shutdown()


def _apply(function: Callable[[Item], Result], item: Item) -> Result:
    return function(item)


def _import_ray() -> Any:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read on import: nothing is ever sent anywhere
    try:
        import ray
    except ImportError as error:
        raise InputError(f"--engine ray needs Ray: {install('ray')}, or leave the option out") from error
    return ray


def _connect(ray: Any, workers: int | None) -> None:
    address = os.environ.get("RAY_ADDRESS")
    try:
        if address:
            _check_that_somebody_answers(address)
            ray.init(address=address, log_to_driver=False)
        else:  # on the loopback address: nobody else can reach it
            ray.init(
                address="local",
                num_cpus=workers or default_workers(),
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                _node_ip_address="127.0.0.1",
            )
    except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        place = f"the Ray cluster at RAY_ADDRESS={address}" if address else "Ray on this machine"
        raise InputError(f"{place} cannot be used: {error}; start it, or leave out --engine ray") from error


def _check_that_somebody_answers(address: str) -> None:
    """Ray itself goes on trying for minutes. Addresses without a port ("auto") are left to Ray."""
    place = urlsplit(address if "://" in address else f"//{address}")
    if place.port:
        socket.create_connection((place.hostname or "", place.port), timeout=_ANSWER_SECONDS).close()
