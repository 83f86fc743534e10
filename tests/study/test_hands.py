"""Processes and clusters that do runs, and what becomes of runs that take theirs along."""

import os
from collections import Counter
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

import pytest

from landvisor.study import run as module
from landvisor.study.hands import Here, Processes
from landvisor.study.run import How, run_study
from landvisor.study.store import Store


def test_a_pool_whose_process_died_can_be_begun_anew():
    team = Processes(1)
    with pytest.raises(BrokenProcessPool):
        team.submit(os._exit, 1).result()
    team.restart()
    assert team.submit(os.getppid).result() == os.getpid()
    team.shutdown()


class Breaking(Processes):
    """A pool that one run breaks each time, and another one once."""

    def __init__(self):
        self.begun = Counter()

    def submit(self, function, job):
        key = (job.choices.points.n, job.choices.recipe.seed)
        self.begun[key] += 1
        if key == (12, 0) or (key == (2, 1) and self.begun[key] == 1):
            lost = Future()
            lost.set_exception(BrokenProcessPool())
            return lost
        return Here().submit(function, job)

    def restart(self):
        self.begun["restart"] += 1


def test_a_run_that_kills_its_process_twice_has_failed(make_study, content, tmp_path, monkeypatch):
    team = Breaking()

    @contextmanager
    def gather(*_):
        yield team, 1

    monkeypatch.setattr(module, "gather_hands", gather)
    study = make_study(content, factors={"points.n": [2, 12]})
    states = run_study(study, out=tmp_path, how=How(tell=lambda _: None))
    assert states == {"done": 3, "failed": 1}
    (failed,) = [m for m in Store.open(tmp_path).members("tiny") if m.state == "failed"]
    assert (failed.levels, failed.seed) == ({"points.n": "12"}, 0)
    assert "its process died" in failed.error
    assert team.begun == {(2, 0): 1, (12, 0): 2, (2, 1): 2, (12, 1): 1, "restart": 3}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["processes", "dask"])
def test_others_find_what_this_process_finds(whole_study, tmp_path, kind):
    run_study(whole_study, out=tmp_path / "here", how=How(tell=lambda _: None))
    if kind == "processes":
        run_study(whole_study, out=tmp_path / "there", how=How(workers=2, tell=lambda _: None))
    else:
        from distributed import LocalCluster

        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
            how = How(dask=cluster.scheduler_address, tell=lambda _: None)
            run_study(whole_study, out=tmp_path / "there", how=how)
    here, there = (Store.open(tmp_path / name).content() for name in ("here", "there"))
    assert here == there
