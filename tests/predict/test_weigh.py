"""Members of an ensemble are asked at places, and weighed by what they say there."""

import inspect
import logging

import numpy as np
import pytest

import landvisor.predict
from landvisor import workflow
from landvisor.errors import ModelError, PointsError
from landvisor.geo.legend import legend_from_ids
from landvisor.geo.places import make_places
from landvisor.geo.points import places_to_points
from landvisor.geo.scene import scene_from_array
from landvisor.learn.ensemble import join_models
from landvisor.predict.weigh import weigh_members
from landvisor.recipe import PredictSpec

SPEC = PredictSpec(window=64, overlap=16)


def make_scene(seed):
    values = np.random.default_rng(seed).integers(0, 7, (1, 90, 70)).astype(np.float32)
    return scene_from_array(values, name=f"scene {seed}")


def draw_points(scenes, ids=(1, 2, 3)):
    """Label 40 places of each scene by the nearest of 0, 3 and 6, as `Toy` does."""
    parts, labels = [], []
    for position, scene in enumerate(scenes):
        coords = np.random.default_rng(position).choice(90 * 70, 40, replace=False)
        rows, cols = coords // 70, coords % 70
        parts.append(np.column_stack([np.full(40, position), rows, cols]))
        labels.append(np.rint(scene.read().data[0][rows, cols] / 3).astype(int))
    found, label = np.concatenate(parts), np.array(ids)[np.concatenate(labels)]
    places = make_places(found[:, 1:], label, scene=found[:, 0])
    return places_to_points(places, scenes, legend_from_ids(list(ids)))


@pytest.fixture
def scenes():
    return [make_scene(0), make_scene(1)]


def test_a_member_that_knows_outweighs_one_that_does_not(make_model, make_constant, scenes, caplog):
    caplog.set_level(logging.INFO, logger="landvisor")
    knows, guesses = make_model(), make_model(make_constant(0.4, 0.3, 0.3))
    both = join_models([guesses, knows], names=["guesses", "knows"])
    weighed = weigh_members(both, scenes, draw_points(scenes), spec=SPEC)
    assert weighed.predictor.weights == pytest.approx((0.01, 0.99))
    assert weighed.predictor.members == both.predictor.members
    assert [m["weight"] for m in weighed.card.extra["members"]] == [*weighed.predictor.weights]
    assert "weights, fitted at 80 places: guesses 0.01, knows 0.99" in caplog.text


def test_places_are_asked_where_they_lie(make_model, make_constant, scenes):
    """The weight is that worked out from the values under the places."""
    centres = np.array([0.0, 3.0, 6.0])
    points = draw_points(scenes)
    both = join_models([make_model(), make_model(make_constant(0.9, 0.05, 0.05))])
    first, _ = weigh_members(both, scenes, points, spec=SPEC).predictor.weights
    frame, likely = points.frame, []
    columns = ("scene", "row", "col", "class_id")
    for name, row, col, label in zip(*(frame[column] for column in columns), strict=True):
        value = next(s for s in scenes if s.name == name).read().data[0][int(row), int(col)]
        powers = np.exp(-np.abs(value - centres))
        likely.append((powers[label - 1] / powers.sum(), (0.9, 0.05, 0.05)[label - 1]))
    shares = np.linspace(0.01, 0.99, 981)[:, None]
    ours, theirs = np.array(likely).T
    score = np.log(shares * ours + (1 - shares) * theirs).sum(axis=1)
    assert first == pytest.approx(shares[score.argmax(), 0], abs=2e-3)


def test_one_model_has_nothing_to_weigh(make_model, scenes):
    with pytest.raises(ModelError, match="give a second one"):
        weigh_members(make_model(), scenes, draw_points(scenes), spec=SPEC)


def test_classes_that_the_members_lack_are_refused(make_model, scenes):
    both = join_models([make_model(), make_model()])
    with pytest.raises(PointsError, match="80 places for weights have a class that the models"):
        weigh_members(both, scenes, draw_points(scenes, ids=(1, 2, 9)), spec=SPEC)


def test_the_package_is_called_with_what_the_verb_takes():
    package = dict(inspect.signature(landvisor.predict.__class__.__call__).parameters)
    del package["self"]
    assert package == dict(inspect.signature(workflow.predict).parameters)
