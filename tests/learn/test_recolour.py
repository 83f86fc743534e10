"""Values move to another distribution, monotonely, and within limits."""

import numpy as np
import pytest

from landvisor.geo.scene import Pixels
from landvisor.learn.recolour import bend_curves, measure_curves, recolour


def make_pixels(seed=0, dtype=np.uint8, spread=20.0, middle=100.0):
    values = np.random.default_rng(seed).normal(middle, spread, (2, 120, 150))
    return Pixels(values.clip(0, 255).astype(dtype), np.ones((120, 150), bool))


def test_curves_are_quantiles_of_valid_and_finite_pixels():
    pixels = make_pixels(dtype=np.float32)
    pixels.data[0, 0, 0], pixels.data[1, 1, 1] = np.inf, np.nan
    pixels.valid[:, 75:] = False
    pixels.valid[1, 1] = False
    curves = measure_curves(pixels)
    known = pixels.data[:, pixels.finite]
    assert np.isfinite(curves).all()
    np.testing.assert_allclose(
        curves, np.quantile(known.astype(float), np.linspace(0, 1, 256), axis=1).T
    )
    assert measure_curves(Pixels(pixels.data, np.zeros_like(pixels.valid))) is None


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_own_distribution_changes_nothing(dtype):
    pixels = make_pixels(dtype=dtype)
    image, curves = pixels.data.astype(np.float32), measure_curves(pixels)
    np.testing.assert_allclose(recolour(image, own=curves, other=curves), image, atol=1e-4)


def test_the_whole_way_ends_at_the_other_distribution_and_half_of_it_half_way():
    ours, theirs = make_pixels(), make_pixels(1, spread=5.0, middle=200.0)
    own, other = measure_curves(ours), measure_curves(theirs)
    image = ours.data.astype(np.float32)
    moved = recolour(image, own=own, other=other)
    assert moved.dtype == np.float32
    np.testing.assert_allclose(moved.mean(axis=(1, 2)), 200, atol=1)
    np.testing.assert_allclose(moved.std(axis=(1, 2)), 5, atol=1)
    half = recolour(image, own=own, other=other, share=0.5)
    np.testing.assert_allclose(half, (image + moved) / 2, atol=1e-3)
    assert np.array_equal(recolour(image, own=own, other=other, share=0.0), image)


def test_bending_keeps_order_and_range_and_differs_between_bands():
    curves = measure_curves(make_pixels())
    bent = bend_curves(curves, np.random.default_rng(0))
    assert (np.diff(bent, axis=1) >= 0).all()
    np.testing.assert_allclose(bent[:, [0, -1]], curves[:, [0, -1]])
    shift = (bent - curves)[:, 128]
    assert (np.abs(shift) > 0.5).all()
    assert abs(shift[0] - shift[1]) > 0.5
    assert not np.array_equal(bent, bend_curves(curves, np.random.default_rng(1)))


def test_outliers_do_not_set_how_much_values_move():
    pixels = make_pixels(dtype=np.float32)
    pixels.data[:, 0, 0] = 1e6
    curves = measure_curves(pixels)
    bent = bend_curves(curves, np.random.default_rng(0))
    assert np.abs(bent - curves)[:, 20:-20].max() < 30
