import numpy as np
import pytest

from landvisor.geo.filterbank import filter_bank, filter_bank_margin, filter_bank_names

SIGMAS = (1.0, 2.0)


@pytest.fixture
def picture():
    return np.random.default_rng(3).normal(100, 20, (2, 60, 70)).astype(np.float32)


def everywhere(picture):
    return np.ones(picture.shape[1:], dtype=bool)


def test_one_feature_per_name_and_the_first_is_the_colour(picture):
    bank = filter_bank(picture, everywhere(picture), sigmas=SIGMAS)
    names = filter_bank_names(("red", "green"), SIGMAS)
    assert bank.shape == (len(names), 60, 70)
    assert bank.dtype == np.float32
    np.testing.assert_allclose(bank[names.index("green")], picture[1], rtol=1e-6)


@pytest.mark.parametrize("junk", [np.nan, np.inf, -9999.0])
def test_values_of_invalid_pixels_change_nothing(picture, junk):
    valid = np.random.default_rng(4).random(picture.shape[1:]) > 0.3
    spoilt = np.where(valid, picture, np.float32(junk))
    bank = filter_bank(spoilt, valid, sigmas=SIGMAS)
    np.testing.assert_array_equal(bank, filter_bank(picture, valid, sigmas=SIGMAS))
    assert np.isfinite(bank).all()
    assert (bank[:, ~valid] == 0).all()


def test_nothing_valid_gives_zeros():
    bank = filter_bank(np.full((1, 9, 9), np.nan), np.zeros((9, 9), dtype=bool), sigmas=SIGMAS)
    assert (bank == 0).all()


def test_a_constant_image_with_holes_has_no_edges_and_no_texture():
    valid = np.random.default_rng(5).random((40, 40)) > 0.5
    bank = filter_bank(np.full((1, 40, 40), 30_000, dtype=np.uint16), valid, sigmas=SIGMAS)
    for name, feature in zip(filter_bank_names(("b",), SIGMAS), bank, strict=True):
        flat = any(kind in name for kind in ("gradient", "laplacian", "deviation"))
        np.testing.assert_array_equal(feature[valid], 0 if flat else 30_000)


def test_a_ramp_has_its_slope_as_gradient_and_no_laplacian():
    ramp = np.broadcast_to(3.0 * np.arange(60, dtype=np.float32), (1, 60, 60))
    bank = filter_bank(ramp, np.ones((60, 60), dtype=bool), sigmas=(2.0,))
    inside = (slice(10, -10), slice(10, -10))
    np.testing.assert_allclose(bank[2][inside], 2.0 * 3.0, rtol=1e-4)
    np.testing.assert_allclose(bank[3][inside], 0, atol=1e-3)


def test_deviation_of_noise_is_that_of_the_noise():
    noise = np.random.default_rng(6).normal(0, 5, (1, 200, 200))
    bank = filter_bank(noise, np.ones((200, 200), dtype=bool), sigmas=(8.0,))
    assert bank[4].mean() == pytest.approx(5, rel=0.05)


def test_the_bank_of_a_shifted_image_is_the_shifted_bank(picture):
    moved = np.roll(picture, (3, 5), axis=(1, 2))
    margin = filter_bank_margin(SIGMAS)
    first = filter_bank(picture, everywhere(picture), sigmas=SIGMAS)
    second = np.roll(filter_bank(moved, everywhere(moved), sigmas=SIGMAS), (-3, -5), axis=(1, 2))
    rows, cols = slice(margin, -margin - 3), slice(margin, -margin - 5)
    np.testing.assert_allclose(first[:, rows, cols], second[:, rows, cols], atol=1e-3)


def test_pixels_beyond_the_margin_change_nothing(picture):
    margin = filter_bank_margin(SIGMAS)
    changed = picture.copy()
    changed[:, 30 + margin + 1 :] += 50
    first, second = (filter_bank(p, everywhere(p), sigmas=SIGMAS) for p in (picture, changed))
    np.testing.assert_allclose(first[:, 30], second[:, 30], atol=1e-3)


def test_no_widths_leaves_the_colours(picture):
    bank = filter_bank(picture, everywhere(picture), sigmas=())
    np.testing.assert_allclose(bank, picture, atol=1e-4)
