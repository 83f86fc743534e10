"""Several scenes become one map: at each pixel all that show it count, or the first that does."""

from dataclasses import replace

import numpy as np
import pytest
from affine import Affine

from landvisor.errors import CollectionError, RecipeError
from landvisor.geo.collection import Collection, Item
from landvisor.geo.scene import scene_from_array
from landvisor.geo.tiling import Window, full_window
from landvisor.predict.picture import plan_pictures
from landvisor.predict.stream import predict_scene
from landvisor.recipe import PredictSpec

SPEC = PredictSpec(window=32, overlap=8, batch_size=2)


def make_scene(name, *, col=0, value=None, seed=0, shape=(40, 60), crs="EPSG:32633"):
    """Lie `col` pixels of 10 m to the east, and hold a single value or any."""
    data = np.random.default_rng(seed).uniform(0, 6, (1, *shape)).astype(np.float32)
    if value is not None:
        data[:] = value
    place = Affine(10, 0, 500_000 + 10 * col, 0, -10, 5_000_000)
    return scene_from_array(data, name=name, crs=crs, transform=place, nodata=-1)


def plan(*scenes, covers=(), dates=(), **choices):
    items = [Item(scene.name, scene) for scene in scenes]
    for position, cover in enumerate(covers):
        items[position] = replace(items[position], cloud_cover=cover)
    for position, date in enumerate(dates):
        items[position] = replace(items[position], date=date)
    spec = SPEC.model_copy(update=choices)
    (picture,) = plan_pictures(Collection(tuple(items)), scenes, spec)
    return picture, spec


def see(model, picture, spec, area=None):
    parts = [
        part.copy()
        for part in picture.predict(model, spec, area=area or full_window(picture.grid.shape))
    ]
    probabilities = np.concatenate([part.probabilities for part in parts], axis=1)
    return probabilities, np.concatenate([part.valid for part in parts])


def test_scenes_by_themselves_are_a_map_each(make_model):
    scenes = [make_scene("a"), make_scene("b", col=30)]
    pictures = plan_pictures(Collection(()), scenes, SPEC)
    assert [picture.name for picture in pictures] == ["a", "b"]
    found, valid = see(make_model(), pictures[1], SPEC)
    told = predict_scene(make_model(), scenes[1], SPEC)
    assert (found == told.probabilities).all()
    assert valid.all()


def test_a_mosaic_of_one_scene_is_the_scene(make_model):
    scene = make_scene("a")
    picture, spec = plan(scene, mosaic="feather")
    found, valid = see(make_model(reach=2), picture, spec)
    assert (found == predict_scene(make_model(reach=2), scene, spec).probabilities).all()
    assert valid.all()


def test_the_first_scene_is_seen_where_both_are(make_model):
    west, east = make_scene("west", value=0.0), make_scene("east", col=30, value=6.0)
    picture, spec = plan(west, east, mosaic="first")
    found, valid = see(make_model(), picture, spec)
    assert found.shape[1:] == (40, 90)
    assert valid.all()
    classes = found.argmax(axis=0)
    assert (classes[:, :60] == 0).all()
    assert (classes[:, 60:] == 2).all()


@pytest.mark.parametrize(
    ("choices", "first"),
    [
        ({"mosaic": "cloud", "covers": (50, 3)}, 2),
        ({"mosaic": "cloud", "covers": (3, 50)}, 0),
        ({"mosaic": "date", "dates": ("2024-05-01", "2025-05-01")}, 2),
    ],
)
def test_the_best_scene_is_seen_where_both_are(make_model, choices, first):
    west, east = make_scene("west", value=0.0), make_scene("east", col=30, value=6.0)
    picture, spec = plan(west, east, **choices)
    found, _ = see(make_model(), picture, spec)
    assert (found.argmax(axis=0)[:, 30:60] == first).all()


def test_an_order_that_scenes_do_not_tell_is_refused():
    with pytest.raises(CollectionError, match="does not say its cloud cover"):
        plan(make_scene("a"), make_scene("b"), mosaic="cloud")


def test_feathered_scenes_turn_into_each_other(make_model):
    west, east = make_scene("west", value=0.0), make_scene("east", col=30, value=6.0)
    picture, spec = plan(west, east, mosaic="feather", feather=30.0)
    found, _ = see(make_model(), picture, spec)
    assert found.sum(axis=0) == pytest.approx(np.ones((40, 90)), abs=1e-5)
    along = found[0, 20]
    assert (np.diff(along[30:60]) < 0).all()
    assert along[45] == pytest.approx((along[5] + along[85]) / 2, abs=0.05)
    assert np.abs(np.diff(along)).max() < 0.1  # no seam


def test_no_data_of_one_scene_is_filled_by_the_other(make_model):
    west = make_scene("west", value=0.0)
    west.source.valid[:, 40:] = False
    east = make_scene("east", col=30, value=6.0)
    for choice in ("feather", "first"):
        picture, spec = plan(west, east, mosaic=choice)
        found, valid = see(make_model(), picture, spec)
        assert valid.all()
        assert (found.argmax(axis=0)[:, 40:60] == 2).all()


def test_areas_tell_what_the_whole_does_and_gaps_are_no_data(make_model):
    picture, spec = plan(
        make_scene("a", seed=1), make_scene("b", col=100, seed=2), make_scene("c", col=30, seed=3),
        mosaic="feather",
    )  # fmt: skip
    whole, valid = see(make_model(reach=2), picture, spec)
    assert not valid[:, 90:100].any()
    for area in (Window(3, 25, 20, 50), Window(0, 91, 40, 4), Window(10, 88, 25, 60)):
        found, known = see(make_model(reach=2), picture, spec, area)
        assert (known == valid[area.slices]).all()
        assert (found == whole[:, *area.slices])[:, known].all()


def test_scenes_of_two_zones_share_a_grid(make_model):
    here = make_scene("here", value=6.0)
    place = Affine(10, 0, 31_000, 0, -10, 5_014_000)
    there = scene_from_array(
        np.zeros((1, 900, 900), np.float32), name="there", crs="EPSG:32634", transform=place
    )
    picture, spec = plan(here, there, mosaic="first", crs="EPSG:32633", resolution=20.0)
    assert picture.grid.crs.epsg == 32633
    assert picture.grid.affine.a == 20
    found, valid = see(make_model(), picture, spec)
    assert {*np.unique(found.argmax(axis=0)[valid]).tolist()} == {0, 2}


@pytest.mark.parametrize("choice", [{"crs": "EPSG:3857"}, {"resolution": 20.0}])
def test_the_grid_of_a_mosaic_is_refused_without_one(choice):
    with pytest.raises(RecipeError, match="there is no mosaic"):
        plan(make_scene("a"), **choice)
