"""What of a study is missing, and who does it: this process, processes beside it, or a cluster."""

from __future__ import annotations

import logging
import shutil
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from landvisor.errors import LandvisorError, StudyError
from landvisor.files import writing
from landvisor.study import ledger
from landvisor.study.choices import raise_unknown
from landvisor.study.execute import MODEL, Job, Outcome, execute
from landvisor.study.hands import Processes, gather_hands
from landvisor.study.images import aside
from landvisor.study.locks import Runner, register
from landvisor.study.plan import Plan, Planned, make_plan
from landvisor.study.read import Study
from landvisor.study.store import FILE, Store
from landvisor.study.tables import DONE, FAILED

log = logging.getLogger(__name__)

_BEAT = 10.0  # seconds between heartbeats
_LOOK = 0.5  # seconds between looks at what others do
_MOST_LOSSES = 2  # times that a run may take its process with it

Tell = Callable[[str], None]


@dataclass(frozen=True)
class How:
    """How a study is run.

    Attributes:
        base: Folder that paths of data are relative to; the study file's where None.
        workers: Processes that run side by side; None runs in this one.
        dask: Address of a Dask scheduler whose workers run; they must see the same files.
        only: Levels, arms or seeds to run, as in `link.area=disk`, an arm's name, or `seed=0`.
        limit: Most runs to do now.
        retry_failed: Do runs again that failed.
        again: Hashes of runs to forget and do again.
        tell: Is told of each run that ends.

    Raises:
        StudyError: If both `workers` and `dask` say who runs.
    """

    base: Path | None = None
    workers: int | None = None
    dask: str | None = None
    only: tuple[str, ...] = ()
    limit: int | None = None
    retry_failed: bool = False
    again: tuple[str, ...] = ()
    tell: Tell = log.info

    def __post_init__(self) -> None:
        if self.workers is not None and self.dask is not None:
            raise StudyError(
                f"--workers {self.workers} starts processes here and --dask {self.dask!r} names "
                "those of a cluster; leave one out"
            )


def run_study(study: Study, *, out: Path | str, how: How | None = None) -> dict[str, int]:
    """Do the runs of a study that are missing, and return how many are in each state.

    Several runners may work on one folder. A run that fails is written down with its error, and
    the others go on.

    Args:
        study: What to run.
        out: Folder of the database, made if it is missing; it may hold other studies.
        how: Who runs what.

    Raises:
        StudyError: If data do not suffice, or there is nothing that `only` names.
        LandvisorError: Another of its children, where data or recipe are at fault.
    """
    what, home = how or How(), Path(out).absolute()
    with writing(home):
        home.mkdir(parents=True, exist_ok=True)
    plan = make_plan(study, base=(what.base or study.folder).absolute(), home=home)
    store = Store(home / FILE)
    try:
        ledger.enter_plan(store, plan)
        wanted = _choose(store, plan, what)
        with (
            register(home) as runner,
            _beating(home, runner),
            gather_hands(what.workers, what.dask) as (team, slots),
        ):
            _Loop(store, plan, runner, what).work(wanted, team, slots)
        members = store.members(study.spec.name, study.variant)
    finally:
        store.close()
    return dict(Counter(member.state for member in members))


def _choose(store: Store, plan: Plan, how: How) -> list[str]:
    """List the runs that are wanted, and forget those that are to be done again."""
    chosen = [run for run in plan.runs if all(_fits(run, word, plan) for word in how.only)]
    if not chosen:
        raise StudyError(f"no run is {' and '.join(how.only)}; see `study status`")
    wanted = [run.job.run for run in chosen]
    for run in how.again:
        if run not in wanted:
            raise_unknown("run", run, wanted)
    states = {m.run: m.state for m in store.members(plan.study.spec.name, plan.study.variant)}
    failed = [run for run in wanted if states[run] == FAILED] if how.retry_failed else []
    ledger.forget(store, [*how.again, *failed])
    for run in how.again:
        fit = next(planned.job.fit_folder for planned in chosen if planned.job.run == run)
        shutil.rmtree(fit, ignore_errors=True)  # else the old model would answer
    return wanted


def _fits(run: Planned, word: str, plan: Plan) -> bool:
    """Tell whether a run is what a word of `--only` says."""
    name, found, level = word.partition("=")
    arms = [arm.name for arm in plan.study.design.arms]
    if word in arms:
        return word == run.arm.name
    if not found:
        raise_unknown("arm", word, arms)
    if name == "seed":
        return level == str(run.seed)
    factor = plan.study.design.factor(name)
    if factor is None:
        raise_unknown("factor", name, ["seed", *(f.name for f in plan.study.design.factors)])
    if level not in factor.levels:
        raise_unknown(f"level of {name!r}", level, factor.levels)
    return run.arm.levels[name] == level


class _Loop:
    """Hands runs to a team, and writes down what comes of them."""

    def __init__(self, store: Store, plan: Plan, runner: Runner, how: How) -> None:
        self.store = store
        self.plan = plan
        self.runner = runner
        self.how = how
        self.planned = {run.job.run: run for run in plan.runs}
        self.flights: dict[Future[Outcome], str] = {}
        self.losses: Counter[str] = Counter()
        self.begun = 0

    def work(self, wanted: Sequence[str], team: Executor, slots: int) -> None:
        """Do all runs that are wanted; what is begun and not ended is given back."""
        said = 0
        try:
            while True:
                waiting = self._begin(wanted, team, slots)
                if not self.flights and not waiting:
                    return
                if not self.flights:
                    if waiting != said:
                        self.how.tell(f"waiting for {waiting} runs that another runner has begun")
                    said = waiting
                    time.sleep(_LOOK)
                    continue
                done, _ = wait(self.flights, timeout=_LOOK, return_when=FIRST_COMPLETED)
                lost = [future for future in done if not self._land(future)]
                if lost:
                    self._recover(lost, team)
        finally:
            ledger.release(self.store, self.runner)

    def _begin(self, wanted: Sequence[str], team: Executor, slots: int) -> int:
        """Keep all hands busy; return how many runs others do or hold up."""
        while len(self.flights) < slots:
            if self.how.limit is not None and self.begun >= self.how.limit:
                return 0
            run, waiting = ledger.claim(self.store, runner=self.runner, wanted=wanted)
            if run is None:
                return waiting
            self.begun += 1
            self._start(run, team)
        return 0

    def _start(self, run: str, team: Executor) -> None:
        job = self.planned[run].job
        try:
            future = team.submit(execute, job)
        except BrokenProcessPool:  # by another run, which will be found out as well
            assert isinstance(team, Processes), "only a pool of processes breaks"
            team.restart()
            future = team.submit(execute, job)
        self.flights[future] = run

    def _land(self, future: Future[Outcome]) -> bool:
        """Write down what came of a run; False if its process was lost."""
        run = self.flights[future]
        try:
            outcome = future.result()
        except BrokenProcessPool:
            return False
        except Exception as error:  # a run that fails stops no other
            del self.flights[future]
            self._fail(run, _say(error), _trace(error))
            return True
        del self.flights[future]
        self._finish(run, outcome)
        return True

    def _finish(self, run: str, outcome: Outcome) -> None:
        job = self.planned[run].job
        keep = self.plan.study.spec.keep.models
        _publish(job, outcome.files, model=job.fit_folder / MODEL if keep else None)
        if ledger.finish(self.store, run, outcome, runner=self.runner, plan=self.plan):
            value = self.store.metrics(run)["val", "standard", "mean_iou"]
            said = "no score" if value is None else f"mean IoU {value:.4f} on validation"
            self._tell(run, f"{said}, {outcome.fit_seconds + outcome.predict_seconds:.0f} s")
        _drop_fits(self.store, job.home)

    def _fail(self, run: str, error: str, trace: str) -> None:
        log.debug("run %s failed\n%s", run, trace)
        if ledger.fail(self.store, run, error=error, trace=trace, runner=self.runner):
            self._tell(run, f"failed: {error}")

    def _tell(self, run: str, said: str) -> None:
        members = self.store.members(self.plan.study.spec.name, self.plan.study.variant)
        ended = sum(member.state in (DONE, FAILED) for member in members)
        planned = self.planned[run]
        self.how.tell(f"{ended}/{len(members)} {planned.arm.name}, seed {planned.seed}: {said}")

    def _recover(self, lost: Sequence[Future[Outcome]], team: Executor) -> None:
        """Begin runs again whose pool broke; one that has been there twice may be the cause."""
        assert isinstance(team, Processes), "only a pool of processes breaks"
        team.restart()
        runs = [self.flights.pop(future) for future in {*lost, *self.flights}]
        for run in runs:
            self.losses[run] += 1
            if self.losses[run] >= _MOST_LOSSES:
                why = "its process died, mostly for want of memory; use fewer --workers"
                self._fail(run, why, why)
            else:
                self._start(run, team)


@contextmanager
def _beating(home: Path, runner: Runner) -> Iterator[None]:
    """Tell others from time to time that this runner is alive."""
    stopped = threading.Event()

    def go_on() -> None:
        store = Store(home / FILE)
        while not stopped.wait(_BEAT):
            ledger.beat(store, runner)
        store.close()

    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _publish(job: Job, files: Mapping[str, bytes], *, model: Path | None) -> None:
    """Leave the files of a run beside the database, all or none."""
    target = job.home / "runs" / job.run
    with aside(target) as folder, writing(target):
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        if model is not None:
            shutil.copyfile(model, folder / MODEL)
        if target.exists():
            shutil.rmtree(target)
        folder.rename(target)


def _drop_fits(store: Store, home: Path) -> None:
    """Remove the models that no run needs any more."""
    needed, fits = ledger.needed_fits(store), home / "fits"
    for path in fits.iterdir() if fits.is_dir() else ():
        if path.name.partition(".")[0] not in needed:
            with suppress(OSError):  # another runner may be at it
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _say(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, LandvisorError) else f"{type(error).__name__}: {text}"


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))
