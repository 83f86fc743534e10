"""Places on another grid are those of an exact transformation, whatever window is asked for."""

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from landvisor.errors import SceneError
from landvisor.geo.regrid import Regrid
from landvisor.geo.tiling import Window

UTM33 = GeoBox((400, 300), Affine(10, 0, 700_000, 0, -10, 5_300_000), "EPSG:32633")
UTM34 = GeoBox((420, 330), Affine(10, 0, 255_000, 0, -10, 5_301_000), "EPSG:32634")
DEGREES = GeoBox((300, 400), Affine(1e-4, 0, 17.69, 0, -1e-4, 47.82), "EPSG:4326")
TURNED = UTM33.affine @ Affine.translation(50, 20) @ Affine.rotation(30) @ Affine.scale(1.5)
GRIDS = {
    "zone": UTM34,
    "degrees": DEGREES,
    "turned": GeoBox((200, 200), TURNED, "EPSG:32633"),
}


def locate_exactly(regrid, window):
    """Carry every pixel's centre by itself, with pyproj and the affines alone."""
    rows, cols = np.mgrid[
        window.row : window.row + window.rows, window.col : window.col + window.cols
    ]
    x, y = regrid.target.affine @ (cols + 0.5, rows + 0.5)
    here, there = (grid.crs.to_wkt() for grid in (regrid.target, regrid.source))
    x, y = Transformer.from_crs(here, there, always_xy=True).transform(x, y)
    found_cols, found_rows = ~regrid.source.affine @ (x, y)
    return np.stack([found_rows, found_cols]) - 0.5


@pytest.mark.parametrize("name", GRIDS)
def test_places_are_exact_to_a_thousandth_of_a_pixel(name):
    regrid, window = Regrid(UTM33, GRIDS[name]), Window(37, 5, 90, 130)
    assert np.abs(regrid.locate(window) - locate_exactly(regrid, window)).max() < 1e-3


@given(
    name=st.sampled_from(sorted(GRIDS)),
    row=st.integers(0, 150),
    col=st.integers(0, 150),
    rows=st.integers(1, 50),
    cols=st.integers(1, 50),
)
def test_places_do_not_depend_on_the_window(name, row, col, rows, cols):
    regrid = Regrid(UTM33, GRIDS[name])
    part = Window(row, col, rows, cols)
    whole = regrid.locate(Window(0, 0, 200, 200))
    assert (regrid.locate(part) == whole[:, *part.slices]).all()


def test_where_a_projection_bends_places_are_exact_too():
    coarse = GeoBox((60, 60), Affine(20_000, 0, -5e5, 0, -20_000, 1e7), "EPSG:3857")
    source = GeoBox((400, 400), Affine(0.1, 0, -10, 0, -0.1, 80), "EPSG:4326")
    regrid = Regrid(source, coarse)
    window = Window(0, 0, 60, 60)
    assert np.abs(regrid.locate(window) - locate_exactly(regrid, window)).max() < 0.02


def test_the_antimeridian_is_no_ramp():
    zone60 = GeoBox((64, 64), Affine(1000, 0, 690_000, 0, -1000, 6_000_000), "EPSG:32660")
    source = GeoBox((10, 10), Affine(0.1, 0, 179, 0, -0.1, 54.5), "EPSG:4326")
    regrid, window = Regrid(source, zone60), Window(0, 0, 64, 64)
    found, exact = regrid.locate(window), locate_exactly(regrid, window)
    assert np.ptp(exact[1]) > 3000, "the test crosses it"
    assert np.abs(found - exact).max() < 1e-2


def test_places_that_a_crs_lacks_are_not_finite():
    world = GeoBox((90, 180), Affine(2, 0, -180, 0, -2, 90), "EPSG:4326")
    found = Regrid(UTM33, world).locate(Window(0, 0, 90, 180))
    assert not np.isfinite(found).all()
    assert np.isfinite(found).any()


@pytest.mark.parametrize("shift", [(0, 0), (-7, 12)])
@pytest.mark.parametrize("noise", [0, 1e-4])
def test_one_lattice_is_told_from_others(shift, noise):
    moved = UTM33.affine @ Affine.translation(shift[1] + noise, shift[0] - noise)
    assert Regrid(UTM33, GeoBox((50, 60), moved, "EPSG:32633")).shift == shift
    for other in (Affine.translation(0.3, 0), Affine.scale(1.01), Affine.rotation(1)):
        grid = GeoBox((50, 60), moved @ other, "EPSG:32633")
        assert Regrid(UTM33, grid).shift is None
    assert Regrid(UTM33, GeoBox((50, 60), moved, "EPSG:32634")).shift is None


def test_the_scale_says_how_large_a_pixel_is_in_the_others():
    assert Regrid(UTM33, GRIDS["turned"]).scale == pytest.approx(1.5)
    assert Regrid(UTM33, UTM34).scale == pytest.approx(1, abs=2e-3)


def test_a_grid_without_a_crs_is_refused():
    with pytest.raises(SceneError, match="without a CRS"):
        Regrid(UTM33, GeoBox((3, 3), Affine.identity(), None))
