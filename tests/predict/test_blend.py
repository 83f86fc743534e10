"""Weights of overlapping windows sum to one, wherever a pixel lies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landvisor.geo.tiling import Window, cover
from landvisor.predict.blend import Strip, taper


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
    window = Window(0, 0, 5, 7)
    strip = Strip(1, window, rows=5, overlap=2)
    strip.add(window, np.ones((1, 5, 7), np.float32))
    weights = strip._weights
    assert weights.shape == (5, 7)
    assert (weights == np.outer(taper(5, overlap=2), taper(7, overlap=2))).all()
    assert weights[0, 0] == pytest.approx(taper(5, overlap=2)[0] * taper(7, overlap=2)[0])


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 12), st.data())
def test_a_constant_comes_back_constant_and_rows_come_once(rows, cols, size, data):
    overlap = data.draw(st.integers(0, size // 2))
    strip = Strip(2, Window(0, 0, rows, cols), rows=min(size, rows), overlap=overlap)
    windows = cover((rows, cols), size=size, overlap=overlap)
    tops = sorted({window.row for window in windows})
    finished = []
    for top, end in zip(tops, [*tops[1:], rows], strict=True):
        for window in [window for window in windows if window.row == top]:
            strip.mark(window, np.ones(window.shape, bool))
            strip.add(window, fill(window, 0.25, 0.75))
        for first, means, valid in strip.finish(end, most=5):
            assert valid.all()
            assert means[0] == pytest.approx(np.full(means[0].shape, 0.25), abs=1e-6)
            assert means[1] == pytest.approx(np.full(means[1].shape, 0.75), abs=1e-6)
            finished += range(first, first + len(valid))
    assert finished == list(range(rows))


def fill(window, *shares):
    return np.tile(np.array(shares, np.float32)[:, None, None], (1, *window.shape))


def take(strip, before):
    parts = [(m.copy(), v.copy()) for _, m, v in strip.finish(before, most=7)]
    return np.concatenate([m for m, _ in parts], axis=1), np.concatenate([v for _, v in parts])


def test_rows_in_progress_are_the_only_memory_and_start_from_nothing():
    strip = Strip(3, Window(0, 0, 600, 10), rows=8, overlap=2)
    for top in range(0, 592, 6):
        window = Window(top, 0, 8, 10)
        strip.mark(window, np.ones(window.shape, bool))
        strip.add(window, fill(window, 0.5, 0.3, 0.2))
        means, valid = take(strip, top + 6)
        assert valid.all()
        assert pytest.approx(np.tile([0.5, 0.3, 0.2], (6, 1)), abs=1e-6) == means[:, :, 0].T
    assert strip._sums.shape == (3, 8, 10)


def test_pixels_that_no_window_predicted_are_not_valid():
    strip = Strip(1, Window(0, 0, 2, 4), rows=2, overlap=0)
    strip.mark(Window(0, 0, 2, 4), np.ones((2, 4), bool))
    strip.add(Window(0, 0, 2, 2), np.ones((1, 2, 2), np.float32))
    means, valid = take(strip, 2)
    assert valid.tolist() == [[True, True, False, False]] * 2
    assert np.isfinite(means).all()


def test_what_lies_beyond_the_area_is_left_out():
    area = Window(3, 5, 4, 6)
    whole = Strip(2, Window(0, 0, 12, 12), rows=12, overlap=4)
    part = Strip(2, area, rows=12, overlap=4)
    rng = np.random.default_rng(0)
    for window in cover((12, 12), size=8, overlap=4):
        shares = rng.random((2, *window.shape), dtype=np.float32)
        for strip in (whole, part):
            strip.mark(window, shares[0] > 0.1)
            strip.add(window, shares)
    means, valid = take(whole, 12)
    found, known = take(part, 7)
    assert (found == means[:, *area.slices]).all()
    assert (known == valid[area.slices]).all()


def test_favoured_classes_gain_and_a_pixel_still_sums_to_one():
    window = Window(0, 0, 3, 3)
    strip = Strip(2, window, rows=3, overlap=0)
    strip.mark(window, np.ones((3, 3), bool))
    strip.add(window, fill(window, 0.5, 0.5), factors=np.array([3, 1], np.float32))
    means, _ = take(strip, 3)
    assert means[:, 1, 1] == pytest.approx([0.75, 0.25])
