"""Models that go together are one model, which says the weighted mean of what they say."""

import numpy as np
import pytest
import torch

from landvisor.card import read_card
from landvisor.errors import ModelError
from landvisor.geo.legend import legend_from_names
from landvisor.geo.places import make_places
from landvisor.geo.radiometry import measure_radiometry
from landvisor.geo.scene import scene_from_array
from landvisor.learn.ensemble import Ensemble, hash_tensors, join_models, list_members
from landvisor.learn.job import Job
from landvisor.learn.model import Model
from landvisor.learn.model_file import load_model, load_models, save_model
from landvisor.learn.train import make_learner
from landvisor.recipe import Recipe

LEGEND = legend_from_names(["dark", "light"])
FAST = {
    "instant.trees": 10,
    "instant.sigmas": (1.0,),
    "fit.chip": 64,
    "fit.epochs": 1,
    "fit.steps": 1,
    "fit.batch_size": 1,
    "fit.precision": "fp32",
    "net.encoder": "mobilenetv2_050",
    "net.encoder_weights": "none",
    "predict.window": 64,
    "predict.overlap": 16,
}


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """Make the job of a model: the same scene and legend for all."""
    image = np.random.default_rng(0).integers(0, 250, (3, 64, 64)).astype(np.uint8)
    scene = scene_from_array(image, bands=("red", "green", "blue"))

    def make(model, **values):
        recipe = Recipe().with_values({**FAST, "net.model": model, **values})
        folder = tmp_path_factory.mktemp(model)
        return Job((scene,), LEGEND, measure_radiometry([scene]), recipe, folder)

    return make


@pytest.fixture(scope="module")
def models(job):
    """A network and two forests, one with an area prior."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    coords = np.random.default_rng(1).integers(0, 64, (60, 2)).astype(float)
    places = make_places(coords, np.where(coords[:, 1] < 32, 1, 2))
    prior = {"labels.area_prior": {"dark": 0.9, "light": 0.1}}
    jobs = (job("unet"), job("forest"), job("bank", **prior))
    yield [make_learner(part).fit(places, None, seed=0) for part in jobs]
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def window(job):
    data, valid = job("forest").scenes[0].read()
    known = valid.copy()
    known[:5, 9:] = False
    return data[None], known[None]


def change(model, **values):
    return Model(model.card.model_copy(update=values), model.predictor)


def test_one_model_is_an_ensemble_that_says_the_same_to_the_bit(models, window):
    for model in models:
        assert join_models([model]) is model
        alone = Ensemble((model,), (1.0,))
        assert (alone.predict(*window) == model.predict(*window)).all()


def test_members_of_all_kinds_are_averaged_by_their_weights(models, window):
    found = join_models(models, weights=[3, 2, 5]).predict(*window)
    expected = sum(w * m.predict(*window) for w, m in zip((0.3, 0.2, 0.5), models, strict=True))
    assert found == pytest.approx(expected, abs=1e-6)
    assert found.sum(axis=1) == pytest.approx(np.ones((1, 64, 64)), abs=1e-5)
    equal = join_models(models).predict(*window)
    assert equal == pytest.approx(sum(m.predict(*window) for m in models) / 3, abs=1e-6)


def test_a_file_holds_all_members_and_its_card_names_them(models, window, tmp_path):
    joined = join_models(models, weights=[3, 2, 5], names=["a", "b", "c"])
    save_model(joined, tmp_path / "model.safetensors")
    card = read_card(tmp_path / "model.safetensors")
    assert card.kind == "ensemble"
    assert [(m["name"], m["weight"]) for m in card.extra["members"]] == [
        ("a", 0.3), ("b", 0.2), ("c", 0.5)]  # fmt: skip
    hashes = [hash_tensors(model.predictor.tensors()) for model in models]
    assert [member["tensors"] for member in card.extra["members"]] == hashes
    again = load_model(tmp_path / "model.safetensors")
    assert (again.predict(*window) == joined.predict(*window)).all()
    assert [member.card for member in list_members(again)] == [model.card for model in models]


def test_an_ensemble_may_be_a_member(models, window, tmp_path):
    inner = join_models(models[:2])
    outer = join_models([inner, models[2]], weights=[2, 1])
    assert outer.predict(*window) == pytest.approx(join_models(models).predict(*window), abs=1e-6)
    save_model(outer, tmp_path / "m.safetensors")
    found = load_model(tmp_path / "m.safetensors").predict(*window)
    assert (found == outer.predict(*window)).all()


def test_models_and_files_are_joined_alike(models, window, tmp_path):
    save_model(models[1], tmp_path / "forest.safetensors")
    joined = load_models([models[0], tmp_path / "forest.safetensors"], weights=(1, 3))
    names = [member["name"] for member in joined.card.extra["members"]]
    assert names == ["model 1", "forest.safetensors"]
    expected = join_models(models[:2], weights=(1, 3)).predict(*window)
    assert (joined.predict(*window) == expected).all()
    assert load_models(models[0]) is models[0]
    alone = load_models(tmp_path / "forest.safetensors")
    assert (alone.predict(*window) == models[1].predict(*window)).all()


def test_notes_of_all_members_stay_each_once(models):
    members = [change(m, notes=notes) for m, notes in zip(models, [("x",), ("y", "x"), ()],
                                                          strict=True)]  # fmt: skip
    assert join_models(members).card.notes == ("x", "y")


def test_the_hash_tells_tensors_apart_by_name_type_shape_and_value():
    one = {"a": np.arange(6.0)}
    others = [
        {"b": np.arange(6.0)},
        {"a": np.arange(6.0).astype(np.float32)},
        {"a": np.arange(6.0).reshape(2, 3)},
        {"a": np.arange(6.0) + 1},
    ]
    assert hash_tensors(one) == hash_tensors({"a": np.arange(6.0)})
    assert len({hash_tensors(part) for part in [one, *others]}) == 5


@pytest.mark.parametrize(
    ("weights", "said"),
    [([1.0], "1 weights were given for 2 models"), ([1, 0], "weight 0 was given"),
     ([1, -2], "weight -2 was given"), ([1, float("nan")], "weight nan was given"),
     ([1, float("inf")], "weight inf was given")],
)  # fmt: skip
def test_weights_are_one_for_each_model_and_above_zero(models, weights, said):
    with pytest.raises(ModelError, match=said):
        join_models(models[:2], weights=weights)


def test_no_model_is_no_ensemble():
    with pytest.raises(ModelError, match="give at least one"):
        load_models([])


def test_members_of_other_classes_are_refused(models):
    classes = models[1].card.classes
    renamed = (classes[0].model_copy(update={"name": "black"}), classes[1])
    for other in (renamed, classes[::-1], classes[:1]):
        with pytest.raises(ModelError, match=r"'model 2' predicts the classes .*1 dark, 2 light"):
            join_models([models[0], change(models[1], classes=other)])


def test_colours_and_ignored_classes_may_differ(models):
    classes = models[1].card.classes
    ignored = classes[0].model_copy(update={"id": 9, "name": "cloud", "ignore": True})
    recoloured = classes[0].model_copy(update={"color": "#123456"})
    other = change(models[1], classes=(recoloured, classes[1], ignored))
    assert join_models([models[0], other]).card.legend.ids == (1, 2)


def test_members_that_read_other_bands_are_refused(models):
    with pytest.raises(ModelError, match="'model 2' reads the bands red, nir, blue but 'model 1'"):
        join_models([models[0], change(models[1], bands=("red", "nir", "blue"))])


def test_a_file_that_lacks_a_member_is_damaged(models, tmp_path):
    joined = join_models(models)
    members = [*joined.card.extra["members"]]
    members[1] = {**members[1], "card": {**members[1]["card"], "kind": "nothing"}}
    save_model(change(joined, extra={"members": members}), tmp_path / "m.safetensors")
    with pytest.raises(ModelError, match="is damaged"):
        load_model(tmp_path / "m.safetensors")
