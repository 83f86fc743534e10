"""Labelled pixels keep their order, and what lies above wins."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from landvisor.geo.places import SOURCES, make_places
from landvisor.labels.pixels import (
    SURE,
    make_pixels,
    no_pixels,
    overlay,
    pixels_of_places,
    pixels_to_places,
)

SHAPE = (5, 7)


def some_pixels(positions, *, label=1, source="grown"):
    where = np.array(sorted(positions), dtype=np.int64)
    return make_pixels(SHAPE, where, label=np.full(len(where), label), source=source)


positions = st.sets(st.integers(0, SHAPE[0] * SHAPE[1] - 1))


def test_pixels_are_kept_in_ascending_order_with_what_belongs_to_them():
    made = make_pixels(
        SHAPE,
        np.array([9, 2]),
        label=np.array([5, 4]),
        source="linked",
        weight=np.array([0.5, 7.0]),
        place=np.array([1, 0]),
    )
    assert made.position.tolist() == [2, 9]
    assert made.label.tolist() == [4, 5]
    assert made.weight.tolist() == [SURE, 128]
    assert made.place.tolist() == [0, 1]
    assert set(made.source.tolist()) == {SOURCES["linked"]}
    assert made.coords().tolist() == [[0, 2], [1, 2]]


def test_a_weight_above_zero_never_becomes_unlabelled():
    made = make_pixels(SHAPE, np.array([0]), label=np.array([1]), source="grown", weight=1e-9)
    assert made.weight.tolist() == [1]


@given(positions, positions)
def test_overlay_keeps_all_of_above_and_the_rest_of_below(above, below):
    joined = overlay(some_pixels(above, label=1), some_pixels(below, label=2))
    assert joined.position.tolist() == sorted(above | below)
    is_above = np.isin(joined.position, sorted(above))
    assert (joined.label == np.where(is_above, 1, 2)).all()


@given(positions, positions)
def test_find_tells_where_a_pixel_stands(has, asked):
    pixels = some_pixels(has)
    wanted = np.array([divmod(p, SHAPE[1]) for p in sorted(asked)], dtype=np.int64).reshape(-1, 2)
    found = pixels.find(wanted)
    assert [int(p) for p in pixels.position[found[found >= 0]]] == sorted(has & asked)
    assert (found < 0).sum() == len(asked - has)


def test_places_become_their_pixels_and_come_back_at_their_centres():
    coords = np.array([[1.3, 2.4], [0.0, 0.0], [1.4, 1.6]])
    places = make_places(coords, np.array([3, 4, 3]), source="human", group=np.array([7, 8, 9]))
    pixels = pixels_of_places(places, SHAPE)
    assert pixels.coords().tolist() == [[0, 0], [1, 2]]
    assert pixels.place.tolist() == [1, 0]  # the first place of a pixel counts
    back = pixels_to_places(pixels, places, scene=2)
    assert back.coords.tolist() == [[0, 0], [1, 2]]
    assert back.group.tolist() == [8, 7]
    assert back.label.tolist() == [4, 3]
    assert back.weight.tolist() == [1.0, 1.0]
    assert back.scene.tolist() == [2, 2]


def test_a_scene_without_labels_has_no_pixels():
    nothing = no_pixels(SHAPE)
    assert len(nothing) == 0
    assert nothing.find(np.array([[0, 0]])).tolist() == [-1]
    assert len(overlay(nothing, nothing)) == 0
