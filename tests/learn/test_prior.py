"""An area prior moves what every kind of model says, at places and on maps, for good."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from landvisor.card import Card, card_classes, read_card
from landvisor.errors import RecipeError
from landvisor.geo.legend import legend_from_names
from landvisor.geo.places import make_places
from landvisor.geo.radiometry import measure_radiometry
from landvisor.geo.scene import scene_from_array
from landvisor.labels.balance import class_weights
from landvisor.learn.job import Job
from landvisor.learn.losses import make_loss
from landvisor.learn.model_file import load_model, save_model
from landvisor.learn.prior import apply_prior, make_adjustment, note_prior
from landvisor.learn.train import make_learner
from landvisor.recipe import Recipe

LEGEND = legend_from_names(["dark", "light", "nowhere"])  # ids 1, 2, 3
AREA = {"dark": 0.9, "light": 0.06, "3": 0.04}
FAST = {
    "instant.trees": 30,
    "instant.min_leaf": 8,
    "instant.sigmas": (1.0,),
    "fit.chip": 64,
    "fit.epochs": 1,
    "fit.steps": 1,
    "fit.average": 0,
    "fit.batch_size": 2,
    "fit.precision": "fp32",
    "net.encoder": "mobilenetv2_050",
    "net.encoder_weights": "none",
    "predict.window": 64,
    "predict.overlap": 16,
}


pytestmark = pytest.mark.usefixtures("one_thread")


def make_job(folder, **values):
    """Two classes that overlap so much that their shares decide many pixels."""
    rng = np.random.default_rng(0)
    means = np.where(np.arange(64) < 32, 110, 140)
    image = rng.normal(means, 30, (3, 64, 64)).clip(0, 255).astype(np.uint8)
    scene = scene_from_array(image, bands=("red", "green", "blue"))
    recipe = Recipe().with_values({**FAST, **values})
    return Job((scene,), LEGEND, measure_radiometry([scene]), recipe, folder)


def draw_places(count=120):
    coords = np.random.default_rng(1).integers(0, 64, (count, 2))
    return make_places(coords.astype(float), np.where(coords[:, 1] < 32, 1, 2))


def fit(job):
    learner = make_learner(job)
    return learner, learner.fit(draw_places(), None, seed=0)


def look(job):
    data, valid = job.scenes[0].read()
    return data[None], valid[None]


@pytest.mark.parametrize("weights", ["none", "inverse"])
@pytest.mark.parametrize("kind", ["forest", "bank", "unet"])
def test_a_prior_multiplies_what_a_model_says_on_maps_and_at_places(tmp_path, kind, weights):
    choices = {"net.model": kind, "labels.class_weights": weights}
    job = make_job(tmp_path / "with", **choices, **{"labels.area_prior": AREA})
    plain_learner, plain = fit(make_job(tmp_path / "without", **choices))
    learner, model = fit(job)

    places = draw_places()
    share = (places.label == 1).mean() if weights == "none" else 0.5
    dark, light, nowhere = model.card.prior_factors
    assert dark == pytest.approx(0.9 / 0.96 / share)
    assert light == pytest.approx(0.06 / 0.96 / (1 - share))
    assert nowhere == 0
    pairs = [
        (plain.predict(*look(job)), model.predict(*look(job)), 1),
        (plain_learner.predict(plain, places), learner.predict(model, places), 1),
    ]
    for before, after, axis in pairs:
        moved = before * np.array([dark, light, 0]).reshape(-1, *[1] * (before.ndim - 2))
        np.testing.assert_allclose(after, moved / moved.sum(axis=axis, keepdims=True), atol=2e-5)
        assert np.allclose(after.sum(axis=axis), 1, atol=1e-5)
        assert after.take(0, axis).mean() > before.take(0, axis).mean() + 0.1


@pytest.mark.parametrize("kind", ["forest", "unet"])
def test_a_saved_model_keeps_its_prior_and_says_so(tmp_path, kind):
    values = {"net.model": kind, "labels.area_prior": AREA}
    job = make_job(tmp_path / "work", **values)
    _, model = fit(job)
    save_model(model, tmp_path / "model.safetensors")
    again = load_model(tmp_path / "model.safetensors")

    np.testing.assert_allclose(again.predict(*look(job)), model.predict(*look(job)), atol=1e-6)
    notes = read_card(tmp_path / "model.safetensors").notes
    assert any("shares of the labelled places" in n and "nowhere" in n for n in notes)


def test_a_model_without_a_prior_is_left_as_it_is(tmp_path):
    job = make_job(tmp_path, **{"net.model": "forest"})
    _, model = fit(job)

    assert model.card.prior_factors == ()
    np.testing.assert_array_equal(model.predict(*look(job)), model.predictor.predict(*look(job)))


def test_a_prior_that_does_not_fit_the_legend_is_refused_before_any_work(tmp_path):
    area = {"dark": 0.5, "light": 0.5}
    with pytest.raises(RecipeError, match="'nowhere'"):
        make_learner(make_job(tmp_path, **{"labels.area_prior": area}, **{"net.model": "forest"}))


def test_probabilities_of_which_nothing_would_be_left_stay():
    told = np.array([[0.0, 0.0, 1.0], [0.5, 0.5, 0.0], [np.nan] * 3], dtype=np.float32)
    moved = apply_prior(told, (3.0, 1.0, 0.0), axis=1)

    np.testing.assert_allclose(moved, [[0, 0, 1], [0.75, 0.25, 0], [np.nan] * 3])
    assert moved.dtype == np.float32


def learn_shares(recipe, places):
    """Train the simplest network, one bias per class, and return what its model says anywhere."""
    ids = LEGEND.ids
    weights = class_weights(places.label, ids, kind=recipe.labels.class_weights, cap=10.0)
    shift = make_adjustment(recipe, LEGEND, places)
    loss = make_loss(
        recipe.fit,
        torch.from_numpy(weights),
        adjustment=None if shift is None else torch.from_numpy(shift),
    )
    labels = torch.from_numpy(LEGEND.to_index(places.label)).long()
    bias = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([bias], max_iter=200, line_search_fn="strong_wolfe")

    def step():
        optimizer.zero_grad()
        found = loss(bias.expand(len(labels), 3), labels, torch.from_numpy(places.weight))
        found.backward()
        return found

    optimizer.step(step)
    card = Card(
        kind="network",
        classes=card_classes(LEGEND),
        bands=("red",),
        dtype="uint8",
        mean=(0.0,),
        std=(1.0,),
        recipe=recipe,
    )
    noted = note_prior(card, places)
    said = torch.softmax(bias, dim=0).detach().numpy()
    return apply_prior(said[None], noted.prior_factors, axis=1)[0], noted


def draw_unequal():
    rng = np.random.default_rng(2)
    label = np.repeat([1, 2], [90, 30])
    places = make_places(rng.uniform(0, 64, (120, 2)), label)
    return replace(places, weight=rng.uniform(0.5, 1, 120).astype(places.weight.dtype))


@pytest.mark.parametrize("weights", ["none", "sqrt_inverse", "inverse"])
@pytest.mark.parametrize("kind", ["none", "prior", "frequency"])
def test_the_prior_acts_once_whether_in_training_or_after(kind, weights):
    values = {"fit.logit_adjustment": kind, "labels.class_weights": weights}
    recipe = Recipe().with_values({**values, "labels.area_prior": AREA})
    said, noted = learn_shares(recipe, draw_unequal())

    np.testing.assert_allclose(said, [0.9 / 0.96, 0.06 / 0.96, 0], atol=1e-4)
    remaining = np.array(noted.prior_factors)
    if kind == "prior":
        assert remaining.tolist() == [1, 1, 0]
    if kind == "frequency":
        np.testing.assert_allclose(remaining[:2] / remaining[0], [1, 0.06 / 0.9])
    assert "nowhere" in noted.notes[0]


@pytest.mark.parametrize("weights", ["none", "sqrt_inverse", "inverse"])
def test_adjusting_by_frequency_makes_classes_alike_whatever_their_weights(weights):
    values = {"fit.logit_adjustment": "frequency", "labels.class_weights": weights}
    said, noted = learn_shares(Recipe().with_values(values), draw_unequal())

    assert said[0] == pytest.approx(said[1], rel=1e-3)
    assert said[2] < 1e-3  # nothing was learned of it, and training pushed it down
    assert noted.prior_factors == ()


def test_a_class_that_covers_nothing_is_never_predicted_after_an_adjustment():
    area = {"dark": 0.0, "light": 0.9, "3": 0.1}
    values = {"fit.logit_adjustment": "prior", "labels.area_prior": area}
    said, _ = learn_shares(Recipe().with_values(values), draw_unequal())

    np.testing.assert_allclose(said, [0, 1, 0])


def test_a_network_is_trained_with_the_adjustment_of_its_recipe(tmp_path):
    values = {"net.model": "unet", "labels.area_prior": AREA, "fit.precision": "fp32"}
    _, plain = fit(make_job(tmp_path / "a", **values))
    _, adjusted = fit(make_job(tmp_path / "b", **values, **{"fit.logit_adjustment": "prior"}))

    assert adjusted.card.prior_factors == (1.0, 1.0, 0.0)
    assert any("training adjusted" in note for note in adjusted.card.notes)
    before, after = (model.card.training["history"]["loss"] for model in (plain, adjusted))
    assert after[0] != pytest.approx(before[0], rel=0.01)


def test_an_adjustment_to_shares_that_nobody_gave_is_refused_before_any_work(tmp_path):
    with pytest.raises(RecipeError, match=r"logit_adjustment 'prior'.*area_prior"):
        make_learner(make_job(tmp_path, **{"fit.logit_adjustment": "prior", "net.model": "unet"}))
