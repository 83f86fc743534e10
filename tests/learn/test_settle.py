import pytest

from landvisor.errors import ModelError
from landvisor.learn import settle as module
from landvisor.learn.settle import PRESETS
from landvisor.recipe import Recipe

RGB = ("red", "green", "blue")


def settle(recipe, bands, places=300, **more):
    return module.settle(recipe, bands, places=places, **more)


def chosen(recipe):
    return {
        "net.model": recipe.net.model,
        "net.partner": recipe.net.partner,
        "teacher.source": recipe.teacher.source,
        "fit.members": recipe.fit.members,
        "predict.tta": recipe.predict.tta,
    }


@pytest.fixture
def weights(monkeypatch):
    monkeypatch.setattr(module, "find_weights", lambda spec: spec.encoder_weights != "none" or None)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_says_what_auto_is(weights, preset):
    recipe, notes = settle(Recipe().with_values({"preset": preset}), RGB)
    assert chosen(recipe) == PRESETS[preset]
    assert notes == ()


def test_what_was_chosen_stays_chosen(weights):
    mine = {"preset": "best", "net.model": "fpn", "net.partner": "none", "fit.members": 2}
    recipe, _ = settle(Recipe().with_values(mine), RGB)
    assert chosen(recipe) == {**PRESETS["best"], **{k: mine[k] for k in list(mine)[1:]}}
    assert settle(recipe, RGB) == (recipe, ())


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    "values",
    [
        {"net.model": "forest"},
        {"net.model": "instant"},
        {"net.model": "unet", "net.encoder_weights": "none"},
        {"net.model": "plain_unet"},
    ],
)
def test_a_model_without_a_pretrained_network_stands_alone(weights, preset, values):
    recipe, notes = settle(Recipe().with_values({"preset": preset, **values}), RGB)
    assert chosen(recipe) == {
        "net.model": values["net.model"], "net.partner": "none", "teacher.source": "none",
        "fit.members": 1, "predict.tta": "none",
    }  # fmt: skip
    assert notes == ()


def test_masks_need_no_teacher(weights):
    recipe, _ = settle(Recipe().with_values({"preset": "best"}), RGB, dense=True)
    told = {**PRESETS["best"], "net.partner": "none", "teacher.source": "none"}
    assert chosen(recipe) == told


@pytest.mark.parametrize("preset", PRESETS)
def test_without_weights_the_filter_bank_is_taken_and_said(monkeypatch, preset):
    monkeypatch.setattr(module, "find_weights", lambda spec: None)
    recipe, notes = settle(Recipe().with_values({"preset": preset}), RGB)
    assert chosen(recipe) == {**PRESETS["fast"], "net.model": "bank"}
    assert "no weights" in notes[0]


def test_many_bands_without_colour_names_get_the_filter_bank(weights):
    recipe, notes = settle(Recipe(), tuple(f"band {i}" for i in range(1, 9)))
    assert recipe.net.model == "bank"
    assert "red, green and blue" in notes[0]
    recipe, notes = settle(Recipe(), tuple(f"B0{i}" for i in range(1, 9)))
    assert (recipe.net.model, notes) == ("unet", ())


def test_a_handful_of_places_is_left_to_the_instant_model(weights):
    recipe, notes = settle(Recipe(), RGB, places=60)
    assert chosen(recipe) == PRESETS["fast"]
    assert "60 places are few for a network" in notes[0]
    for wish in ({"preset": "best"}, {"net.model": "unet"}):
        assert settle(Recipe().with_values(wish), RGB, places=60)[0].net.model == "unet"


def test_named_weights_that_are_missing_are_an_error():
    missing = Recipe().with_values({"net.encoder_weights": "nowhere.safetensors"})
    with pytest.raises(ModelError, match=r"nowhere\.safetensors"):
        settle(missing, RGB)
