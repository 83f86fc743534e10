"""The same command goes on where it was stopped, whatever stopped it, and ends with the same."""

import contextlib
import logging
import os
import resource
import signal
import subprocess
import sys

import pytest

from landvisor import workflow
from landvisor.errors import SceneError
from landvisor.geo.rasters import open_scene
from landvisor.learn.model_file import load_model
from landvisor.options import Options

RASTERS = ("map.tif", "probabilities.tif", "uncertainty.tif")
CHOICES = {"predict.window": 64, "predict.overlap": 16, "predict.block": [48, 96]}
SMALL = [word for key, value in CHOICES.items() for word in ("--set", f"{key}={value}")]
FEW = ("--folds", "0", "--model", "forest", "--set", "instant.trees=5")

# The child is forked once all is imported, and killed when it has kept some blocks.
_KILLED = """
import os, signal, sys, time
from landvisor import workflow
from landvisor.cli.main import main
from landvisor.predict import write  # noqa: F401

blocks, *words = sys.argv[1:]
number = os.fork()
if number == 0:
    main(words)
while not os.path.isdir(blocks) or len(os.listdir(blocks)) < 3:
    assert os.waitpid(number, os.WNOHANG) == (0, 0), "it ended first"
    time.sleep(0.002)
os.kill(number, signal.SIGKILL)
os.waitpid(number, 0)
"""


def read(folder):
    return {name: (folder / name).read_bytes() for name in RASTERS}


@pytest.fixture(scope="module")
def words(bundle, demo):
    return ("predict", bundle[0] / "model.safetensors", demo.scene, *SMALL)


@pytest.fixture(scope="module")
def whole(landvisor, words, tmp_path_factory):
    """What an uninterrupted prediction makes."""
    out = tmp_path_factory.mktemp("whole") / "result"
    said = landvisor(*words, "--out", out)
    assert said.code == 0, said.err
    return read(out)


@pytest.fixture
def begun(bundle, demo, tmp_path):
    """Stop a prediction once half of it is done; return where it was to go."""
    model = bundle[0] / "model.safetensors"
    recipe = load_model(model).card.recipe.with_values(CHOICES)

    def stop(done, total):
        if done > total / 2:
            raise KeyboardInterrupt

    how = Options(on_pixels=stop)
    with pytest.raises(KeyboardInterrupt):
        workflow.predict(model, demo.scene, out=tmp_path / "result", recipe=recipe, options=how)
    return tmp_path / "result"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot fork")
def test_map_uses_the_model_that_a_killed_attempt_fitted(landvisor, demo, tmp_path, caplog):
    words = ("map", demo.scene, demo.points, *FEW, *SMALL)
    assert landvisor(*words, "--out", tmp_path / "whole").code == 0
    blocks = tmp_path / ".result.work" / "predict" / "blocks" / "map"
    command = [sys.executable, "-c", _KILLED, blocks, *words, "--out", tmp_path / "result"]
    subprocess.run([*map(str, command)], check=True, capture_output=True)
    assert not (tmp_path / "result").exists()
    caplog.clear()
    assert landvisor(*words, "--out", tmp_path / "result").code == 0
    said = [record.getMessage() for record in caplog.records]
    model = "the model of an earlier attempt is used: nothing that it follows from changed"
    assert model in said
    assert any(line.startswith("going on: an earlier attempt finished ") for line in said)
    assert not any(line.startswith("validation on") for line in said)  # nothing was fitted
    assert read(tmp_path / "result") == read(tmp_path / "whole")
    assert {path.name for path in tmp_path.iterdir()} == {"whole", "result"}


def test_finished_blocks_are_not_predicted_again(landvisor, words, begun, whole, caplog):
    kept = len(list(begun.parent.glob(".result.work/predict/blocks/map/*")))
    caplog.set_level(logging.INFO)
    said = landvisor(*words, "--out", begun)
    assert said.code == 0, said.err
    assert f"going on: an earlier attempt finished {kept} of 18 blocks" in caplog.text
    assert read(begun) == whole


def test_a_changed_option_starts_anew_and_says_why(landvisor, words, begun, caplog):
    assert landvisor(*words, "--tta", "flips", "--out", begun).code == 0
    assert "starting anew: the options changed since the last attempt" in caplog.text
    assert "an earlier attempt finished" not in caplog.text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--to-crs", "EPSG:3857"), "there is no mosaic"),
        (("--mosaic", "cloud"), "does not say its cloud cover"),
    ],
)
def test_an_option_that_cannot_be_costs_no_finished_block(
    landvisor, words, begun, whole, caplog, options, said
):
    found = landvisor(*words, *options, "--out", begun)
    assert found.code == 1
    assert said in found.err
    caplog.set_level(logging.INFO)
    assert landvisor(*words, "--out", begun).code == 0
    assert "going on: an earlier attempt finished" in caplog.text
    assert read(begun) == whole


@contextlib.contextmanager
def limited_files(most):
    """Stand for a full disk: writing beyond a limit on the size of files fails in the same way."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_disk_that_fills_up_while_the_map_is_written_costs_no_block(
    landvisor, words, whole, tmp_path, caplog
):
    """Blocks fit, the rasters do not."""
    assert len(whole["probabilities.tif"]) > 100_000
    with limited_files(100_000):
        said = landvisor(*words, "--out", tmp_path / "result")
    assert said.code == 1
    assert said.err.count("\n") == 1, said.err
    assert f"{str(tmp_path / 'result')!r}" in said.err
    assert "the same command goes on from there" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == [".result.work"]
    for path in tmp_path.rglob("*"):
        with pytest.raises(SceneError):
            open_scene(path)
    caplog.set_level(logging.INFO)
    assert landvisor(*words, "--out", tmp_path / "result").code == 0
    assert "an earlier attempt finished 18 of 18 blocks" in caplog.text
    assert read(tmp_path / "result") == whole


def test_an_object_store_gets_the_same_after_a_stop(bundle, demo, whole, tmp_path, monkeypatch):
    """The work is done in a hidden folder here, and a run that ended early is found there."""
    fsspec = pytest.importorskip("fsspec")
    monkeypatch.chdir(tmp_path)
    store, model = fsspec.filesystem("memory"), bundle[0] / "model.safetensors"
    recipe = load_model(model).card.recipe.with_values(CHOICES)
    counted = []

    def stop_once(done, total):
        counted.append(done / total)
        if len(counted) == 9:
            raise KeyboardInterrupt

    how = Options(on_pixels=stop_once)
    out = "memory://resumed/maps"
    with pytest.raises(KeyboardInterrupt):
        workflow.predict(model, demo.scene, out=out, recipe=recipe, options=how)
    assert store.find("resumed") == []
    assert [path.name for path in tmp_path.iterdir()] == [".memory-resumed-maps.work"]
    workflow.predict(model, demo.scene, out=out, recipe=recipe, options=how)
    assert counted[9] == pytest.approx(counted[8])
    assert {name: store.cat(f"resumed/maps/{name}") for name in RASTERS} == whole
    assert "/resumed/maps/run.json" in store.find("resumed")
    assert list(tmp_path.iterdir()) == []
    store.rm("resumed", recursive=True)
