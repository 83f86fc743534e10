import numpy as np
import pytest
import rasterio

from landvisor.errors import CollectionError, OutputError
from landvisor.geo.collection import Item, open_collection
from landvisor.geo.importing import Splitting, hold_out_groups, import_collection
from landvisor.geo.styles import pixel_space_allowed


def write_picture(path, data):
    path.parent.mkdir(exist_ok=True, parents=True)
    bands, rows, cols = data.shape
    with (
        pixel_space_allowed(),
        rasterio.open(
            path, "w", driver="PNG", width=cols, height=rows, count=bands, dtype="uint8"
        ) as out,
    ):
        out.write(data)
    return path


def make_folders(root, names, *, mask_names=None, values=(1, 2)):
    mask = np.resize(np.asarray(values, dtype=np.uint8), (1, 4, 6))
    for name in names:
        write_picture(root / "images" / f"{name}.png", np.full((3, 4, 6), 9, np.uint8))
    for name in mask_names or names:
        write_picture(root / "masks" / f"{name}.png", mask)
    return root / "images", root / "masks"


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_folders_are_paired_by_stem_without_copying(tmp_path):
    images, masks = make_folders(tmp_path / "data", ["a", "b"])
    made = import_collection([images], tmp_path / "out", masks=[masks])
    assert [(i.name, i.image, i.mask) for i in made.collection.items] == [
        ("a", images / "a.png", masks / "a.png"),
        ("b", images / "b.png", masks / "b.png"),
    ]
    assert sorted(f.name for f in (tmp_path / "out").iterdir()) == [
        "collection.csv", "legend.toml", "run.json",
    ]  # fmt: skip


def test_relative_sources_are_found_again(tmp_path, monkeypatch):
    make_folders(tmp_path, ["a"])
    monkeypatch.chdir(tmp_path)
    made = import_collection(["images"], "out", masks=["masks"])
    assert made.collection.items[0].open().shape == (4, 6)


def test_files_without_partner_are_told_and_images_stay(tmp_path):
    images, masks = make_folders(tmp_path, ["a", "b"], mask_names=["b", "c"])
    made = import_collection([images], tmp_path / "out", masks=[masks])
    assert [i.mask is None for i in made.collection.items] == [True, False]
    assert "1 image without a mask, unlabelled: a.png" in made.notes
    assert "1 mask without an image, left out: c.png" in made.notes


def test_affixes_are_left_out_where_no_stem_is_equal(tmp_path):
    images, masks = make_folders(tmp_path, ["7_sat"], mask_names=["7_mask"])
    made = import_collection([images], tmp_path / "out", masks=[masks])
    assert made.collection.items[0].mask == masks / "7_mask.png"
    assert any("without words" in note for note in made.notes)


def test_names_that_do_not_match_at_all_are_refused(tmp_path):
    images, masks = make_folders(tmp_path, ["a"], mask_names=["z"])
    with pytest.raises(CollectionError, match="no mask has the name of an image"):
        import_collection([images], tmp_path / "out", masks=[masks])
    assert not (tmp_path / "out").exists()


def test_a_mask_of_another_size_leaves_nothing_behind(tmp_path):
    images, masks = make_folders(tmp_path, ["a"])
    write_picture(masks / "a.png", np.ones((1, 5, 5), np.uint8))
    with pytest.raises(CollectionError, match="need one band"):
        import_collection([images], tmp_path / "out", masks=[masks])
    assert not (tmp_path / "out").exists()


def test_a_legend_beside_the_masks_is_copied_and_unknown_values_are_counted(tmp_path):
    images, masks = make_folders(tmp_path, ["a"], values=(1, 2, 7))
    (tmp_path / "legend.toml").write_text(
        '[[class]]\nid = 1\nname = "sand"\n[[class]]\nid = 2\nname = "sea"\n'
    )
    made = import_collection([images], tmp_path / "out", masks=[masks])
    assert made.collection.legend.names == ("sand", "sea")
    assert any("7 (8 pixels)" in note for note in made.notes)


def test_a_legend_is_derived_from_mask_values_below_255(tmp_path):
    images, masks = make_folders(tmp_path, ["a"], values=(0, 3, 255))
    made = import_collection([images], tmp_path / "out", masks=[masks])
    assert made.collection.legend.ids == (0, 3)
    assert made.pixels == {0: 8, 3: 8, 255: 8}


def test_masks_of_0_and_255_are_refused_with_a_way_out(tmp_path):
    images, masks = make_folders(tmp_path, ["a"], values=(0, 255))
    with pytest.raises(CollectionError, match="write the masks with other ids"):
        import_collection([images], tmp_path / "out", masks=[masks])


@pytest.mark.parametrize("pattern", ["", "*.png"])
def test_an_output_around_its_sources_is_refused(tmp_path, pattern):
    images, masks = make_folders(tmp_path / "out", ["a"])
    (tmp_path / "out" / "run.json").write_text("{}")
    for out in (tmp_path / "out", images):
        with pytest.raises(OutputError, match="is or holds the input"):
            import_collection([images / pattern], out, masks=[masks], overwrite=True)
    assert (images / "a.png").exists()


def test_an_output_around_its_legend_is_refused(tmp_path):
    images, masks = make_folders(tmp_path, ["a"])
    legend = tmp_path / "old" / "legend.toml"
    legend.parent.mkdir()
    (legend.parent / "run.json").write_text("{}")
    legend.write_text('[[class]]\nid = 1\nname = "a"\ncolor = "#aabbcc"\n')
    with pytest.raises(OutputError, match="is or holds the input"):
        import_collection([images], legend.parent, masks=[masks], legend=legend, overwrite=True)
    assert legend.exists()


def test_training_and_test_arrays_become_pictures_with_split_and_group(tmp_path):
    pairs = np.stack([np.full((3, 4, 5), 200), np.resize([1, 2], (3, 4, 5))], axis=1)
    first = save(tmp_path / "one.npz", training_set=pairs.astype(np.uint8),
                 group=np.array(["x", "x", "y"]))  # fmt: skip
    second = save(tmp_path / "two.npz", test_set=np.zeros((2, 4, 5), np.uint8))
    made = import_collection([first, second], tmp_path / "out")
    found = [(i.name, i.split, i.group, i.mask is not None) for i in made.collection.items]
    assert found == [
        ("one_0000", "train", "x", True),
        ("one_0001", "train", "x", True),
        ("one_0002", "train", "y", True),
        ("two_0000", "test", None, False),
        ("two_0001", "test", None, False),
    ]
    item = made.collection.items[0]
    assert item.image.suffix == ".png"
    np.testing.assert_array_equal(item.open().read().data, pairs[0, :1])
    np.testing.assert_array_equal(item.read_mask(item.open()), pairs[0, 1])


@pytest.mark.parametrize("last", [True, False])
def test_band_axes_are_found_by_the_shape_of_the_masks(tmp_path, last):
    images = np.arange(2 * 4 * 3 * 5, dtype=np.float32).reshape(2, 4, 3, 5)
    given = np.moveaxis(images, 1, -1) if last else images
    source = save(tmp_path / "a.npz", images=given, masks=np.resize([1, 2], (2, 3, 5)))
    made = import_collection([source], tmp_path / "out")
    scene = made.collection.items[1].open()
    assert scene.path.suffix == ".tif"
    assert scene.dtype == np.float32
    np.testing.assert_array_equal(scene.read().data, images[1])


def test_four_byte_bands_are_not_taken_for_alpha(tmp_path):
    images = np.zeros((1, 4, 3, 5), np.uint8)
    source = save(tmp_path / "a.npz", images=images, masks=np.resize([1, 2], (1, 3, 5)))
    scene = import_collection([source], tmp_path / "out").collection.items[0].open()
    assert len(scene.bands) == 4
    assert scene.read().valid.all()


def test_pickled_objects_are_refused_in_one_line(tmp_path):
    objects = np.array([{"a": 1}, None], dtype=object)
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "b.npz", images=objects)
    (tmp_path / "c.npz").write_bytes(b"PK no zip")
    for name in ("a.npy", "b.npz", "c.npz"):
        with pytest.raises(CollectionError, match="pickled objects") as caught:
            import_collection([tmp_path / name], tmp_path / "out")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ({"training_set": np.zeros((2, 3, 4, 4))}, "image and mask"),
        ({"images": np.zeros((2, 4, 4)), "masks": np.full((2, 4, 4), 0.5)}, "whole class ids"),
        ({"images": np.zeros((2, 4, 4)), "masks": np.full((2, 4, 4), 300)}, "255 is unlabelled"),
        ({"images": np.zeros((2, 4, 4)), "masks": np.ones((2, 4, 5), int)}, "its masks have"),
        ({"images": np.zeros((2, 4, 4)), "group": np.arange(3)}, "one group per image"),
        ({"pictures": np.zeros((2, 4, 4))}, "need training_set or images"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, arrays, what):
    with pytest.raises(CollectionError, match=what):
        import_collection([save(tmp_path / "a.npz", **arrays)], tmp_path / "out")


def test_validation_takes_whole_groups_of_the_training_split_only():
    items = [
        Item(f"{k}", "x", None, "train" if k < 20 else "test", f"g{k // 2}") for k in range(30)
    ]
    split = hold_out_groups(items, share=0.2, seed=3)
    by_group = {}
    for item in split:
        by_group.setdefault(item.group, set()).add(item.split)
    assert all(len(found) == 1 for found in by_group.values())
    assert [i.split for i in split].count("val") == 4
    assert all(i.split == "test" for i in split[20:])
    assert split == hold_out_groups(items, share=0.2, seed=3)


def test_one_group_alone_cannot_be_held_out():
    with pytest.raises(CollectionError, match="--val-share"):
        hold_out_groups([Item("a", "x", None, "train", "g")], share=0.2, seed=0)


def test_groups_across_splits_are_told(tmp_path):
    files = [
        save(tmp_path / f"{n}.npz", images=np.zeros((1, 4, 4), np.uint8),
             masks=np.resize([1, 2], (1, 4, 4)), group=np.array(["g"]))
        for n in "ab"
    ]  # fmt: skip
    made = import_collection(files, tmp_path / "out", splitting=Splitting(("train", "test")))
    assert any("more than one split" in note for note in made.notes)


def test_an_imported_collection_may_be_moved(tmp_path):
    source = save(tmp_path / "a.npz", training_set=np.resize([1, 2], (2, 2, 4, 5)))
    import_collection([source], tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "moved")
    assert open_collection(tmp_path / "moved").items[0].open().shape == (4, 5)
