"""Imagery and labels come in many forms, and each of them leads to a map."""

import json

import geopandas
import numpy as np
import pandas as pd
import pytest
import rasterio

from landvisor.geo.styles import pixel_space_allowed


@pytest.fixture
def make_map(landvisor, fast, tmp_path):
    def make(*inputs, folds=0):
        said = landvisor("map", *inputs, "--out", tmp_path / "result", "--folds", folds, *fast)
        assert said.code == 0, said.err
        return tmp_path / "result", said

    return make


@pytest.fixture(scope="module")
def data(demo):
    with rasterio.open(demo.scene) as raster:
        return raster.read()


def test_a_picture_without_a_crs_takes_points_by_row_and_column(make_map, demo, data, tmp_path):
    picture, table = tmp_path / "picture.png", tmp_path / "points.csv"
    pixels = np.clip(data[[2, 1, 0]] / 20, 0, 255).astype(np.uint8)
    shape = {"width": 256, "height": 256, "count": 3, "dtype": "uint8"}
    with pixel_space_allowed(), rasterio.open(picture, "w", driver="PNG", **shape) as raster:
        raster.write(pixels)
    points = geopandas.read_file(demo.points)
    with rasterio.open(demo.scene) as raster:
        cols, rows = ~raster.transform @ (points.geometry.x.values, points.geometry.y.values)
    columns = {"scene": "picture", "row": rows - 0.5, "col": cols - 0.5, "class": points["class"]}
    pd.DataFrame(columns).to_csv(table, index=False)
    folder, _ = make_map(picture, table, "--legend", demo.legend)
    with (
        pixel_space_allowed(),
        rasterio.open(folder / "map.tif") as found,
        rasterio.open(demo.truth) as truth,
    ):
        assert found.crs is None
        known = truth.read(1) > 0
        assert (found.read(1) == truth.read(1))[known].mean() > 0.5


def test_presences_alone_are_mapped_against_assumed_background(make_map, demo, tmp_path):
    points = geopandas.read_file(demo.points)
    water = points.loc[points["class"] == "water", ["geometry"]]
    water.to_file(tmp_path / "water.gpkg")
    folder, said = make_map(demo.scene, tmp_path / "water.gpkg", "--background", 60, folds=2)
    assert "60 of the 100 places are background that was drawn at random: assumed" in said.out
    stated = json.loads((folder / "assessment.json").read_text())
    assert [entry["name"] for entry in stated["classes"]] == ["presence", "background"]
    assert any("assumed, not observed" in note for note in stated["notes"])
    assert "assumed, not observed" in (folder / "report.html").read_text(encoding="utf-8")


def test_only_the_area_of_interest_is_mapped(make_map, demo, tmp_path):
    with rasterio.open(demo.scene) as raster:
        left, _, _, top = raster.bounds
    area = geopandas.GeoSeries.from_wkt(
        [f"POLYGON(({left} {top},{left + 400} {top},{left + 400} {top - 200},{left} {top - 200},"
         f"{left} {top}))"], crs="EPSG:32633",
    )  # fmt: skip
    area.to_crs(4326).to_file(tmp_path / "area.geojson")
    folder, _ = make_map(demo.scene, demo.points, "--aoi", tmp_path / "area.geojson")
    inside = np.zeros((256, 256), dtype=bool)
    inside[:100, :200] = True
    with rasterio.open(folder / "map.tif") as found, rasterio.open(demo.truth) as truth:
        assert ((found.read_masks(1) > 0) == (inside & (truth.read(1) > 0))).all()


def test_one_file_per_band_gives_the_map_of_the_stacked_file(make_map, bundle, demo, tmp_path):
    files = []
    with rasterio.open(demo.scene) as scene:
        for band, name in enumerate(scene.descriptions, start=1):
            files.append(tmp_path / f"{name}.tif")
            with rasterio.open(files[-1], "w", **(scene.profile | {"count": 1})) as raster:
                raster.write(scene.read(band), 1)
    folder, _ = make_map(*files, demo.points, "--stack", "--legend", demo.legend)
    with (
        rasterio.open(folder / "map.tif") as found,
        rasterio.open(bundle[0] / "map.tif") as expected,
    ):
        assert (found.read(1) == expected.read(1)).mean() > 0.99
        assert found.transform == expected.transform


def test_two_classes_in_one_pixel_are_said_and_not_used(make_map, demo, tmp_path, caplog):
    points = geopandas.read_file(demo.points)
    clash = points.iloc[[0]].copy()
    clash["class"] = "water" if clash["class"].iloc[0] != "water" else "forest"
    pd.concat([points, clash]).to_file(tmp_path / "clash.gpkg")
    with caplog.at_level("INFO", logger="landvisor"):
        folder, _ = make_map(demo.scene, tmp_path / "clash.gpkg", "--legend", demo.legend)
    said = "2 places in 1 pixels meet another class in the same pixel; none of these is used"
    assert said in caplog.messages
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "meet another class in the same pixel" in page
