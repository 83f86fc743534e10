"""Scenes far from the training imagery are pointed out, and matched where that is asked for."""

import logging

import numpy as np
import pytest

from landvisor.errors import ModelError
from landvisor.geo.collection import as_collection
from landvisor.geo.matching import measure_quantiles
from landvisor.geo.scene import scene_from_array
from landvisor.learn.ensemble import join_models
from landvisor.learn.model import Model
from landvisor.options import Options
from landvisor.predict.adapt import adapt_scenes, find_shift
from landvisor.predict.making import make_maps
from landvisor.predict.stream import classify, predict_scene
from landvisor.recipe import PredictSpec

PLAIN, MATCHED = (PredictSpec(window=64, overlap=16, match_histogram=m) for m in (False, True))


def make_scene(offset=0, *, factor=1.0, name="s", dtype="uint8", seed=0):
    """Draw values of 0 to 6 about, as `Toy` tells apart, with some no data (255)."""
    values = np.random.default_rng(seed).integers(0, 7, (1, 70, 90)) * factor + offset
    data = values.round().astype(dtype)
    data[0, :9, :9] = 255
    return scene_from_array(data, name=name, nodata=255)


@pytest.fixture
def model(make_model):
    """Toy, which knows the values of the plain scene."""
    found = make_model()
    histogram = tuple(map(tuple, measure_quantiles([make_scene()]).tolist()))
    card = found.card.model_copy(update={"histogram": histogram, "dtype": "uint8"})
    return Model(card, found.predictor)


def classes(model, scene, spec):
    (scene,) = adapt_scenes(model, [scene], spec)
    found = predict_scene(model, scene, spec)
    return classify(found.probabilities, found.valid, model.card.legend)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_shifted_scene_gets_the_map_of_the_plain_one(model, dtype):
    plain, shifted = make_scene(), make_scene(40, factor=9, dtype=dtype)
    expected = classes(model, plain, PLAIN)
    assert (classes(model, shifted, MATCHED) == expected).all()
    assert (classes(model, shifted, PLAIN) != expected).mean() > 0.5


def test_the_training_scene_itself_keeps_its_map_when_matched(model):
    scene = make_scene()
    (matched,) = adapt_scenes(model, [scene], MATCHED)
    assert (matched.read().data == scene.read().data).all()
    assert adapt_scenes(model, [scene], PLAIN) == [scene]


def test_far_imagery_is_pointed_out_once_with_what_may_help(model, caplog):
    adapt_scenes(model, [make_scene(), make_scene(100), make_scene(99)], PLAIN)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "the imagery differs much from the training imagery: it is brighter by 33 "
        "standard deviations; if light or sensor are the cause, "
        "--match-histogram may help"
    )


@pytest.mark.parametrize("offset", [0, 1, -1])
def test_near_imagery_is_not_pointed_out(model, caplog, offset):
    scene = make_scene(offset, dtype="int16", seed=3)
    assert adapt_scenes(model, [scene], PLAIN) == [scene]
    assert caplog.records == []


def test_scenes_of_another_type_are_looked_at_by_themselves(model):
    near = [make_scene(), make_scene(seed=1), make_scene(seed=2)]
    assert find_shift(model, near) is None
    assert find_shift(model, [*near, make_scene(900, dtype="uint16")]) is not None


def test_imagery_without_data_and_a_card_without_reference_differ_in_nothing(model, make_model):
    empty = scene_from_array(np.zeros((1, 40, 40), np.uint8), nodata=0)
    assert find_shift(model, [empty]) is None
    assert find_shift(make_model(), [make_scene(100)]) is None


def make(model, scene, *, work, spec):
    return make_maps(model, as_collection(scene), work=work, spec=spec, options=Options())


@pytest.mark.parametrize(("spec", "warnings"), [(PLAIN, 1), (MATCHED, 0)])
def test_maps_come_with_the_warning_unless_matched(model, tmp_path, caplog, spec, warnings):
    make(model, make_scene(100), work=tmp_path, spec=spec)
    said = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(said) == warnings


def test_an_empty_scene_is_mapped_as_no_data_when_matched(model):
    empty = scene_from_array(np.zeros((1, 40, 40), np.uint8), nodata=0)
    assert (classes(model, empty, MATCHED) == 0).all()


def test_a_card_without_a_histogram_cannot_be_matched_to(make_model, tmp_path):
    with pytest.raises(ModelError, match="holds no histogram to match; fit it again"):
        make(make_model(), make_scene(), work=tmp_path, spec=MATCHED)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("update", [{"dtype": "uint16"}, {"histogram": ((7.5,) * 256,)}])
def test_members_of_different_imagery_cannot_be_matched_together(model, update):
    other = Model(model.card.model_copy(update=update), model.predictor)
    adapt_scenes(join_models([model, model]), [make_scene()], MATCHED)
    with pytest.raises(ModelError, match="imagery of different values"):
        adapt_scenes(join_models([model, other]), [make_scene()], MATCHED)


def test_imagery_far_from_what_any_member_knows_is_pointed_out(model):
    histogram = (tuple(np.linspace(100, 107, 256)),)
    other = Model(model.card.model_copy(update={"histogram": histogram}), model.predictor)
    assert find_shift(join_models([model, model]), [make_scene()]) is None
    assert find_shift(join_models([model, other]), [make_scene()]) is not None
