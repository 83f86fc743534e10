from dataclasses import replace

import numpy as np
import pytest

from landvisor.errors import RecipeError
from landvisor.geo.legend import legend_from_ids
from landvisor.geo.places import make_places
from landvisor.geo.radiometry import measure_radiometry
from landvisor.geo.scene import scene_from_array
from landvisor.learn.job import Job
from landvisor.learn.model_file import load_model, save_model
from landvisor.learn.pair import PairLearner
from landvisor.learn.stacking import fit_weights
from landvisor.learn.train import make_learner
from landvisor.recipe import Recipe

LEGEND = legend_from_ids((3, 7))


@pytest.fixture
def job(tmp_path):
    generator = np.random.default_rng(0)
    image = np.full((3, 64, 64), 60.0)
    image[:, :, 32:] = 180
    data = (image + generator.normal(0, 40, image.shape)).clip(0, 255).astype(np.uint8)
    scene = scene_from_array(data, bands=("red", "green", "blue"))
    values = {
        "net.model": "fpn", "net.encoder": "mobilenetv2_050", "net.encoder_weights": "none",
        "net.partner": "instant", "instant.trees": 10, "instant.sigmas": [1.0],
        "fit.epochs": 2, "fit.steps": 2, "fit.batch_size": 2, "fit.chip": 64,
        "fit.precision": "fp32", "predict.window": 64, "predict.overlap": 16,
    }  # fmt: skip
    recipe = Recipe().with_values(values)
    return Job((scene,), LEGEND, measure_radiometry((scene,)), recipe, tmp_path)


def draw_places(count, seed):
    coords = np.random.default_rng(seed).uniform(0, 63, (count, 2))
    return make_places(coords, np.where(coords[:, 1] < 31.5, 3, 7))


def test_a_pair_says_the_weighted_mean_of_its_members(job):
    learner = make_learner(job)
    assert isinstance(learner, PairLearner)
    val = draw_places(20, 1)
    model = learner.fit(draw_places(40, 0), val, seed=0)
    network, instant = model.predictor.members
    first, second = model.predictor.weights
    assert (network.card.kind, instant.card.recipe.net.model) == ("network", "bank")
    data, valid = (part[None] for part in job.scenes[0].read())
    expected = first * network.predict(data, valid) + second * instant.predict(data, valid)
    assert np.allclose(model.predict(data, valid), expected, atol=1e-6)
    whole = make_places(val.pixels().astype(float), val.label)
    row, col = whole.pixels().T
    assert np.allclose(learner.predict(model, whole), expected[0][:, row, col].T, atol=1e-4)
    assert set(model.card.validation) == {"n", "epoch", "mean_iou", "mean_f1", "oa"}
    assert model.card.training["places"] == 40
    assert set(model.card.training["history"]) == {"loss", "mean_iou", "mean_f1", "oa"}
    np.testing.assert_allclose(
        np.tensordot((first, second), learner.ask(model, val), axes=1),
        learner.predict(model, val), atol=1e-6,
    )  # fmt: skip


def test_a_temperature_is_fitted_where_validation_suffices(job, tmp_path):
    learner = make_learner(job)
    assert learner.fit(draw_places(40, 0), draw_places(20, 1), seed=0).card.temperature == 1
    model = learner.fit(draw_places(60, 0), draw_places(200, 1), seed=0)
    assert model.card.temperature != 1
    network, instant = model.predictor.members
    assert 1 not in (network.card.temperature, instant.card.temperature) or (
        instant.card.temperature == 1  # it learned from validation, too
    )
    save_model(model, tmp_path / "m.safetensors")
    assert load_model(tmp_path / "m.safetensors").card.temperature == model.card.temperature


def test_weights_come_from_validation_that_neither_has_seen(job):
    train, val = draw_places(40, 0), draw_places(20, 1)
    learner = PairLearner(job)
    model = learner.fit(train, val, seed=0)
    network = model.predictor.members[0]
    alone = learner._network.instant.fit(train, None, seed=0)
    own = LEGEND.to_index(val.label)
    told = np.stack(
        [learner._network.predict(network, val), learner._network.instant.predict(alone, val)]
    )
    expected = fit_weights(told[:, np.arange(20), own], val.weight)
    assert model.predictor.weights == pytest.approx(expected)


def test_a_refit_comes_after_the_weights(job):
    train, val = draw_places(40, 0), draw_places(20, 1)
    learner = PairLearner(replace(job, recipe=job.recipe.with_values({"fit.refit": True})))
    model = learner.fit(train, val, seed=0)
    network = learner._network  # what it trained is read back, not trained again
    members = [
        network.choose(train, val, seed=0).model,
        network.instant.fit(train, None, seed=0),
    ]
    told = learner._ask(members, val)[:, np.arange(20), LEGEND.to_index(val.label)]
    assert model.predictor.weights == pytest.approx(fit_weights(told, val.weight))
    assert model.card.training["places"] == 60
    again = network.fit(train, val, seed=0).predictor.tensors()
    member = model.predictor.members[0].predictor.tensors()
    assert all(np.array_equal(again[key], member[key]) for key in again)


def test_without_validation_both_count_alike(job):
    model = make_learner(job).fit(draw_places(30, 0), None, seed=0)
    assert model.predictor.weights == (0.5, 0.5)


def test_a_pair_is_one_file(job, tmp_path):
    model = make_learner(job).fit(draw_places(30, 0), draw_places(9, 1), seed=0)
    save_model(model, tmp_path / "pair.safetensors")
    again = load_model(tmp_path / "pair.safetensors")
    data, valid = (part[None] for part in job.scenes[0].read())
    assert np.array_equal(again.predict(data, valid), model.predict(data, valid))


@pytest.mark.parametrize("model", ["instant", "forest"])
def test_only_a_network_has_a_partner(model):
    with pytest.raises(RecipeError, match="is no network"):
        Recipe().with_values({"net.model": model, "net.partner": "instant"})
