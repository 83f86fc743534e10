"""The same chain from Python."""

import importlib

import numpy as np
import pytest
import rasterio

import landvisor as lv


@pytest.fixture(scope="module")
def recipe():
    return lv.Recipe().with_values(
        {
            "net.model": "bank",
            "instant.trees": 40,
            "instant.classifier": "trees",
            "assess.folds": 2,
        }
    )


@pytest.mark.parametrize("name", lv.__all__)
def test_every_public_name_resolves(name):
    assert getattr(lv, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'landvisor' has no attribute 'nothing'"):
        _ = lv.nothing


def test_fit_predict_and_assess_are_the_steps_of_map(demo, recipe, tmp_path):
    result = lv.map(demo.scene, demo.points, out=tmp_path / "whole", recipe=recipe)
    model = lv.fit(demo.scene, demo.points, recipe=recipe, out=tmp_path / "model.safetensors")
    assert importlib.import_module("landvisor.predict.stream")  # must not hide the verb
    (files,) = lv.predict(tmp_path / "model.safetensors", demo.scene, out=tmp_path / "steps")
    with rasterio.open(files.classes) as steps, rasterio.open(result.folder / "map.tif") as whole:
        assert np.array_equal(steps.read(1), whole.read(1))
    assert model.card.legend == result.model.card.legend
    assert result.assessment.summary().startswith("overall accuracy")
    truth = lv.assess(tmp_path / "steps", demo.truth)
    assert truth.confusion.metrics()["oa"] > 0.5


def test_an_array_and_points_in_memory_are_enough(demo, recipe):
    with rasterio.open(demo.scene) as raster:
        array, transform = raster.read(), raster.transform
    from landvisor.geo.scene import scene_from_array

    scene = scene_from_array(array, crs="EPSG:32633", transform=transform, nodata=0)
    model = lv.fit(scene, lv.read_points(demo.points), recipe=recipe)
    assert model.card.training["places"] == 280


def test_simulated_points_lie_on_their_class(demo, recipe):
    with rasterio.open(demo.truth) as raster:
        mask = raster.read(1)
    from landvisor.geo.legend import read_legend

    points = lv.simulate_points(mask, legend=read_legend(demo.legend), n=3, seed=1)
    rows, cols = points.frame["row"].round().astype(int), points.frame["col"].round().astype(int)
    assert (mask[rows, cols] == points.frame["class_id"]).all()
