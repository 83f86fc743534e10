"""Leaks between splits and values that differ are told; splits alike are not."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from landvisor.geo.collection import Item
from landvisor.geo.scene import scene_from_array
from landvisor.labels.check_splits import check_leaks, check_ranges, check_splits
from landvisor.labels.looks import look_at

SPLITS = ("train", "train", "val", "val", "test", "test")


def draw_image(seed, *, level=100.0, spread=10.0):
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=(1, 40, 60)), (0, 2, 2))
    return level + spread * smooth / smooth.std()


def make(images, splits=SPLITS, groups=None):
    scenes = [scene_from_array(image, name=f"i{k}") for k, image in enumerate(images)]
    groups = groups or [None] * len(scenes)
    items = [
        Item(scene.name, scene, None, split, group)
        for scene, split, group in zip(scenes, splits, groups, strict=True)
    ]
    return items, [look_at(scene) for scene in scenes]


def texts(findings):
    assert {finding.level for finding in findings} <= {"note"}
    return [finding.text for finding in findings]


def test_splits_alike_have_no_notes():
    items, looks = make([draw_image(k) for k in range(6)])
    assert texts(check_splits(items, looks, ["grey"])) == []


def test_a_copy_in_another_split_is_told_with_both_names():
    images = [draw_image(k) for k in range(6)]
    images[5] = np.random.default_rng(0).normal(0.8 * images[1] + 30, 0.3)
    (found,) = check_leaks(*make(images))
    assert "1 pair of nearly the same images in different splits" in found.text
    assert "i1 and i5" in found.text
    assert found.rows[0]["splits"] == ["train", "test"]
    assert found.rows[0]["correlation"] > 0.95


@pytest.mark.parametrize(
    ("groups", "told"), [(None, True), (["a", "b"], True), (["a", "a"], False)]
)
def test_copies_that_folds_may_part_are_told(groups, told):
    found = check_leaks(*make([draw_image(0), draw_image(0)], [None, None], groups))
    assert bool(found) == told
    assert not told or "folds may part them" in found[0].text


def test_copies_turn_up_in_any_order():
    images = [draw_image(k % 4) for k in range(6)]
    both = [check_leaks(*make(part)) for part in (images, images[::-1])]
    assert [finding.rows[0]["correlation"] for finding in both[0]] == [1.0]
    assert sum(len(f.rows) for f in both[0]) == sum(len(f.rows) for f in both[1]) == 2


def test_a_group_in_two_splits_is_told():
    items, looks = make([draw_image(k) for k in range(6)], groups=[*"abcdea"])
    assert "groups in more than one split" in texts(check_splits(items, looks, ["grey"]))[0]


def test_values_of_another_level_are_told():
    images = [draw_image(k, level=160 if k > 3 else 100) for k in range(6)]
    (text,) = texts(check_ranges(*make(images), ["grey"]))
    assert "medians that lie outside" in text
    assert "grey of test" in text


def test_values_that_spread_more_are_told():
    images = [draw_image(k, spread=30 if k in (2, 3) else 10) for k in range(6)]
    (text,) = texts(check_ranges(*make(images), ["grey"]))
    assert "vary more than twice as much" in text
    assert "(val " in text


def test_images_without_a_split_or_data_have_no_ranges():
    blank = np.full((1, 40, 60), np.nan)
    items, looks = make([draw_image(0), draw_image(1, level=500), blank], [None, None, "test"])
    assert check_splits(items, looks, ["grey"]) == []


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_images_are_compared_as_they_are(count):
    items, looks = make([draw_image(k) for k in range(count)], SPLITS[:count])
    assert check_leaks(items, looks) == []
