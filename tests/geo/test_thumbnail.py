"""A thumbnail holds every n-th pixel, whatever the size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landvisor.geo.scene import scene_from_array
from landvisor.geo.thumbnail import read_thumbnail, shrink_step


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 1000))
def test_the_step_is_the_smallest_that_fits(rows, cols, size):
    step = shrink_step((rows, cols), size)
    assert -(-max(rows, cols) // step) <= size
    assert step == 1 or -(-max(rows, cols) // (step - 1)) > size


@pytest.mark.parametrize(
    ("shape", "size"),
    [((1, 1), 5), ((1, 2500), 100), ((2100, 1030), 90), ((40, 30), 40), ((3000, 7), 2)],
)
def test_every_nth_pixel_is_read(shape, size):
    data = np.random.default_rng(0).integers(0, 9, (2, *shape), dtype=np.uint8)
    scene = scene_from_array(data, nodata=0)
    small, valid = read_thumbnail(scene, size=size)
    step = shrink_step(shape, size)
    assert (small == data[:, ::step, ::step]).all()
    assert (valid == scene.read().valid[::step, ::step]).all()
