"""Predicting with several models, in several views, and on scenes of other values."""

import json

import numpy as np
import pytest
import rasterio

from landvisor.card import read_card


@pytest.fixture(scope="module")
def forest(landvisor, demo, tmp_path_factory):
    """A second model of the demo, of another kind."""
    path = tmp_path_factory.mktemp("forest") / "forest.safetensors"
    said = landvisor("fit", demo.scene, demo.points, "--out", path, "--model", "forest",
                     "--set", "instant.trees=20")  # fmt: skip
    assert said.code == 0, said.err
    return path


def read(path):
    with rasterio.open(path) as raster:
        return raster.read()


def test_a_map_of_two_models_is_that_of_their_mean(landvisor, demo, bundle, forest, tmp_path):
    first = bundle[0] / "model.safetensors"
    maps = {"a": (first,), "b": (forest,), "both": (first, "--with", forest, "--weights", "1,3")}
    for name, models in maps.items():
        said = landvisor("predict", *models, demo.scene, "--out", tmp_path / name,
                         "--set", "predict.local_prior=0",
                         "--set", "predict.calibrate=false")  # fmt: skip
        assert said.code == 0, said.err
    a, b, both = (read(tmp_path / name / "probabilities.tif").astype(float) for name in maps)
    valid = (both != 255).all(axis=0)
    assert np.abs(both - (a + 3 * b) / 4)[:, valid].max() <= 1  # each is rounded
    card = read_card(tmp_path / "both" / "model.safetensors")
    assert [member["name"] for member in card.extra["members"]] == [first.name, forest.name]
    said = landvisor("info", tmp_path / "both" / "model.safetensors", "--json")
    assert [m["model"] for m in json.loads(said.out)["members"]] == ["bank", "forest"]
    again = landvisor("predict", tmp_path / "both" / "model.safetensors", demo.scene,
                      "--set", "predict.local_prior=0", "--out", tmp_path / "again")  # fmt: skip
    assert again.code == 0, again.err
    assert (read(tmp_path / "again" / "map.tif") == read(tmp_path / "both" / "map.tif")).all()
    heats = [read_card(model).temperature for model in (first, forest)]
    assert card.temperature == pytest.approx((heats[0] * heats[1] ** 3) ** 0.25, abs=1e-3)
    same = read(tmp_path / "again" / "probabilities.tif") == read(
        tmp_path / "both" / "probabilities.tif"
    )
    assert same.all() == (card.temperature == 1)


def test_views_and_matching_are_asked_for_by_options(landvisor, demo, bundle, tmp_path):
    model = bundle[0] / "model.safetensors"
    said = landvisor("predict", model, demo.scene, "--out", tmp_path / "seen", "--tta", "flips",
                     "--match-histogram")  # fmt: skip
    assert said.code == 0, said.err
    run = json.loads((tmp_path / "seen" / "run.json").read_text())
    choices = run["recipe"]["predict"]
    assert (choices["tta"], choices["match_histogram"]) == ("flips", True)
    # what no option says is the model's own choice
    assert run["recipe"]["instant"] == read_card(model).recipe.model_dump(mode="json")["instant"]
    same = read(tmp_path / "seen" / "map.tif") == read(bundle[0] / "map.tif")
    assert same.mean() > 0.9  # its own scene is moved little


def test_a_scene_of_other_values_is_pointed_out_and_matching_helps(
    landvisor, demo, bundle, make_tif, tmp_path
):
    with rasterio.open(demo.scene) as raster:
        data, profile = raster.read(), raster.profile
    valid = (data != profile["nodata"]).any(axis=0)
    bright = np.where(valid, data // 2 + 120, 0).astype(data.dtype)
    path = make_tif("bright.tif", bright, crs=profile["crs"], transform=profile["transform"],
                    nodata=0)  # fmt: skip
    model, truth = bundle[0] / "model.safetensors", read(demo.truth)
    right = {}
    for name, option in {"plain": (), "matched": ("--match-histogram",)}.items():
        said = landvisor("predict", model, path, "--out", tmp_path / name, *option)
        assert said.code == 0, said.err
        right[name] = (read(tmp_path / name / "map.tif") == truth)[truth > 0].mean()
    assert right["matched"] > right["plain"] + 0.2


def test_weights_are_fitted_to_points(landvisor, demo, bundle, forest, tmp_path):
    said = landvisor("predict", bundle[0] / "model.safetensors", demo.scene, "--with", forest,
                     "--weigh-on", demo.points, "--out", tmp_path / "weighed")  # fmt: skip
    assert said.code == 0, said.err
    members = read_card(tmp_path / "weighed" / "model.safetensors").extra["members"]
    weights = [member["weight"] for member in members]
    assert sum(weights) == pytest.approx(1)
    assert weights[0] != pytest.approx(0.5, abs=0.01)
    assert "points" in json.loads((tmp_path / "weighed" / "run.json").read_text())["inputs"]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [(("--weights", "1,2"), 1, "2 weights were given for 1 models"),
     (("--weights", "a"), 2, "write numbers, as in 0.6,0.4"),
     (("--weights", "1", "--weigh-on", "p.gpkg"), 2, "leave one out"),
     (("--val-split", "val"), 2, "says where --weigh-on looks"),
     (("--tta", "d8"), 2, "'d8' is not one of")],
)  # fmt: skip
def test_bad_options_are_explained(landvisor, demo, bundle, tmp_path, options, code, said):
    found = landvisor("predict", bundle[0] / "model.safetensors", demo.scene, "--out",
                      tmp_path / "maps", *options)  # fmt: skip
    assert found.code == code
    assert said in found.err
    assert not (tmp_path / "maps").exists()
