"""What a run learns from: scenes and places that were brought together and checked."""

import dataclasses

import geopandas as gpd
import numpy as np
import pytest

from landvisor.errors import LandvisorError, PointsError
from landvisor.geo.collection import as_collection, open_collection
from landvisor.geo.legend import legend_from_ids
from landvisor.geo.points import read_points
from landvisor.geo.rasters import Reading
from landvisor.labels.label_raster import write_label_raster
from landvisor.labels.material import BACKGROUND, check_learnable, gather
from landvisor.labels.pixels import make_pixels
from landvisor.options import Options
from landvisor.recipe import LabelSpec

IMAGE = np.full((1, 20, 30), 5, np.uint8)
PIXELS = [[1, 1], [2, 7], [15, 20], [18, 28]]


@pytest.fixture
def collection(make_tif, tmp_path):
    for name in "ab":
        make_tif(f"{name}.tif", IMAGE)
        make_tif(f"{name}_mask.tif", np.resize([1, 2, 2, 9], (1, 20, 30)).astype(np.uint8))
    table = "image,mask,split,group\na.tif,a_mask.tif,train,g\nb.tif,b_mask.tif,val,\n"
    (tmp_path / "collection.csv").write_text(table)
    return open_collection(tmp_path)


LEGEND = "".join(f'[[class]]\nid = {i}\nname = "{n}"\n' for i, n in ((1, "sand"), (2, "grass")))


def test_points_and_scenes_come_together(make_tif, make_points):
    scene = make_tif("one.tif", IMAGE)
    points = make_points("p.gpkg", PIXELS, label=["a", "b", "a", "b"])
    material = gather(as_collection(scene), points, spec=LabelSpec())
    assert material.places.pixels().tolist() == PIXELS
    assert material.legend.names == ("a", "b")
    assert material.shapes == [(20, 30)]
    assert "class column: 'label'" in material.notes
    check_learnable(material)


def test_points_that_are_read_already_are_taken(make_tif, make_points):
    points = read_points(make_points("p.gpkg", PIXELS, label=["a", "b", "a", "b"]))
    material = gather(as_collection(make_tif("one.tif", IMAGE)), points, spec=LabelSpec())
    assert len(material.places) == 4


def test_splits_and_groups_are_those_of_the_collection(collection, tmp_path, make_points):
    points = make_points("p.gpkg", PIXELS, label=[1, 2, 1, 2], scene=["a", "b", "b", "a"])
    material = gather(collection, points, spec=LabelSpec())
    assert material.splits == ("train", "val")
    assert material.groups == ("g", "scene b")
    assert material.places.scene.tolist() == [0, 0, 1, 1]
    assert material.in_split("val").tolist() == [False, False, True, True]
    assert material.in_split("test").sum() == 0


def test_scenes_that_got_no_point_are_named(collection, make_points):
    points = make_points("p.gpkg", PIXELS, label=[1, 2, 1, 2])  # a and b cover the same ground
    notes = gather(collection, points, spec=LabelSpec()).notes
    assert "1 of 2 scenes got no point: b; where scenes overlap, points go to the first" in notes
    both = make_points("q.gpkg", PIXELS, label=[1, 2, 1, 2], scene=["a", "b", "b", "a"])
    assert not any("no point" in n for n in gather(collection, both, spec=LabelSpec()).notes)


def test_scenes_that_grown_labels_do_not_cover_are_named(collection, tmp_path, make_points):
    points = make_points("p.gpkg", PIXELS, label=[1, 2, 1, 2], scene=["a", "b", "b", "a"])
    (tmp_path / "grown").mkdir()
    pixels = make_pixels((20, 30), np.array([7, 8]), label=np.array([1, 2]), source="grown")
    legend, scene = legend_from_ids([1, 2]), collection.items[0].open()
    write_label_raster(pixels, tmp_path / "grown" / "a.tif", scene=scene, legend=legend)
    how = Options(grown=tmp_path / "grown")
    material = gather(collection, points, spec=LabelSpec(), options=how)
    assert len(material.grown) == 2
    assert "1 of 2 scenes got none of them: b" in material.notes[-1]


def test_mask_values_that_the_legend_lacks_are_counted(collection, tmp_path):
    (tmp_path / "some.toml").write_text(LEGEND)
    how = Options(legend=tmp_path / "some.toml")
    notes = gather(collection, None, spec=LabelSpec(), options=how).notes
    assert "mask values that the legend lacks count as unlabelled: 9 (300 pixels)" in notes


def test_a_legend_that_is_given_wins_over_the_one_beside_the_images(
    collection, tmp_path, make_points
):
    points = make_points("p.gpkg", PIXELS, label=[1, 2, 1, 2])
    beside = dataclasses.replace(collection, legend=legend_from_ids([1, 2]))
    assert gather(beside, points, spec=LabelSpec()).legend.names == ("class 1", "class 2")
    (tmp_path / "other.toml").write_text(LEGEND)
    how = Options(legend=tmp_path / "other.toml")
    assert gather(beside, points, spec=LabelSpec(), options=how).legend.names == ("sand", "grass")


def test_the_rule_for_polygons_is_followed(make_tif, make_points, tmp_path):
    points = make_points("p.gpkg", PIXELS, label=[1, 2, 1, 2])
    frame = gpd.read_file(points)
    frame.geometry = frame.buffer(40)
    frame.to_file(points, engine="pyogrio")
    material = gather(
        as_collection(make_tif("one.tif", IMAGE)), points, spec=LabelSpec(max_per_feature=3)
    )
    assert np.bincount(material.places.index).max() == 3


def test_reading_options_reach_the_scenes(make_tif, make_points):
    image = IMAGE.copy()
    image[0, :5] = 99
    points = make_points("p.gpkg", PIXELS, label=[1, 2, 1, 2])
    how = Options(reading=Reading(nodata=99))
    scenes = as_collection(make_tif("one.tif", image))
    material = gather(scenes, points, spec=LabelSpec(), options=how)
    assert material.losses.on_nodata == 2
    assert "2 places lie on no-data and are not used" in material.notes


def test_masks_give_every_labelled_pixel(collection, tmp_path):
    (tmp_path / "legend.toml").write_text(LEGEND)
    material = gather(open_collection(tmp_path), None, spec=LabelSpec())
    assert len(material.places) == 2 * 600 * 3 // 4
    assert set(material.places.label) == {1, 2}
    assert len(set(material.places.group)) >= 2
    assert "every labelled pixel of 2 masks is used" in material.notes


def test_masks_without_a_legend_are_refused(collection):
    with pytest.raises(PointsError, match="masks need a legend"):
        gather(collection, None, spec=LabelSpec())


@pytest.mark.parametrize("columns", [{}, {"label": ["fox"] * 4}])
def test_background_makes_presence_points_learnable(make_tif, make_points, columns):
    scenes = as_collection([make_tif("a.tif", IMAGE)][0])
    points = make_points("p.gpkg", PIXELS, **columns)
    material = gather(scenes, points, spec=LabelSpec(background=20), seed=3)
    background = material.legend.find(BACKGROUND)
    drawn = material.places.take(material.places.label == background.id)
    assert (len(drawn), len(material.places)) == (20, 24)
    assert "they are assumed, not observed" in material.notes[-1]
    again = gather(scenes, points, spec=LabelSpec(background=20), seed=3)
    assert (again.places.coords == material.places.coords).all()
    check_learnable(material)


def test_background_is_drawn_on_every_scene(make_tif, make_points):
    scenes = open_collection([make_tif("a.tif", IMAGE), make_tif("b.tif", IMAGE)])
    points = make_points("p.gpkg", PIXELS, kind=[1, 2, 3, 4])
    material = gather(scenes, points, spec=LabelSpec(background=7))
    assert np.bincount(material.places.scene).tolist() == [4 + 7, 7]


def test_one_class_cannot_be_learned(make_tif, make_points):
    points = make_points("p.gpkg", PIXELS, label=["fox"] * 4)
    material = gather(as_collection(make_tif("a.tif", IMAGE)), points, spec=LabelSpec())
    with pytest.raises(PointsError, match=r"all places have one class, 'fox'.*--background 200"):
        check_learnable(material)


def test_places_that_are_all_kept_for_assessment_cannot_be_learned(make_tif, make_points):
    points = make_points("p.gpkg", PIXELS, label=[1, 2, 1, 2], role=["assess"] * 4)
    material = gather(as_collection(make_tif("a.tif", IMAGE)), points, spec=LabelSpec())
    assert len(material.assess) == 4
    with pytest.raises(PointsError, match="no labelled place is left"):
        check_learnable(material)


def test_a_missing_points_file_is_an_error_in_one_line(make_tif, tmp_path):
    with pytest.raises(LandvisorError, match="no such file"):
        gather(as_collection(make_tif("a.tif", IMAGE)), tmp_path / "none.gpkg", spec=LabelSpec())
