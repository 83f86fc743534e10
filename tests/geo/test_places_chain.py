"""A place survives any chain of resizes, symmetries, regridding and reprojection."""

from itertools import pairwise

import geopandas as gpd
import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from landvisor.geo.legend import legend_from_ids
from landvisor.geo.locate import locate
from landvisor.geo.places import make_places, map_to_pixels, pixels_to_map, rescale
from landvisor.geo.points import Points, places_to_points
from landvisor.geo.scene import scene_from_array
from landvisor.learn.targets import Geometry

UTM, LONLAT = "EPSG:32633", "EPSG:4326"
START = GeoBox((300, 500), Affine(10, 0, 460_000, 0, -10, 5_400_000), UTM)
SIDES = st.integers(20, 3000)


@st.composite
def steps(draw: st.DrawFn) -> tuple:
    kind = draw(st.sampled_from(["resize", "symmetry", "regrid", "reproject"]))
    if kind == "resize":
        return kind, (draw(SIDES), draw(SIDES))
    if kind == "symmetry":
        return kind, draw(st.booleans()), draw(st.integers(0, 3))
    if kind == "regrid":
        return kind, draw(st.floats(0, 360)), draw(st.floats(0.2, 5)), draw(st.floats(-90, 90))
    return (kind,)


def resize(grid, coords, shape):
    """The same extent in other pixels: only the affine's unit changes."""
    (rows, cols), (new_rows, new_cols) = grid.shape, shape
    moved = grid.affine @ Affine.scale(cols / new_cols, rows / new_rows)
    return GeoBox(shape, moved, grid.crs), rescale(coords, source=grid.shape, target=shape)


def turn(grid, coords, mirror, turns):
    moved = Geometry(mirror=mirror, turns=turns).forward(coords, grid.shape)
    affine, (rows, cols) = grid.affine, grid.shape
    if mirror:
        affine = affine @ Affine(-1, 0, cols, 0, 1, 0)
    for _ in range(turns):
        affine = affine @ Affine(0, -1, cols, 1, 0, 0)
        rows, cols = cols, rows
    return GeoBox((rows, cols), affine, grid.crs), moved


def regrid(grid, coords, angle, zoom, shear):
    shape = np.array(grid.shape)
    centre = Affine.translation(*(shape[::-1] / 2))
    change = Affine.rotation(angle) @ Affine.shear(shear / 3) @ Affine.scale(zoom)
    target = GeoBox(grid.shape, grid.affine @ centre @ change @ ~centre, grid.crs)
    return target, map_to_pixels(target, pixels_to_map(grid, coords))


def reproject(grid, coords):
    crs = LONLAT if grid.crs == UTM else UTM
    xy = pixels_to_map(grid, coords)
    there = gpd.GeoSeries(gpd.points_from_xy(*xy.T), crs=str(grid.crs)).to_crs(crs)
    size = 1e-4 if crs == LONLAT else 10.0
    target = GeoBox(grid.shape, Affine(size, 0, there.x[0], 0, -size, there.y[0]), crs)
    found = np.column_stack([there.x, there.y])
    return target, map_to_pixels(target, found)


STEPS = {"resize": resize, "symmetry": turn, "regrid": regrid, "reproject": reproject}


def in_utm(grid, coords):
    xy = pixels_to_map(grid, coords)
    if grid.crs == UTM:
        return xy
    return np.column_stack(Transformer.from_crs(LONLAT, UTM, always_xy=True).transform(*xy.T))


@settings(deadline=None)
@given(st.lists(steps(), max_size=12), st.integers(0, 99))
def test_a_place_stays_where_it_was_on_the_ground(chain, seed):
    coords = np.random.default_rng(seed).uniform(-0.5, [299.5, 499.5], (20, 2))
    grid, moved = START, coords
    for kind, *options in chain:
        grid, moved = STEPS[kind](grid, moved, *options)

    back = map_to_pixels(START, in_utm(grid, moved))
    assert np.abs(back - coords).max() < 1e-6 * max(START.shape)
    assert np.abs(back - coords).max() < 1e-4


@given(st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=12))
def test_a_chain_of_resizes_is_one_resize(shapes):
    coords = np.array([[0.0, 0.0], [-0.5, 499.5], [123.456, 78.9]])
    moved = coords
    for source, target in pairwise([(300, 500), *shapes]):
        moved = rescale(moved, source=source, target=target)

    np.testing.assert_allclose(
        moved, rescale(coords, source=(300, 500), target=shapes[-1]), rtol=1e-12, atol=1e-9
    )


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("zoom"), st.integers(1, 3), st.integers(1, 3)),
            st.tuples(st.just("turn"), st.booleans(), st.integers(0, 3)),
        ),
        max_size=5,
    )
)
def test_a_pixel_keeps_its_value_through_a_chain_of_arrays(chain):
    """NumPy moves an image whose pixels hold their own number; places go by arithmetic alone."""
    image = np.arange(12).reshape(3, 4)
    moved = np.argwhere(image >= 0).astype(float)
    for kind, first, second in chain:
        before = image.shape
        if kind == "zoom":
            image = np.kron(image, np.ones((first, second), dtype=int))
            moved = rescale(moved, source=before, target=image.shape)
        else:
            moved = Geometry(mirror=first, turns=second).forward(moved, before)
            image = np.rot90(image[:, ::-1] if first else image, second)
    rows, cols = np.floor(moved + 0.5 + 1e-9).astype(int).T

    np.testing.assert_array_equal(image[rows, cols], np.arange(12))


@pytest.mark.parametrize("crs", [LONLAT, "EPSG:3857", "EPSG:32632"])
def test_points_in_another_crs_lead_back_to_their_sub_pixel_places(crs):
    coords = np.random.default_rng(0).uniform(0, 299, (500, 2))
    scene = scene_from_array(np.ones((1, 300, 500), np.uint8), crs=UTM, transform=START.affine)
    points = places_to_points(
        make_places(coords, np.ones(500, dtype=np.int64)), [scene], legend_from_ids([1, 2])
    )
    away = Points(points.frame.to_crs(crs), points.legend)
    found = locate(away, [scene]).train

    np.testing.assert_allclose(found.coords, coords, atol=1e-6 * 500, rtol=0)
    assert np.abs(found.coords - coords).max() < 1e-5
