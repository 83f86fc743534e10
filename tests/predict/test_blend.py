"""Weights of overlapping windows sum to one, wherever a pixel lies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landvisor.geo.tiling import cover
from landvisor.predict.blend import Strip, taper, window_weights


@given(st.integers(1, 60), st.integers(0, 30))
def test_weights_rise_from_above_zero_to_one_and_are_symmetric(length, overlap):
    weights = taper(length, overlap=overlap)
    assert weights.dtype == np.float32
    assert weights.min() > 0
    assert weights.max() <= 1
    assert (weights == weights[::-1]).all()
    assert (weights[overlap : length - overlap] == 1).all()


def test_the_ramps_of_two_neighbours_add_up_to_one():
    weights = taper(12, overlap=4)
    assert weights[-4:] + weights[:4] == pytest.approx(np.ones(4))


def test_a_window_weighs_the_product_of_its_sides():
    weights = window_weights((5, 7), overlap=2)
    assert weights.shape == (5, 7)
    assert weights[0, 0] == pytest.approx(taper(5, overlap=2)[0] * taper(7, overlap=2)[0])


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 12), st.data())
def test_a_constant_comes_back_constant_and_rows_come_once(rows, cols, size, data):
    overlap = data.draw(st.integers(0, size // 2))
    strip = Strip(2, cols, overlap=overlap)
    windows = cover((rows, cols), size=size, overlap=overlap)
    tops = sorted({window.row for window in windows})
    finished = []
    for top, end in zip(tops, [*tops[1:], rows], strict=True):
        line = [window for window in windows if window.row == top]
        strip.reserve(top + line[0].rows)
        for window in line:
            strip.mark(window.row, window.col, np.ones(window.shape, bool))
            shares = np.array([0.25, 0.75], np.float32)[:, None, None]
            strip.add(window.row, window.col, np.broadcast_to(shares, (2, *window.shape)))
        first, means, valid = strip.finish(end)
        assert valid.all()
        assert means[0] == pytest.approx(np.full(means[0].shape, 0.25), abs=1e-6)
        assert means[1] == pytest.approx(np.full(means[1].shape, 0.75), abs=1e-6)
        finished += range(first, first + len(valid))
    assert finished == list(range(rows))


def test_memory_is_that_of_the_rows_in_progress():
    strip = Strip(3, 10, overlap=2)
    for top in range(0, 600, 6):
        strip.reserve(top + 8)
        strip.add(top, 0, np.ones((3, 8, 10), np.float32))
        strip.finish(top + 6)
        assert strip._sums.shape[1] <= 8


def test_pixels_that_no_window_predicted_are_not_valid():
    strip = Strip(1, 4, overlap=0)
    strip.reserve(2)
    strip.mark(0, 0, np.ones((2, 4), bool))
    strip.add(0, 0, np.ones((1, 2, 2), np.float32))
    _, means, valid = strip.finish(2)
    assert valid.tolist() == [[True, True, False, False]] * 2
    assert np.isfinite(means).all()
