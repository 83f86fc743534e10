"""A text file lists rasters, with names that are told apart."""

from pathlib import Path

import numpy as np
import pytest

from landvisor.errors import CollectionError
from landvisor.geo.collection import band_collection, open_collection, write_collection
from landvisor.geo.describe import find_kind
from landvisor.geo.scene_list import read_list

IMAGE = np.arange(24, dtype=np.uint8).reshape(1, 4, 6)


@pytest.fixture
def write(tmp_path):
    def save(text, name="scenes.txt"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return save


def test_lines_are_paths_and_addresses_and_comments_are_not(write, tmp_path):
    path = write(
        "# two rasters\n\na.tif\n  https://a.org/b.tif?sig=1#2 \n/vsis3/bucket/c.tif\n/data/d.tif\n"
    )
    assert read_list(path) == [
        ("a", tmp_path / "a.tif"),
        ("b", "https://a.org/b.tif?sig=1#2"),
        ("c", "/vsis3/bucket/c.tif"),
        ("d", Path("/data/d.tif")),
    ]
    assert find_kind(path) == "collection"


def test_names_that_occur_twice_take_their_folder_before_them(write):
    path = write("s3://b/33UVP/TCI.tif\ns3://b/33UVQ/TCI.tif\nother.tif\n")
    assert [name for name, _ in read_list(path)] == ["33UVP_TCI", "33UVQ_TCI", "other"]
    path = write("a/TCI.tif\nb/a/TCI.tif\n")
    with pytest.raises(CollectionError, match="two scenes are named 'a_TCI'"):
        open_collection(path)


@pytest.mark.parametrize(("text", "said"), [("", "names no raster"), ("# a.tif\n", "names no")])
def test_an_empty_list_is_refused(write, text, said):
    with pytest.raises(CollectionError, match=said):
        read_list(write(text))


def test_what_is_no_list_is_refused(tmp_path):
    with pytest.raises(CollectionError, match="no list at"):
        open_collection(tmp_path / "none.txt")
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(CollectionError, match="not a text in UTF-8"):
        open_collection(tmp_path / "a.txt")


def test_a_list_opens_local_and_remote_rasters(shelf, make_tif, write):
    make_tif("far/a.tif", IMAGE)
    make_tif("near/a.tif", IMAGE + 1)
    path = write(f"{shelf.address('far/a.tif?key=secret')}\nnear/a.tif\n")
    collection = open_collection(path)
    assert [scene.name for scene in collection.open_scenes()] == ["far_a", "near_a"]
    assert [int(scene.read().data[0, 0, 0]) for scene in collection.open_scenes()] == [0, 1]
    assert "secret" not in str(collection.files())


def test_a_table_names_addresses_too_and_keeps_them(shelf, make_tif, write, tmp_path):
    make_tif("a.tif", IMAGE)
    make_tif("mask.tif", IMAGE % 3)
    address, mask = shelf.address("a.tif"), shelf.address("mask.tif")
    path = write(f"image,mask\n{address},{mask}\n", "collection.csv")
    (item,) = open_collection(path).items
    assert (item.name, item.image, item.mask) == ("a", address, mask)
    assert (item.read_mask(item.open()) == IMAGE[0] % 3).all()
    (tmp_path / "sub").mkdir()
    write_collection(open_collection(path), tmp_path / "sub" / "again.csv")
    assert open_collection(tmp_path / "sub" / "again.csv").items == (item,)


def test_bands_may_lie_on_a_server(shelf, make_tif):
    make_tif("safe/B02.tif", IMAGE)
    make_tif("safe/B03.tif", IMAGE + 1)
    names = [shelf.address(f"safe/{name}.tif") for name in ("B02", "B03")]
    (scene,) = band_collection(names).open_scenes()
    assert (scene.name, scene.bands) == ("safe", ("B02", "B03"))
    assert (scene.read().data[1] == IMAGE[0] + 1).all()
