"""Matched values have the reference's distribution, exactly where values can be counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.exposure import match_histograms

from landvisor.errors import SceneError
from landvisor.geo.histogram import (
    Transfer,
    count_values,
    match_histogram,
    quantiles_of_counts,
    settle,
)

SMALL = ["uint8", "int8", "uint16", "int16"]
TYPES = [*SMALL, "int32", "float32", "float64"]
SHARES = np.linspace(0, 1, 256)


def make_pair(dtype, *, bands=3, seed=0):
    """Draw an image and a darker, flatter reference of another size."""
    generator = np.random.default_rng(seed)
    scale = 0.4 if dtype == "int8" else 1 if np.dtype(dtype).itemsize == 1 else 37
    image = np.clip(generator.normal(100, 40, (bands, 41, 37)), 0, 255) * scale
    reference = np.clip(generator.normal(60, 20, (bands, 30, 53)), 0, 255) * scale
    return image.astype(dtype), reference.astype(dtype)


@given(
    hnp.arrays(st.sampled_from(SMALL), hnp.array_shapes(min_dims=2, max_dims=2, max_side=13)),
    st.data(),
)
def test_counts_are_those_of_every_valid_value(band, data):
    valid = data.draw(st.none() | hnp.arrays(bool, band.shape))
    low = np.iinfo(band.dtype).min
    counts = count_values(band, valid)
    values = (band if valid is None else band[valid]).astype(int).ravel()
    assert (counts == np.bincount(values - low, minlength=len(counts))).all()


def test_a_part_of_an_array_is_counted_as_it_is():
    band = np.random.default_rng(0).integers(0, 256, (50, 70), dtype=np.uint8)
    part = band[3:40:2, 5::3]
    assert (count_values(part, None) == np.bincount(part.ravel(), minlength=256)).all()


@given(
    st.lists(st.integers(-128, 127), min_size=1, max_size=80),
)
def test_quantiles_of_counts_are_those_of_the_values(values):
    band = np.array(values, np.int8)
    found = quantiles_of_counts(count_values(band, None), -128, SHARES)
    assert found == pytest.approx(np.quantile(band.astype(float), SHARES), abs=1e-9)


@pytest.mark.parametrize("dtype", TYPES)
def test_an_image_matched_to_an_image_is_what_scikit_image_makes_of_it(dtype):
    image, reference = make_pair(dtype)
    found = match_histogram(image, reference)
    assert found.dtype == image.dtype
    for band in range(3):
        expected = match_histograms(image[band], reference[band])  # float, not yet cut off
        assert (found[band] == settle(expected.astype(float), image.dtype)).all()
    cut_off = match_histograms(image, reference, channel_axis=0)
    assert np.abs(found.astype(float) - cut_off).max() <= (1 if image.dtype.kind in "ui" else 0)


FINITE = {"allow_nan": False, "allow_infinity": False}


@given(hnp.arrays(st.sampled_from(TYPES), st.tuples(*[st.integers(1, 9)] * 3), elements=FINITE))
def test_an_image_matched_to_itself_does_not_change(image):
    assert (match_histogram(image, image) == image).all()


@pytest.mark.parametrize("dtype", TYPES)
def test_a_scale_and_an_offset_are_undone(dtype):
    reference = make_pair(dtype, bands=1)[1]
    image = reference // 2 + 3 if np.dtype(dtype).kind in "ui" else reference * 0.5 + 3
    found = match_histogram(image.astype(dtype), reference).astype(float)
    assert np.abs(found - reference).max() <= 1e-3 + (np.dtype(dtype).kind in "ui")


def test_pixels_without_data_neither_count_nor_move():
    image, reference = make_pair("uint8")
    valid, known = np.ones(image.shape[1:], bool), np.ones(reference.shape[1:], bool)
    valid[:20], known[:, :30] = False, False
    expected = match_histogram(image[:, 20:], reference[:, :, 30:])
    found = match_histogram(image, reference, valid=valid, reference_valid=known)
    assert (found[:, 20:] == expected).all()
    assert (found[:, :20] == image[:, :20]).all()


def test_nan_is_no_data():
    image, reference = make_pair("float32")
    image[0, :5], reference[1, 7] = np.nan, np.nan
    found = match_histogram(image, reference)
    assert (np.isnan(found) == np.isnan(image)).all()
    rows = np.r_[:7, 8:30]
    assert (found[:, 5:] == match_histogram(image[:, 5:], reference[:, rows])).all()


def test_the_result_has_the_type_of_the_reference():
    image = make_pair("uint16", bands=1)[0]
    reference = make_pair("float32", bands=1)[1] / 10_000
    valid = image[0] > 3000
    found = match_histogram(image, reference, valid=valid)
    assert found.dtype == np.float32
    assert np.median(found[0][valid]) == pytest.approx(np.median(reference), rel=0.02)
    assert (found[0][~valid] == 0).all()


def test_one_band_alone_may_come_without_an_axis():
    image, reference = make_pair("uint8")
    expected = match_histogram(image[:1], reference[:1])
    assert (match_histogram(image[0], reference[0]) == expected[0]).all()


def test_values_beyond_what_was_seen_move_as_far_as_the_last():
    transfer = Transfer(np.array([1.0, 3.0]), np.array([10.0, 30.0]))
    found = transfer.apply(np.array([0.0, 1, 2, 3, 4, np.inf]), dtype=np.dtype("float64"))
    assert found.tolist() == [9, 10, 20, 30, 31, np.inf]
    assert transfer.apply(np.array([2.06, 900]), dtype=np.dtype("uint8")).tolist() == [21, 255]


def test_other_numbers_of_bands_are_refused():
    image, reference = make_pair("uint8")
    with pytest.raises(SceneError, match="3 bands was given with a reference of 2"):
        match_histogram(image, reference[:2])


@pytest.mark.parametrize("valid", [np.zeros((41, 37), bool), np.ones((4, 4), bool)])
def test_an_image_without_valid_pixels_or_with_those_of_another_is_refused(valid):
    image, reference = make_pair("uint8")
    with pytest.raises(SceneError, match="valid pixels of shape"):
        match_histogram(image, reference, valid=valid)
