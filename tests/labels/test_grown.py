"""Grown labels are learned from with their weight and their point's group, and never scored."""

import numpy as np
import pytest

from landvisor.errors import PointsError
from landvisor.geo.legend import LandClass, Legend, legend_from_ids
from landvisor.geo.places import SOURCES, make_places
from landvisor.geo.scene import scene_from_array
from landvisor.labels.grown import read_grown, thin_pixels
from landvisor.labels.label_raster import write_label_raster
from landvisor.labels.pixels import make_pixels

SHAPE = (10, 10)
LEGEND = legend_from_ids([1, 2, 3])
PLACES = make_places(np.array([[0, 0], [0, 9], [9, 9]]), np.array([1, 1, 2]),
                     group=np.array([40, 41, 42]))  # fmt: skip


def make_scene(name="a"):
    return scene_from_array(np.zeros((1, *SHAPE), np.uint8), name=name)


def write(path, labels, *, source="grown", weight=1.0, name="a"):
    """Write a raster with `{(row, col): class}`."""
    position = np.array([row * SHAPE[1] + col for row, col in labels], dtype=np.int64)
    label = np.array(list(labels.values()))
    pixels = make_pixels(SHAPE, position, label=label, source=source, weight=weight)
    write_label_raster(pixels, path, scene=make_scene(name), legend=LEGEND)


def read(path, *, scenes=None, legend=LEGEND, limit=100):
    return read_grown(path, PLACES, scenes=scenes or [make_scene()], legend=legend, limit=limit)


def test_a_grown_label_joins_the_group_of_the_nearest_point_of_its_class(tmp_path):
    write(tmp_path / "a.tif", {(0, 2): 1, (0, 7): 1, (0, 8): 2, (5, 5): 3}, weight=0.5)
    found = read(tmp_path / "a.tif")
    assert found.group[:3].tolist() == [40, 41, 42]
    assert found.group[3] not in PLACES.group  # no point has its class
    assert found.index.tolist() == [0, 1, 2, -1]
    assert found.weight == pytest.approx(128 / 255)
    assert (found.source == SOURCES["grown"]).all()
    assert found.coords[1].tolist() == [0, 7]


@pytest.mark.parametrize("source", ["human", "simulated"])
def test_points_that_a_raster_repeats_are_left_to_the_points(tmp_path, source):
    write(tmp_path / "a.tif", {(0, 0): 1}, source=source)
    with pytest.raises(PointsError, match="holds no linked or grown label"):
        read(tmp_path / "a.tif")


def test_classes_are_merged_ignored_and_unknown_as_the_legend_says(tmp_path):
    classes = (LandClass(1, "a", "#000000"), LandClass(2, "b", "#000001", merged_into=1),
               LandClass(3, "c", "#000002", ignore=True))  # fmt: skip
    write(tmp_path / "a.tif", {(1, 1): 1, (1, 2): 2, (1, 3): 3, (1, 4): 9})
    found = read(tmp_path / "a.tif", legend=Legend(classes))
    assert found.label.tolist() == [1, 1]


def test_a_folder_is_read_scene_by_scene(tmp_path):
    write(tmp_path / "b.tif", {(1, 1): 1}, name="b")
    found = read(tmp_path, scenes=[make_scene("a"), make_scene("b")])
    assert found.scene.tolist() == [1]


def test_thinning_keeps_every_class_and_spreads_what_it_keeps():
    position = np.arange(100)
    pixels = make_pixels(SHAPE, position, label=np.where(position < 90, 1, 2), source="grown")
    kept = thin_pixels(pixels, 10)
    assert (kept.label == 1).sum() == 10
    assert (kept.label == 2).sum() == 10
    assert kept.position[:10].tolist() == [0, 10, 20, 30, 40, 49, 59, 69, 79, 89]
    assert len(thin_pixels(pixels, 1000)) == 100


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(PointsError, match="no labels at"):
        read(tmp_path / "nothing.tif")
    with pytest.raises(PointsError, match=r"holds none of a\.tif"):
        read(tmp_path)
    write(tmp_path / "a.tif", {(1, 1): 1})
    with pytest.raises(PointsError, match="one raster for several scenes"):
        read(tmp_path / "a.tif", scenes=[make_scene("a"), make_scene("b")])
