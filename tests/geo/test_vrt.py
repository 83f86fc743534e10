"""Maps of many scenes open as one layer, with their colours, names and no data."""

import logging
import shutil

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

from landvisor.geo.legend import LandClass, Legend
from landvisor.geo.styles import read_map_legend
from landvisor.geo.vrt import write_map_vrt

PLACE = Affine(10, 0, 500_000, 0, -10, 5_000_000)
LEGEND = Legend((LandClass(1, "sea & sand", "#0000ff"), LandClass(3, "tab\tbed", "#00ff00")))


@pytest.fixture
def make_map(tmp_path, write_prediction):
    def make(name, codes, move=None, crs="EPSG:32633", legend=LEGEND):
        codes = np.asarray(codes, np.uint8)
        folder = tmp_path / "out" / "maps"
        folder.mkdir(parents=True, exist_ok=True)
        grid = GeoBox(codes.shape, PLACE @ (move or Affine.identity()), crs)
        valid = codes != legend.nodata
        shares = np.stack([(codes == code).astype(np.float32) for code in legend.ids])
        files = write_prediction(
            folder, grid, legend=legend, stem=name, probabilities=shares, valid=valid
        )
        return files.classes

    return make


def read(path):
    with rasterio.open(path) as raster:
        assert (raster.count, raster.dtypes) == (1, ("uint8",))
        return raster.read(1), raster.transform, raster.nodata, raster.crs


def test_maps_lie_where_they_belong_and_the_first_is_on_top(make_map, tmp_path):
    maps = [
        make_map("a", [[1, 1, 0], [1, 1, 1]]),
        make_map("b", [[3, 3], [3, 3]], Affine.translation(2, -1)),
        make_map("c", [[3]], Affine.translation(-2, 2)),
    ]
    path = tmp_path / "out" / "map.vrt"
    assert write_map_vrt(path, maps) == (path,)
    expected = [
        [0, 0, 0, 0, 3, 3],
        [0, 0, 1, 1, 3, 3],
        [0, 0, 1, 1, 1, 0],
        [3, 0, 0, 0, 0, 0],
    ]  # fmt: skip
    data, transform, nodata, crs = read(path)
    assert data.tolist() == expected
    assert transform.almost_equals(PLACE @ Affine.translation(-2, -1))
    assert (nodata, crs) == (0, "EPSG:32633")


def test_colours_names_and_legend_are_those_of_the_maps(make_map, tmp_path):
    (path,) = write_map_vrt(tmp_path / "map.vrt", [make_map("a", [[1, 3], [0, 0]])])
    with rasterio.open(path) as raster:
        colors = raster.colormap(1)
    assert (colors[1], colors[3], colors[0]) == ((0, 0, 255, 255), (0, 255, 0, 255), (0, 0, 0, 0))
    assert read_map_legend(path) == LEGEND
    text = path.read_text()
    assert "<Category>sea &amp; sand</Category>" in text
    assert "<Category>tab bed</Category>" in text


def test_class_0_leaves_255_as_no_data(make_map, tmp_path):
    legend = Legend((LandClass(0, "sea", "#0000ff"), LandClass(3, "sand", "#00ff00")))
    maps = [
        make_map("a", [[0, 255], [3, 3]], legend=legend),
        make_map("b", [[3, 3]], legend=legend),
    ]
    data, _, nodata, _ = read(write_map_vrt(tmp_path / "map.vrt", maps)[0])
    assert (data.tolist(), nodata) == ([[0, 3], [3, 3]], 255)


def test_the_folder_may_move(make_map, tmp_path):
    write_map_vrt(tmp_path / "out" / "map.vrt", [make_map("a", [[1, 3]])])
    shutil.move(tmp_path / "out", tmp_path / "elsewhere")
    assert read(tmp_path / "elsewhere" / "map.vrt")[0].tolist() == [[1, 3]]


def test_maps_that_make_no_one_layer_are_several_and_said(make_map, tmp_path, caplog):
    other = Legend((LandClass(1, "rock", "#aaaaaa"),))
    maps = [
        make_map("a", [[1]]),
        make_map("b", [[1]], crs="EPSG:32634"),
        make_map("c", [[1, 3]], Affine.scale(2)),
        make_map("d", [[1]], Affine.translation(1, 0)),
        make_map("e", [[1]], legend=other),
    ]
    with caplog.at_level(logging.INFO, "landvisor"):
        made = write_map_vrt(tmp_path / "map.vrt", maps)
    names = ["map_EPSG32633_10_1", "map_EPSG32634", "map_EPSG32633_20", "map_EPSG32633_10_2"]
    assert [path.stem for path in made] == names
    assert [read(path)[0].shape for path in made] == [(1, 2), (1, 1), (1, 2), (1, 1)]
    assert read(made[1])[3] == "EPSG:32634"
    assert "are 4 layers: map_EPSG32633_10_1.vrt, map_EPSG32634.vrt" in caplog.text


def test_a_turned_lattice_stays_turned(make_map, tmp_path):
    turn = Affine.rotation(30)
    maps = [make_map("a", [[1]], turn), make_map("b", [[3]], turn @ Affine.translation(2, 0))]
    (path,) = write_map_vrt(tmp_path / "map.vrt", maps)
    data, transform, _, _ = read(path)
    assert data.tolist() == [[1, 0, 3]]
    assert transform.almost_equals(PLACE @ turn)


def test_maps_between_the_pixels_of_others_are_shown_by_the_nearest(make_map, tmp_path):
    maps = [make_map("a", [[1, 1]]), make_map("b", [[3, 3]], Affine.translation(1.8, 0.3))]
    data = read(write_map_vrt(tmp_path / "map.vrt", maps)[0])[0]
    assert data.shape == (2, 4)
    assert data[0].tolist() == [1, 1, 3, 3]


def test_pictures_lie_nowhere(make_map, tmp_path):
    assert write_map_vrt(tmp_path / "map.vrt", [make_map("a", [[1]], crs=None)]) == ()
    assert not (tmp_path / "map.vrt").exists()
