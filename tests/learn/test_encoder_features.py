import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landvisor.learn.encoder_features import FeatureMap, FrozenEncoder
from landvisor.learn.pixel_features import FeatureReader, WindowFeatures
from landvisor.learn.scaling import Scaling


class Pools(nn.Module):
    """Means over squares of 1, 2 and 8 pixels, so what a feature must be is known."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, image):
        return [F.avg_pool2d(image, stride) * self.scale for stride in (1, 2, 8)]


def make_encoder(zooms):
    return FrozenEncoder(Pools(), (1, 2, 8), (2, 2, 2), Scaling((0.0, 0.0), (1.0, 1.0)), zooms)


def draw_coordinates(rows, cols):
    """An image whose values are its rows and columns, within the encoder's limits."""
    grid = np.mgrid[:rows, :cols].astype(np.float32) / 32
    return grid, np.ones((rows, cols), dtype=bool)


@pytest.mark.parametrize("zoom", [1, 2, 3, 4])
@pytest.mark.parametrize("shape", [(64, 96), (41, 50)])
def test_features_at_whole_pixels_equal_the_dense_map(zoom, shape):
    data, valid = draw_coordinates(*shape)
    data += np.random.default_rng(0).normal(size=data.shape).astype(np.float32)
    features = FeatureReader((1.0,), make_encoder((zoom,))).describe(data, valid)
    dense = np.concatenate(list(features.strips()))
    places = np.argwhere(valid).astype(float)
    np.testing.assert_allclose(features.sample(places), dense, atol=1e-4)
    assert dense.shape == (valid.size, features.count)


@pytest.mark.parametrize("zoom", [1, 2])
def test_a_map_of_coordinates_is_read_at_the_very_place(zoom):
    data, valid = draw_coordinates(64, 64)
    places = np.random.default_rng(1).uniform(8, 55, (50, 2))
    for found in make_encoder((zoom,)).encode(data, valid):
        np.testing.assert_allclose(found.sample(places) * 32, places, atol=1e-3)


def test_places_beyond_the_last_centres_are_clamped():
    values = torch.arange(4.0).reshape(1, 1, 2, 2)
    outside = np.array([[-0.5, -0.5], [7.4, 7.4]])
    np.testing.assert_allclose(FeatureMap(values, 4.0).sample(outside)[:, 0], [0, 3], atol=1e-6)


def test_strips_do_not_change_the_features(monkeypatch):
    data, valid = draw_coordinates(40, 33)
    features = FeatureReader((1.0,), make_encoder((1, 2))).describe(data, valid)
    whole = np.concatenate(list(features.strips()))
    monkeypatch.setattr("landvisor.learn.pixel_features.STRIP_BYTES", 4 * 33 * features.count * 3)
    strips = list(features.strips())
    assert len(strips) == 14
    np.testing.assert_array_equal(np.concatenate(strips), whole)


def test_every_feature_has_its_own_name():
    data, valid = draw_coordinates(32, 32)
    reader = FeatureReader((1.0, 2.0), make_encoder((1, 2)))
    names = reader.names(("a", "b"))
    assert len(set(names)) == len(names) == reader.describe(data, valid).count


def test_without_an_encoder_the_bank_is_all():
    bank = np.random.default_rng(2).normal(size=(5, 6, 7)).astype(np.float32)
    (rows,) = WindowFeatures(bank).strips()
    np.testing.assert_array_equal(rows.reshape(6, 7, 5), np.moveaxis(bank, 0, -1))
