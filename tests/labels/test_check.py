import geopandas as gpd
import numpy as np
import pytest
import rasterio
from affine import Affine

from landvisor.geo.collection import Collection, Item
from landvisor.geo.legend import LandClass, Legend
from landvisor.geo.scene import scene_from_array
from landvisor.geo.styles import pixel_space_allowed
from landvisor.labels.check import check_inputs, check_units
from landvisor.labels.check_images import check_scenes
from landvisor.labels.check_points import check_classes
from landvisor.labels.looks import look_at

LEGEND = Legend((LandClass(1, "sand", "#ffee88"), LandClass(2, "sea", "#3333ff")))


def make_scene(name="a", data=None, **options):
    values = np.random.default_rng(0).integers(20, 200, (2, 30, 40)).astype(np.uint8)
    grid = {"crs": "EPSG:32633", "transform": Affine(1, 0, 0, 0, -1, 0)}
    return scene_from_array(values if data is None else data, name=name, **(grid | options))


def write_points(path, rows):
    x, y, names = zip(*rows, strict=True)
    gpd.GeoDataFrame({"class": names}, geometry=gpd.points_from_xy(x, y), crs="EPSG:32633").to_file(
        path
    )
    return path


def texts(findings, level):
    return [finding.text for finding in findings if finding.level == level]


def collect(*scenes):
    return Collection(tuple(Item(scene.name, scene) for scene in scenes))


def test_clean_inputs_have_neither_notes_nor_problems(tmp_path):
    rows = [(c + 0.5, -r - 0.5, "sea" if c < 20 else "sand")
            for r in range(2, 30, 4) for c in range(2, 40, 4)]  # fmt: skip
    checked = check_inputs(collect(make_scene()), write_points(tmp_path / "p.gpkg", rows))
    assert not texts(checked.findings, "problem") + texts(checked.findings, "note")
    assert len(checked.places) == len(rows)


def check_all(scenes):
    return check_scenes(scenes, [look_at(scene) for scene in scenes])


@pytest.mark.parametrize(
    ("other", "level", "what"),
    [
        ({"data": np.ones((3, 30, 40), np.uint8)}, "problem", "numbers of bands"),
        ({"bands": ("red", "nir")}, "note", "band names"),
        ({"data": np.ones((2, 30, 40), np.int16)}, "note", "data types"),
        ({"crs": "EPSG:32634"}, "note", "CRSs"),
    ],
)
def test_scenes_that_differ_are_told(other, level, what):
    found = check_all([make_scene(), make_scene("b", **other)])
    assert any(f"differ in {what}" in text for text in texts(found, level))


def test_dead_bands_are_told_overall_or_by_scene():
    dead = make_scene().read().data.copy()
    dead[1] = 7
    assert any(
        "tell nothing: band 2" in t for t in texts(check_all([make_scene(data=dead)]), "note")
    )
    mixed = check_all([make_scene(), make_scene("b", data=dead)])
    assert any("b (band 2)" in text for text in texts(mixed, "note"))


def test_black_collars_hint_at_nodata():
    data = make_scene().read().data.copy()
    data[:, :, :15] = 3
    assert any(
        "--nodata 0 --nodata-tolerance 6" in t
        for t in texts(check_all([make_scene(data=data)]), "note")
    )


def test_imagery_without_data_is_a_problem():
    found = check_all([make_scene(data=np.full((2, 30, 40), np.nan))])
    assert any("check the no-data value" in text for text in texts(found, "problem"))


def test_an_unreadable_scene_is_a_problem_and_the_others_are_checked(tmp_path):
    (tmp_path / "bad.tif").write_bytes(b"II*\0 no raster")
    items = (*collect(make_scene()).items, Item("bad", tmp_path / "bad.tif"))
    checked = check_inputs(Collection(items), None)
    assert any("bad.tif" in text for text in texts(checked.findings, "problem"))
    assert len(checked.scenes) == 1


def test_losses_of_points_are_notes(tmp_path):
    data = make_scene().read().data.astype(np.float32)
    data[:, :, 30:] = np.nan
    rows = [(1.5, -1.5, "sea")] * 2 + [(5.5, -5.5, "sea"), (5.6, -5.6, "sand")]
    rows += [(99, 99, "sea"), (35.5, -5.5, "sea"), (8.5, -8.5, "sand")]
    checked = check_inputs(collect(make_scene(data=data)), write_points(tmp_path / "p.gpkg", rows))
    said = "\n".join(texts(checked.findings, "note"))
    for what in ("off the imagery", "on no-data", "repeat another", "another class in the same"):
        assert what in said


@pytest.mark.parametrize(
    "rows",
    [[(9999.0, 9999.0, "sea"), (9999.0, 9998.0, "sand")], [(1.5, -1.5, "sea"), (2.5, -2.5, "sea")]],
)
def test_points_off_the_image_or_of_one_class_are_problems(tmp_path, rows):
    checked = check_inputs(collect(make_scene()), write_points(tmp_path / "p.gpkg", rows))
    assert texts(checked.findings, "problem")


def test_one_class_is_a_problem_unless_background_is_drawn():
    label = np.ones(9, dtype=np.int64)
    assert any("--background 200" in t for t in texts(check_classes(label, LEGEND), "problem"))
    assert not texts(check_classes(label, LEGEND, background=10), "problem")


def test_small_absent_and_uneven_classes_are_told():
    three = Legend((*LEGEND.classes, LandClass(3, "ice", "#ffffff")))
    said = "\n".join(texts(check_classes(np.repeat([1, 2], [90, 3]), three), "note"))
    assert "sea 3" in said
    assert "ice" in said
    assert "30 times" in said


def test_classes_in_one_spatial_unit_are_told():
    label, unit = np.array([1, 1, 2, 2]), np.array([0, 1, 2, 2])
    assert "sea" in texts(check_units(label, unit, LEGEND), "note")[0]
    assert not texts(check_units(label, np.array([0, 1, 2, 0]), LEGEND), "note")


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


def test_masks_are_problems_only_where_they_are_the_labels(tmp_path):
    mask = write_mask(tmp_path / "m.png", np.ones((5, 5)))
    points = write_points(tmp_path / "p.gpkg", [(1.5, -1.5, "sea"), (3.5, -3.5, "sand")])
    collection = Collection((Item("a", make_scene(), mask),), LEGEND)
    assert any(
        "need one band" in t for t in texts(check_inputs(collection, None).findings, "problem")
    )
    assert not texts(check_inputs(collection, points).findings, "problem")


def test_masks_that_cannot_be_read_are_not_counted(tmp_path):
    masks = [write_mask(tmp_path / f"{n}.png", np.ones(shape)) for n, shape in
             (("small", (5, 5)), ("good", (30, 40)))]  # fmt: skip
    items = [Item(mask.stem, make_scene(name=mask.stem), mask) for mask in masks]
    both = [f.text for f in check_inputs(Collection(tuple(items), LEGEND), None).findings]
    assert any(text.startswith("1 mask: ") for text in both)
    alone = [f.text for f in check_inputs(Collection((items[0],), LEGEND), None).findings]
    assert not any("of pixels" in text and "mask" in text for text in alone)


def test_mask_values_that_the_legend_lacks_are_told(tmp_path):
    mask = write_mask(tmp_path / "m.png", np.resize([1, 2, 8], (30, 40)))
    checked = check_inputs(Collection((Item("a", make_scene(), mask),), LEGEND), None)
    assert any("8 (400 pixels)" in text for text in texts(checked.findings, "note"))


def test_masks_without_a_legend_are_a_problem(tmp_path):
    mask = write_mask(tmp_path / "m.png", np.resize([1, 2], (30, 40)))
    checked = check_inputs(Collection((Item("a", make_scene(), mask),)), None)
    assert any("--legend" in text for text in texts(checked.findings, "problem"))


RING = 1 + (np.hypot(*np.mgrid[-15:15, -20:20]) < 11)


def test_identical_masks_of_different_images_are_told(tmp_path):
    scenes = [make_scene(f"{k}", np.random.default_rng(k).integers(0, 99, (2, 30, 40)), crs=None)
              for k in range(4)]  # fmt: skip
    masks = [write_mask(tmp_path / f"{k}.png", np.roll(RING, max(0, k - 1), 1)) for k in range(4)]
    items = [Item(s.name, s, mask) for s, mask in zip(scenes, masks, strict=True)]
    (said,) = texts(check_inputs(Collection(tuple(items), LEGEND), None).findings, "note")
    assert "2 images unlike others that have exactly the same mask: 0, 1;" in said
    apart = Collection((*items[1:],), LEGEND)
    assert texts(check_inputs(apart, None).findings, "note") == []


def write_image(path, data):
    with (
        pixel_space_allowed(),
        rasterio.open(
            path, "w", driver="PNG", width=data.shape[1], height=data.shape[0], count=1,
            dtype="uint8",
        ) as out,
    ):  # fmt: skip
        out.write(data.astype(np.uint8), 1)
    return path


def test_a_truncated_picture_is_a_problem(tmp_path):
    data = np.random.default_rng(0).integers(0, 255, (2, 50, 50))
    good, bad = (write_image(tmp_path / f"{k}.png", data[k]) for k in range(2))
    bad.write_bytes(bad.read_bytes()[: bad.stat().st_size // 2])
    checked = check_inputs(Collection((Item("0", good), Item("1", bad))), None)
    assert any("1.png' is truncated" in text for text in texts(checked.findings, "problem"))
    assert [scene.name for scene in checked.scenes] == ["0"]


def test_scenes_without_data_are_told_whatever_block_is_empty():
    data = np.full((1, 600, 600), np.nan)
    data[0, :100] = np.arange(600)
    blank = make_scene("blank", np.full((1, 600, 600), np.nan))
    # so many scenes that one block of each is surveyed
    scenes = [*(make_scene(f"{k}", data) for k in range(40)), blank]
    assert any("without data: blank" in text for text in texts(check_all(scenes), "note"))
    assert not any("without data: 0" in text for text in texts(check_all(scenes), "note"))


def test_images_of_other_splits_are_held_against_these_and_not_checked():
    data = np.random.default_rng(0).integers(20, 200, (2, 30, 40)).astype(np.uint8)
    collection = Collection((Item("a", make_scene("a", data), split="train"),))
    others = [Item("b", make_scene("b", data, crs=None), split="test")]
    checked = check_inputs(collection, None, held_out=others)
    assert any("a and b" in text for text in texts(checked.findings, "note"))
    assert len(checked.scenes) == 1
    assert not any("scenes differ" in finding.text for finding in checked.findings)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_tiny_collections_of_different_sizes_are_checked(count):
    shapes = [(30, 40), (7, 90), (1, 1)]
    scenes = [
        make_scene(f"{k}", np.random.default_rng(k).integers(0, 99, (1, *shapes[k])))
        for k in range(count)
    ]
    assert not texts(check_inputs(collect(*scenes), None).findings, "problem")
