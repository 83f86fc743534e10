"""A few points become more labels, these become a model, and every page says where from."""

import json

import numpy as np
import pytest
import rasterio

from landvisor.card import read_card
from landvisor.geo.places import SOURCES


@pytest.fixture(scope="module")
def grown(landvisor, demo, tmp_path_factory):
    path = tmp_path_factory.mktemp("grown") / "grown.tif"
    said = landvisor("grow", demo.scene, demo.points, "--out", path)
    assert said.code == 0, said.err
    return path, said


def read(path):
    with rasterio.open(path) as raster:
        return raster.read()


def test_grow_writes_labels_on_the_scenes_grid_and_says_how_pure_they_are(grown, demo):
    path, said = grown
    label, source, weight = read(path)
    with rasterio.open(demo.scene) as scene, rasterio.open(path) as raster:
        assert raster.transform == scene.transform
        assert raster.crs == scene.crs
    assert (source == SOURCES["human"]).sum() > 100
    assert (source == SOURCES["grown"]).sum() > 200
    assert ((weight > 0) == (source > 0)).all()
    assert not label[weight == 0].any()
    assert "labelled pixels" in said.out
    assert "purity: " in said.out


def test_purity_against_the_truth_is_that_of_the_pixels(landvisor, demo, tmp_path):
    out = tmp_path / "grown.tif"
    said = landvisor("grow", demo.scene, demo.points, "--mask", demo.truth, "--out", out, "--json")
    facts = json.loads(said.out)
    label, source, _ = read(out)
    truth = read(demo.truth)[0]
    new = (source == SOURCES["grown"]) & (truth > 0)
    assert facts["purity"]["reference"] == "mask"
    assert facts["purity"]["checked"] == new.sum()
    assert facts["purity"]["purity"] == pytest.approx((label == truth)[new].mean())


@pytest.mark.parametrize("method", ["superpixel", "walker"])
def test_every_method_grows(landvisor, demo, tmp_path, method):
    out = tmp_path / "grown.tif"
    said = landvisor("grow", demo.scene, demo.points, "--method", method, "--out", out)
    assert said.code == 0, said.err
    assert (read(out)[1] == SOURCES["grown"]).sum() > 100


@pytest.mark.parametrize("area", ["segment", "disk", "hull"])
def test_link_labels_what_lies_between_close_points(landvisor, demo, tmp_path, area):
    out = tmp_path / "linked.tif"
    said = landvisor(
        "link", demo.scene, demo.points, "--distance", 40, "--area", area, "--out", out
    )
    assert said.code == 0, said.err
    assert "pairs of places of one class linked" in said.out
    assert (read(out)[1] == SOURCES["linked"]).sum() > 50


def test_info_says_what_a_label_raster_is(landvisor, grown):
    said = landvisor("info", grown[0])
    assert "kind: labels" in said.out
    assert "method: region" in said.out


def test_a_model_learns_from_grown_labels_and_its_card_says_so(landvisor, demo, grown, tmp_path):
    model = tmp_path / "m.safetensors"
    said = landvisor(
        "fit", demo.scene, demo.points, "--grown", grown[0], "--model", "forest", "--out", model
    )
    assert said.code == 0, said.err
    assert any("labels made from labels are learned from" in n for n in read_card(model).notes)


def test_what_a_map_is_sure_of_teaches_the_next_model(landvisor, demo, bundle, tmp_path):
    labels, model = tmp_path / "sure.tif", tmp_path / "m.safetensors"
    said = landvisor(
        "grow", demo.scene, demo.points, "--from-map", bundle[0], "--threshold", 0.8,
        "--out", labels,
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "held-out points lie on new labels" in said.out
    assert (read(labels)[1] == SOURCES["pseudo"]).sum() > 200
    said = landvisor(
        "fit", demo.scene, demo.points, "--grown", labels, "--model", "forest", "--out", model
    )
    assert said.code == 0, said.err
    assert read_card(model).training["places_per_source"]["pseudo"] > 0


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--threshold", 0.9), "--threshold goes with --from-map"),
        (("--from-map", "MAP", "--radius", 5), "nothing grows"),
        (("--from-map", "MAP", "--set", "grow.method=disc"), "nothing grows"),
    ],
)
def test_growing_and_taking_from_a_map_are_two_things(
    landvisor, demo, bundle, tmp_path, options, named
):
    given = [bundle[0] if text == "MAP" else text for text in options]
    said = landvisor("grow", demo.scene, demo.points, *given, "--out", tmp_path / "g.tif")
    assert said.code == 2
    assert named in said.err


def test_a_recipe_grows_labels_on_the_way_and_scores_none_of_them(landvisor, demo, tmp_path):
    said = landvisor(
        "map", demo.scene, demo.points, "--model", "forest", "--folds", 3,
        "--set", "grow.method=region", "--set", "link.area=segment", "--out", tmp_path / "r",
    )  # fmt: skip
    assert said.code == 0, said.err
    stated = json.loads((tmp_path / "r" / "assessment.json").read_text())
    assert np.array(stated["counts"]).sum() == pytest.approx(280, abs=20)
    assert "labels made from labels" in (tmp_path / "r" / "report.html").read_text()


def test_oracle_points_say_so_in_labels_model_and_report(landvisor, demo, tmp_path):
    points, model, out = tmp_path / "p.gpkg", tmp_path / "m.safetensors", tmp_path / "grown.tif"
    steps = (
        ("sample", demo.scene, "--mask", demo.truth, "--strategy", "per_object", "--placement",
         "interior", "--min-area", 40, "--legend", demo.legend, "--out", points),
        ("grow", demo.scene, points, "--out", out),
        ("fit", demo.scene, points, "--model", "forest", "--out", model),
        ("map", demo.scene, points, "--model", "forest", "--folds", 0, "--out", tmp_path / "r"),
    )  # fmt: skip
    for step in steps:
        said = landvisor(*step)
        assert said.code == 0, said.err
    assert any("oracle" in note for note in read_card(model).notes)
    assert "oracle" in (tmp_path / "r" / "report.html").read_text()
    assert "oracle" in landvisor("info", out).out


@pytest.mark.parametrize(
    ("verb", "options", "said"),
    [
        ("link", ("--radius", 3), "--radius goes with --area disk"),
        ("grow", ("--method", "walker", "--tolerance", 1), "--tolerance goes with"),
        ("grow", ("--method", "walker", "--features", "bank"), "--features goes with"),
    ],
)
def test_options_that_would_do_nothing_are_refused(landvisor, demo, tmp_path, verb, options, said):
    found = landvisor(verb, demo.scene, demo.points, *options, "--out", tmp_path / "o.tif")
    assert found.code == 2
    assert said in found.err
    assert not (tmp_path / "o.tif").exists()


def test_points_that_are_missing_are_said_in_one_line(landvisor, demo, tmp_path):
    found = landvisor("grow", demo.scene, "--out", tmp_path / "o.tif")
    assert found.code == 1
    assert found.err.count("\n") == 1
    assert "no labels to start from" in found.err
    wrong = landvisor(
        "map", demo.scene, demo.points, "--grown", demo.scene, "--out", tmp_path / "r"
    )
    assert wrong.code == 1
    assert "labels are three uint8 bands" in wrong.err
    assert np.array_equal(sorted(tmp_path.iterdir()), [])
