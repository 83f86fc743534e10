"""Where images lie is found by their CRS or their offsets, else nobody says it."""

import csv

import numpy as np
from affine import Affine

from landvisor.geo.collection import open_collection
from landvisor.geo.handles import open_quietly
from landvisor.report.study_threats import count_touching
from landvisor.study.footprints import count_shared_groups, find_footprints

SPLITS = {"train": "train", "val": "val", "test": "test"}


def write(folder, places, *, crs=None, columns=()):
    """Write images of 10 x 20 pixels and their table; `places` are (split, group, x, y)."""
    rows = []
    for number, (split, group, x, y) in enumerate(places):
        place = {"crs": crs, "transform": Affine(1, 0, x, 0, -1, y)} if crs else {}
        path = folder / f"im{number}.tif"
        with open_quietly(path, "w", driver="GTiff", count=1, dtype="uint8", height=10, width=20,
                           **place) as file:  # fmt: skip
            file.write(np.ones((1, 10, 20), dtype=np.uint8))
        rows.append([path.name, split, group, *((x, y) if columns else ())])
    with (folder / "collection.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["image", "split", "group", *columns], *rows])
    return open_collection(folder / "collection.csv")


PLACES = [("train", "a", 0, 100), ("test", "b", 20, 100), ("test", "a", 100, 100)]


def test_georeferenced_images_lie_where_their_grid_says(tmp_path):
    found = find_footprints(write(tmp_path, PLACES, crs="EPSG:32615"), SPLITS)
    assert found["unit"] == "coordinates of EPSG:32615"
    assert found["boxes"] == [
        ["train", 0, 90, 20, 100], ["test", 20, 90, 40, 100], ["test", 100, 90, 120, 100],
    ]  # fmt: skip


def test_plain_pictures_lie_where_offsets_in_the_table_say(tmp_path):
    collection = write(tmp_path, PLACES, columns=("col_off", "row_off"))
    found = find_footprints(collection, SPLITS)
    assert found["boxes"][1] == ["test", 20, -110, 40, -100]


def test_of_images_without_either_nothing_is_said(tmp_path):
    assert find_footprints(write(tmp_path, PLACES), SPLITS) is None


def test_groups_and_images_that_splits_share_are_counted(tmp_path):
    collection = write(tmp_path, PLACES, crs="EPSG:32615")
    assert count_shared_groups(collection, SPLITS) == 1
    assert count_touching({"footprints": find_footprints(collection, SPLITS)}) == (1, 2)
    assert count_touching({}) is None
