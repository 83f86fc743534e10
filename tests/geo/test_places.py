"""Pixel coordinates follow one convention: an integer is a pixel's centre."""

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from landvisor.geo.places import (
    SOURCES,
    concatenate,
    make_places,
    map_to_pixels,
    pixels_to_map,
)

COORDS = np.array([[0.0, 0.0], [-0.5, 12.25], [999.49, 0.125], [500.0, 1999.0]])


@st.composite
def affines(draw: st.DrawFn) -> Affine:
    """UTM-like and lon/lat-like transforms, rotated and with pixels that are no squares."""
    if draw(st.booleans()):
        origin = draw(st.floats(1e5, 9e5)), draw(st.floats(0, 1e7))
        size = draw(st.floats(0.05, 100))
    else:
        origin = draw(st.floats(-180, 180)), draw(st.floats(-85, 85))
        size = draw(st.floats(1e-5, 0.1))
    angle, stretch = draw(st.floats(0, 360)), draw(st.floats(0.3, 3))
    turned = Affine.translation(*origin) @ Affine.rotation(angle)
    return turned @ Affine.scale(size, -size * stretch)


@given(affines())
def test_places_survive_the_way_to_the_map_and_back(affine):
    grid = GeoBox((1000, 2000), affine, None)
    back = map_to_pixels(grid, pixels_to_map(grid, COORDS))
    assert np.abs(back - COORDS).max() < 1e-6


@given(affines())
def test_an_integer_is_a_pixels_centre(affine):
    grid = GeoBox((1000, 2000), affine, None)
    found = pixels_to_map(grid, np.array([[7.0, 11.0]]))[0]
    assert found == pytest.approx(np.array(affine @ (11.5, 7.5)), rel=1e-12)


def test_the_corner_of_the_grid_is_half_a_pixel_before_the_first_centre():
    grid = GeoBox((5, 5), Affine(10, 0, 100, 0, -10, 200), "EPSG:32633")
    assert map_to_pixels(grid, np.array([[100.0, 200.0]])).tolist() == [[-0.5, -0.5]]


def test_places_that_no_crs_can_say_are_not_a_number_without_a_warning():
    grid = GeoBox((5, 5), Affine(10, 0, 100, 0, -10, 200), "EPSG:32633")
    assert not np.isfinite(map_to_pixels(grid, np.array([[np.inf, np.inf]]))).any()


def test_a_place_lies_in_the_pixel_whose_centre_is_nearest():
    places = make_places(np.array([[0.49, 0.5], [-0.5, 1.51]]), np.array([1, 2]))
    assert places.pixels().tolist() == [[0, 1], [0, 2]]


def test_places_are_taken_and_joined_row_by_row():
    first = make_places(np.zeros((2, 2)), np.array([3, 4]), scene=0)
    second = make_places(np.ones((1, 2)), np.array([5]), scene=1, source="simulated")
    joined = concatenate([first, second])
    assert len(joined) == 3
    assert joined.on_scene(1).label.tolist() == [5]
    assert joined.take(joined.label != 4).label.tolist() == [3, 5]
    assert joined.take(np.array([2, 0])).label.tolist() == [5, 3]
    assert joined.source.tolist() == [SOURCES["human"]] * 2 + [SOURCES["simulated"]]
    assert joined.weight.dtype == np.float32
