"""Collars and areas of interest take pixels away, and nothing else."""

import geopandas as gpd
import numpy as np
import pytest
import shapely

from landvisor.errors import LandvisorError, SceneError
from landvisor.geo.rasters import Reading, open_bands, open_scene
from landvisor.geo.scene import scene_from_array
from landvisor.geo.tiling import Window
from landvisor.geo.validity import BitMask, find_collar, suspect_collar


def test_a_collar_is_connected_to_the_border():
    image = np.full((3, 20, 30), 120, np.uint8)
    image[:, :5] = 3  # the collar
    image[:, 10:13, 10:13] = 2  # a dark pond
    image[0, 2, 8] = 40  # a defect in the collar
    mask = find_collar(scene_from_array(image), value=0, tolerance=6)
    expected = np.ones((20, 30), dtype=bool)
    expected[:5] = False
    expected[2, 8] = True
    assert (mask.read(Window(0, 0, 20, 30)) == expected).all()
    assert (mask.read(Window(1, 7, 3, 9)) == expected[1:4, 7:16]).all()


def test_a_collar_does_not_leak_through_a_corner():
    image = np.array([[[0, 9, 9], [9, 0, 9], [9, 9, 9]]], np.uint8)
    mask = find_collar(scene_from_array(image), value=0, tolerance=0)
    assert mask.read(Window(0, 0, 3, 3)).tolist() == [[False, True, True]] + [[True] * 3] * 2


def test_every_band_must_be_near_the_collars_value():
    image = np.stack([np.zeros((3, 4), np.uint8), np.full((3, 4), 90, np.uint8)])
    assert find_collar(scene_from_array(image), value=0, tolerance=6).read(Window(0, 0, 3, 4)).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_a_collar_is_found_in_a_line_of_pixels(shape):
    scene = scene_from_array(np.zeros((1, *shape), np.uint8))
    assert not find_collar(scene, value=0, tolerance=1).read(Window(0, 0, *shape)).any()


def test_bits_are_kept_at_any_width():
    truth = np.random.default_rng(0).random((4, 13)) < 0.5
    mask = BitMask(np.packbits(truth, axis=1), 13)
    assert (mask.read(Window(1, 7, 2, 6)) == truth[1:3, 7:]).all()


def test_nodata_with_a_tolerance_hides_the_collar_alone(make_tif):
    image = np.full((1, 8, 8), 100, np.uint8)
    image[0, :2], image[0, 4, 4] = 4, 4
    scene = open_scene(make_tif("a.tif", image), Reading(nodata=0, nodata_tolerance=6))
    assert scene.read().valid.sum() == 48
    assert scene.valid_at(np.array([[4, 4], [0, 0]])).tolist() == [True, False]


def save(path, shapes, crs):
    gpd.GeoDataFrame(geometry=shapes, crs=crs).to_file(path, engine="pyogrio")
    return path


def area(crs="EPSG:32633"):
    """Rows 0..4 and columns 2..6 of the grid that `make_tif` writes."""
    box = shapely.box(500_020, 4_999_950, 500_070, 5_000_000)
    return gpd.GeoSeries([box.segmentize(1)], crs="EPSG:32633").to_crs(crs).tolist()


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:4326", "EPSG:3035"])
def test_an_area_in_any_crs_keeps_the_pixels_whose_centre_is_inside(make_tif, tmp_path, crs):
    polygons = save(tmp_path / "aoi.gpkg", area(crs), crs)
    scene = open_scene(make_tif("a.tif", np.ones((1, 10, 12), np.uint8)), Reading(aoi=polygons))
    expected = np.zeros((10, 12), dtype=bool)
    expected[:5, 2:7] = True
    assert (scene.read().valid == expected).all()
    assert (scene.read(Window(3, 1, 4, 4)).valid == expected[3:7, 1:5]).all()
    assert scene.notes == ("only the area of aoi.gpkg is used",)


def test_an_area_without_polygons_is_refused(make_tif, tmp_path):
    path = save(tmp_path / "aoi.gpkg", [shapely.Point(500_020, 4_999_950)], "EPSG:32633")
    with pytest.raises(SceneError, match="holds no polygon"):
        open_scene(make_tif("a.tif", np.ones((1, 4, 4), np.uint8)), Reading(aoi=path))


def test_an_area_off_the_scene_is_refused(make_tif, tmp_path):
    path = save(tmp_path / "aoi.gpkg", [shapely.box(0, 0, 9, 9)], "EPSG:32633")
    with pytest.raises(SceneError, match="lies off the scene; check its CRS"):
        open_scene(make_tif("a.tif", np.ones((1, 4, 4), np.uint8)), Reading(aoi=path))


def test_a_missing_area_is_called_an_area(make_tif, tmp_path):
    path = make_tif("a.tif", np.ones((1, 4, 4), np.uint8))
    with pytest.raises(LandvisorError, match=r"no such file: .*none.gpkg.*area of interest"):
        open_scene(path, Reading(aoi=tmp_path / "none.gpkg"))


def test_a_tolerance_needs_a_value():
    with pytest.raises(SceneError, match="--nodata-tolerance was given without --nodata"):
        Reading(nodata_tolerance=6)


def test_a_collar_of_band_files_is_at_the_border_alone(make_tif):
    image = np.full((1, 8, 8), 100, np.uint8)
    image[0, :2], image[0, 4, 4] = 0, 0
    how = Reading(nodata=0, nodata_tolerance=6)
    scene = open_bands([make_tif("a.tif", image), make_tif("b.tif", image)], reading=how)
    assert scene.read().valid.sum() == 48


def test_a_white_border_in_all_bands_is_pointed_out_unless_it_is_declared():
    data = np.full((3, 20, 20), 90, dtype=np.uint8)
    data[:, :, :8] = 255
    hint = suspect_collar(scene_from_array(data, name="clip"))
    assert hint is not None
    assert "--nodata 255" in hint
    assert suspect_collar(scene_from_array(data, nodata=255)) is None
    data[0, :, :8] = 254
    assert suspect_collar(scene_from_array(data)) is None


def test_saturation_in_one_band_is_data_though_its_value_means_no_data():
    data = np.array([[[255, 255]], [[10, 255]]], dtype=np.uint8)
    assert scene_from_array(data, nodata=255).read().valid.tolist() == [[True, False]]
