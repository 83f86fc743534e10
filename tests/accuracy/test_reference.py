"""A finished map is held against masks or points, whatever a user names."""

import numpy as np
import pytest
from affine import Affine

from landvisor.accuracy.reference import find_maps, hold_against, map_legend
from landvisor.errors import AssessmentError, CollectionError, LandvisorError, PointsError
from landvisor.geo.collection import open_collection
from landvisor.geo.legend import legend_from_names
from landvisor.geo.points import read_points
from landvisor.geo.scene import scene_from_array
from landvisor.options import Options

LEGEND = legend_from_names(["grass", "sand"])
MAP = np.resize([1, 1, 1, 2], (20, 30)).astype(np.uint8)
MASK = np.resize([1, 1, 2, 2], (20, 30)).astype(np.uint8)
PIXELS = [[1, 0], [2, 1], [15, 20], [18, 28]]


@pytest.fixture
def make_map(tmp_path, write_prediction):
    def make(folder="result", *, stem="map", classes=MAP, valid=None, crs="EPSG:32633"):
        transform = Affine(10, 0, 500_000, 0, -10, 5_000_000) if crs else None
        grid = scene_from_array(classes, crs=crs, transform=transform).grid
        (tmp_path / folder).mkdir(exist_ok=True)
        shares = np.stack([classes == 1, classes == 2]).astype(np.float32)
        write_prediction(
            tmp_path / folder, grid, legend=LEGEND, stem=stem, probabilities=shares, valid=valid
        )
        return tmp_path / folder

    return make


def rate(found):
    counts = np.array(found.to_dict()["counts"])
    return np.trace(counts) / (counts.sum() + np.sum(found.to_dict()["unmapped"]))


def test_a_mask_raster_is_a_reference(make_map, make_tif):
    mask = make_tif("mask.tif", MASK)
    for maps in (make_map(), make_map() / "map.tif"):
        found = hold_against(maps, str(mask), options=Options())
        assert rate(found) == (MAP == MASK).mean()
        assert np.sum(found.to_dict()["counts"]) == MAP.size


def test_unlabelled_pixels_of_the_mask_do_not_count(make_map, make_tif):
    mask = MASK.copy()
    mask[:10], mask[10] = 0, 77
    found = hold_against(make_map(), make_tif("mask.tif", mask, nodata=0), options=Options())
    assert np.sum(found.to_dict()["counts"]) == 9 * 30


def test_pixels_without_a_map_count_as_unmapped(make_map, make_tif):
    valid = np.ones(MAP.shape, bool)
    valid[:4] = False
    found = hold_against(make_map(valid=valid), make_tif("mask.tif", MASK), options=Options())
    assert np.sum(found.to_dict()["unmapped"]) == 4 * 30


@pytest.fixture
def collection(make_tif, tmp_path):
    for name in ("west", "east", "north"):
        make_tif(f"data/{name}.tif", MASK)
        make_tif(f"data/masks/{name}.tif", MASK)
    lines = ["image,mask,split", "west.tif,masks/west.tif,test", "east.tif,masks/east.tif,test"]
    path = tmp_path / "data" / "collection.csv"
    path.write_text("\n".join([*lines, "north.tif,masks/north.tif,train"]))
    return path


def test_maps_meet_the_masks_of_the_scenes_they_are_named_after(make_map, collection):
    make_map("maps", stem="west", classes=MASK)
    maps = make_map("maps", stem="east", classes=np.where(MASK == 1, 2, 1).astype(np.uint8))
    for reference in (collection, str(collection), open_collection(collection)):
        found = hold_against(maps, reference, options=Options(split="test"))
        assert rate(found) == 0.5
        assert np.sum(found.to_dict()["counts"]) == 2 * MASK.size


def test_a_scene_without_a_map_is_named(make_map, collection):
    make_map("maps", stem="west")
    maps = make_map("maps", stem="east")
    with pytest.raises(AssessmentError, match="scene 'north' has no map among 2; predict it"):
        hold_against(maps, collection, options=Options())


def test_a_mask_of_another_size_is_refused(make_map, make_tif):
    with pytest.raises(CollectionError, match=r"need one band of \(20, 30\)"):
        hold_against(make_map(), make_tif("mask.tif", MASK[:5]), options=Options())


@pytest.mark.parametrize("name", ["p.gpkg", "p.geojson", "p.parquet"])
def test_points_are_a_reference(make_map, make_points, name):
    labels = ["grass", "grass", "sand", "grass"]
    points = make_points(name, PIXELS, label=labels)
    found = hold_against(make_map(), points, options=Options()).to_dict()
    truth = [LEGEND.find(label).id for label in labels]
    right = sum(MAP[tuple(p)] == t for p, t in zip(PIXELS, truth, strict=True))
    assert np.trace(found["counts"]) == right
    assert np.sum(found["counts"]) == 4
    assert found["statement"] == "at labelled places"
    assert any("the figures are too good" in note for note in found["notes"])


def test_places_for_assessment_alone_count_where_there_are_any(make_map, make_points):
    roles = ["train", "assess", "train", "assess"]
    points = read_points(make_points("p.gpkg", PIXELS, label=[1, 2, 1, 2], role=roles))
    found = hold_against(make_map(), points, options=Options()).to_dict()
    assert np.sum(found["counts"]) == 2
    assert "Places of role 'assess' were used." in found["notes"]


@pytest.mark.parametrize("name", ["scene", "scene.png", "map"])
def test_rows_and_columns_meet_the_only_map_whatever_their_scene_is_called(
    make_map, tmp_path, name
):
    lines = [f"{name},{row},{col},{MAP[row, col]}" for row, col in PIXELS]
    path = tmp_path / "p.csv"
    path.write_text("\n".join(["scene,row,col,class", *lines]))
    found = hold_against(make_map(crs=None), path, options=Options())
    assert rate(found) == 1


def test_rows_and_columns_meet_the_map_of_their_scene(make_map, tmp_path):
    make_map("maps", stem="west", classes=np.ones_like(MAP), crs=None)
    maps = make_map("maps", stem="east", classes=np.full_like(MAP, 2), crs=None)
    path = tmp_path / "p.csv"
    path.write_text("scene,row,col,class\nwest.png,1,1,grass\neast,1,1,sand\neast,2,2,grass\n")
    found = hold_against(maps, path, options=Options()).to_dict()
    assert found["counts"] == [[1, 1], [0, 1]]  # a row per class of the reference


def test_points_off_the_map_are_an_error(make_map, make_points):
    points = make_points("p.gpkg", [[900, 900]], label=[1])
    with pytest.raises(PointsError, match="lie off the imagery"):
        hold_against(make_map(), points, options=Options())


def test_maps_are_found_by_what_they_carry(make_map):
    bundle = make_map()
    assert find_maps(bundle) == [bundle / "map.tif"]
    assert find_maps(bundle / "map.tif") == [bundle / "map.tif"]
    make_map("maps", stem="b")
    maps = make_map("maps", stem="a")
    assert [path.name for path in find_maps(maps)] == ["a.tif", "b.tif"]


def test_a_folder_without_maps_is_refused(tmp_path, make_tif):
    make_tif("some.tif", MASK)
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(AssessmentError, match="holds no map; give the --out of"):
            find_maps(path)


def test_a_raster_without_class_names_needs_a_legend(make_tif, tmp_path):
    path, mask = make_tif("plain.tif", MAP), make_tif("mask.tif", MASK)
    with pytest.raises(AssessmentError, match="carries no class names; give --legend"):
        hold_against(path, mask, options=Options())
    legend = tmp_path / "legend.toml"
    legend.write_text('[[class]]\nid = 1\nname = "a"\n[[class]]\nid = 2\nname = "b"\n')
    found = hold_against(path, mask, options=Options(legend=legend))
    assert rate(found) == (MAP == MASK).mean()
    assert map_legend(path, LEGEND) is LEGEND


@pytest.mark.parametrize("name", ["none.gpkg", "none.tif", "none.csv", "none/collection.csv"])
def test_a_reference_that_does_not_exist_is_named(make_map, tmp_path, name):
    with pytest.raises(LandvisorError, match=r"no such file|no collection"):
        hold_against(make_map(), tmp_path / name, options=Options())
