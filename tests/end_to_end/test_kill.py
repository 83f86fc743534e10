"""A prediction that is killed at any moment goes on, and ends with the same bytes."""

import os
import subprocess
import sys

import numpy as np
import pytest

from landvisor.errors import SceneError
from landvisor.geo.rasters import open_scene

RASTERS = ("map.tif", "probabilities.tif", "uncertainty.tif")
KILLS = int(os.environ.get("LANDVISOR_KILLS", "4"))

# A child is forked after all is imported, so that its time is that of the prediction alone.
_SCRIPT = """
import os, random, signal, sys, time
from landvisor import workflow
from landvisor.learn.model_file import load_model
from landvisor.predict import write  # noqa: F401

model, scene, out, kills, longest = sys.argv[1:]
recipe = load_model(model).card.recipe.with_values({
    "predict.window": 64, "predict.overlap": 16, "predict.block": [48, 96],
})

def predict():
    number = os.fork()
    if number == 0:
        code = 1
        try:
            workflow.predict(model, scene, out=out, recipe=recipe)
            code = 0
        finally:
            os._exit(code)
    return number

draw = random.Random(7)
killed = 0
for _ in range(int(kills)):
    number = predict()
    time.sleep(draw.uniform(0, float(longest)))
    os.kill(number, signal.SIGKILL)
    _, status = os.waitpid(number, 0)
    killed += os.WIFSIGNALED(status)
    if os.path.exists(out):
        break
    print("seen", *sorted(os.listdir(os.path.dirname(out))), flush=True)
started = time.monotonic()
if not os.path.exists(out):
    _, status = os.waitpid(predict(), 0)
    assert status == 0, status
print("killed", killed, "last", time.monotonic() - started, flush=True)
"""


def run(bundle, demo, out, *, kills, longest):
    words = [bundle[0] / "model.safetensors", demo.scene, out, kills, longest]
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, *map(str, words)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def whole(bundle, demo, tmp_path_factory):
    """The uninterrupted result, and how long it took."""
    out = tmp_path_factory.mktemp("whole") / "result"
    seconds = float(run(bundle, demo, out, kills=0, longest=0).split()[-1])
    return {name: (out / name).read_bytes() for name in RASTERS}, seconds


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot fork")
def test_kills_at_random_moments_change_no_byte(whole, bundle, demo, tmp_path):
    out = tmp_path / "result"
    said = run(bundle, demo, out, kills=KILLS, longest=0.4 * whole[1])
    assert int(said.split()[-3]) >= min(KILLS, 2)
    for name in RASTERS:
        assert (out / name).read_bytes() == whole[0][name]
    leftovers = {path.name for path in tmp_path.iterdir()} - {"result"}
    assert all(name.endswith((".part", ".work")) and name.startswith(".") for name in leftovers)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot fork")
def test_what_a_kill_leaves_does_not_open_as_a_map(bundle, demo, tmp_path):
    script = (
        _SCRIPT.split("draw = ")[0]
        + "time.sleep(0)\n"
        + """
number = predict()
blocks = os.path.join(os.path.dirname(out), ".result.work", "predict", "blocks", "map")
while not os.path.isdir(blocks) or len(os.listdir(blocks)) < 3:
    time.sleep(0.005)
os.kill(number, signal.SIGKILL)
os.waitpid(number, 0)
"""
    )
    words = [bundle[0] / "model.safetensors", demo.scene, tmp_path / "result", 0, 0]
    subprocess.run([sys.executable, "-c", script, *map(str, words)], check=True)
    assert [path.name for path in tmp_path.iterdir()] == [".result.work"]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 3
    for path in files:
        with pytest.raises(SceneError):
            open_scene(path)
    assert np.any(["blocks" in path.parts for path in files])
