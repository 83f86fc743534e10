"""A class with a model of its own: P = [p, (1 - p)·q], in one file."""

from dataclasses import replace

import numpy as np
import pytest

from landvisor.errors import ModelError, PointsError, RecipeError
from landvisor.geo.legend import LandClass, Legend
from landvisor.geo.places import make_places
from landvisor.geo.radiometry import measure_radiometry
from landvisor.geo.scene import scene_from_array
from landvisor.learn.engine_parts import has_trees, list_parts
from landvisor.learn.ensemble import join_models
from landvisor.learn.job import Job
from landvisor.learn.local_prior import favour_frequent
from landvisor.learn.model_file import load_model, save_model
from landvisor.learn.separate import join_told
from landvisor.learn.separate_fit import SeparateLearner, split_legend
from landvisor.learn.train import make_learner
from landvisor.predict.export_graph import find_networks
from landvisor.recipe import Recipe

pytestmark = pytest.mark.usefixtures("one_thread")

LEGEND = Legend(
    (
        LandClass(2, "sand", "#e6d3a3"),
        LandClass(4, "sky", "#000000"),
        LandClass(6, "cloud", "#ffffff", ignore=True),
        LandClass(7, "rock", "#8d8d8d"),
        LandClass(9, "soil", "#a67c52"),
    )
)
ACTIVE = (2, 4, 7, 9)  # in four stripes of 16 columns


@pytest.fixture
def job(tmp_path):
    stripes = np.repeat([40.0, 90.0, 150.0, 210.0], 16)
    image = np.broadcast_to(stripes, (3, 64, 64)) + np.random.default_rng(0).normal(
        0, 12, (3, 64, 64)
    )
    scene = scene_from_array(image.clip(0, 255).astype(np.uint8), bands=("red", "green", "blue"))
    values = {
        "net.model": "plain_unet", "net.widths": [8, 8, 8], "net.separate": "sky",
        "net.partner": "none", "teacher.source": "none", "fit.members": 1,
        "fit.epochs": 2, "fit.steps": 3, "fit.batch_size": 1, "fit.chip": 64,
        "fit.precision": "fp32", "predict.window": 64, "predict.overlap": 16,
    }  # fmt: skip
    recipe = Recipe().with_values(values)
    return Job((scene,), LEGEND, measure_radiometry((scene,)), recipe, tmp_path)


def with_values(job, **values):
    return replace(job, recipe=job.recipe.with_values(values))


def draw_places(count, seed, classes=ACTIVE):
    coords = np.random.default_rng(seed).integers(0, 64, (count, 2)).astype(float)
    label = np.asarray(ACTIVE)[(coords[:, 1] // 16).astype(int)]
    keep = np.isin(label, classes)
    return make_places(coords[keep], label[keep])


def read(job):
    return (part[None] for part in job.scenes[0].read())


def test_what_two_say_is_joined_in_the_order_of_the_legend():
    own, others = np.array([[0.2, 0.8], [1.0, 0.0]]), np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    joined = join_told(own, others, position=1, axis=1)
    assert np.allclose(joined, [[0.4, 0.2, 0.24, 0.16], [0, 1, 0, 0]])
    assert np.allclose(join_told(own, others, position=0, axis=1)[0], [0.2, 0.4, 0.24, 0.16])
    assert np.allclose(join_told(own, others, position=3, axis=1)[0], [0.4, 0.24, 0.16, 0.2])


@pytest.mark.parametrize("model", ["plain_unet", "forest"])
def test_two_models_share_the_classes(job, model):
    if model == "forest":
        fresh = {"net.model": "forest", "instant.trees": 10, "fit.members": 1}
        job = replace(job, recipe=Recipe().with_values({**fresh, "net.separate": "Sky "}))
    learner = make_learner(job)
    assert isinstance(learner, SeparateLearner)
    train, val = draw_places(60, 0), draw_places(30, 1)
    made = learner.fit(train, val, seed=0)
    first, second = made.predictor.members
    assert first.card.legend.names == ("sky", "not sky")
    assert second.card.legend.names == ("sand", "rock", "soil")
    assert made.card.legend.ids == ACTIVE
    told, own, rest = (m.predict(*read(job)) for m in (made, first, second))
    assert np.allclose(told.sum(axis=1), 1, atol=1e-5)
    assert np.allclose(told[:, 1], own[:, 0], atol=1e-6)
    assert np.allclose(told[:, [0, 2, 3]], own[:, 1:] * rest, atol=1e-6)
    row, col = val.pixels().T
    assert np.allclose(learner.predict(made, val), told[0][:, row, col].T, atol=1e-4)
    right = np.asarray(ACTIVE)[learner.predict(made, val).argmax(axis=1)] == val.label
    assert made.card.validation["oa"] == pytest.approx(right.mean())
    assert made.card.training["places"] == len(train)
    assert sum(made.card.training["places_per_class"].values()) == len(train)
    # a forest separates stripes of one colour; the network has hardly begun
    assert model != "forest" or right.mean() > 0.8


def test_shares_of_the_places_are_shared_out_too(job):
    model = make_learner(with_values(job, **{"labels.class_weights": "none"})).fit(
        draw_places(80, 0), None, seed=0
    )
    counts = [(draw_places(80, 0).label == number).mean() for number in ACTIVE]
    assert model.card.shares == pytest.approx(counts)
    told = model.predict(*read(job))[0]
    here = told.mean(axis=(1, 2), keepdims=True)
    favoured = favour_frequent(told, here, shares=model.card.shares, strength=0.5)
    assert not np.allclose(favoured, told)


def test_both_models_are_one_file_and_a_member_of_others(job, tmp_path):
    model = make_learner(job).fit(draw_places(60, 0), draw_places(20, 1), seed=0)
    save_model(model, tmp_path / "model.safetensors")
    again = load_model(tmp_path / "model.safetensors")
    assert again.card == model.card
    assert np.array_equal(again.predict(*read(job)), model.predict(*read(job)))
    pair = join_models([model, again])
    save_model(pair, tmp_path / "pair.safetensors")
    both = load_model(tmp_path / "pair.safetensors")
    assert np.allclose(both.predict(*read(job)), model.predict(*read(job)), atol=1e-6)
    assert [part.name for part in list_parts(both)] == [
        "0.0.network", "0.1.network", "1.0.network", "1.1.network",
    ]  # fmt: skip
    assert not has_trees(both)
    for told in (model, both):
        with pytest.raises(ModelError, match=r"net\.separate\), which is not exported yet"):
            find_networks(told)


def test_a_class_that_cannot_be_separated_is_said(job):
    for name, said in (("skyy", "nearest one is 'sky'"), ("cloud", "no class that is learned")):
        with pytest.raises(RecipeError, match=said):
            make_learner(with_values(job, **{"net.separate": name}))
    two = Legend(LEGEND.classes[:2])
    with pytest.raises(RecipeError, match="2 classes, which one model tells apart already"):
        make_learner(replace(job, legend=two))
    area = {"sand": 0.5, "sky": 0.2, "rock": 0.2, "soil": 0.1}
    with pytest.raises(RecipeError, match=r"labels\.area_prior"):
        make_learner(with_values(job, **{"labels.area_prior": area}))


@pytest.mark.parametrize(("classes", "said"), [((4,), "all other classes 0"), ((2, 7), "has 0")])
def test_both_models_need_places(job, classes, said):
    with pytest.raises(PointsError, match=said):
        make_learner(job).fit(draw_places(60, 0, classes), None, seed=0)


def test_validation_without_the_class_still_chooses_the_others(job):
    model = make_learner(job).fit(draw_places(60, 0), draw_places(20, 1, (4,)), seed=0)
    first, second = model.predictor.members
    assert "mean_iou" in first.card.validation
    assert "mean_iou" not in second.card.validation


def test_the_first_legend_needs_no_new_id():
    first, second = split_legend(LEGEND, LEGEND.find("sky"))
    assert (first.ids, second.ids) == ((4, 2), (2, 7, 9))
