"""Classes that a window holds more of than the places had are favoured there."""

from types import SimpleNamespace

import numpy as np
import pytest

from landvisor.card import Card, card_classes
from landvisor.geo.legend import legend_from_names
from landvisor.geo.places import make_places
from landvisor.geo.scene import scene_from_array
from landvisor.learn.ensemble import join_models
from landvisor.learn.local_prior import favour_frequent, find_shares
from landvisor.learn.model import Model
from landvisor.learn.prior import note_prior
from landvisor.predict.stream import predict_scene
from landvisor.recipe import PredictSpec, Recipe

LEGEND = legend_from_names(["land", "water"])
SPEC = PredictSpec(window=32, overlap=0, batch_size=2, local_prior=0.5)


class Reads:
    """Says that band values are percentages of land."""

    def predict(self, data, valid):
        land = data[:, 0].astype(np.float32) / 100
        return np.stack([land, 1 - land], axis=1)

    def tensors(self):
        return {}


def make_model(shares=(0.5, 0.5), predictor=None):
    card = Card(
        kind="network", classes=card_classes(LEGEND), bands=("a",), dtype="uint8", mean=(0,),
        std=(1,), recipe=Recipe(), shares=shares,
    )  # fmt: skip
    return Model(card, predictor or Reads())


@pytest.fixture
def scene():
    """Two windows: one of sure water with a doubtful pixel, one with nothing but doubt."""
    data = np.full((1, 32, 64), 10, dtype=np.uint8)
    data[0, 5, 5] = 55
    data[0, :, 32:] = 55
    return scene_from_array(data, bands=("a",))


def test_by_hand():
    told = np.array([[0.6, 0.2], [0.4, 0.8]])
    here = np.array([[0.1], [0.9]])
    found = favour_frequent(told, here, shares=(0.5, 0.5), strength=1)
    lifted = told * ((here + 1e-4) / 0.5)
    assert found == pytest.approx(lifted / lifted.sum(axis=0))
    half = favour_frequent(told, here, shares=(0.25, 0.75), strength=0.5)
    lifted = told * np.sqrt((here + 1e-4) / np.array([[0.25], [0.75]]))
    assert half == pytest.approx(lifted / lifted.sum(axis=0))


def test_no_strength_and_unknown_shares_change_nothing():
    told = np.random.default_rng(0).dirichlet((1, 1), 9).T.astype(np.float32)
    here = told.mean(axis=1, keepdims=True)
    assert np.array_equal(favour_frequent(told, here, shares=(0.9, 0.1), strength=0), told)
    assert np.array_equal(favour_frequent(told, here, shares=(), strength=1), told)


def test_shares_as_presumed_change_nothing():
    told = np.random.default_rng(0).dirichlet((1, 1), 9).T
    here = np.array([[0.3], [0.7]])
    found = favour_frequent(told, here, shares=(0.3, 0.7), strength=1)
    assert found == pytest.approx(told, abs=1e-3)


def test_a_doubtful_pixel_follows_its_window(scene):
    plain = predict_scene(make_model(()), scene, SPEC).probabilities.argmax(axis=0) + 1
    told = predict_scene(make_model(), scene, SPEC).probabilities.argmax(axis=0) + 1
    assert plain[5, 5] == 1
    assert told[5, 5] == 2
    assert (plain[:, 32:] == told[:, 32:]).all()
    assert (told[:, 32:] == 1).all()


def test_places_are_told_what_the_map_uses(scene):
    places = make_places(np.array([[3, 3], [20, 50]]), np.array([2, 1]))
    found = find_shares(make_model(), [scene], places, SPEC)
    expected = [0.1 + 0.45 / 1024, 0.55]
    assert found[:, 0] == pytest.approx(expected, abs=1e-6)
    assert found.sum(axis=1) == pytest.approx(1)


def test_no_data_is_no_surrounding():
    data = np.full((1, 32, 32), 90, dtype=np.uint8)
    data[0, :, :16] = 10
    data[0, :8, :16] = 0
    scene = scene_from_array(data, bands=("a",), nodata=0)
    places = make_places(np.array([[3.0, 20.0]]), np.array([1]))
    found = find_shares(make_model(), [scene], places, SPEC)
    assert found[0, 0] == pytest.approx((24 * 16 * 0.1 + 32 * 16 * 0.9) / (56 * 16), abs=1e-6)


def test_a_card_presumes_weighted_shares_of_the_places():
    places = make_places(np.zeros((10, 2)), np.array([1] * 8 + [2] * 2))
    bare = make_model(()).card
    plain = Recipe().with_values({"labels.class_weights": "none"})
    assert note_prior(bare.model_copy(update={"recipe": plain}), places).shares == (0.8, 0.2)
    inverse = Recipe().with_values({"labels.class_weights": "inverse"})
    found = note_prior(bare.model_copy(update={"recipe": inverse}), places).shares
    assert found == pytest.approx((0.5, 0.5))
    equal = plain.with_values({"fit.logit_adjustment": "frequency"})
    assert note_prior(bare.model_copy(update={"recipe": equal}), places).shares == (0.5, 0.5)
    area = plain.with_values({"labels.area_prior": {"land": 0.1, "water": 0.9}})
    assert note_prior(bare.model_copy(update={"recipe": area}), places).shares == (0.1, 0.9)


def test_an_ensemble_presumes_the_mean_and_nothing_if_one_member_does_not_know():
    models = [make_model((0.2, 0.8)), make_model((0.6, 0.4))]
    assert join_models(models, weights=(3, 1)).card.shares == pytest.approx((0.3, 0.7))
    old = make_model((), SimpleNamespace(tensors=dict))
    assert join_models([*models, old]).card.shares == ()
