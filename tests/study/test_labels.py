"""Points of a study: drawn on the original masks, and carried."""

import numpy as np
import pytest

from landvisor.geo.collection import Collection
from landvisor.labels.sampling import sample_collection, sample_to_points
from landvisor.study.images import prepare_images
from landvisor.study.labels import draw_points
from landvisor.study.spec import DataSpec, PointsSpec


@pytest.fixture
def images(collection, tmp_path):
    return prepare_images(DataSpec(collection="collection.csv"), base=collection, home=tmp_path)


def draw(images, points, splits=("train", "val"), seed=3):
    return draw_points(images, splits, points=points, legend=images.legend, seed=seed).frame


@pytest.mark.parametrize("strategy", ["random", "per_class", "clustered", "grid", "budget"])
def test_points_are_those_of_sample(images, strategy):
    found = draw(images, PointsSpec(strategy=strategy, n=5))
    learned = Collection(images.original.items[:9], images.legend)
    sample = sample_collection(learned, strategy=strategy, n=5, seed=3)
    expected = sample_to_points(sample).frame
    assert found[["scene", "row", "col", "class_id"]].equals(
        expected[["scene", "row", "col", "class_id"]]
    )


def test_points_are_carried_through_a_resize(images, collection, tmp_path):
    data = DataSpec(collection="collection.csv", size=(12, 18))
    small = prepare_images(data, base=collection, home=tmp_path)
    before, after = draw(images, PointsSpec()), draw(small, PointsSpec())
    assert np.allclose(after["row"], (before["row"] + 0.5) / 2 - 0.5)
    assert np.allclose(after["col"], (before["col"] + 0.5) / 2 - 0.5)


def test_n_of_a_split_is_of_all_its_images(images):
    found = draw(images, PointsSpec(per="split", n=40))
    split = {item.name: item.split for item in images.used.items}
    counts = found.groupby([found["scene"].map(split), "class_name"]).size()
    assert counts["train"].to_dict() == {"soil": 40, "rock": 40, "sand": 40}
    assert counts["val"].to_dict() == {"soil": 20, "rock": 20, "sand": 20}  # 3 images, not 6
    for row in found.itertuples():
        item = next(i for i in images.original.items if i.name == row.scene)
        assert item.read_mask(item.open())[int(row.row), int(row.col)] == row.class_id
    assert not found.duplicated(["scene", "row", "col"]).any()


def test_every_pixel_of_a_class_is_as_likely_to_be_drawn(images):
    """Images get points in proportion to their pixels of the class."""
    item = images.original.items[:6]
    pixels = np.array([np.sum(i.read_mask(i.open()) == 2) for i in item])
    drawn = np.zeros(6)
    for seed in range(60):
        found = draw(images, PointsSpec(per="split", n=50), splits=("train",), seed=seed)
        rock = found[found["class_id"] == 2]
        drawn += [(rock["scene"] == i.name).sum() for i in item]
    expected = 60 * 50 * pixels / pixels.sum()
    assert np.abs(drawn - expected).max() < 5 * np.sqrt(expected.max())


def test_a_class_with_few_pixels_gives_all_of_them(images):
    found = draw(images, PointsSpec(per="split", n=10**6), splits=("train",))
    labelled = sum(np.sum(i.read_mask(i.open()) > 0) for i in images.original.items[:6])
    assert len(found) == labelled


def test_images_that_are_left_out_get_no_point(images):
    from dataclasses import replace

    found = draw(replace(images, left_out=("im00", "im07")), PointsSpec())
    assert not set(found["scene"]) & {"im00", "im07"}
    assert len(set(found["scene"])) == 7
