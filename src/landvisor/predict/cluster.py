"""Blocks predicted by the workers of a Dask cluster, on this machine or many.

A task is a run of blocks. The model is sent once to each worker and loaded there once. A block is a
pure function of the model, the options and the imagery, so a task that was lost with its worker
is given to another, and one that lags behind at the end is begun a second time elsewhere: whichever
ends first counts.
"""

from __future__ import annotations

import atexit
import platform
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from landvisor.errors import LandvisorError, OutputError
from landvisor.learn.ensemble import identify_model
from landvisor.learn.model import Model
from landvisor.learn.model_file import load_model, save_model
from landvisor.options import Options
from landvisor.parallel import keep_heap
from landvisor.predict.backends import Backend
from landvisor.predict.cache import bound_cache_for_good
from landvisor.predict.team import Alone, Computed, Packed, Task, Team, predict_task
from landvisor.recipe import PredictSpec

_MISSING = (
    "Dask is not installed, which --workers and --dask need; install it with "
    "pip install 'landvisor[cluster]'"
)
_PATIENCE = 30  # seconds for a scheduler to answer
_SHARES = 2  # runs for each worker: long ones share windows, several keep all busy to the end
_QUEUED = 2  # tasks for each worker, so that none waits for the next
_MOST = 16  # blocks of a run: what a lost worker costs
_LATE = 2.0  # times the usual duration after which a task is begun elsewhere as well
_RETRIES = 3
_LOOK = 0.02  # seconds between looks at what is finished and what is late

_MODEL = "model.safetensors"
_LOADED: dict[str, Model] = {}
_LOADING = threading.Lock()


@contextmanager
def gather_team(options: Options) -> Iterator[Team]:
    """Yield who predicts, as the options say; workers started here are stopped again.

    Raises:
        OutputError: If Dask is asked for and not installed, or its scheduler does not answer.
    """
    if options.dask is None and options.workers is None:
        yield Alone()
        return
    with connect(options.dask, workers=options.workers) as client:
        yield Cluster(client)


@contextmanager
def connect(address: str | None, *, workers: int | None) -> Iterator[Any]:
    """Yield a client of a scheduler, or of processes that are started here and end with it.

    Args:
        address: Of a scheduler, as in `tcp://10.0.0.1:8786`; None starts processes.
        workers: How many; the processor's cores are shared among them.

    Raises:
        OutputError: If Dask is not installed or nobody answers.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise OutputError(_MISSING) from error
    if address is None:
        with (
            LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as here,
            Client(here) as client,
        ):
            yield client
        return
    try:
        client = Client(address, timeout=_PATIENCE)
    except (OSError, TimeoutError, ValueError) as error:
        raise OutputError(
            f"no Dask scheduler answers at {address!r} within {_PATIENCE} s; check the address, "
            "or start one with `dask scheduler`"
        ) from error
    with client:
        yield client


@dataclass
class _Flight:
    """A task that is being worked on, by one worker or, when it is late, by two."""

    task: Task
    futures: list[Any] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)


class Cluster:
    """The workers of a Dask cluster; see `landvisor.predict.team.Team`.

    Args:
        client: A `distributed.Client`.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._flights: dict[str, _Flight] = {}

    def longest_run(self, blocks: int) -> int:
        """Give every worker several runs, none of them long."""
        return max(1, min(_MOST, blocks // (_SHARES * self._count())))

    def predict(
        self, computed: Computed, spec: PredictSpec, tasks: Iterable[Task]
    ) -> Iterator[Packed]:
        """Yield the blocks as workers finish their tasks.

        Raises:
            LandvisorError: What a worker raised.
            OutputError: If there are no workers, or a task's are lost time after time.
        """
        from distributed import as_completed

        self._wait_for_workers()
        known = self._client.scatter(_make_parcel(computed), broadcast=True, hash=False)
        waiting, finished = iter(tasks), as_completed()
        seconds: list[float] = []
        while self._fill(waiting, known, spec, finished) or self._flights:
            self._begin_late_again(known, spec, finished, seconds)
            time.sleep(0 if finished.has_ready() else _LOOK)
            for future in finished.next_batch(block=False):
                flight = self._land(future)
                if flight is not None:
                    seconds.append(time.monotonic() - flight.since)
                    yield from _take(future)

    def _fill(self, waiting: Iterator[Task], known: Any, spec: PredictSpec, finished: Any) -> bool:
        """Keep all workers busy; tell whether any task was left to begin."""
        begun = False
        while len(self._flights) < _QUEUED * self._count():
            task = next(waiting, None)
            if task is None:
                break
            self._start(_Flight(task), known, spec, finished)
            begun = True
        return begun

    def _start(self, flight: _Flight, known: Any, spec: PredictSpec, finished: Any) -> None:
        future = self._client.submit(_work, known, spec, flight.task, pure=False, retries=_RETRIES)
        flight.futures.append(future)
        self._flights[future.key] = flight
        finished.add(future)

    def _land(self, future: Any) -> _Flight | None:
        """Return what a future was of; None where another was faster."""
        flight = self._flights.get(future.key)
        if flight is not None:
            others = [other for other in flight.futures if other.key != future.key]
            for each in flight.futures:
                self._flights.pop(each.key, None)
            self._client.cancel(others)
        return flight

    def _begin_late_again(
        self, known: Any, spec: PredictSpec, finished: Any, seconds: list[float]
    ) -> None:
        """Begin late tasks elsewhere too, as far as workers have nothing to do."""
        idle = self._count() - len(self._flights)
        if idle <= 0 or not seconds:
            return
        limit = time.monotonic() - _LATE * statistics.median(seconds)
        alone = (flight for flight in self._flights.values() if len(flight.futures) == 1)
        late = sorted((f for f in alone if f.since < limit), key=lambda flight: flight.since)
        for flight in late[:idle]:
            self._start(flight, known, spec, finished)

    def _count(self) -> int:
        return max(1, len(self._client.scheduler_info(n_workers=-1)["workers"]))

    def _wait_for_workers(self) -> None:
        try:
            self._client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError as error:
            raise OutputError(
                f"the Dask cluster has had no worker for {_PATIENCE} s; start some, then run the "
                "same command again"
            ) from error


def _take(future: Any) -> list[Packed]:
    from distributed.client import FutureCancelledError
    from distributed.scheduler import KilledWorker

    try:
        blocks: list[Packed] = future.result()
    except KilledWorker as error:
        raise OutputError(
            "several workers died at the same blocks, mostly for want of memory; give them more or "
            "make predict.window smaller, then run the same command again"
        ) from error
    except FutureCancelledError as error:
        raise OutputError(
            "all workers were lost, and the model with them; start others, then run the same "
            "command again"
        ) from error
    return blocks


@dataclass(frozen=True)
class Parcel:
    """A model as it is sent: what it is known by, and the content of its files by name."""

    key: str
    backend: str
    files: dict[str, bytes]


def _make_parcel(computed: Computed) -> Parcel:
    backend = computed.backend.model_dump_json()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _MODEL
        save_model(computed.model, path)
        files = {_MODEL: path.read_bytes()}
    files |= {name: (computed.folder / name).read_bytes() for name in computed.backend.files}
    return Parcel(f"{identify_model(computed.model)} {backend}", backend, files)


def _work(parcel: Parcel, spec: PredictSpec, task: Task) -> list[Packed]:
    """Predict a task on a worker."""
    bound_cache_for_good()
    keep_heap()
    try:
        return list(predict_task(_load(parcel), spec, task))
    except LandvisorError as error:
        said = type(error)(f"{error} (on {platform.node()})")
    raise said  # outside: what GDAL said before it cannot be sent, and would hide this


def _load(parcel: Parcel) -> Model:
    """Load a model once in each process."""
    with _LOADING:
        if parcel.key not in _LOADED:
            _LOADED.clear()
            folder = Path(tempfile.mkdtemp(prefix="landvisor-"))
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            for name, content in parcel.files.items():
                (folder / name).write_bytes(content)
            backend = Backend.model_validate_json(parcel.backend)
            computed = Computed(load_model(folder / _MODEL), backend, folder)
            _LOADED[parcel.key] = computed.load()
        return _LOADED[parcel.key]
