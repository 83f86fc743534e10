from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio

from landvisor.errors import CollectionError, PointsError
from landvisor.geo.collection import Collection, Item
from landvisor.geo.legend import LandClass, Legend, legend_from_ids
from landvisor.geo.locate import locate
from landvisor.geo.points import read_points
from landvisor.geo.rasters import Reading
from landvisor.geo.scene import scene_from_array
from landvisor.geo.styles import pixel_space_allowed
from landvisor.labels.sampling import (
    read_validity,
    sample_collection,
    simulate_points,
    write_sample,
)
from landvisor.labels.simulate import ObjectRule

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


@pytest.mark.parametrize("strategy", ["random", "per_class", "per_object", "grid"])
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
    sample = sample_collection(collection, strategy="per_object", objects=ObjectRule("interior"))
    assert any("oracle" in note for note in sample.facts.notes)
    write_sample(sample, tmp_path / "p.gpkg")
    frame = gpd.read_file(tmp_path / "p.gpkg")
    assert set(frame["placement"]) == {"oracle interior"}
    assert set(frame["strategy"]) == {"per_object"}


def test_other_placement_is_not_called_an_oracle(collection, tmp_path):
    sample = sample_collection(collection, strategy="per_object")
    assert sample.facts.placement == "random"
    assert not any("oracle" in note for note in sample.facts.notes)


def test_scenes_without_a_mask_are_told(collection):
    bare = Item("c", scene_from_array(np.ones((1, 4, 4))))
    facts = sample_collection(Collection((*collection.items, bare), LEGEND)).facts
    assert any("1 scenes have no mask" in note for note in facts.notes)
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


def test_points_simulated_from_an_array_lie_on_pixels_of_their_class():
    mask = np.kron(np.array([[1, 2], [2, 0]]), np.ones((8, 8), dtype=np.int64)).astype(np.uint8)
    points = simulate_points(mask, legend=legend_from_ids([1, 2]), n=5, seed=3)
    assert points.frame["class_id"].value_counts().to_dict() == {1: 5, 2: 5}
    rows, cols = (points.frame[axis].to_numpy().astype(int) for axis in ("row", "col"))
    assert (mask[rows, cols] == points.frame["class_id"]).all()
