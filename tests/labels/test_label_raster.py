"""Label rasters keep class, source and weight, and say what they are."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from landvisor.errors import PointsError
from landvisor.geo.legend import legend_from_ids
from landvisor.geo.scene import scene_from_array
from landvisor.geo.styles import read_label_facts
from landvisor.labels.label_raster import BANDS, read_label_raster, write_label_raster
from landvisor.labels.pixels import make_pixels, no_pixels
from landvisor.parallel import map_ordered

LEGEND = legend_from_ids(range(1, 7))
UTM = {"crs": "EPSG:32633", "transform": Affine(10, 0, 500_000, 0, -10, 5_000_000)}


def make_scene(shape, **place):
    return scene_from_array(np.zeros((1, *shape), np.uint8), name="scene", **place)


def write(pixels, path, **place):
    scene = make_scene(pixels.shape, **place)
    write_label_raster(pixels, path, scene=scene, legend=LEGEND, facts={"seed": 3})
    return scene


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.integers(0, 2**32 - 1),
    st.floats(0, 1),
)
def test_what_is_written_is_read_back(tmp_path: Path, shape, seed, share):
    generator = np.random.default_rng(seed)
    where = np.flatnonzero(generator.random(shape) < share)
    pixels = make_pixels(
        shape,
        generator.permutation(where),
        label=generator.integers(0, 255, len(where)),
        source=generator.integers(1, 6, len(where)).astype(np.uint8),
        weight=generator.random(len(where)),
    )
    back = read_label_raster(tmp_path / "l.tif", write(pixels, tmp_path / "l.tif"))
    for name in ("position", "label", "source", "weight"):
        assert np.array_equal(getattr(back, name), getattr(pixels, name))


def test_a_raster_larger_than_a_tile_keeps_every_strip(tmp_path):
    shape = (1100, 700)
    where = np.arange(0, shape[0] * shape[1], 977)
    pixels = make_pixels(shape, where, label=where % 6 + 1, source="grown")
    back = read_label_raster(tmp_path / "l.tif", write(pixels, tmp_path / "l.tif", **UTM))
    assert np.array_equal(back.position, where)
    assert np.array_equal(back.label, where % 6 + 1)


def test_the_file_is_three_named_bands_on_the_scenes_grid_without_nodata(tmp_path):
    pixels = make_pixels((4, 5), np.array([7]), label=np.array([0]), source="linked", weight=0.5)
    write(pixels, tmp_path / "l.tif", **UTM)
    with rasterio.open(tmp_path / "l.tif") as dataset:
        assert dataset.descriptions == BANDS
        assert dataset.nodata is None
        assert dataset.crs.to_epsg() == 32633
        assert dataset.transform == UTM["transform"]
        assert dataset.read()[:, 1, 2].tolist() == [0, 3, 128]  # class 0 is a class
        assert dataset.read().sum() == 131
    assert read_label_facts(tmp_path / "l.tif")["seed"] == 3


def test_a_scene_without_labels_has_an_empty_raster(tmp_path):
    scene = write(no_pixels((6, 6)), tmp_path / "l.tif")
    assert len(read_label_raster(tmp_path / "l.tif", scene)) == 0


def test_other_rasters_are_refused(tmp_path):
    scene = write(no_pixels((6, 6)), tmp_path / "l.tif", **UTM)
    with pytest.raises(PointsError, match="not on the grid of scene"):
        read_label_raster(tmp_path / "l.tif", make_scene((6, 7), **UTM))
    elsewhere = {**UTM, "transform": Affine(10, 0, 500_100, 0, -10, 5_000_000)}
    with pytest.raises(PointsError, match="not on the grid of scene"):
        read_label_raster(tmp_path / "l.tif", make_scene((6, 6), **elsewhere))
    profile = {"driver": "GTiff", "dtype": "uint8", "height": 6, "width": 6, **UTM}
    with rasterio.open(tmp_path / "one.tif", "w", count=1, **profile) as dataset:
        dataset.write(np.ones((1, 6, 6), np.uint8))
    with pytest.raises(PointsError, match="three uint8 bands"):
        read_label_raster(tmp_path / "one.tif", scene)
    with rasterio.open(tmp_path / "rgb.tif", "w", count=3, **profile) as dataset:
        dataset.write(np.full((3, 6, 6), 90, np.uint8))
    with pytest.raises(PointsError, match="source 90"):
        read_label_raster(tmp_path / "rgb.tif", scene)
    assert read_label_facts(tmp_path / "rgb.tif") is None
    assert read_label_facts(tmp_path / "nothing.tif") is None


def test_threads_that_write_at_once_leave_the_filters_of_warnings_alone(tmp_path):
    pixels = make_pixels((4, 4), np.arange(3), label=np.ones(3, np.int64), source="grown")
    before = list(warnings.filters)
    map_ordered(lambda i: write(pixels, tmp_path / f"{i}.tif"), range(200), workers=8)
    assert list(warnings.filters) == before


def test_labels_of_another_picture_of_the_same_size_are_refused(tmp_path):
    generator = np.random.default_rng(0)
    first, second = (generator.integers(0, 255, (3, 40, 30)).astype(np.uint8) for _ in range(2))
    pixels = make_pixels((40, 30), np.array([5]), label=np.array([1]), source="grown")
    made_on = scene_from_array(first, name="first")
    write_label_raster(pixels, tmp_path / "l.tif", scene=made_on, legend=LEGEND)
    renamed = scene_from_array(first, name="renamed", nodata=0)
    assert len(read_label_raster(tmp_path / "l.tif", renamed)) == 1
    with pytest.raises(PointsError, match=r"made on 'first'.* not those of scene 'second'"):
        read_label_raster(tmp_path / "l.tif", scene_from_array(second, name="second"))


def test_the_grid_alone_tells_where_labels_with_a_crs_belong(tmp_path):
    pixels = make_pixels((40, 30), np.array([5]), label=np.array([1]), source="grown")
    write(pixels, tmp_path / "l.tif", **UTM)
    later = scene_from_array(np.ones((1, 40, 30), np.uint8), name="later", **UTM)
    assert len(read_label_raster(tmp_path / "l.tif", later)) == 1
    assert read_label_facts(tmp_path / "l.tif")["scene"] == {"name": "scene", "pixels": None}
