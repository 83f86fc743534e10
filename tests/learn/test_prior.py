"""An area prior moves what every kind of model says, at places and on maps, for good."""

import numpy as np
import pytest
import torch

from landvisor.card import read_card
from landvisor.errors import RecipeError
from landvisor.geo.legend import legend_from_names
from landvisor.geo.places import make_places
from landvisor.geo.radiometry import measure_radiometry
from landvisor.geo.scene import scene_from_array
from landvisor.learn.job import Job
from landvisor.learn.model_file import load_model, save_model
from landvisor.learn.prior import apply_prior
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
    "fit.batch_size": 2,
    "fit.precision": "fp32",
    "net.encoder": "mobilenetv2_050",
    "net.encoder_weights": "none",
    "predict.window": 64,
    "predict.overlap": 16,
}


@pytest.fixture(autouse=True)
def one_thread():
    """Small tensors only lose by threads, most of all where other tests run beside."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
