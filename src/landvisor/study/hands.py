"""Who does runs: this process, processes beside it, or the workers of a Dask cluster."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

_LOOK = 0.5  # seconds between looks at whether the parent lives


class Here(Executor):
    """Runs in this process, at once."""

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run, and return what has ended already."""
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:  # told by the future, as executors do
            future.set_exception(error)
        return future


class Processes(Executor):
    """A pool of processes that can be begun anew, and end with their parent."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.pool = self._start()

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self.count, mp_context=get_context("spawn"), initializer=_watch, initargs=(os.getpid(),)
        )

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Hand work to a process."""
        return self.pool.submit(function, *args, **kwargs)

    def restart(self) -> None:
        """Replace the pool."""
        self.pool.shutdown(wait=False, cancel_futures=True)
        self.pool = self._start()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the pool."""
        self.pool.shutdown(wait, cancel_futures=cancel_futures)


def _watch(parent: int) -> None:
    """End this process soon after its parent, which would else leave it waiting for ever."""

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK)
        os._exit(1)

    threading.Thread(target=look, daemon=True).start()


@contextmanager
def gather_hands(workers: int | None, dask: str | None) -> Iterator[tuple[Executor, int]]:
    """Yield who runs, and how many runs at a time.

    Args:
        workers: Processes that are started here; None is this one.
        dask: Address of a scheduler whose workers run, or None.

    Raises:
        OutputError: If Dask is not installed or its scheduler does not answer.
    """
    if dask is not None:
        from landvisor.predict.cluster import connect  # imports torch

        with connect(dask, workers=None) as client:
            slots = max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
            yield client.get_executor(pure=False), slots
        return
    team: Executor = Here() if workers is None else Processes(workers)
    try:
        yield team, workers or 1
    finally:
        team.shutdown(wait=True, cancel_futures=True)
