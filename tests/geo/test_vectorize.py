"""Polygons of a map equal GDAL's of the whole raster, however it is cut into strips."""

import shutil
import sqlite3
import subprocess
from xml.etree import ElementTree

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio.features
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio.crs import CRS

from landvisor.errors import OutputError, SceneError
from landvisor.geo import class_map
from landvisor.geo.class_map import NODATA
from landvisor.geo.legend import LandClass, Legend
from landvisor.geo.patches import Threshold, trace_patches
from landvisor.geo.styles import LEGEND_TAG, legend_tag
from landvisor.geo.vectorize import vectorize

LEGEND = Legend((LandClass(1, "sea", "#0000ff"), LandClass(2, "Düne", "#ffee99"),
                 LandClass(7, "wood", "#118822")))  # fmt: skip
SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 12))
CODES = st.sampled_from([1, 2, 7, NODATA])
RASTERS = SHAPES.flatmap(lambda shape: arrays(np.uint8, shape, elements=CODES))


def trace(codes, rows, **options):
    """Trace an array in strips: sorted (class, pixels, geometry) in (col, row)."""
    strips = [(codes[r : r + rows], np.full(codes[r : r + rows].shape, 2.0))
              for r in range(0, len(codes), rows)]  # fmt: skip
    found = []
    for part in trace_patches(strips, codes.shape[1], **options):
        polygons = shapely.from_ragged_array(
            shapely.GeometryType.POLYGON,
            part.corners[:, ::-1].astype(float),
            (part.ring_ends, part.patch_ends),
        )
        assert shapely.is_valid(polygons).all()
        assert (shapely.area(polygons) == part.pixels).all()
        assert (part.area == 2 * part.pixels).all()
        found += zip(part.code.tolist(), part.pixels.tolist(), polygons, strict=True)
    return found


def normal(patches):
    return sorted((code, n, shapely.to_wkb(shapely.normalize(shape))) for code, n, shape in patches)


def gdal(codes):
    shapes = rasterio.features.shapes(codes, mask=codes != NODATA, connectivity=4)
    polygons = [(int(code), shapely.geometry.shape(shape)) for shape, code in shapes]
    return normal((code, int(polygon.area), polygon) for code, polygon in polygons)


@settings(max_examples=60)
@given(RASTERS, st.integers(1, 12))
def test_patches_are_those_that_gdal_finds_in_the_whole(codes, rows):
    assert normal(trace(codes, rows)) == gdal(codes)


@given(RASTERS, st.integers(1, 12))
def test_neither_order_nor_corners_depend_on_the_strips(codes, rows):
    def exact(patches):
        return [(code, n, shapely.to_wkb(shape)) for code, n, shape in patches]

    assert exact(trace(codes, rows)) == exact(trace(codes, len(codes)))


@given(RASTERS, st.integers(1, 9))
def test_small_patches_alone_are_left_out(codes, least):
    found = trace(codes, 3, smallest=Threshold(pixels=least))
    assert normal(found) == [patch for patch in gdal(codes) if patch[1] >= least]
    assert normal(trace(codes, 3, smallest=Threshold(area=2.0 * least))) == normal(found)


def test_patches_that_touch_in_a_corner_are_two():
    assert [n for _, n, _ in trace(np.array([[1, 2], [2, 1]], np.uint8), 1)] == [1, 1, 1, 1]


def test_a_hole_that_touches_the_border_in_a_point_is_a_hole():
    codes = np.array([[1, 1, 1], [1, 2, 1], [1, 1, NODATA]], np.uint8)
    polygon = next(shape for code, _, shape in trace(codes, 1) if code == 1)
    assert len(polygon.interiors) == 1
    assert polygon.exterior.is_simple


def snake(size):
    """Wind one patch through a raster, a row of another between its turns."""
    codes = np.ones((size, size), np.uint8)
    codes[1::2] = 2
    codes[1::4, -1] = codes[3::4, 0] = 1
    return codes


@pytest.mark.parametrize("rows", [1, 2, 7, 64])
def test_a_snake_through_all_strips_is_one_patch(rows):
    codes = snake(63)
    found = trace(codes, rows)
    assert sum(code == 1 for code, _, _ in found) == 1
    assert normal(found) == gdal(codes)


def test_tables_grow_with_what_is_open():
    rng = np.random.default_rng(0)
    codes = np.full((200, 600), 1, np.uint8)
    codes[1:-1, 1:-1][rng.random((198, 598)) < 0.2] = 2
    assert normal(trace(codes, 100)) == gdal(codes)


@pytest.mark.parametrize("codes", [[[NODATA, NODATA]], [[1]], [[NODATA]]])
def test_little_is_enough(codes):
    found = trace(np.array(codes, np.uint8), 1)
    assert len(found) == sum(code != NODATA for code in codes[0])


@pytest.fixture
def make_map(make_tif):
    def make(codes, name="map.tif", legend=LEGEND, **options):
        def tag(raster):
            raster.update_tags(**{LEGEND_TAG: legend_tag(legend)})

        return make_tif(name, np.asarray(codes, np.uint8), nodata=0, change=tag, **options)

    return make


def noise(shape=(40, 50), seed=0):
    return np.random.default_rng(seed).choice([0, 1, 2, 7], shape, p=[0.1, 0.5, 0.2, 0.2])


def read(path):
    return gpd.read_file(path, layer="patches")


def exact_rows(frame):
    return sorted(zip(frame["class_id"], frame.normalize().to_wkb(), strict=True))


@pytest.mark.parametrize("suffix", [".gpkg", ".fgb"])
def test_a_file_says_what_and_where_patches_are(make_map, tmp_path, suffix):
    codes = noise()
    path = make_map(codes)
    made = vectorize(path, tmp_path / f"out{suffix}")
    frame = read(made.path)
    with rasterio.open(path) as raster:
        shapes = rasterio.features.shapes(
            raster.read(1), mask=codes != 0, transform=raster.transform
        )
        expected = gpd.GeoDataFrame(
            [(int(code), shapely.geometry.shape(shape)) for shape, code in shapes],
            columns=["class_id", "geometry"], geometry="geometry",
        )  # fmt: skip
    assert exact_rows(frame) == exact_rows(expected)
    assert len(frame) == made.polygons
    assert frame.crs == CRS.from_epsg(32633)
    assert frame.geometry.exterior.is_ccw.all()
    assert dict(zip(frame["class_id"], frame["class_name"], strict=True)) == {
        1: "sea", 2: "Düne", 7: "wood"
    }  # fmt: skip
    assert set(frame["color"]) == {"#0000ff", "#ffee99", "#118822"}
    assert (frame["pixels"] * 100 == frame.geometry.area).all()
    # on the central meridian of UTM, lengths are 0.9996 of what they are on the ground
    assert np.allclose(frame["area_m2"] / frame["pixels"], 100 / 0.9996**2, rtol=1e-6)


def test_files_do_not_depend_on_the_strips(make_map, tmp_path):
    path, frames = make_map(noise()), []
    for rows in (1, 7, 512):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(class_map, "STRIP_ROWS", rows)
            frames.append(read(vectorize(path, tmp_path / f"{rows}.gpkg").path))
    assert frames[0].equals(frames[1])
    assert frames[0].equals(frames[2])


@pytest.mark.parametrize(("least", "left"), [({"min_pixels": 3}, 3), ({"min_area": 250.0}, 2.5)])
def test_small_patches_are_left_out_of_the_file(make_map, tmp_path, least, left):
    path = make_map(noise())
    everything = read(vectorize(path, tmp_path / "all.gpkg").path)
    made = vectorize(path, tmp_path / "large.gpkg", **least)
    frame = read(made.path)
    assert frame["pixels"].min() >= left
    assert made.polygons == len(frame) == (everything["pixels"] >= left).sum()
    assert made.left_out == len(everything) - len(frame)


def test_a_geopackage_holds_its_style(make_map, tmp_path):
    made = vectorize(make_map(noise()), tmp_path / "map.gpkg")
    with sqlite3.connect(made.path) as base:
        table, column, text, default = base.execute(
            "select f_table_name, f_geometry_column, styleQML, useAsDefault from layer_styles"
        ).fetchone()
    base.close()
    assert (table, column, default) == ("patches", "geom", 1)
    root = ElementTree.fromstring(text)
    found = [(c.get("value"), c.get("label")) for c in root.iter("category")]
    assert found == [("1", "sea"), ("2", "Düne"), ("7", "wood")]
    colors = [o.get("value") for o in root.iter("Option") if o.get("name") == "color"]
    assert colors == ["0,0,255,255", "255,238,153,255", "17,136,34,255"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.gpkg", "map.tif"]


def test_all_no_data_is_a_layer_without_features(make_map, tmp_path):
    made = vectorize(make_map(np.zeros((3, 4))), tmp_path / "map.gpkg")
    assert made.polygons == 0
    assert pyogrio.read_info(made.path, layer="patches")["features"] == 0


def test_a_picture_hangs_down_from_its_first_row(make_map, tmp_path):
    path = make_map([[1], [2], [2]], crs=None, transform=rasterio.Affine.identity())
    frame = read(vectorize(path, tmp_path / "map.gpkg").path)
    assert "area_m2" not in frame
    assert frame.set_index("class_id").geometry[2].bounds == (0, -3, 1, -1)
    with pytest.raises(SceneError, match="min-pixels"):
        vectorize(path, tmp_path / "large.gpkg", min_area=1.0)


def test_south_up_rings_are_anticlockwise_too(make_map, tmp_path):
    path = make_map(noise(), transform=rasterio.Affine(10, 0, 5e5, 0, 10, 5e6))
    frame = read(vectorize(path, tmp_path / "map.gpkg").path)
    assert frame.geometry.exterior.is_ccw.all()
    assert frame.is_valid.all()


def test_a_damaged_map_leaves_no_file(make_map, tmp_path):
    path = make_map(np.random.default_rng(0).choice([1, 2, 7], (900, 700)), compress="deflate")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(SceneError):
        vectorize(path, tmp_path / "map.gpkg")
    assert [file.name for file in tmp_path.iterdir()] == ["map.tif"]


def test_what_cannot_be_written_is_refused_before_the_work(make_map, tmp_path):
    path = make_map(noise())
    with pytest.raises(OutputError, match=r"gpkg or \.fgb"):
        vectorize(path, tmp_path / "map.shp")
    vectorize(path, tmp_path / "map.gpkg")
    with pytest.raises(OutputError, match="overwrite"):
        vectorize(path, tmp_path / "map.gpkg")
    assert vectorize(path, tmp_path / "map.gpkg", overwrite=True).polygons


@pytest.mark.skipif(shutil.which("gdal_polygonize.py") is None, reason="Debian's python3-gdal")
def test_debian_s_gdal_polygonize_finds_the_same(make_map, tmp_path):
    path = make_map(noise())
    ours = read(vectorize(path, tmp_path / "ours.gpkg").path)
    command = [
        shutil.which("gdal_polygonize.py"),
        path,
        tmp_path / "theirs.gpkg",
        "out",
        "class_id",
    ]
    subprocess.run(command, check=True, capture_output=True, env={"PATH": "/usr/bin:/bin"})
    theirs = gpd.read_file(tmp_path / "theirs.gpkg")
    assert exact_rows(ours) == exact_rows(theirs)
