"""Areas of pixels are those on the ellipsoid, by three independent ways."""

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer

from landvisor.errors import SceneError
from landvisor.geo import class_map
from landvisor.geo.areas import NO_PLACE, WARNING, measure_areas
from landvisor.geo.legend import LandClass, Legend
from landvisor.geo.pixel_areas import find_pixel_areas, parallel_area
from landvisor.geo.styles import LEGEND_TAG, legend_tag
from landvisor.geo.tiling import Window

LEGEND = Legend((LandClass(1, "sea", "#0000ff"), LandClass(2, "land", "#ffee99")))


def geodesic_area(grid, row, col, parts=20):
    """Measure a pixel as a polygon of geodesics, whose edges follow those of the pixel."""
    share, one = np.linspace(0, 1, parts, endpoint=False), np.ones(parts)
    rows = row + np.concatenate([share, one, 1 - share, 0 * one])
    cols = col + np.concatenate([0 * one, share, one, 1 - share])
    x, y = grid.affine @ (cols, rows)
    crs = CRS(grid.crs.proj)
    places = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform(x, y)
    return abs(crs.get_geod().polygon_area_perimeter(*places)[0])


GRIDS = {
    "utm": ("EPSG:32633", Affine(30, 0, 300_000, 0, -30, 5e6), (2000, 3000)),
    "southern utm": ("EPSG:32733", Affine(30, 0, 300_000, 0, -30, 5e6), (2000, 3000)),
    "feet": ("EPSG:2263", Affine(100, 0, 9e5, 0, -100, 2e5), (300, 400)),
    "web mercator": ("EPSG:3857", Affine(100, 0, 1e6, 0, -100, 8e6), (900, 800)),
    "the whole of web mercator": (
        "EPSG:3857", Affine(20_000, 0, -20_000_000, 0, -20_000, 20_000_000), (2000, 2000)),
    "over the pole": ("EPSG:3413", Affine(1000, 0, -5e5, 0, -1000, 5e5), (1000, 1000)),
    "degrees": ("EPSG:4326", Affine(0.01, 0, 10, 0, -0.01, 60), (900, 800)),
    "turned degrees": ("EPSG:4326", Affine(0.01, 1e-3, 10, 1e-3, -0.01, 60), (900, 800)),
    "degrees with heights": ("EPSG:9707", Affine(0.01, 0, 10, 0, -0.01, 60), (90, 80)),
    "equal-area": ("EPSG:3035", Affine(100, 0, 4e6, 0, -100, 3e6), (900, 800)),
}  # fmt: skip


@pytest.mark.parametrize("name", GRIDS)
def test_a_pixel_is_as_large_as_its_geodesic_outline(name):
    crs, affine, shape = GRIDS[name]
    grid = GeoBox(shape, affine, crs)
    ground = find_pixel_areas(grid)
    for row, col in ((0, 0), (7, 11), (shape[0] // 3, shape[1] // 2), (shape[0] - 1, 5)):
        found = ground.read(Window(row, col, 1, 1))[0, 0]
        assert found == pytest.approx(geodesic_area(grid, row, col), rel=5e-6)


@pytest.mark.parametrize("name", GRIDS)
def test_areas_do_not_depend_on_the_window(name):
    crs, affine, shape = GRIDS[name]
    ground = find_pixel_areas(GeoBox(shape, affine, crs))
    whole = ground.read(Window(0, 0, 80, 70))
    assert whole.shape == (80, 70)
    part = ground.read(Window(13, 5, 40, 60))
    assert np.allclose(part, whole[13:53, 5:65], rtol=1e-12)


def test_the_method_is_named():
    def method(crs):
        return find_pixel_areas(GeoBox((2, 2), Affine(10, 0, 4e5, 0, -10, 3e5), crs)).method

    assert method("EPSG:32633") == "ellipsoidal (WGS 84)"
    assert method("EPSG:2263") == "ellipsoidal (GRS 1980)"
    assert method("EPSG:3035") == "equal-area projection (Lambert Azimuthal Equal Area)"
    assert find_pixel_areas(GeoBox((2, 2), Affine.identity(), None)) is None


def test_parallels_of_a_pole_part_the_earth_in_half():
    # the ellipsoid of WGS 84 has 510,065,621.724 km2: Moritz (2000), Geodetic Reference System
    # 1980, gives the radius of the sphere of equal surface, R2 = 6,371,007.1810 m, for GRS 80
    area = 4 * np.pi * parallel_area(np.array(np.pi / 2), crs=CRS("EPSG:4258"))
    assert area == pytest.approx(4 * np.pi * 6_371_007.1810**2, rel=1e-10)


@given(st.floats(-1.5, 1.5))
def test_on_a_sphere_parallels_bound_zones_of_archimedes(latitude):
    sphere = CRS.from_proj4("+proj=longlat +R=6371000")
    area = parallel_area(np.array(latitude), crs=sphere)
    assert area == pytest.approx(6_371_000**2 * np.sin(latitude))


def test_rows_beyond_a_pole_have_no_area():
    ground = find_pixel_areas(GeoBox((4, 4), Affine(1, 0, 0, 0, -1, 92), "EPSG:4326"))
    areas = ground.read(Window(0, 0, 4, 4))
    assert (areas[:2] == 0).all()
    assert (areas[2:] > 0).all()


@pytest.fixture
def make_map(make_tif):
    def make(codes, **options):
        def tag(raster):
            raster.update_tags(**{LEGEND_TAG: legend_tag(LEGEND)})

        return make_tif("map.tif", np.asarray(codes, np.uint8), nodata=0, change=tag, **options)

    return make


@pytest.mark.parametrize("rows", [1, 512])
def test_classes_have_the_sum_of_their_pixels(make_map, monkeypatch, rows):
    monkeypatch.setattr(class_map, "STRIP_ROWS", rows)
    place = Affine(100, 0, 4e6, 0, -100, 3e6)
    found = measure_areas(
        make_map([[1, 1, 2], [0, 2, 2], [2, 2, 2]], crs="EPSG:3035", transform=place)
    )
    assert [(c.name, c.pixels, c.area) for c in found.classes] == [
        ("sea", 2, 20_000.0), ("land", 6, 60_000.0)
    ]  # fmt: skip
    assert [c.share for c in found.classes] == [0.25, 0.75]
    assert found.nodata == 1
    assert found.to_dict()["classes"][1] == {
        "id": 2, "name": "land", "pixels": 6, "m2": 60_000.0, "ha": 6.0, "share": 0.75
    }  # fmt: skip
    lines = found.table().splitlines()
    assert lines[1].split() == ["sea", "2", "20,000", "2.00", "25.00", "%"]
    assert lines[3].split() == ["total", "8", "80,000", "8.00", "100.00", "%"]
    assert lines[-1] == WARNING


def test_without_a_crs_pixels_alone_are_counted(make_map):
    found = measure_areas(make_map([[1, 2, 2, 2]], crs=None, transform=Affine.identity()))
    assert [(c.pixels, c.area, c.share) for c in found.classes] == [
        (1, None, 0.25),
        (3, None, 0.75),
    ]
    assert found.method == NO_PLACE
    assert found.to_dict()["classes"][0]["m2"] is None
    assert found.table().splitlines()[1].split() == ["sea", "1", "-", "-", "25.00", "%"]


def test_a_map_of_no_data_has_no_shares(make_map):
    found = measure_areas(make_map([[0, 0]]))
    assert [c.share for c in found.classes] == [0, 0]
    assert found.nodata == 2


def test_what_is_no_map_is_refused(make_tif, tmp_path):
    with pytest.raises(SceneError, match="no class names"):
        measure_areas(make_tif("bare.tif", np.ones((2, 2), np.uint8)))
    with pytest.raises(SceneError, match="one band of whole numbers"):
        measure_areas(make_tif("float.tif", np.ones((2, 2), np.float32)))
    with pytest.raises(SceneError, match="holds no map"):
        measure_areas(tmp_path)
    with pytest.raises(SceneError, match="no such file"):
        measure_areas(tmp_path / "none.tif")


def test_a_folder_of_one_map_is_enough_and_one_of_several_is_not(make_map):
    path = make_map([[1, 2]])
    assert measure_areas(path.parent) == measure_areas(path)
    path.rename(path.with_name("a.tif"))
    assert measure_areas(path.parent).nodata == 0
    make_map([[1, 2]]).rename(path.with_name("b.tif"))
    with pytest.raises(SceneError, match="2 maps"):
        measure_areas(path.parent)
