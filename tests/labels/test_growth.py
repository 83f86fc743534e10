"""Blocks scale their bands, and find the nearest point of a group."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from landvisor.labels.growth import Block, find_nearest

SHAPE = (7, 9)
cells = st.tuples(st.integers(0, SHAPE[0] - 1), st.integers(0, SHAPE[1] - 1))


def block_of(points, data=None, valid=None):
    data = np.zeros((1, *SHAPE)) if data is None else data
    valid = np.ones(data.shape[1:], dtype=bool) if valid is None else valid
    return Block(data, valid, np.full(len(data), 2.0), np.array(points), np.zeros(len(points)))


@given(st.sets(cells, min_size=1, max_size=9), st.data())
def test_the_nearest_point_of_the_group_is_found_and_the_first_of_equals(points, data):
    points = np.array(sorted(points))
    group = np.array(data.draw(st.lists(st.integers(0, 3), min_size=9)))[: len(points)]
    of = data.draw(st.sampled_from(sorted(set(group.tolist()))))
    pixels = np.argwhere(np.ones(SHAPE, dtype=bool))
    found = find_nearest(block_of(points), pixels, group=group, of=np.full(len(pixels), of))
    away = np.square(pixels[:, None] - points[None]).sum(axis=2)
    away[:, group != of] = 10**6
    assert found.tolist() == away.argmin(axis=1).tolist()


def test_the_image_is_in_robust_deviations_and_finite():
    data = np.array([[[4.0, np.nan, -1.7e308, np.inf]]])
    block = block_of([[0, 0]], data, np.array([[True, False, True, False]]))
    assert block.image.dtype == np.float32
    assert block.image[0, 0, [0, 1, 3]].tolist() == [2.0, 0.0, 0.0]
    assert np.isfinite(np.square(block.image)).all()
