import numpy as np
import pytest

from landvisor.accuracy.temperature import apply_temperature
from landvisor.geo.coding import encode_map
from landvisor.geo.tiling import Window
from landvisor.predict.stream import MapRows
from landvisor.predict.temper import temper_rows

IDS = (1, 2, 5, 9)


def rows(seed=0, *, near=0.0):
    generator = np.random.default_rng(seed)
    shares = generator.dirichlet(np.full(4, 0.4), (40, 50))
    if near:  # all classes within a hair of each other
        shares = 0.25 + near * generator.normal(size=shares.shape)
    valid = generator.random((40, 50)) > 0.1
    planes = np.ascontiguousarray(np.moveaxis(shares, -1, 0)).astype(np.float32)
    return MapRows(Window(0, 0, 40, 50), planes, valid)


def classes_of(part):
    return encode_map(part.probabilities, part.valid, ids=IDS, nodata=0, window=part.window)[0]


@pytest.mark.parametrize("heat", [0.3, 1.0, 1.4, 5.0])
def test_rows_are_what_the_formula_says(heat):
    before = rows().copy()
    (after,) = temper_rows([rows()], heat)
    expected = apply_temperature(before.probabilities, heat, axis=0)
    known = before.valid
    np.testing.assert_allclose(after.probabilities[:, known], expected[:, known], atol=3e-6)
    np.testing.assert_array_equal(after.probabilities[:, ~known], before.probabilities[:, ~known])


@pytest.mark.parametrize("heat", [0.3, 0.99, 1.01, 2.0, 5.0])
@pytest.mark.parametrize("near", [0.0, 1e-4, 1e-7, 3e-8])
def test_no_pixel_gets_another_class(heat, near):
    for seed in range(3):
        before = classes_of(rows(seed, near=near))
        (after,) = temper_rows([rows(seed, near=near)], heat)
        np.testing.assert_array_equal(classes_of(after), before)


def test_pixels_without_any_share_stay_as_they_are():
    part = MapRows(Window(0, 0, 1, 2), np.zeros((2, 1, 2), np.float32), np.ones((1, 2), bool))
    (after,) = temper_rows([part], 2.0)
    assert not after.probabilities.any()
