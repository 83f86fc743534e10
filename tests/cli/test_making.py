"""`link` and `grow` offer what the recipe knows, and do what a recipe says."""

import json
import re

import numpy as np
import pytest
import rasterio
from affine import Affine

from landvisor.cli import grow_verb, link_verb
from landvisor.cli.main import main
from landvisor.geo.legend import legend_from_ids
from landvisor.geo.places import make_places
from landvisor.geo.points import places_to_points, write_points
from landvisor.geo.rasters import open_scene
from landvisor.recipe import GrowSpec, LinkSpec, Recipe

VERBS = {"link": (link_verb, LinkSpec, "area"), "grow": (grow_verb, GrowSpec, "method")}


@pytest.fixture
def inputs(tmp_path):
    """A scene of 30 x 30 pixels with two points of each of two classes."""
    place = {"crs": "EPSG:32633", "transform": Affine(10, 0, 500_000, 0, -10, 5_000_000)}
    shape = {"width": 30, "height": 30, "count": 1, "dtype": "uint8"}
    image = np.full((1, 30, 30), 90, np.uint8)
    image[:, :, 15:] = np.arange(30, dtype=np.uint8)[:, None] // 9 + 200
    with rasterio.open(tmp_path / "scene.tif", "w", driver="GTiff", **shape, **place) as raster:
        raster.write(image)
    coords = np.array([[4.0, 4], [4, 8], [20, 20], [20, 23]])
    places = make_places(coords, np.array([1, 1, 2, 2]))
    scene = open_scene(tmp_path / "scene.tif")
    write_points(places_to_points(places, [scene], legend_from_ids([1, 2])), tmp_path / "p.gpkg")
    return tmp_path / "scene.tif", tmp_path / "p.gpkg"


def make(capsys, verb, inputs, *options):
    out = inputs[0].with_name("out.tif")
    with pytest.raises(SystemExit) as stop:
        main([*map(str, (verb, *inputs, "--out", out, "--json", *options))])
    said = capsys.readouterr()
    return json.loads(said.out) if not stop.value.code else said.err


@pytest.mark.parametrize("verb", VERBS)
def test_the_choices_on_offer_are_those_of_the_recipe(verb):
    module, spec, name = VERBS[verb]
    offered = next(p.type.choices for p in module.command.params if p.name == name)
    assert {"none", *offered} == set(spec.model_fields[name].annotation.__args__)


@pytest.mark.parametrize("verb", VERBS)
def test_the_defaults_that_the_help_names_are_those_of_the_recipe(verb):
    told = 0
    for option in VERBS[verb][0].command.params:
        found = re.search(r"([\d.]+) by default", getattr(option, "help", None) or "")
        if found:
            told += 1
            assert float(found[1]) == getattr(getattr(Recipe(), verb), option.name)
    assert told == 3


@pytest.mark.parametrize(("verb", "usual"), [("link", "segment"), ("grow", "region")])
def test_a_verb_does_its_usual_thing_where_nothing_is_named(capsys, inputs, verb, usual):
    assert make(capsys, verb, inputs)[verb][VERBS[verb][2]] == usual


@pytest.mark.parametrize(("verb", "other"), [("link", "hull"), ("grow", "superpixel")])
def test_what_a_recipe_or_a_setting_names_is_done(capsys, inputs, verb, other):
    name = VERBS[verb][2]
    recipe = inputs[0].with_name("r.toml")
    recipe.write_text(f'[{verb}]\n{name} = "{other}"\n')
    assert make(capsys, verb, inputs, "--recipe", recipe)[verb][name] == other
    setting = f"{verb}.{name}={other}"
    assert make(capsys, verb, inputs, "--set", setting, "--overwrite")[verb][name] == other


def test_an_option_that_the_recipes_method_would_ignore_is_refused(capsys, inputs):
    said = make(capsys, "grow", inputs, "--set", "grow.method=walker", "--tolerance", 1)
    assert "--tolerance goes with --method region" in said


@pytest.mark.parametrize("verb", VERBS)
def test_an_input_is_never_replaced(capsys, inputs, verb):
    scene, points = inputs
    truth = scene.with_name("truth.tif")
    with rasterio.open(scene) as given, rasterio.open(truth, "w", **given.profile) as raster:
        raster.write(np.ones((1, 30, 30), np.uint8))
    for out in (scene, truth):
        before = out.read_bytes()
        arguments = (verb, scene, points, "--mask", truth, "--out", out, "--overwrite")
        with pytest.raises(SystemExit) as stop:
            main([*map(str, arguments)])
        assert stop.value.code == 1
        assert "which would be lost" in capsys.readouterr().err
        assert out.read_bytes() == before


@pytest.mark.parametrize(
    ("verb", "setting"),
    [("grow", "link.area=segment"), ("link", "grow.method=region"), ("grow", "net.model=unet"),
     ("link", "labels.max_per_feature=5")],
)  # fmt: skip
def test_a_setting_that_the_verb_would_ignore_is_refused(capsys, inputs, verb, setting):
    said = make(capsys, verb, inputs, "--set", setting)
    assert f"--set {setting.partition('=')[0]} does nothing for {verb}" in said
    assert make(capsys, verb, inputs, "--set", "seed=3")["seed"] == 3


def test_each_verb_reads_its_own_part_of_a_recipe_and_says_what_it_leaves(capsys, caplog, inputs):
    recipe = inputs[0].with_name("r.toml")
    recipe.write_text('[link]\narea = "segment"\n[grow]\nmethod = "disc"\nradius = 2\n')
    facts = make(capsys, "link", inputs, "--recipe", recipe)
    assert facts["link"]["area"] == "segment"
    assert "grow" not in facts
    assert "the recipe's part grow is not used here; map and fit use both" in caplog.messages
    with rasterio.open(inputs[0].with_name("out.tif")) as raster:
        assert 4 not in raster.read(2)
    facts = make(capsys, "grow", inputs, "--recipe", recipe, "--overwrite")
    assert "the recipe's part link is not used here; map and fit use both" in caplog.messages
    caplog.clear()
    make(capsys, "grow", inputs, "--set", "grow.method=disc", "--overwrite")
    assert not any("not used" in message for message in caplog.messages)
    assert facts["grow"]["method"] == "disc"
    assert "link" not in facts
    with rasterio.open(inputs[0].with_name("out.tif")) as raster:
        assert 3 not in raster.read(2)
