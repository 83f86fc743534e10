"""GDAL's cache is bounded while windows are read, whoever reads them."""

import threading

import numpy as np
from rasterio.env import get_gdal_config, set_gdal_config

from landvisor import workflow
from landvisor.geo.rasters import RasterSource
from landvisor.predict import cluster
from landvisor.predict.cache import CACHE_BYTES, bound_cache
from landvisor.recipe import parse_recipe

NAME = "GDAL_CACHEMAX"
RECIPE = parse_recipe({"predict": {"window": 32, "overlap": 8, "backend": "torch"}})


def size():
    return int(get_gdal_config(NAME))


def test_it_is_bounded_while_a_scene_is_predicted_and_no_longer(
    make_tif, make_model, tmp_path, monkeypatch
):
    monkeypatch.delenv(NAME, raising=False)
    scene = make_tif("scene.tif", np.arange(64 * 64, dtype=np.uint8).reshape(64, 64))
    before, sizes, read = size(), [], RasterSource.read

    def watch(self, window):
        sizes.append(size())
        return read(self, window)

    monkeypatch.setattr(RasterSource, "read", watch)
    workflow.predict(make_model(), scene, out=tmp_path / "maps", recipe=RECIPE)
    assert set(sizes) == {CACHE_BYTES}
    assert size() == before


def test_it_is_bounded_while_a_worker_reads(monkeypatch):
    """Two threads of a worker: what one ends with does not undo the other's bound."""
    monkeypatch.delenv(NAME, raising=False)
    sizes, turns = [], [threading.Event(), threading.Event()]

    def read(model, spec, task):
        turns[0].set()
        if task == "last":
            turns[1].wait(10)
        sizes.append(size())
        return []

    monkeypatch.setattr(cluster, "_load", lambda parcel: parcel)
    monkeypatch.setattr(cluster, "predict_task", read)
    with bound_cache():  # what it was comes back after the test
        set_gdal_config(NAME, 1 << 20)
        other = threading.Thread(target=cluster._work, args=(None, RECIPE.predict, "last"))
        other.start()
        turns[0].wait(10)
        cluster._work(None, RECIPE.predict, "first")
        turns[1].set()
        other.join()
    assert sizes == [CACHE_BYTES, CACHE_BYTES]


def test_the_environment_decides_if_it_says_so(monkeypatch):
    before = size()
    monkeypatch.setenv(NAME, "64")
    with bound_cache():
        assert size() == before
