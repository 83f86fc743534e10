import numpy as np
import pytest

from landvisor.geo.radiometry import Radiometry
from landvisor.learn.scaling import LIMIT, Scaling, make_scaling


def make_radiometry(*bands):
    quantiles = tuple(tuple(np.quantile(b, np.linspace(0, 1, 256)).tolist()) for b in bands)
    mean = tuple(float(np.mean(b)) for b in bands)
    std = tuple(float(np.std(b)) or 1.0 for b in bands)
    return Radiometry(mean, std, quantiles)


def apply(scaling, data):
    return scaling.apply(data, np.ones((*data.shape[:-3], *data.shape[-2:]), dtype=bool))


def test_8_bit_pictures_are_scaled_as_torchvision_scales_them():
    radiometry = make_radiometry(np.arange(90, 150))
    scaling = make_scaling(radiometry, dtype="uint8", mean=(0.485,), std=(0.229,))
    data = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    expected = (data / 255 - 0.485) / 0.229
    assert np.allclose(apply(scaling, data), expected, atol=1e-5)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "int32", "float32", "float64"])
def test_other_types_map_their_quantiles_to_0_and_1(dtype):
    values = np.linspace(1000, 5000, 10001)
    scaling = make_scaling(make_radiometry(values), dtype=dtype, mean=(0.0,), std=(1.0,))
    low, high = np.quantile(values, (0.02, 0.98))
    data = np.array([[[low, high]]]).astype(dtype)
    assert np.allclose(apply(scaling, data), [[[0, 1]]], atol=1e-3)


def test_without_a_type_8_bit_values_map_their_quantiles_too():
    values = np.arange(90, 151)
    scaling = make_scaling(make_radiometry(values), dtype=None, mean=(0.5,), std=(0.25,))
    low, high = np.quantile(values, (0.02, 0.98))
    assert np.allclose(apply(scaling, np.array([[[low, high]]])), [[[-2, 2]]])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_band_that_never_varies_becomes_0_even_if_it_varies_later(dtype):
    scaling = make_scaling(make_radiometry(np.full(9, 7)), dtype=dtype, mean=(0.4,), std=(0.2,))
    assert np.abs(apply(scaling, np.array([[[7, 200, 0]]], dtype=dtype))).max() < 1e-20


def test_a_band_that_varies_in_a_few_pixels_only_keeps_them():
    values = np.r_[np.zeros(1000), 5.0]
    scaling = make_scaling(make_radiometry(values), dtype="float32", mean=(0.0,), std=(1.0,))
    assert np.allclose(apply(scaling, np.array([[[0.0, 5.0]]])), [[[0, 1]]])


def test_invalid_pixels_become_0_whatever_they_hold():
    data = np.array([[[np.nan, np.inf, -np.inf, 1e308, 3.0]]])
    valid = np.array([[False, False, False, False, True]])
    assert Scaling((1.0,), (2.0,)).apply(data, valid).tolist() == [[[0, 0, 0, 0, 1]]]


def test_spikes_are_clipped_far_beyond_ordinary_values():
    assert apply(Scaling((0.0,), (1.0,)), np.array([[[1e9, -1e9, 5.0]]])).tolist() == [
        [[LIMIT, -LIMIT, 5]]
    ]


def test_large_integers_keep_the_difference_of_neighbours():
    data = np.array([[[1_000_000_001, 1_000_000_002]]], dtype=np.int32)
    assert apply(Scaling((1e9,), (1.0,)), data).tolist() == [[[1, 2]]]


def test_batches_and_single_windows_are_scaled_alike():
    data = np.random.default_rng(0).integers(0, 255, (3, 2, 5, 6), dtype=np.uint8)
    scaling = Scaling((10.0, 20.0), (3.0, 4.0))
    assert np.array_equal(apply(scaling, data)[1], apply(scaling, data[1]))
