"""Scenes that overlap share each pixel, so that the shares sum to one."""

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from landvisor.errors import CollectionError
from landvisor.geo.collection import Item
from landvisor.geo.mosaic import feather_weights, first_weights, order_scenes, share_weights
from landvisor.geo.regrid import Regrid
from landvisor.geo.tiling import Window, full_window

PLACE = Affine(10, 0, 500_000, 0, -10, 5_000_000)
SCENE = GeoBox((40, 50), PLACE, "EPSG:32633")
WIDE = GeoBox((60, 80), PLACE @ Affine.translation(-10.25, -7.5), "EPSG:32633")
ZONE = GeoBox((60, 80), Affine(10, 0, 28_250, 0, -10, 5_017_600), "EPSG:32634")


def weigh(grid, window=None, width=8):
    return feather_weights(SCENE, grid, window or full_window(grid.shape), width=width)


def test_weights_grow_from_the_border_to_the_width():
    found = weigh(SCENE)
    assert found[20, :10] == pytest.approx((np.arange(10) + 0.5).clip(0, 8) / 8)
    assert (found == found[::-1, ::-1]).all()
    assert found[0, 0] == found[0].max() == 0.5 / 8
    assert weigh(SCENE, width=0.5).min() == 1


@pytest.mark.parametrize("grid", [WIDE, ZONE])
def test_what_is_inside_counts_and_what_is_outside_does_not(grid):
    found = weigh(grid)
    places = Regrid(SCENE, grid).locate(full_window(grid.shape))
    inside = ((places >= -0.5) & (places < np.array([39.5, 49.5])[:, None, None])).all(axis=0)
    assert ((found > 0) == inside).all()
    assert 1000 < inside.sum() < inside.size
    assert found.max() == 1


@given(
    grid=st.sampled_from([WIDE, ZONE]),
    row=st.integers(0, 59),
    col=st.integers(0, 79),
    data=st.data(),
)
def test_weights_do_not_depend_on_the_window(grid, row, col, data):
    part = Window(
        row, col, data.draw(st.integers(1, 60 - row)), data.draw(st.integers(1, 80 - col))
    )
    assert (weigh(grid, part) == weigh(grid)[part.slices]).all()


def test_a_border_is_inside_on_one_side_only():
    half = GeoBox((40, 51), PLACE @ Affine.translation(-0.5, 0), "EPSG:32633")
    assert (weigh(half)[20, [0, -1]] > 0).tolist() == [True, False]


def test_where_a_crs_has_no_places_nothing_counts():
    world = GeoBox((90, 180), Affine(2, 0, -180, 0, -2, 90), "EPSG:4326")
    assert weigh(world).max() == 0


@given(seed=st.integers(0, 99), scenes=st.integers(1, 9))
def test_shares_sum_to_one_wherever_any_scene_is_valid(seed, scenes):
    random = np.random.default_rng(seed)
    weights = random.uniform(1e-6, 1, (scenes, 5, 7)).astype(np.float32)
    valid = random.random((scenes, 5, 7)) < 0.4
    for shares in (share_weights(weights, valid), first_weights(valid)):
        assert shares.dtype == np.float32
        assert np.abs(shares.sum(axis=0) - valid.any(axis=0)).max() < 1e-6
        assert (shares[~valid] == 0).all()
    one = share_weights(weights[:, :1, :1], valid[:, :1, :1])
    assert (one == share_weights(weights, valid)[:, :1, :1]).all()


def test_shares_keep_the_ratio_of_weights():
    weights = np.array([1, 3, 5], np.float32).reshape(3, 1, 1)
    valid = np.array([True, True, False]).reshape(3, 1, 1)
    assert share_weights(weights, valid).ravel().tolist() == [0.25, 0.75, 0]


def test_the_first_valid_scene_takes_all():
    valid = np.array([[False, True], [True, True], [True, False]]).reshape(3, 1, 2)
    assert first_weights(valid)[:, 0].tolist() == [[0, 1], [1, 0], [0, 0]]


def item(name, cloud=None, date=None):
    return Item(name, f"https://a.org/{name}.tif", cloud_cover=cloud, date=date)


def test_scenes_are_ordered_by_what_is_asked_for():
    items = [
        item("a", 40, "2026-05-01T10:00:00Z"),
        item("b", 3, "2026-05-01T11:30:00+02:00"),
        item("c", 3, "2026-06-01"),
    ]
    assert order_scenes(items) == [0, 1, 2]
    assert order_scenes(items, by="cloud") == [1, 2, 0]
    assert order_scenes(items, by="date") == [2, 0, 1]


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ("cloud", "scene 'b' does not say its cloud cover"),
        ("date", "scene 'b' does not say when it was taken"),
        ("size", "order 'size' was asked for; need one of first, cloud, date"),
    ],
)
def test_what_is_not_known_gives_no_order(by, said):
    with pytest.raises(CollectionError, match=said):
        order_scenes([item("a", 3, "2026-05-01"), item("b")], by=by)
