"""How work is spread over threads: results come in the order of the items."""

from __future__ import annotations

import ctypes
import os
import queue
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor as Pool
from contextlib import suppress
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_PATIENCE = 0.05  # seconds between looks at whether anybody still waits
_HEAPS = "MALLOC_ARENA_MAX"  # of glibc's environment
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of glibc's malloc.h
_LARGEST = 32 << 20  # bytes that glibc may take from a heap; more always are pages of their own
_MOST = 8  # more threads than this wait for the disk and for each other


def share_heap() -> None:
    """Give threads that are started from now on no heaps of their own, unless asked for.

    glibc gives each one, which keeps the most that it ever held; what a long run needs would grow.
    Systems without glibc are left alone.
    """
    if _HEAPS not in os.environ:
        _set_malloc(_M_ARENA_MAX, 1)


def keep_heap() -> None:
    """Let a process use freed memory again, as glibc does unless its environment forbids it.

    Dask's does, to give memory back at once. Arrays then come as new pages each time, which takes
    a window longer than predicting it.
    """
    _set_malloc(_M_MMAP_THRESHOLD, _LARGEST)
    _set_malloc(_M_TRIM_THRESHOLD, 2 * _LARGEST)


def _set_malloc(name: int, value: int) -> None:
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):  # not glibc
            ctypes.CDLL(None).mallopt(name, value)


def count_workers(workers: int | None = None) -> int:
    """Return how many threads to use: as many as asked for, else one per processor.

    Args:
        workers: At least 1; None takes the processors that this process may use, at most 8.
    """
    if workers is not None:
        return max(1, workers)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(usable or 1, _MOST)


def map_ordered(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int | None = None
) -> list[Result]:
    """Apply a function to each item, in threads where there is more than one worker.

    The order of the results, and with a function that depends on its item alone the results
    themselves, do not depend on `workers`. The first exception in the order of the items is
    raised; work that has not begun by then is dropped.

    Args:
        function: Called once per item, by several threads at a time; it gains from them where it
            lets go of the interpreter, as NumPy, GDAL and compiled loops do.
        items: All of them are held in memory at once.
        workers: See `count_workers`; 1 starts no thread.
    """
    tasks, count = list(items), count_workers(workers)
    if min(count, len(tasks)) <= 1:
        return [function(task) for task in tasks]
    with Pool(count) as pool:
        futures = [pool.submit(function, task) for task in tasks]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def map_ahead(
    pool: Pool, function: Callable[[Item], Result], items: Iterable[Item], *, most: int
) -> Generator[Result]:
    """Yield what a function makes of items, in their order, while a pool works ahead.

    Args:
        pool: Whose threads call the function, each with one item at a time.
        function: It gains from threads where it lets go of the interpreter.
        items: Taken one by one, as results are.
        most: Items in work, or finished and waiting; at least 1.
    """
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) == most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        if isinstance(items, Generator):
            items.close()


def work_ahead(items: Iterable[Item], *, most: int) -> Generator[Item]:
    """Yield what a generator yields while it goes on in a thread of its own.

    So reading, computing and writing overlap in time. Whoever stops asking early, be it by an
    exception, ends the thread once the item that it is at is made.

    Args:
        items: Iterated in the thread; an exception there is raised here, after the items before.
        most: Items that may wait; two more are in work, one on either side.
    """
    waiting: queue.Queue[tuple[bool, Any]] = queue.Queue(most)
    stopped = threading.Event()
    thread = threading.Thread(target=_hand_over, args=(items, waiting, stopped), daemon=True)
    thread.start()
    try:
        while True:
            more, item = waiting.get()
            if not more and item is None:
                return
            if not more:
                raise item
            yield item
            del item  # it may be large, and the next one is waited for
    finally:
        stopped.set()
        thread.join()


def _hand_over(
    items: Iterable[Any], waiting: queue.Queue[tuple[bool, Any]], stopped: threading.Event
) -> None:
    end: BaseException | None = None
    try:
        for item in items:
            if not _put(waiting, (True, item), stopped):
                break
            del item
    except BaseException as error:
        end = error
    finally:
        if isinstance(items, Generator):
            items.close()  # in the thread that it ran in
    _put(waiting, (False, end), stopped)


def _put(
    waiting: queue.Queue[tuple[bool, Any]], item: tuple[bool, Any], stopped: threading.Event
) -> bool:
    while not stopped.is_set():
        try:
            waiting.put(item, timeout=_PATIENCE)
        except queue.Full:
            continue
        return True
    return False
