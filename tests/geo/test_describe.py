import json

import geopandas as gpd
import numpy as np
import pytest
import rasterio

from landvisor.errors import OutputError, SceneError
from landvisor.geo.describe import describe_path, find_kind, format_description
from landvisor.geo.scene import scene_from_array
from landvisor.geo.survey import join_surveys, survey_scene


@pytest.fixture
def raster(tmp_path):
    path = tmp_path / "scene.tif"
    data = np.arange(2 * 6 * 8, dtype=np.int16).reshape(2, 6, 8)
    with rasterio.open(
        path, "w", driver="GTiff", width=8, height=6, count=2, dtype="int16", nodata=5,
        crs="EPSG:32633", transform=rasterio.Affine(2, 0, 500000, 0, -2, 5000000),
    ) as out:  # fmt: skip
        out.write(data)
    return path


@pytest.fixture
def points(tmp_path):
    path = tmp_path / "points.gpkg"
    gpd.GeoDataFrame(
        {"class": ["sea", "sand", "sea"], "placement": "oracle interior"},
        geometry=gpd.points_from_xy([500001, 500003, 500005], [4999999] * 3),
        crs="EPSG:32633",
    ).to_file(path)
    return path


def test_a_raster_is_described_with_the_values_of_valid_pixels(raster):
    found = describe_path(raster)
    assert (found["rows"], found["cols"], found["crs"]) == (6, 8, "EPSG:32633")
    assert found["bounds"] == [500000, 4999988, 500016, 5000000]
    assert found["bands"] == [
        {"name": "band 1", "low": 0, "high": 47},
        {"name": "band 2", "low": 48, "high": 95},
    ]
    assert found["valid_percent"] == pytest.approx(100 * 47 / 48, abs=0.01)


def test_points_repeat_their_classes_and_how_they_were_placed(points):
    found = describe_path(points)
    assert [(c["name"], c["features"]) for c in found["classes"]] == [("sand", 1), ("sea", 2)]
    assert found["placement"] == {"oracle interior": 3}


def test_points_without_classes_are_called_presences(tmp_path):
    path = tmp_path / "trees.geojson"
    gpd.GeoDataFrame(geometry=gpd.points_from_xy([1.0], [2.0]), crs="EPSG:4326").to_file(path)
    assert "--background" in describe_path(path)["notes"][0]


def test_a_collection_is_described_by_its_table(raster, tmp_path):
    table = tmp_path / "collection.csv"
    table.write_text("image,mask,split,group\nscene.tif,,train,g\n")
    found = describe_path(table)
    assert found["scenes"] == 1
    assert found["splits"] == {"train": 1}
    assert found["sizes"] == ["6 × 8"]
    assert found == {**describe_path(tmp_path), "path": str(table)}


def test_a_map_folder_is_described_by_its_records(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"command": ["landvisor", "map"], "seed": 3}))
    (tmp_path / "assessment.json").write_text(
        json.dumps(
            {"statement": "at places", "rates": {"oa": 0.5}, "intervals": {"oa": [0.4, 0.6]}}
        )
    )
    found = describe_path(tmp_path)
    assert found["kind"] == "map"
    assert found["accuracy"]["oa"] == {"value": 0.5, "interval": [0.4, 0.6]}
    assert "seed: 3" in format_description(found)


def test_a_damaged_record_is_refused(tmp_path):
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(OutputError, match="damaged"):
        describe_path(tmp_path)


def test_kinds_are_told_apart(raster, points, tmp_path):
    table = tmp_path / "a.csv"
    table.write_text("lon,lat,class\n1,2,sea\n")
    images = tmp_path / "b.csv"
    images.write_text("\ufeffimage,mask\nx.tif,\n", encoding="utf-8")
    found = [find_kind(p) for p in (raster, points, table, images, "m*.tif")]
    assert found == ["raster", "points", "points", "collection", "collection"]
    with pytest.raises(SceneError, match="no such file"):
        find_kind(tmp_path / "nothing.tif")


def test_lines_keep_small_and_large_numbers_readable():
    lines = format_description({"size": 8.98e-05, "bounds": [462486.63, 1734334.25], "none": None})
    assert lines == ["size: 8.98e-05", "bounds: 462486.63, 1734334.25"]


def test_a_survey_counts_only_what_is_valid():
    data = np.ones((2, 700, 30), np.float32)
    data[:, :, 0] = np.nan
    data[0, 3, 3], data[1, 4, 4], data[0, 699, 29] = np.inf, -7, 9
    found = survey_scene(scene_from_array(data))
    assert (found.pixels, found.valid, found.infinite) == (21000, 700 * 29, 1)
    assert found.low.tolist() == [1, -7]
    assert found.high.tolist() == [9, 1]
    assert found.whole
    assert join_surveys([found, found]).valid == 2 * found.valid


def test_a_survey_of_few_blocks_says_so_and_reads_the_last():
    data = np.ones((1, 40, 2000), np.uint8)
    data[0, -1, -1] = 200
    found = survey_scene(scene_from_array(data), blocks=2)
    assert not found.whole
    assert found.high.tolist() == [200]


def test_shadows_are_not_called_black_areas():
    data = np.full((3, 100, 100), 90, np.uint8)
    data[:, ::4, ::4] = 0
    assert survey_scene(scene_from_array(data)).black == 0
    data[:, :, :40] = 3
    assert survey_scene(scene_from_array(data)).black >= 4000


def test_no_valid_pixel_gives_no_range():
    found = survey_scene(scene_from_array(np.full((2, 5, 5), np.nan)))
    assert found.valid == 0
    assert np.isnan(found.low).all()
    assert not found.constant.any()
