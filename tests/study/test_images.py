"""Images of a study: chosen, resized and imported once, and known by their content."""

import numpy as np
import pytest

from landvisor.geo.collection import open_collection
from landvisor.geo.rasters import open_scene
from landvisor.study.images import find_legend, prepare_images
from landvisor.study.spec import DataSpec


def test_images_are_chosen_evenly_and_split_by_split(collection, tmp_path):
    data = DataSpec(collection="collection.csv", subset={"train": 2, "test": 3})
    images = prepare_images(data, base=collection, home=tmp_path)
    names = [item.name for item in images.used.items]
    assert names == ["im00", "im03", "im06", "im07", "im08", "im09", "im11", "im13"]


def test_resized_images_are_means_and_masks_majorities(collection, tmp_path):
    data = DataSpec(collection="collection.csv", size=(12, 18))
    images = prepare_images(data, base=collection, home=tmp_path)
    original, used = images.original.items[4], images.used.items[4]
    before, after = original.open().read().data, used.open().read().data
    assert after.shape == (3, 12, 18)
    blocks = before.reshape(3, 12, 2, 18, 2).mean(axis=(2, 4))
    assert np.abs(after - blocks).max() <= 0.51
    mask = original.read_mask(original.open())[::2, ::2]  # patches of 6 pixels are halved exactly
    assert (used.read_mask(used.open()) == mask).all()
    assert used.split == original.split
    again = prepare_images(data, base=collection, home=tmp_path)
    assert again == images


def test_no_data_enters_no_mean(make_tif, tmp_path):
    image = np.full((1, 4, 4), 100, dtype=np.uint8)
    image[0, :2, :2] = 0
    image[0, 2:, 3] = 0
    path = make_tif("data/a.tif", image, nodata=0)
    mask = make_tif("data/m.tif", np.ones((1, 4, 4), dtype=np.uint8))
    rows = "".join(f"{path.name},{mask.name},{split}\n" for split in ("train",))
    rows += "".join(f"{make_tif(f'data/{s}.tif', image, nodata=0).name},m.tif,{s}\n" for s in
                    ("val", "test"))  # fmt: skip
    (path.parent / "collection.csv").write_text("image,mask,split\n" + rows)
    (path.parent / "legend.toml").write_text('[[class]]\nid = 1\nname = "a"\n')
    data = DataSpec(collection="data", size=(2, 2))
    images = prepare_images(data, base=tmp_path, home=tmp_path / "home")
    scene = images.used.items[0].open()
    pixels = scene.read()
    assert pixels.valid.tolist() == [[False, True], [True, True]]
    assert pixels.data[0][pixels.valid].tolist() == [100, 100, 100]
    assert scene.grid.crs == open_scene(path).grid.crs
    assert scene.grid.extent.geom.equals(open_scene(path).grid.extent.geom)


def test_content_decides_what_images_are_called(collection, tmp_path):
    data = DataSpec(collection="collection.csv")
    first = prepare_images(data, base=collection, home=tmp_path).digest
    whole = open_collection(collection)
    (tmp_path / "copy").mkdir()
    for file in collection.iterdir():
        (tmp_path / "copy" / file.name).write_bytes(file.read_bytes())
    assert prepare_images(data, base=tmp_path / "copy", home=tmp_path).digest == first
    changed = tmp_path / "copy" / f"{whole.items[0].name}.png"
    changed.write_bytes((collection / f"{whole.items[1].name}.png").read_bytes())
    assert prepare_images(data, base=tmp_path / "copy", home=tmp_path).digest != first


def test_arrays_are_imported_once(tmp_path):
    draw = np.random.default_rng(0).integers
    for name, count in (("train", 6), ("test", 2)):
        np.savez(
            tmp_path / f"{name}.npz", images=draw(0, 255, (count, 8, 8), dtype=np.uint8),
            masks=draw(0, 2, (count, 8, 8), dtype=np.uint8),
            group=np.array([f"{name}{k // 2}" for k in range(count)]),
        )  # fmt: skip
    (tmp_path / "legend.toml").write_text(
        '[[class]]\nid = 0\nname = "sky"\nignore = true\n[[class]]\nid = 1\nname = "soil"\n'
    )
    data = DataSpec(arrays=["train.npz", "test.npz"], splits=["train", "test"], val_share=0.34)
    images = prepare_images(data, base=tmp_path, home=tmp_path / "home")
    splits = [item.split for item in images.used.items]
    assert splits == ["train"] * 4 + ["val"] * 2 + ["test"] * 2
    assert images.legend.names == ("soil",)
    assert prepare_images(data, base=tmp_path, home=tmp_path / "home") == images


def test_what_detectors_find_is_scored_and_not_learned_from(collection, tmp_path):
    (tmp_path / "data").mkdir()
    for file in collection.iterdir():
        (tmp_path / "data" / file.name).write_bytes(file.read_bytes())
    one = (collection / "im01.png").read_bytes()
    (tmp_path / "data" / "im04.png").write_bytes(one)
    data = DataSpec(collection="data", clean=["duplicates"], subset={"train": 5})
    images = prepare_images(data, base=tmp_path, home=tmp_path / "home")
    assert images.left_out == ("im04",)
    assert "im04" in [item.name for item in images.used.items]
    plain = prepare_images(data.model_copy(update={"clean": ()}), base=tmp_path,
                           home=tmp_path / "home")  # fmt: skip
    assert plain.left_out == ()
    assert plain.digest == images.digest


def test_an_arm_may_learn_what_the_legend_ignores(collection, tmp_path):
    legend = prepare_images(
        DataSpec(collection="collection.csv"), base=collection, home=tmp_path
    ).legend
    assert legend.names == ("soil", "rock", "sand")
    assert find_legend(legend, ()).names == ("sky", "soil", "rock", "sand")
    assert find_legend(legend, ("rock",)).names == ("sky", "soil", "sand")
    with pytest.raises(Exception, match="'sol'; the nearest valid one is 'soil'"):
        find_legend(legend, ("sol",))
