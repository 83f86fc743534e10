"""How independent work is spread over threads: results come in the order of the items."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_MOST = 8  # more threads than this wait for the disk and for each other


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
    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(function, task) for task in tasks]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
