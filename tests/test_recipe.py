"""A recipe takes what it knows, refuses the rest, and is named by its choices."""

import pytest
from pydantic import ValidationError

from landvisor.errors import RecipeError
from landvisor.recipe import FitSpec, Recipe, option_paths, parse_recipe, read_recipe


def test_the_defaults_are_an_empty_file(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text("")
    assert read_recipe(path) == Recipe()


def test_a_file_sets_what_it_names(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text('seed = 7\n[fit]\nlr = 0.01\nscale = [0.5, 2]\n[net]\nmodel = "unet"\n')
    recipe = read_recipe(path)
    assert (recipe.seed, recipe.fit.lr, recipe.net.model) == (7, 0.01, "unet")
    assert recipe.fit.scale == (0.5, 2.0)
    assert recipe.fit.epochs == FitSpec().epochs


@pytest.mark.parametrize(
    ("content", "found", "nearest"),
    [
        ({"fit": {"lrr": 1}}, "fit.lrr", "fit.lr"),
        ({"predict": {"windows": 1}}, "predict.windows", "predict.window"),
        ({"sede": 1}, "sede", "seed"),
        ({"net": {"encoder_weight": "none"}}, "net.encoder_weight", "net.encoder_weights"),
    ],
)
def test_an_unknown_key_is_an_error_that_names_the_nearest(content, found, nearest):
    with pytest.raises(RecipeError, match=f"unknown recipe key '{found}'.*'{nearest}'"):
        parse_recipe(content)


@pytest.mark.parametrize(
    ("content", "path"),
    [
        ({"fit": {"lr": -1}}, "fit.lr"),
        ({"fit": {"lr": "fast"}}, "fit.lr"),
        ({"fit": {"epochs": 0}}, "fit.epochs"),
        ({"fit": 3}, "fit"),
        ({"net": {"model": "vgg"}}, "net.model"),
        ({"fit": {"val_share": 1.5}}, "fit.val_share"),
        ({"seed": -1}, "seed"),
    ],
)
def test_a_bad_value_is_an_error_that_names_the_key(content, path):
    with pytest.raises(RecipeError, match=f"recipe key '{path}") as caught:
        parse_recipe(content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_a_number_that_is_not_finite_is_refused_everywhere(value):
    numbers = [path for path in option_paths() if isinstance(_read(path), float)]
    assert {"link.distance", "grow.radius", "grow.beta", "fit.lr"} <= set(numbers)
    for path in numbers:
        with pytest.raises(RecipeError, match=f"{path}.* finite number"):
            Recipe().with_values({path: value})
    with pytest.raises(RecipeError, match=r"area_prior\.a.* finite number"):
        Recipe().with_values({"labels.area_prior": {"a": value}})


def _read(path):
    part, _, name = path.rpartition(".")
    return getattr(getattr(Recipe(), part) if part else Recipe(), name)


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(RecipeError, match="no recipe at"):
        read_recipe(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("[fit\n")
    with pytest.raises(RecipeError, match="is not TOML"):
        read_recipe(tmp_path / "bad.toml")


def test_dotted_paths_set_values_in_a_copy():
    recipe = Recipe()
    changed = recipe.with_values({"fit.lr": 0.5, "seed": 4, "net.encoder_args": {"a": 1}})
    assert (changed.fit.lr, changed.seed, changed.net.encoder_args) == (0.5, 4, {"a": 1})
    assert recipe == Recipe()


@pytest.mark.parametrize("path", ["fit.lrr", "fitt.lr", "fit.lr.x", "", "seed.x"])
def test_a_path_that_does_not_exist_is_an_error(path):
    with pytest.raises(RecipeError, match="the nearest valid one is"):
        Recipe().with_values({path: 1})


def test_every_path_can_be_set_to_its_own_value():
    recipe = Recipe()
    content = recipe.model_dump()
    for path in option_paths():
        part, _, key = path.partition(".")
        value = content[part][key] if key else content[part]
        assert recipe.with_values({path: value}) == recipe


def test_equal_choices_have_equal_names_and_others_do_not():
    assert Recipe().digest() == parse_recipe({"fit": {}}).digest()
    digests = {Recipe().with_values({"fit.lr": lr}).digest() for lr in (1, 2, 3)}
    assert len(digests | {Recipe().digest()}) == 4


def test_a_recipe_cannot_be_changed_in_place():
    with pytest.raises(ValidationError):
        Recipe().fit.lr = 3


def test_a_recipe_survives_json():
    recipe = Recipe().with_values({"net.encoder_mean": (0.1, 0.2), "fit.alpha": 0.25})
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


@pytest.mark.parametrize("area", [{"a": 0.5, "b": 0.3}, {"a": 1.2, "b": -0.2}])
def test_shares_of_the_area_that_are_no_shares_are_refused(area):
    with pytest.raises(RecipeError, match=r"'labels\.area_prior'.*sum to 1"):
        Recipe().with_values({"labels.area_prior": area})


def test_shares_of_the_area_may_be_rounded():
    area = {"a": 0.33, "b": 0.33, "c": 0.33}
    assert Recipe().with_values({"labels.area_prior": area}).labels.area_prior == area
