"""A collection is an ordered set of scenes that fit together, however it is named."""

from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from landvisor.errors import CollectionError, LegendError, SceneError
from landvisor.geo.collection import (
    Collection,
    Item,
    as_collection,
    band_collection,
    open_collection,
    write_collection,
)
from landvisor.geo.scene import scene_from_array

IMAGE = np.arange(60, dtype=np.uint8).reshape(1, 6, 10)


@pytest.fixture
def folder(make_tif, tmp_path):
    for name in "bca":
        make_tif(f"{name}.tif", IMAGE)
        make_tif(f"masks/{name}.tif", IMAGE % 3)
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "collection.csv"
    path.write_text(text, encoding="utf-8")
    return path


TABLE = "image,mask,split,group\nb.tif,masks/b.tif,train,x\na.tif,,test,\nc.tif,masks/c.tif,val,x\n"


def names(collection):
    return [item.name for item in collection.items]


def test_a_table_gives_scenes_in_its_order(folder):
    for source in (write(folder, TABLE), folder, str(folder)):
        collection = open_collection(source)
        assert names(collection) == ["b", "a", "c"]
        assert [item.split for item in collection.items] == ["train", "test", "val"]
        assert [item.mask and item.mask.name for item in collection.items] == [
            "b.tif", None, "c.tif",
        ]  # fmt: skip
        assert collection.groups() == ["x", "scene a", "x"]
        assert len(collection.open_scenes()) == 3


def test_a_table_needs_only_images(folder):
    collection = open_collection(write(folder, "image\na.tif\n"))
    assert (collection.items[0].mask, collection.items[0].split) == (None, None)


def test_a_folder_a_glob_a_list_and_one_file_are_collections(folder):
    assert names(open_collection(folder)) == ["a", "b", "c"]
    assert names(open_collection(str(folder / "[ab].tif"))) == ["a", "b"]
    assert names(open_collection([folder / "c.tif", str(folder / "a.tif")])) == ["c", "a"]
    assert names(open_collection(folder / "b.tif")) == ["b"]


def test_a_name_with_brackets_is_a_file_before_it_is_a_pattern(make_tif):
    assert names(open_collection(str(make_tif("x[1].tif", IMAGE)))) == ["x[1]"]


def test_arrays_scenes_and_collections_are_taken_as_they_are():
    scene = scene_from_array(IMAGE, name="s")
    collection = as_collection(scene)
    assert as_collection(collection) is collection
    assert collection.open_scenes() == (scene,)
    assert names(as_collection(IMAGE)) == ["array"]


def test_band_files_are_one_scene(make_tif):
    files = [make_tif("safe/B02.tif", IMAGE), make_tif("safe/B03.tif", IMAGE)]
    (scene,) = band_collection(files).open_scenes()
    assert (scene.name, scene.bands) == ("safe", ("B02", "B03"))


def test_a_legend_beside_the_images_is_found(folder):
    assert open_collection(folder).legend is None
    (folder / "legend.toml").write_text('[[class]]\nid = 1\nname = "sand"\n')
    for source in (folder, folder / "a.tif", str(folder / "*.tif"), [folder / "a.tif"]):
        assert open_collection(source).legend.names == ("sand",)
    assert open_collection(write(folder, TABLE)).legend.names == ("sand",)
    (folder / "legend.toml").write_text("nothing = 1\n")
    with pytest.raises(LegendError):
        open_collection(folder)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("none/collection.csv", "no collection at"),
        ("*.xyz", "no file matches"),
        ("empty", "holds no image"),
    ],
)
def test_nothing_to_open_is_an_error(tmp_path, source, said):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CollectionError, match=said):
        open_collection(str(tmp_path / source))


def test_no_images_at_all_are_an_error():
    with pytest.raises(CollectionError, match="no image was given"):
        open_collection([])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "needs a column 'image' and at least one row"),
        ("image,mask\n", "needs a column 'image'"),
        ("picture\na.tif\n", "needs a column 'image'"),
        ("image,mask\n,b.tif\n", "names no image"),
        ("image\na.tif\nsub/a.tif\n", "two scenes are named 'a'"),
        ("image\na.tif\0\n", "CSV table|no such|two scenes"),
    ],
)
def test_a_bad_table_is_refused_in_one_line(tmp_path, text, said):
    path = write(tmp_path, text)
    with pytest.raises((CollectionError, SceneError), match=said) as caught:
        open_collection(path).open_scenes()
    assert "\n" not in str(caught.value)


def test_a_table_in_another_encoding_is_refused(tmp_path):
    path = tmp_path / "collection.csv"
    path.write_bytes("image\nbäume.tif\n".encode("latin-1"))
    with pytest.raises(CollectionError, match="not a CSV table in UTF-8"):
        open_collection(path)


def test_an_image_that_is_missing_is_named_when_opened(tmp_path):
    with pytest.raises(SceneError, match=r"no such file: .*gone.tif"):
        open_collection(write(tmp_path, "image\ngone.tif\n")).open_scenes()


def test_splits_are_selected_one_or_several(folder):
    collection = open_collection(write(folder, TABLE))
    assert collection.select(None) is collection
    assert names(collection.select("val")) == ["c"]
    assert names(collection.select("test, train")) == ["b", "a"]


@pytest.mark.parametrize("split", ["trian", "train,vall"])
def test_a_split_that_no_scene_has_is_an_error_with_the_known_ones(folder, split):
    with pytest.raises(CollectionError, match=f"{split[-4:]}'; the splits are test, train, val"):
        open_collection(write(folder, TABLE)).select(split)


def test_scenes_for_testing_are_not_learned_from_unless_named(folder):
    collection = open_collection(write(folder, TABLE))
    assert names(collection.for_learning(None, None)) == ["b", "c"]
    assert names(collection.for_learning(None, "val")) == ["b", "c"]
    assert names(collection.for_learning("train", None)) == ["b"]
    assert names(collection.for_learning("train", "val")) == ["b", "c"]
    assert names(collection.for_learning("test", None)) == ["a"]
    with pytest.raises(CollectionError, match="no scene has split 'trian'"):
        collection.for_learning("trian", "val")
    with pytest.raises(CollectionError, match="never learned from unless named"):
        collection.select("test").for_learning(None, None)


def test_a_mask_is_read_with_its_no_data_unlabelled(make_tif):
    scene = scene_from_array(IMAGE)
    classes = (IMAGE % 3).astype(np.float32)
    classes[0, 0, 0] = np.nan
    for name, mask in (("a.tif", classes), ("b.tif", np.nan_to_num(classes, nan=9).astype("u1"))):
        path = make_tif(name, mask, nodata=9 if name == "b.tif" else None)
        found = Item("s", scene, path).read_mask(scene)
        assert found.dtype == np.int64
        assert found[0, 0] == -1
        assert (found.ravel()[1:] == (IMAGE % 3).ravel()[1:]).all()


@pytest.mark.parametrize(
    ("mask", "options", "said"),
    [
        (IMAGE[:, :5], {}, r"has 1 band of \(5, 10\); need one band of \(6, 10\)"),
        (np.concatenate([IMAGE, IMAGE]), {}, "has 2 bands"),
        (IMAGE, {"transform": Affine(10, 0, 5e5, 0, -10, 6e6)}, "lies elsewhere than scene 'a'"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(make_tif, mask, options, said):
    item = Item("a", make_tif("a.tif", IMAGE), make_tif("mask.tif", mask, **options))
    with pytest.raises(CollectionError, match=said):
        item.read_mask(item.open())


def test_a_scene_without_a_mask_is_named(make_tif):
    item = Item("a", make_tif("a.tif", IMAGE))
    with pytest.raises(CollectionError, match="scene 'a' has no mask"):
        item.read_mask(item.open())


def test_scenes_with_other_bands_are_refused(make_tif):
    paths = [make_tif("a.tif", IMAGE), make_tif("b.tif", np.concatenate([IMAGE, IMAGE]))]
    with pytest.raises(CollectionError, match="scene 'b' has 2 bands and 'a' has 1"):
        open_collection(paths).open_scenes()


def test_a_written_table_reads_back_wherever_it_lies(folder, tmp_path, monkeypatch):
    first = open_collection(write(folder, TABLE))
    monkeypatch.chdir(folder)
    relative = Collection((Item("a", Path("a.tif"), Path("masks/a.tif"), "val", "g"),))
    (folder / "other").mkdir()
    for number, collection in enumerate((first, relative)):
        for place in (folder, folder / "other"):
            path = place / f"again{number}.csv"
            write_collection(collection, path)
            back = open_collection(path)
            assert [(i.split, i.group) for i in back.items] == [
                (i.split, i.group) for i in collection.items
            ]
            for old, new in zip(collection.items, back.items, strict=True):
                assert new.image.samefile(old.image)
                assert old.mask is None or new.mask.samefile(old.mask)
    assert "a.tif,masks/a.tif" in (folder / "again1.csv").read_text()


def test_a_scene_in_memory_has_no_row_in_a_table(tmp_path):
    with pytest.raises(CollectionError, match="has no row in a table"):
        write_collection(as_collection(IMAGE), tmp_path / "collection.csv")
