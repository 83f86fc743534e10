"""In which threads windows are computed: one window on each core, batches on an accelerator."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor as Pool
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Barrier
from typing import TypeVar

import torch

from landvisor.learn.engine_kinds import has_accelerator
from landvisor.parallel import map_ahead, share_heap
from landvisor.recipe import PredictSpec

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Threads:
    """Threads that compute, each by itself: none waits for a part of another's window.

    Cores that share one window's loops wait for the slowest after each of them, above all where
    reading and writing need cores too. A window on each core is faster, and what is found does
    not depend on how many cores there are.

    Attributes:
        pool: Of the threads.
        count: How many there are.
    """

    pool: Pool
    count: int

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result]:
        """Yield the results in the order of the items, some of which are computed ahead."""
        return map_ahead(self.pool, function, items, most=self.count + 1)


def count_windows(spec: PredictSpec) -> int:
    """Return how many windows are computed at a time in one thread."""
    return spec.batch_size if has_accelerator() else 1


@contextmanager
def start_threads() -> Iterator[Threads]:
    """Start as many threads as torch would use for one window, or one for an accelerator."""
    share_heap()
    if has_accelerator():
        with Pool(1) as pool:
            yield Threads(pool, 1)
        return
    count = torch.get_num_threads()
    met = Barrier(count)
    with Pool(count, initializer=lambda: torch.set_num_threads(1)) as pool:
        for waiting in [pool.submit(met.wait) for _ in range(count)]:
            waiting.result()
        torch.set_num_threads(count)  # of threads that are still to be started elsewhere
        yield Threads(pool, count)
