"""A network learns from points, predicts and is assessed, step by step."""

import csv
import json

import pytest
import rasterio

from landvisor import workflow
from landvisor.card import read_card
from landvisor.errors import RecipeError
from landvisor.options import Options
from landvisor.recipe import Recipe

SMALL = (
    "--model", "unet", "--encoder", "mobilenetv2_050", "--encoder-weights", "none", "--epochs", 2,
    "--set", "fit.chip=64", "--set", "predict.window=128", "--set", "predict.overlap=32",
)  # fmt: skip


@pytest.fixture(scope="module")
def steps(landvisor, demo, tmp_path_factory):
    """The model file and the folder of maps that it predicted."""
    folder = tmp_path_factory.mktemp("network")
    model, maps = folder / "model.safetensors", folder / "maps"
    fitted = landvisor("fit", demo.scene, demo.points, "--out", model, *SMALL)
    assert fitted.code == 0, fitted.err
    predicted = landvisor("predict", model, demo.scene, "--out", maps)
    assert predicted.code == 0, predicted.err
    return model, maps


def test_fit_leaves_a_model_that_says_what_it_learned_from(steps, demo):
    card = read_card(steps[0])
    assert (card.kind, card.recipe.net.encoder) == ("network", "mobilenetv2_050")
    assert card.training["places"] <= 280
    assert card.bands == ("blue", "green", "red", "nir")


def test_fit_and_predict_leave_nothing_else(steps):
    model, maps = steps
    names = {path.name for path in model.parent.iterdir()}
    assert names == {model.name, "model.metrics.csv", maps.name}


def test_fit_leaves_a_table_of_its_epochs(steps):
    with steps[0].with_suffix(".metrics.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert all(float(row["loss"]) > 0 and 0 <= float(row["mean_iou"]) <= 1 for row in rows)


@pytest.mark.parametrize(
    ("verb", "options", "said"),
    [
        ("fit", ("--model", "unet", "--nodes", 2), "start with srun or torchrun"),
        ("fit", ("--model", "unet", "--devices", 9), "fit.batch_size 4 is shared by 9 processes"),
        ("fit", ("--model", "forest", "--devices", 2), "--devices is for networks"),
        ("fit", ("--model", "forest", "--logger", "csv"), "--logger is for networks"),
    ],
)
def test_processes_that_cannot_be_had_are_refused(landvisor, demo, tmp_path, verb, options, said):
    out = tmp_path / "model.safetensors"
    answer = landvisor(verb, demo.scene, demo.points, "--out", out, *options)
    assert answer.code in (1, 2)
    assert said in answer.err
    assert not out.exists()


def test_map_and_instant_models_work_alone(demo, tmp_path):
    several = Options(devices=2)
    with pytest.raises(RecipeError, match="map works alone, and 2 processes"):
        workflow.map(demo.scene, demo.points, out=tmp_path / "m", options=several)
    recipe = Recipe().with_values({"net.model": "forest"})
    with pytest.raises(RecipeError, match="2 processes train one network, and model 'forest'"):
        workflow.fit(demo.scene, demo.points, recipe=recipe, options=several)


def test_predict_maps_the_whole_scene(steps, demo):
    with rasterio.open(demo.truth) as truth, rasterio.open(steps[1] / "map.tif") as raster:
        assert ((raster.read_masks(1) > 0) == (truth.read(1) > 0)).all()


@pytest.mark.parametrize("reference", ["truth", "points"])
def test_assess_takes_masks_and_points(landvisor, steps, demo, reference):
    said = landvisor("assess", steps[1], getattr(demo, reference), "--json")
    assert said.code == 0, said.err
    assert 0 <= json.loads(said.out)["rates"]["oa"] <= 1


def test_map_takes_a_network_too(landvisor, demo, tmp_path):
    said = landvisor(
        "map", demo.scene, demo.points, "--out", tmp_path / "r", "--folds", 2, *SMALL,
        "--set", "fit.steps=2",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "2 outer spatial folds" in said.out
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


@pytest.mark.parametrize("model", ["plain_unet", "one_conv"])
def test_a_network_without_encoder_needs_no_weights(landvisor, demo, tmp_path, model):
    file, maps = tmp_path / "model.safetensors", tmp_path / "maps"
    widths = ("--set", "net.widths=[8, 16, 32]") if model == "plain_unet" else ()
    said = landvisor(
        "fit", demo.scene, demo.points, "--out", file, "--model", model, "--epochs", 2,
        "--set", "fit.chip=64", "--set", "fit.steps=2", "--set", "predict.overlap=32", *widths,
    )  # fmt: skip
    assert said.code == 0, said.err
    card = read_card(file)
    assert card.recipe.net.model == model
    assert not any("scratch" in note for note in card.notes), "nothing was missed"
    assert landvisor("predict", file, demo.scene, "--out", maps).code == 0
    with rasterio.open(maps / "map.tif") as raster:
        assert raster.shape == (256, 256)


def test_weights_for_a_network_without_encoder_are_refused_in_one_line(landvisor, demo, tmp_path):
    said = landvisor(
        "fit", demo.scene, demo.points, "--out", tmp_path / "m.safetensors",
        "--model", "plain_unet", "--encoder-weights", "some.safetensors",
    )  # fmt: skip
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "plain_unet has no pretrained encoder" in said.err


def test_imagery_without_labels_is_seen_by_a_teacher_and_never_mapped(landvisor, demo, tmp_path):
    said = landvisor(
        "map", demo.scene, demo.points, "--unlabelled", demo.scene, "--out", tmp_path / "r",
        "--folds", 0, *SMALL, "--set", "fit.steps=2", "--set", "teacher.source=average",
        "--set", "teacher.unlabelled=0.25",
    )  # fmt: skip
    assert said.code == 0, said.err
    card = read_card(tmp_path / "r" / "model.safetensors")
    assert len(card.training["unlabelled_scenes"]) == 1
    assert any("without labels" in note for note in card.notes)
    assert (tmp_path / "r" / "map.tif").exists()


def test_imagery_that_no_teacher_sees_is_refused_in_one_line(landvisor, demo, tmp_path):
    said = landvisor(
        "fit", demo.scene, demo.points, "--unlabelled", demo.scene, *SMALL,
        "--out", tmp_path / "m.safetensors",
    )  # fmt: skip
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "teacher.source 'none'" in said.err
