"""Features become pixels by a stated rule, and whatever is not used is counted aloud."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from landvisor.errors import PointsError
from landvisor.geo.legend import LandClass, Legend, legend_from_ids
from landvisor.geo.locate import locate
from landvisor.geo.points import Points
from landvisor.geo.scene import scene_from_array

CRS = "EPSG:32633"
PLACE = Affine(10, 0, 500_000, 0, -10, 5_000_000)


def make_scene(name="one", *, shape=(20, 30), crs=CRS, transform=PLACE, empty=None):
    data = np.ones((1, *shape), np.float32)
    if empty is not None:
        data[0, *empty] = np.nan
    return scene_from_array(data, name=name, crs=crs, transform=transform)


def to_map(shape, transform=PLACE):
    """Move a shape from pixel centres (x = col, y = row) to map coordinates."""
    return shapely.transform(
        shape, lambda xy: np.column_stack(transform @ (xy[:, 0] + 0.5, xy[:, 1] + 0.5))
    )


def make_points(shapes, label=None, *, crs=CRS, legend=None, **columns):
    """Points from shapes in pixel centres (x = col, y = row)."""
    label = np.ones(len(shapes), int) if label is None else np.asarray(label)
    defaults = {"weight": 1.0, "source": "human", "role": "train"}
    frame = gpd.GeoDataFrame(
        {"class_id": label, **defaults, **columns}, geometry=list(map(to_map, shapes)), crs=CRS
    )
    return Points(frame.to_crs(crs), legend or legend_from_ids(range(10)))


def dots(*pixels):
    return [shapely.Point(col, row) for row, col in pixels]


def in_pixels(rows, cols, label, **columns):
    defaults = {"weight": 1.0, "source": "human", "role": "train"}
    frame = gpd.GeoDataFrame(
        {"row": rows, "col": cols, "class_id": label, **defaults, **columns},
        geometry=gpd.points_from_xy(np.array(cols) + 0.5, np.array(rows) + 0.5),
    )
    return Points(frame, legend_from_ids(range(10)))


def pixels(places):
    return sorted(map(tuple, places.pixels().tolist()))


@pytest.mark.parametrize("crs", [CRS, "EPSG:4326", "EPSG:3035"])
def test_points_keep_their_sub_pixel_coordinates_in_any_crs(crs):
    found = locate(make_points(dots((0, 0), (3.25, 7.4), (19.4, -0.4)), crs=crs), [make_scene()])
    expected = [[0, 0], [3.25, 7.4], [19.4, -0.4]]
    assert np.abs(found.train.coords - expected).max() < 1e-4
    assert len(found.assess) == 0
    assert found.losses.sentences() == ()


def test_places_off_the_image_are_counted():
    points = make_points(dots((0, 0), (-0.6, 3), (19.6, 3), (3, 29.6), (2, 2)))
    found = locate(points, [make_scene()])
    assert found.train.index.tolist() == [0, 4]
    assert found.losses.off_image == 3
    assert "3 places lie off the imagery and are not used" in found.notes


def test_places_on_no_data_are_counted():
    scene = make_scene(empty=(slice(0, 5), slice(None)))
    found = locate(make_points(dots((0, 0), (4.4, 4), (5, 4))), [scene])
    assert pixels(found.train) == [(5, 4)]
    assert found.losses.on_nodata == 2


def test_places_of_one_pixel_and_class_count_once():
    found = locate(make_points(dots((3.2, 3), (3, 3.3), (4, 4))), [make_scene()])
    assert found.train.coords.tolist() == [[pytest.approx(3.2), 3], [4, 4]]
    assert (found.losses.duplicate, found.losses.conflict) == (1, 0)


def test_of_two_classes_in_one_pixel_none_is_used():
    points = make_points(dots((3, 3), (3.1, 3), (3, 3.2), (4, 4)), [1, 2, 1, 1])
    found = locate(points, [make_scene()])
    assert pixels(found.train) == [(4, 4)]
    assert (found.losses.conflict, found.losses.conflict_pixels) == (3, 1)
    assert "3 places in 1 pixels meet another class" in " ".join(found.notes)


def test_classes_that_are_merged_do_not_conflict():
    legend = Legend((LandClass(1, "sea", "#000000"), LandClass(2, "lake", "#000000", False, 1)))
    points = make_points(dots((3, 3), (3.1, 3)), [1, 2], legend=legend)
    found = locate(points, [make_scene()])
    assert found.train.label.tolist() == [1]
    assert found.losses.conflict == 0


def test_ignored_classes_and_places_without_weight_are_counted():
    legend = Legend((LandClass(1, "a", "#000000"), LandClass(2, "b", "#000000", ignore=True)))
    points = make_points(dots((3, 3), (4, 4), (5, 5)), [1, 2, 1], legend=legend, weight=[1, 1, 0.0])
    found = locate(points, [make_scene()])
    assert pixels(found.train) == [(3, 3)]
    assert (found.losses.ignored, found.losses.weightless) == (1, 1)


def test_places_for_assessment_are_kept_from_training():
    points = make_points(dots((3, 3), (4, 4), (5, 5)), role=["train", "assess", "train"])
    found = locate(points, [make_scene()])
    assert (pixels(found.train), pixels(found.assess)) == ([(3, 3), (5, 5)], [(4, 4)])
    assert found.losses.for_assessment == 1


def test_a_polygon_becomes_the_pixels_whose_centre_it_holds():
    shape = shapely.box(3.6, 1.4, 6.4, 3.2)
    found = locate(make_points([shape], group=["field"]), [make_scene()])
    assert pixels(found.train) == [(2, 4), (2, 5), (2, 6), (3, 4), (3, 5), (3, 6)]
    assert len(set(found.train.group)) == len(set(found.train.index)) == 1
    assert "a polygon became the pixels whose centre it holds" in found.notes[0]


def test_a_polygon_off_the_image_in_part_is_clipped():
    found = locate(make_points([shapely.box(-5, -5, 1.4, 1.4)]), [make_scene()])
    assert pixels(found.train) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert found.losses.off_image == 0


def test_a_polygon_that_holds_no_centre_is_one_place_inside_it():
    shape = shapely.box(4.1, 5.1, 4.3, 5.3)
    found = locate(make_points([shape]), [make_scene()])
    assert len(found.train) == 1
    assert shape.contains(shapely.Point(found.train.coords[0][::-1]))


def test_all_parts_of_a_multipolygon_and_a_multipoint_count():
    shapes = [
        shapely.MultiPolygon([shapely.box(-0.4, -0.4, 0.4, 0.4), shapely.box(8.6, 4.6, 9.4, 5.4)]),
        shapely.MultiPoint([(12, 1), (14, 2.25)]),
    ]
    found = locate(make_points(shapes), [make_scene()])
    assert pixels(found.train) == [(0, 0), (1, 12), (2, 14), (5, 9)]
    assert len(set(found.train.group)) == 2


def test_a_line_becomes_the_pixels_it_crosses():
    found = locate(make_points([shapely.LineString([(2, 3), (6, 3)])]), [make_scene()])
    assert pixels(found.train) == [(3, col) for col in range(2, 7)]
    assert "a line became the pixels it crosses" in found.notes[0]


def test_of_a_large_polygon_evenly_spaced_pixels_are_taken():
    found = locate(make_points([shapely.box(-1, -1, 40, 40)]), [make_scene()], max_per_feature=7)
    flat = found.train.pixels() @ [30, 1]
    assert len(flat) == 7
    assert np.ptp(np.diff(flat)) <= 1


@given(st.integers(0, 10_000))
def test_pixels_of_a_polygon_are_those_whose_centre_it_contains_on_any_grid(seed):
    generator = np.random.default_rng(seed)
    turned = PLACE @ Affine.rotation(generator.uniform(0, 360)) @ Affine.scale(1, 0.7)
    scene = make_scene(transform=turned)
    hull = shapely.MultiPoint(generator.uniform(-5, 30, (5, 2))).convex_hull
    frame = make_points([hull]).frame
    frame = frame.set_geometry([to_map(hull, turned)], crs=CRS)
    rows, cols = np.mgrid[:20, :30]
    inside = shapely.contains_xy(hull, cols, rows)
    if not inside.any():
        return
    found = locate(Points(frame, legend_from_ids([1])), [scene], max_per_feature=600)
    burnt = np.zeros((20, 30), bool)
    burnt[tuple(found.train.pixels().T)] = True
    near = shapely.distance(hull.boundary, shapely.points(cols, rows)) < 1e-6
    assert (burnt == inside)[~near].all()


def test_groups_of_the_file_join_features_and_empty_ones_stand_alone():
    points = make_points(dots((1, 1), (2, 2), (3, 3), (4, 4)), group=["a", None, "a", None])
    group = locate(points, [make_scene()]).train.group
    assert group[0] == group[2]
    assert len(set(group)) == 3


def test_a_feature_goes_to_the_first_scene_with_data_under_it():
    west = make_scene("west", empty=(slice(None), slice(20, 30)))
    east = make_scene("east", transform=PLACE @ Affine.translation(15, 0))
    points = make_points(dots((2, 3), (2, 17), (2, 25), (2, 40), (2, 60)))
    found = locate(points, [west, east])
    assert found.train.scene.tolist() == [0, 0, 1, 1]
    assert found.train.coords[:, 1].round(6).tolist() == [3, 17, 10, 25]
    assert (found.losses.off_image, found.losses.on_nodata) == (1, 0)


def test_a_place_on_the_no_data_of_two_scenes_is_counted_once():
    scenes = [make_scene(name, empty=(slice(0, 9), slice(None))) for name in "ab"]
    found = locate(make_points(dots((2, 3), (12, 3))), scenes)
    assert (len(found.train), found.losses.on_nodata) == (1, 1)


def test_a_scene_column_says_which_scene_is_meant():
    scenes = [make_scene("a"), make_scene("b")]
    points = make_points(dots((2, 3), (4, 5), (6, 7)), scene=["b", "a", "img/b.tif"])
    assert locate(points, scenes).train.scene.tolist() == [0, 1, 1]


def test_rows_and_columns_are_taken_as_they_are():
    points = in_pixels([1, 2.5, 99], [3, 0, 0], [1, 2, 2], scene=["b.png", "a", "a"])
    found = locate(points, [make_scene("a", crs=None), make_scene("b", crs=None)])
    assert found.train.coords.tolist() == [[2.5, 0], [1, 3]]
    assert found.train.scene.tolist() == [0, 1]
    assert found.losses.off_image == 1


@pytest.mark.parametrize("columns", [{}, {"scene": ["a", None]}])
def test_rows_and_columns_on_several_scenes_must_name_them(columns):
    points = in_pixels([1, 2], [3, 0], [1, 2], **columns)
    with pytest.raises(PointsError, match="fill a column 'scene'"):
        locate(points, [make_scene("a"), make_scene("b")])


def test_points_of_another_scene_are_named():
    points = in_pixels([1, 2], [3, 0], [1, 2], scene=["x", "y"])
    with pytest.raises(
        PointsError, match="their scenes are x, y, these are a: let the names agree"
    ):
        locate(points, [make_scene("a")])


def test_points_without_a_crs_need_one_on_a_georeferenced_scene():
    points = make_points(dots((1, 1)))
    bare = Points(points.frame.set_crs(None, allow_override=True), points.legend)
    with pytest.raises(PointsError, match="say which CRS their coordinates are in with --crs"):
        locate(bare, [make_scene()])


def test_points_with_a_crs_cannot_lie_on_a_picture():
    with pytest.raises(PointsError, match="has no CRS; give points with scene, row and col"):
        locate(make_points(dots((1, 1))), [make_scene(crs=None)])


def test_points_without_a_crs_lie_on_a_picture_by_its_transform():
    points = make_points(dots((1, 1), (2.5, 3)))
    bare = Points(points.frame.set_crs(None, allow_override=True), points.legend)
    assert locate(bare, [make_scene(crs=None)]).train.coords.tolist() == [[1, 1], [2.5, 3]]


def test_swapped_coordinates_are_recognised():
    frame = make_points(dots((1, 1), (2, 2)), crs="EPSG:4326").frame
    swapped = frame.set_geometry(
        gpd.points_from_xy(frame.geometry.y, frame.geometry.x), crs="EPSG:4326"
    )
    with pytest.raises(PointsError, match="swap lon and lat"):
        locate(Points(swapped, legend_from_ids([1])), [make_scene()])


def test_points_that_all_lie_elsewhere_are_reported_with_where():
    points = make_points(dots((1000, 1000), (1001, 1000)), scene="one")
    with pytest.raises(
        PointsError, match=r"off the imagery; they span x .* in EPSG:32633, the imagery x "
    ):
        locate(points, [make_scene()])


def test_degrees_beyond_the_earth_are_off_without_a_warning():
    frame = gpd.GeoDataFrame(make_points(dots((1, 1), (2, 2))).frame)
    frame = frame.set_geometry(gpd.points_from_xy([120, 5], [130, 95]), crs="EPSG:4326")
    with pytest.raises(PointsError, match="lie off the imagery"):
        locate(Points(frame, legend_from_ids([1])), [make_scene()])


def test_points_that_all_lie_on_no_data_are_reported():
    scene = make_scene(empty=(slice(0, 5), slice(None)))
    with pytest.raises(PointsError, match="all 2 places lie on no-data; check the nodata value"):
        locate(make_points(dots((1, 1), (2, 2))), [scene])
