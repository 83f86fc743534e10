from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from shapely import Point

from landvisor.errors import CollectionError, PointsError
from landvisor.geo.collection import Collection, Item
from landvisor.geo.legend import LandClass, Legend, legend_from_ids
from landvisor.geo.locate import locate
from landvisor.geo.points import Points, read_points
from landvisor.geo.rasters import Reading
from landvisor.geo.scene import Scene, scene_from_array
from landvisor.geo.styles import pixel_space_allowed
from landvisor.labels.origin import describe_origin
from landvisor.labels.sampling import (
    read_validity,
    sample_collection,
    sample_to_points,
    simulate_points,
    write_sample,
)
from landvisor.labels.strategies import STRATEGIES, DrawRule

LEGEND = Legend(
    (
        LandClass(1, "sand", "#ffee88"),
        LandClass(2, "sea", "#3333ff"),
        LandClass(3, "cloud", "#ffffff", ignore=True),
    )
)


def write_mask(path, values):
    rows, cols = values.shape
    with (
        pixel_space_allowed(),
        rasterio.open(
            path, "w", driver="PNG", width=cols, height=rows, count=1, dtype="uint8"
        ) as out,
    ):
        out.write(values.astype(np.uint8), 1)
    return path


@pytest.fixture
def collection(tmp_path):
    items = []
    for name, offset in (("a", 0), ("b", 1)):
        mask = np.ones((20, 30))
        mask[:, 10:] = 2
        mask[:5, :5] = 3
        mask[-1, -1] = 9
        image = np.ones((1, 20, 30), np.float32)
        image[0, :, 25 + offset :] = np.nan
        scene = scene_from_array(image, name=name)
        items.append(Item(name, scene, write_mask(tmp_path / f"{name}.png", mask)))
    return Collection(tuple(items), LEGEND)


STRATEGIES_DRAWN = sorted(set(STRATEGIES) - {"dense"})


@pytest.mark.parametrize("strategy", STRATEGIES_DRAWN)
def test_points_lie_on_valid_pixels_of_active_classes(collection, strategy):
    places, scenes, _ = sample_collection(collection, strategy=strategy, n=8)
    for position, scene in enumerate(scenes):
        pixels = places.on_scene(position).pixels()
        mask = collection.items[position].read_mask(scene)
        assert len(pixels)
        assert scene.valid_at(pixels).all()
        np.testing.assert_array_equal(mask[tuple(pixels.T)], places.on_scene(position).label)
    assert set(places.label) <= {1, 2}


def test_the_share_counts_valid_labelled_pixels_exactly(collection):
    facts = sample_collection(collection, strategy="per_class", n=10).facts
    assert facts.per_class == {1: 20, 2: 20}
    assert facts.labelled == (20 * 25 - 25) + (20 * 26 - 25)
    assert "40 of 970 valid labelled pixels, 4.1237 %, on 2 images" in facts.lines()


def test_mask_values_that_the_legend_lacks_are_counted_aloud(collection):
    notes = sample_collection(collection).facts.notes
    assert any("9 (2 pixels)" in note for note in notes)


def test_other_images_change_no_point(collection):
    both = sample_collection(collection, seed=5).places
    alone = sample_collection(Collection(collection.items[1:], LEGEND), seed=5).places
    np.testing.assert_array_equal(both.on_scene(1).coords, alone.coords)


@pytest.mark.parametrize("strategy", STRATEGIES_DRAWN)
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_neither_workers_nor_the_order_of_images_change_a_point(collection, strategy, workers):
    rule = DrawRule(jitter=1.5, noise=0.2)
    turned = replace(collection, items=collection.items[::-1])
    forward = sample_collection(collection, strategy=strategy, rule=rule, workers=1)
    backward = sample_collection(turned, strategy=strategy, rule=rule, workers=workers)

    for position in (0, 1):
        here, there = forward.places.on_scene(position), backward.places.on_scene(1 - position)
        np.testing.assert_array_equal(here.coords, there.coords)
        np.testing.assert_array_equal(here.label, there.label)
        np.testing.assert_array_equal(here.group, there.group)
    assert forward.facts.per_class == backward.facts.per_class
    named = [sample_to_points(sample).frame["id"] for sample in (forward, backward)]
    assert set(named[0]) == set(named[1])
    assert named[0].is_unique


def test_many_pictures_are_read_by_many_threads(tmp_path):
    values = np.random.default_rng(0).integers(1, 3, (40, 9, 8))
    items = [
        Item(f"i{i}", write_mask(tmp_path / f"i{i}.png", v), write_mask(tmp_path / f"m{i}.png", v))
        for i, v in enumerate(values)
    ]
    places = sample_collection(Collection(tuple(items)), strategy="grid", n=1, workers=8).places
    np.testing.assert_array_equal(places.label, values.ravel())


def test_the_same_seed_gives_the_same_bytes(collection, tmp_path):
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        write_sample(sample_collection(collection, seed=seed), tmp_path / f"{name}.gpkg")
    one, two, three = ((tmp_path / f"{n}.gpkg").read_bytes() for n in ("one", "two", "three"))
    assert one == two != three


def test_written_points_lead_back_to_their_pixels(collection, tmp_path):
    places, scenes, facts = sample_collection(collection, strategy="grid", n=4)
    write_sample(sample_collection(collection, strategy="grid", n=4), tmp_path / "p.gpkg")
    found = locate(read_points(tmp_path / "p.gpkg", legend=LEGEND), scenes).train
    assert facts.points == len(found)
    np.testing.assert_array_equal(found.pixels(), places.pixels())
    np.testing.assert_array_equal(found.label, places.label)


def test_interior_placement_is_told_and_stored(collection, tmp_path):
    sample = sample_collection(collection, strategy="per_object", rule=DrawRule("interior"))
    assert any("oracle" in note for note in sample.facts.notes)
    write_sample(sample, tmp_path / "p.gpkg")
    frame = gpd.read_file(tmp_path / "p.gpkg")
    assert set(frame["placement"]) == {"oracle interior"}
    assert set(frame["strategy"]) == {"per_object"}


def test_other_placement_is_not_called_an_oracle(collection, tmp_path):
    sample = sample_collection(collection, strategy="per_object")
    assert sample.facts.placement == "random"
    assert not any("oracle" in note for note in sample.facts.notes)


def test_what_a_strategy_was_told_is_said(collection):
    rule = DrawRule(radius=3, cluster_size=2, jitter=1.5, noise=0.25, spread="sqrt")
    facts = sample_collection(collection, strategy="clustered", n=6, rule=rule).facts
    assert facts.placement == "clustered"
    assert facts.summary()["options"] == {
        "n": 6, "cluster_size": 2, "radius": 3, "jitter": 1.5, "noise": 0.25,
    }  # fmt: skip
    assert any(
        "(n 6, cluster_size 2, radius 3, jitter 1.5, noise 0.25)" in line for line in facts.lines()
    )
    assert any("up to 1.5 pixels" in note for note in facts.notes)
    assert any("25%" in note for note in facts.notes)
    plain = sample_collection(collection, strategy="budget", n=6).facts
    assert plain.options == {"n": 6, "spread": "equal"}
    assert not any("moved" in note or "another class" in note for note in plain.notes)


def test_points_keep_how_they_were_spoiled(collection, tmp_path):
    rule = DrawRule(jitter=1.5, noise=0.25)
    write_sample(sample_collection(collection, rule=rule), tmp_path / "p.gpkg")
    found = read_points(tmp_path / "p.gpkg", legend=LEGEND)
    assert set(found.frame["jitter"]) == {1.5}
    assert describe_origin(found) == (
        "20 of 20 points are simulated from masks: no analyst saw them",
        "20 of 20 points were moved at random by up to 1.5 pixels",
        "20 of 20 points are of a draw that gave up to 25% of them a wrong class",
    )


def test_the_origin_counts_oracle_points_among_those_of_people(collection):
    drawn = sample_to_points(
        sample_collection(collection, strategy="per_object", rule=DrawRule("interior"))
    )
    people = drawn.frame[["class_id", "geometry"]].assign(source="human")
    mixed = Points(pd.concat([drawn.frame, people], ignore_index=True), LEGEND)
    simulated, oracle = describe_origin(mixed)
    assert simulated.startswith(f"{len(drawn)} of {2 * len(drawn)} points are simulated")
    assert oracle.startswith(f"{len(drawn)} of {2 * len(drawn)} points lie at the most interior")


def test_points_of_people_need_no_word(collection):
    frame = gpd.GeoDataFrame({"class_id": [1], "source": ["human"]}, geometry=[Point(0, 0)])
    assert describe_origin(Points(frame, LEGEND)) == ()
    assert describe_origin(Points(frame.iloc[:0], LEGEND)) == ()
    measured = frame.assign(noise=0.3, jitter=2.0, placement="oracle interior")
    assert describe_origin(Points(measured, LEGEND)) == ()


def test_float_masks_with_holes_are_read(tmp_path):
    mask = np.array([[1, np.nan, 2], [2, 2, np.nan]], dtype=np.float32)
    with (
        pixel_space_allowed(),
        rasterio.open(
            tmp_path / "m.tif", "w", driver="GTiff", width=3, height=2, count=1, dtype="float32"
        ) as out,
    ):
        out.write(mask, 1)
    item = Item("a", scene_from_array(np.ones((1, 2, 3))), tmp_path / "m.tif")
    facts = sample_collection(Collection((item,)), strategy="grid", n=1).facts
    assert facts.per_class == {1: 1, 2: 3}


def test_scenes_without_a_mask_are_told(collection):
    bare = Item("c", scene_from_array(np.ones((1, 4, 4))))
    facts = sample_collection(Collection((*collection.items, bare), LEGEND)).facts
    assert any("1 scene without a mask left out" in note for note in facts.notes)
    assert facts.images == 2
    with pytest.raises(CollectionError, match="no scene has a mask"):
        sample_collection(Collection((bare,), LEGEND))


def test_without_a_legend_one_is_derived_from_the_values(collection):
    facts = sample_collection(Collection(collection.items)).facts
    assert facts.legend.ids == (1, 2, 3, 9)
    assert any("derived" in note for note in facts.notes)


def test_masks_without_an_active_class_are_refused(collection):
    other = Legend((LandClass(77, "none", "#000000"),))
    with pytest.raises(PointsError, match="no point could be drawn"):
        sample_collection(collection, legend=other)


@pytest.mark.parametrize(
    ("strategy", "rule", "said"),
    [
        ("grid", None, "the grid's step of 500 pixels meets no labelled one; lower --n"),
        ("per_object", DrawRule(min_area=9999), "no object is large enough; lower --min-area"),
    ],
)
def test_where_nothing_is_drawn_the_option_that_did_it_is_named(collection, strategy, rule, said):
    with pytest.raises(PointsError, match=said):
        sample_collection(collection, strategy=strategy, n=500, rule=rule)


def test_validity_read_by_blocks_is_that_of_the_whole(tmp_path):
    image = np.random.default_rng(0).random((2, 1100, 40)).astype(np.float32)
    image[0, image[0] < 0.3] = np.nan
    scene = scene_from_array(image)
    np.testing.assert_array_equal(read_validity(scene), scene.read().valid)


def test_no_data_given_by_hand_keeps_points_away(tmp_path):
    image = np.zeros((1, 10, 10), np.uint8)
    image[0, :, 5:] = 8
    picture = write_mask(tmp_path / "image.png", image[0])
    mask = write_mask(tmp_path / "mask.png", np.resize([1, 2], (10, 10)))
    items = (Item("image", Path(picture), mask),)
    places = sample_collection(
        Collection(items, LEGEND), strategy="grid", n=1, reading=Reading(nodata=0)
    ).places
    assert len(places) == 50
    assert places.coords[:, 1].min() == 5


def test_bands_are_not_read_where_no_data_is_ruled_out(tmp_path, monkeypatch):
    values = np.resize([1, 2], (6, 7))
    item = Item("p", write_mask(tmp_path / "p.png", values), write_mask(tmp_path / "m.png", values))
    plain, masked = (item.open(reading) for reading in (None, Reading(nodata=1)))
    assert plain.complete
    assert not masked.complete
    read = []
    monkeypatch.setattr(Scene, "read", lambda *a: read.append(a))
    assert read_validity(plain).all()
    assert not read


def test_points_simulated_from_an_array_lie_on_pixels_of_their_class():
    mask = np.kron(np.array([[1, 2], [2, 0]]), np.ones((8, 8), dtype=np.int64)).astype(np.uint8)
    points = simulate_points(mask, legend=legend_from_ids([1, 2]), n=5, seed=3)
    assert points.frame["class_id"].value_counts().to_dict() == {1: 5, 2: 5}
    rows, cols = (points.frame[axis].to_numpy().astype(int) for axis in ("row", "col"))
    assert (mask[rows, cols] == points.frame["class_id"]).all()
