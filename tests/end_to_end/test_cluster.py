"""Workers of a cluster make the same bytes as one process, whatever becomes of them."""

import os
import shutil
import signal

import pytest

from landvisor import workflow
from landvisor.errors import OutputError, SceneError
from landvisor.learn.model_file import load_model
from landvisor.options import Options
from landvisor.predict import cluster

distributed = pytest.importorskip("distributed")
RASTERS = ("map.tif", "probabilities.tif", "uncertainty.tif")
pytestmark = pytest.mark.filterwarnings("ignore")  # Dask leaves sockets to the collector


@pytest.fixture(scope="module")
def recipe(bundle):
    found = load_model(bundle[0] / "model.safetensors").card.recipe
    small = {"predict.window": 64, "predict.overlap": 16, "predict.block": [32, 128]}
    return found.with_values(small)


@pytest.fixture(scope="module")
def predict(bundle, demo, recipe):
    def run(out, scene=demo.scene, **options):
        workflow.predict(
            bundle[0] / "model.safetensors", scene, out=out, recipe=recipe,
            options=Options(**options),
        )  # fmt: skip
        return {name: (out / name).read_bytes() for name in RASTERS}

    return run


@pytest.fixture(scope="module")
def alone(predict, tmp_path_factory):
    return predict(tmp_path_factory.mktemp("alone") / "result")


def test_a_worker_killed_midway_changes_no_byte(predict, alone, tmp_path):
    killed = []
    with distributed.LocalCluster(
        n_workers=3, threads_per_worker=1, dashboard_address=None
    ) as here:

        def kill_one(done, total):
            if done > total / 4 and not killed:
                killed.append(next(iter(here.workers.values())).pid)
                os.kill(killed[0], signal.SIGKILL)

        found = predict(tmp_path / "result", dask=here.scheduler_address, on_pixels=kill_one)
    assert found == alone
    assert killed


def test_a_late_task_is_begun_elsewhere_and_counts_once(predict, alone, tmp_path, monkeypatch):
    """The first task sleeps on one worker; the other does it meanwhile."""
    started = []
    start = cluster.Cluster._start

    def watch(self, flight, *rest):
        started.append(flight.task.run)
        start(self, flight, *rest)

    monkeypatch.setattr(cluster.Cluster, "_start", watch)
    monkeypatch.setattr(cluster, "_LATE", 0.0)  # whatever still runs is late
    assert predict(tmp_path / "result", workers=3) == alone
    assert len(started) > len(set(started))


def test_what_fails_on_a_worker_is_one_line(predict, demo, tmp_path):
    damaged = tmp_path / "damaged.tif"
    content = bytearray(demo.scene.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = bytes(4000)
    damaged.write_bytes(content)
    with pytest.raises(SceneError, match="damaged"):
        predict(tmp_path / "result", scene=damaged, workers=1)
    assert not (tmp_path / "result").exists()


def test_workers_in_another_folder_find_the_imagery_or_say_where_it_is_missing(
    predict, alone, demo, tmp_path, monkeypatch
):
    scene = tmp_path / "scene.tif"
    shutil.copy2(demo.scene, scene)
    monkeypatch.chdir(tmp_path)
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=None
    ) as here:
        with distributed.Client(here) as client:
            client.run(os.chdir, "/")
        how = {"scene": "scene.tif", "dask": here.scheduler_address}
        assert predict(tmp_path / "found", **how) == alone
        monkeypatch.setattr(cluster.Cluster, "_wait_for_workers", lambda _: scene.unlink())
        with pytest.raises(SceneError, match=r"no such file.*\(on .+\)$"):
            predict(tmp_path / "missing", **how)


def test_losing_all_workers_is_one_line_and_keeps_what_is_finished(predict, tmp_path):
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=None, processes=False
    ) as here:

        def lose(done, total):
            if done:
                here.scale(0)

        with pytest.raises(OutputError, match="all workers were lost"):
            predict(tmp_path / "result", dask=here.scheduler_address, on_pixels=lose)
    assert list(tmp_path.glob(".result.work/predict/blocks/map/*"))


def test_no_scheduler_at_an_address_is_one_line(predict, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_PATIENCE", 0.5)
    with pytest.raises(OutputError, match=r"no Dask scheduler answers at 'tcp://127.0.0.1:9'"):
        predict(tmp_path / "result", dask="tcp://127.0.0.1:9")


def test_a_cluster_without_workers_is_one_line(predict, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_PATIENCE", 0.5)
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=None) as here,
        pytest.raises(OutputError, match="has had no worker"),
    ):
        predict(tmp_path / "result", dask=here.scheduler_address)


def test_the_command_line_knows_workers(landvisor, bundle, demo, alone, tmp_path):
    said = landvisor(
        "predict", bundle[0] / "model.safetensors", demo.scene, "--out", tmp_path / "result",
        "--workers", 2, "--set", "predict.window=64", "--set", "predict.overlap=16",
        "--set", "predict.block=[32, 128]",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert (tmp_path / "result" / "map.tif").read_bytes() == alone["map.tif"]
