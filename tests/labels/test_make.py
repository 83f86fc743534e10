"""Labels made from labels are whole, checked, and published or not at all."""

import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio

from landvisor.errors import OutputError, PointsError, RecipeError
from landvisor.geo.collection import Collection, Item, open_collection, write_collection
from landvisor.geo.describe import describe_path
from landvisor.geo.legend import legend_from_ids, write_legend
from landvisor.geo.places import SOURCES, make_places
from landvisor.geo.points import places_to_points, read_points, write_points
from landvisor.geo.rasters import open_scene
from landvisor.geo.styles import pixel_space_allowed, read_label_facts
from landvisor.labels.extend import Making
from landvisor.labels.growth import Grown
from landvisor.labels.label_raster import read_label_raster
from landvisor.labels.make import FACTS, drop_classes, grow_points, link_points, make_labels
from landvisor.labels.sampling import simulate_points
from landvisor.options import Options
from landvisor.recipe import GrowSpec, LinkSpec

SIDE = 40
LEGEND = legend_from_ids([1, 2], {1: "water", 2: "sand"})
POINTS = np.array([[5, 5], [5, 9], [30, 5], [33, 5], [5, 30], [8, 30], [30, 30], [30, 34]])


def draw_parcels(flip=False):
    """Two parcels, left and right, of different colour."""
    mask = np.ones((SIDE, SIDE), np.uint8)
    mask[:, SIDE // 2 :] = 2
    mask = mask[:, ::-1] if flip else mask
    noise = np.random.default_rng(0).integers(0, 4, (3, SIDE, SIDE))
    return mask, (40 + 120 * (mask == 2)[None] + noise).astype(np.uint8)


def write_png(path, data):
    _, rows, cols = data.shape
    profile = {"driver": "PNG", "dtype": "uint8", "count": len(data), "height": rows, "width": cols}
    with pixel_space_allowed(), rasterio.open(path, "w", **profile) as dataset:
        dataset.write(data)


@pytest.fixture
def two(tmp_path):
    """A collection of two scenes with masks and a legend, and points on them."""
    items = []
    for name in ("a", "b"):
        mask, image = draw_parcels(flip=name == "b")
        write_png(tmp_path / f"{name}.png", image)
        write_png(tmp_path / f"{name}_mask.png", mask[None])
        items.append(Item(name, tmp_path / f"{name}.png", tmp_path / f"{name}_mask.png"))
    collection = Collection(tuple(items), LEGEND)
    write_collection(collection, tmp_path / "collection.csv")
    write_legend(LEGEND, tmp_path / "legend.toml")
    write_points(points_on(collection), tmp_path / "points.gpkg")
    return tmp_path


def points_on(collection):
    scenes = collection.open_scenes()
    truth = [draw_parcels(flip=i == 1)[0] for i in range(2)]
    label = np.concatenate([mask[tuple(POINTS.T)] for mask in truth]).astype(np.int64)
    coords = np.concatenate([POINTS, POINTS]).astype(np.float64)
    scene = np.repeat([0, 1], len(POINTS))
    return places_to_points(make_places(coords, label, scene=scene), scenes, LEGEND)


def test_labels_grow_to_the_edge_of_their_parcel_and_purity_against_the_mask_is_whole(two):
    made = grow_points(two / "collection.csv", two / "points.gpkg")
    assert made.facts["purity"]["reference"] == "mask"
    assert made.facts["purity"]["purity"] == 1
    assert made.facts["purity"]["before"] == 16
    assert made.facts["purity"]["after"] > 200
    assert [len(pixels) for pixels in made.pixels] == [made.facts["purity"]["after"] // 2] * 2


def test_links_run_between_close_places_of_one_class(two):
    made = link_points(two / "collection.csv", two / "points.gpkg")
    assert made.facts["links"]["linked"] == 8
    assert made.facts["purity"]["after"] == 16 + 2 * (3 + 2 + 2 + 3)
    where = made.pixels[0].coords()[made.pixels[0].source == SOURCES["linked"]]
    assert {(5, 6), (5, 7), (5, 8), (31, 5), (32, 5)} <= {tuple(rc) for rc in where.tolist()}


def test_points_keep_their_class_and_source_whatever_grows(two):
    made = grow_points(two / "collection.csv", two / "points.gpkg")
    mask, _ = draw_parcels()
    found = made.pixels[0].find(POINTS)
    assert (found >= 0).all()
    assert (made.pixels[0].source[found] == SOURCES["human"]).all()
    assert (made.pixels[0].label[found] == mask[tuple(POINTS.T)]).all()


def test_sparse_masks_are_labels_where_no_points_are_given(two):
    write_png(two / "a_mask.png", sparse_mask())
    collection = Collection((Item("a", two / "a.png", two / "a_mask.png"),), LEGEND)
    made = link_points(collection, None)
    assert made.facts["purity"]["before"] == len(POINTS)
    assert made.facts["links"]["linked"] == 4
    assert made.facts["purity"]["reference"] == "held-out points"


def test_without_masks_points_held_out_measure_purity(two):
    bare = Collection((Item("a", two / "a.png"), Item("b", two / "b.png")), LEGEND)
    made = grow_points(bare, two / "points.gpkg", making=Making(holdout=0.5))
    said = made.facts["purity"]
    assert said["reference"] == "held-out points"
    assert said["reference_labels"] == 8
    assert said["checked"] > 2
    assert said["purity"] == 1
    assert said["after"] == grow_points(bare, two / "points.gpkg").facts["purity"]["after"]


def test_a_folder_holds_a_raster_per_scene_the_facts_and_the_record(two):
    made = grow_points(two / "collection.csv", two / "points.gpkg", out=two / "grown")
    assert [file.name for file in made.files] == ["a.tif", "b.tif"]
    assert sorted(f.name for f in (two / "grown").iterdir()) == [
        "a.tif", "b.tif", FACTS, "run.json",
    ]  # fmt: skip
    stored = json.loads((two / "grown" / FACTS).read_text())
    assert stored == json.loads(json.dumps(made.facts))
    facts = read_label_facts(two / "grown" / "a.tif")
    assert facts["grow"]["method"] == "region"
    assert facts["purity"]["before"] == 8
    memory = grow_points(two / "collection.csv", two / "points.gpkg")
    back = read_label_raster(two / "grown" / "b.tif", open_scene(two / "b.png"))
    assert np.array_equal(back.position, memory.pixels[1].position)
    assert np.array_equal(back.label, memory.pixels[1].label)


def test_one_scene_gives_one_file_and_several_ask_for_a_folder(two):
    made = grow_points(two / "a.png", two / "points.gpkg", out=two / "grown.tif")
    assert made.files == (two / "grown.tif",)
    assert (two / "grown.tif").is_file()
    with pytest.raises(OutputError, match="one file but there are 2 scenes"):
        grow_points(two / "collection.csv", two / "points.gpkg", out=two / "all.tif")
    with pytest.raises(OutputError, match="exists already"):
        grow_points(two / "a.png", two / "points.gpkg", out=two / "grown.tif")


def test_a_run_that_fails_leaves_nothing(two):
    def broken(block, spec):
        raise PointsError("no")

    with pytest.raises(PointsError, match="no"):
        grow_points(two / "collection.csv", two / "points.gpkg", out=two / "grown", grower=broken)
    assert not (two / "grown").exists()


def fill_everything(block, spec):
    """Give every pixel to the first point: a method that is wrong for half of them."""
    shape = block.valid.shape
    return Grown(np.zeros(shape, np.int64), np.ones(shape, np.float32))


def test_classes_that_are_not_pure_enough_lose_their_new_labels_and_keep_their_points(two):
    wrong = GrowSpec(method="region", radius=100, max_pixels=10**6)
    making = Making(min_purity=0.9)
    kept = grow_points(
        two / "collection.csv", two / "points.gpkg", spec=wrong, grower=fill_everything,
        making=making, out=two / "grown",
    )  # fmt: skip
    assert kept.facts["purity"]["purity"] < 0.9
    assert set(kept.facts["rejected"]) == {"water", "sand"}
    assert "taken back: water, sand; 16 labelled pixels are left" in kept.lines[-1]
    assert kept.facts["kept"] == 2 * len(POINTS)
    for name in "ab":
        back = read_label_raster(two / "grown" / f"{name}.tif", open_scene(two / f"{name}.png"))
        assert len(back) == len(POINTS)
        assert (back.source == SOURCES["human"]).all()
    facts = read_label_facts(two / "grown" / "a.tif")
    assert facts["rejected"] == ["water", "sand"]
    assert facts["kept"] == describe_path(two / "grown" / "a.tif")["kept"] == len(POINTS)
    in_memory = grow_points(
        two / "collection.csv", two / "points.gpkg", spec=wrong, grower=fill_everything,
        making=making,
    )  # fmt: skip
    assert [len(pixels) for pixels in in_memory.pixels] == [len(POINTS)] * 2


def test_labels_whose_purity_nothing_tells_are_not_shown_to_be_pure(two):
    bare = Collection((Item("a", two / "a.png"),), LEGEND)
    making = Making(min_purity=0.5, holdout=0)
    made = grow_points(bare, two / "points.gpkg", making=making)
    assert made.facts["purity"]["purity"] is None
    assert len(made.pixels[0]) == len(POINTS)


def test_workers_change_nothing(two):
    def make(workers):
        making = Making(workers=workers, holdout=0.3)
        bare = Collection((Item("a", two / "a.png"), Item("b", two / "b.png")), LEGEND)
        return grow_points(bare, two / "points.gpkg", making=making)

    one, many = make(1), make(3)
    assert one.facts == many.facts
    for first, second in zip(one.pixels, many.pixels, strict=True):
        assert np.array_equal(first.position, second.position)
        assert np.array_equal(first.label, second.label)


def test_a_share_outside_0_to_1_is_refused():
    with pytest.raises(PointsError, match=r"holdout 1\.5 found"):
        Making(holdout=1.5)


def test_what_there_is_nothing_to_start_from_is_said(two):
    bare = Collection((Item("a", two / "a.png"),), LEGEND)
    with pytest.raises(PointsError, match="no labels to start from"):
        link_points(bare, None)
    write_png(two / "a_mask.png", np.zeros((1, SIDE, SIDE), np.uint8))
    empty = Collection((Item("a", two / "a.png", two / "a_mask.png"),), LEGEND)
    with pytest.raises(PointsError, match="no labelled place was found"):
        link_points(empty, None)
    with pytest.raises(PointsError, match="masks need a legend"):
        link_points(replace(empty, legend=None), None)


def test_dropping_classes_keeps_points_and_other_classes(two):
    made = grow_points(two / "a.png", two / "points.gpkg")
    dropped = drop_classes(made.pixels[0], (1,))
    assert (dropped.label == 1).sum() == 4
    assert (dropped.label == 2).sum() == (made.pixels[0].label == 2).sum()


@pytest.mark.parametrize(
    ("verb", "making", "named"),
    [
        (link_points, Making(link=LinkSpec(distance=9)), "link"),
        (link_points, Making(grow=GrowSpec(method="walker")), "grow"),
        (link_points, Making(features=lambda scene: scene.read().data), "features"),
        (grow_points, Making(grow=GrowSpec(method="walker")), "grow"),
        (grow_points, Making(grower=fill_everything), "grower"),
    ],
)
def test_choices_that_would_be_ignored_are_refused(two, verb, making, named):
    with pytest.raises(RecipeError, match=f"making has '{named}', which is not used here"):
        verb(two / "collection.csv", two / "points.gpkg", making=making)


def test_a_spec_that_names_no_area_or_method_means_the_usual_one(two):
    scenes, points = two / "collection.csv", two / "points.gpkg"
    near, far = (link_points(scenes, points, spec=LinkSpec(distance=d)) for d in (3, 5))
    assert near.facts["link"]["area"] == "segment"
    assert 16 < near.facts["purity"]["after"] < far.facts["purity"]["after"]
    short, long = (grow_points(scenes, points, spec=GrowSpec(radius=r)) for r in (2, 12))
    assert short.facts["grow"]["method"] == "region"
    assert 16 < short.facts["purity"]["after"] < long.facts["purity"]["after"]


def test_links_and_growth_together_make_one_set_of_labels(two):
    scenes, points = two / "collection.csv", two / "points.gpkg"
    both = Making(link=LinkSpec(area="segment"), grow=GrowSpec(method="disc", radius=1))
    found = make_labels(scenes, points, making=both).pixels[0]
    assert {SOURCES[name] for name in ("human", "linked", "grown")} == set(found.source.tolist())


def test_options_choose_the_split(two):
    table = (two / "collection.csv").read_text().splitlines()
    rows = [line.split(",") for line in table]
    rows[1][2], rows[2][2] = "train", "test"
    (two / "collection.csv").write_text("\n".join(",".join(row) for row in rows) + "\n")
    made = grow_points(two / "collection.csv", two / "points.gpkg")
    assert made.facts["scenes"] == ["a"]
    options = Options(split="train,test")
    assert grow_points(two / "collection.csv", two / "points.gpkg", options=options).facts[
        "scenes"
    ] == ["a", "b"]


def test_the_record_hashes_images_masks_and_points(two):
    link_points(two / "collection.csv", two / "points.gpkg", out=two / "linked")
    inputs = json.loads((two / "linked" / "run.json").read_text())["inputs"]
    assert set(inputs) == {"scene a", "scene b", "mask a", "mask b", "points"}
    assert all(len(found["sha256"]) == 64 for found in inputs.values())


def write_survey(folder, names):
    rows = [f"{name},{r},{c},{names[mask[r, c]]}"
            for name, mask in (("a", draw_parcels()[0]), ("b", draw_parcels(flip=True)[0]))
            for r, c in POINTS]  # fmt: skip
    (folder / "survey.csv").write_text("\n".join(["scene,row,col,class", *rows]))
    return folder / "survey.csv"


def test_text_classes_are_not_held_against_masks_that_no_legend_explains(two):
    survey = write_survey(two, {1: "water", 2: "sand"})  # sand would become 1, water 2
    images = Collection(open_collection(two / "collection.csv").items)
    for points in (survey, read_points(survey)):
        with pytest.raises(
            PointsError, match=r"'sand' is 1, 'water' is 2 by the alphabet.*--legen"
        ):
            grow_points(images, points)
    told = grow_points(images, survey, options=Options(legend=two / "legend.toml"))
    assert told.facts["purity"]["purity"] == 1
    bare = Collection(tuple(replace(item, mask=None) for item in images.items))
    assert grow_points(bare, survey).facts["purity"]["reference"] == "held-out points"


def test_one_scene_without_a_mask_is_told_to_change_what_purity_is_held_against(two):
    items = open_collection(two / "collection.csv").items
    some = Collection((items[0], replace(items[1], mask=None)), LEGEND)
    made = grow_points(some, two / "points.gpkg")
    assert made.facts["purity"]["reference"] == "held-out points"
    assert any("1 scene of 2 without a mask: purity" in line for line in made.lines)
    write_png(two / "a_mask.png", sparse_mask())
    made = link_points(some, None)
    assert "labels are those of 1 mask; 1 scene without a mask left out" in made.lines[0]


def sparse_mask(**others):
    """Draw the points alone, and further values at `{"value_7": (row, col)}`."""
    sparse = np.zeros((1, SIDE, SIDE), np.uint8)
    sparse[0][tuple(POINTS.T)] = draw_parcels()[0][tuple(POINTS.T)]
    for name, where in others.items():
        sparse[0][where] = int(name.removeprefix("value_"))
    return sparse


@pytest.mark.parametrize("given", [True, False])
def test_mask_values_that_the_legend_lacks_are_said_everywhere(two, given):
    write_png(two / "a_mask.png", sparse_mask(value_7=(20, 20), value_9=(0, slice(3))))
    items = open_collection(two / "collection.csv").items[:1]
    points = two / "points.gpkg" if given else None
    made = link_points(Collection(items, LEGEND), points, out=two / "linked.tif")
    note = "legend lacks count as unlabelled: 0 (1,588 pixels), 7 (1 pixel"
    assert any(note in line for line in made.lines)
    assert any(note in said for said in made.facts["notes"])
    assert any(note in said for said in read_label_facts(two / "linked.tif")["notes"])


def test_masks_that_label_most_of_their_scene_are_no_labels_to_start_from(two):
    with pytest.raises(PointsError, match=r"mask of scene '[ab]' labels 100 % of its pixels"):
        link_points(two / "collection.csv", None)


def test_purity_is_that_of_new_labels_alone(two):
    """Points that fill a square leave nothing to link, but those held out would be linked."""
    coords = np.argwhere(np.ones((6, 6))).astype(np.float64)
    scene = open_collection(two / "a.png").open_scenes()
    points = places_to_points(make_places(coords, np.ones(36, np.int64)), scene, LEGEND)
    made = link_points(two / "a.png", points, making=Making(holdout=0.3))
    assert made.facts["purity"]["after"] == made.facts["purity"]["before"] == 36
    assert made.facts["purity"]["checked"] == 0
    assert made.lines[-1] == "purity: nothing new to check"


def test_features_of_a_scene_are_asked_for_once(two):
    asked = []

    def features(scene):
        asked.append(scene.name)
        return scene.read().data / np.float32(50)

    bare = Collection((Item("a", two / "a.png"), Item("b", two / "b.png")), LEGEND)
    made = grow_points(bare, two / "points.gpkg", making=Making(features=features, holdout=0.5))
    assert made.facts["purity"]["checked"] > 0
    assert made.facts["grow"]["features"] == "given"
    assert sorted(asked) == ["a", "b"]


def test_labels_are_not_written_under_the_name_of_another_format(two):
    for name in ("grown.gpkg", "grown.png"):
        with pytest.raises(OutputError, match="labels are GeoTIFFs"):
            grow_points(two / "collection.csv", two / "points.gpkg", out=two / name)
        assert not (two / name).exists()


@pytest.mark.parametrize("as_files", [False, True])
def test_points_simulated_from_one_mask_fit_its_image_whatever_both_are_called(two, as_files):
    mask, image = draw_parcels()
    points = simulate_points(two / "a_mask.png" if as_files else mask, legend=LEGEND, n=20)
    made = grow_points(two / "a.png" if as_files else image, points)
    assert made.facts["purity"]["before"] == 40
    assert made.facts["purity"]["after"] > 200
    with pytest.raises(PointsError, match="not each names its scene"):
        grow_points(two / "collection.csv", points)
