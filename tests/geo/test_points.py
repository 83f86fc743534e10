"""Labelled places are read from any file, with their classes, and nothing is lost silently."""

from dataclasses import replace
from uuid import NAMESPACE_URL, uuid5

import geopandas as gpd
import numpy as np
import pytest
from affine import Affine
from shapely import LineString, Point, box

from landvisor.errors import PointsError
from landvisor.geo.legend import LandClass, Legend, legend_from_names
from landvisor.geo.locate import locate
from landvisor.geo.places import concatenate, make_places
from landvisor.geo.points import (
    CLASS_COLUMNS,
    PRESENCE,
    Points,
    geometry_kinds,
    places_to_points,
    read_points,
    write_points,
)
from landvisor.geo.scene import scene_from_array

UTM = {"crs": "EPSG:32633", "transform": Affine(10, 0, 500_000, 0, -10, 5_000_000)}
XY = gpd.points_from_xy([1, 2, 3], [4, 5, 6])


def save(path, crs="EPSG:4326", **columns):
    geometry = columns.pop("geometry", XY)
    gpd.GeoDataFrame(columns, geometry=geometry, crs=crs).to_file(path, engine="pyogrio")
    return path


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "shp", "fgb", "parquet"])
def test_points_in_every_format_get_the_same_classes(make_points, suffix):
    path = make_points(f"p.{suffix}", [[0, 0], [1, 2], [3, 4]], crs="EPSG:4326",
                       label=["sand", "grass", "sand"], height=[1.5, 2, 3])  # fmt: skip
    points = read_points(path)
    assert sorted(points.frame["class_name"]) == ["grass", "sand", "sand"]
    assert points.legend.names == ("grass", "sand")
    assert points.frame.crs.to_epsg() == 4326
    assert sorted(points.frame["height"]) == [1.5, 2, 3]
    assert not points.in_pixels
    assert "class column: 'label'" in points.notes[0]


@pytest.mark.parametrize("names", [("lon", "lat"), ("longitude", "latitude"), ("LON", "Lat ")])
def test_csv_coordinates_are_degrees_where_they_are_called_so(tmp_path, names):
    path = write(tmp_path / "p.csv", f"{names[0]},{names[1]},class\n12.5,47,a\n13,48,b\n")
    points = read_points(path)
    assert points.frame.crs.to_epsg() == 4326
    assert points.frame.geometry.x.tolist() == [12.5, 13]
    assert read_points(path, crs="EPSG:4258").frame.crs.to_epsg() == 4258


def test_csv_map_coordinates_take_the_crs_that_is_given(tmp_path):
    path = write(tmp_path / "p.csv", "X;Y;class\n500000,5;4999999;a\n500010;4999990;b\n")
    assert read_points(path).frame.crs is None
    points = read_points(path, crs="EPSG:32633")
    assert points.frame.crs.to_epsg() == 32633
    assert points.frame.geometry.x.tolist() == [500000.5, 500010]


@pytest.mark.parametrize("crs", [None, "EPSG:32633"])
def test_csv_rows_and_columns_are_pixel_centres_whatever_crs_is_given(tmp_path, crs):
    path = write(tmp_path / "p.csv", "scene,Row,Col,x,y,class\na,1,2.25,7,7,s\na,0,0,7,7,t\n")
    points = read_points(path, crs=crs)
    assert points.in_pixels
    found = locate(points, [scene_from_array(np.ones((3, 4)), name="a", **UTM)])
    assert found.train.coords.tolist() == [[1, 2.25], [0, 0]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b,class\n1,2,x\n", "need lon and lat, x and y with --crs, or scene, row and col"),
        ("lon,lat,class\nwest,1,x\n", "has 'west' in column 'lon'; need numbers"),
        ("lon,lat,class\n", "holds no points; label some places first"),
        ("lon,lat,class\n,,x\n", "holds no points; label some places first"),
        ("lon,lat,class\n1,2,\n3,4, \n", "column 'class' is empty"),
        ("lon,lat\n1,2\n", "none of them is a class; name one with --class-column"),
        ("lon,lat,class,weight\n1,2,a,-1\n", "a negative weight was found"),
    ],
)
def test_a_csv_that_cannot_be_used_says_why_in_one_line(tmp_path, text, said):
    with pytest.raises(PointsError, match=said) as caught:
        read_points(write(tmp_path / "p.csv", text))
    assert "\n" not in str(caught.value)


def test_a_crs_that_does_not_exist_is_refused(tmp_path):
    for header in ("x,y", "lon,lat"):
        path = write(tmp_path / "p.csv", f"{header},class\n1,2,a\n")
        with pytest.raises(PointsError, match="--crs 'EPSG:99999999' is not a CRS"):
            read_points(path, crs="EPSG:99999999")


def test_features_without_coordinates_or_class_are_counted_aloud(tmp_path):
    points = read_points(write(tmp_path / "p.csv", "lon,lat,class\n1,2,a\n,2,b\n3,4,\n5,6,b\n"))
    assert len(points) == 2
    assert "1 feature without a class left out" in points.notes[0]
    assert points.notes[1] == "1 feature without a geometry left out"


@pytest.mark.parametrize("wanted", CLASS_COLUMNS)
def test_the_class_column_is_found_by_name_without_regard_to_case(tmp_path, wanted):
    columns = {wanted.upper(): [3, 1, 3], "other": [9, 9, 9]}
    points = read_points(save(tmp_path / "p.gpkg", **columns))
    assert points.frame["class_id"].tolist() == [3, 1, 3]
    assert f"'{wanted.upper()}'" in points.notes[0]


def test_the_class_column_is_searched_in_the_stated_order(tmp_path):
    columns = {name: [i, i, i + 1] for i, name in enumerate(reversed(CLASS_COLUMNS))}
    del columns["class_id"], columns["class_name"]
    points = read_points(save(tmp_path / "p.gpkg", **columns))
    assert "class column: 'classname'" in points.notes[0]


def test_a_named_class_column_wins(tmp_path):
    path = save(tmp_path / "p.gpkg", label=[1, 2, 3], Crop=["rye", "oat", "rye"])
    assert read_points(path, class_column="crop").legend.names == ("oat", "rye")
    with pytest.raises(PointsError, match="no column 'x' among 'label', 'Crop'"):
        read_points(path, class_column="x")


def test_text_classes_get_sorted_ids(tmp_path):
    points = read_points(save(tmp_path / "p.gpkg", label=["water", " sand", "water"]))
    assert points.frame["class_id"].tolist() == [2, 1, 2]
    assert points.frame["class_name"].tolist() == ["water", "sand", "water"]


def test_ids_that_are_made_up_are_told_from_those_of_a_file_or_a_legend(tmp_path):
    text = save(tmp_path / "t.gpkg", label=["b", "a", "b"])
    assert read_points(text).numbered
    assert not read_points(text, legend=legend_from_names(["a", "b"])).numbered
    assert not read_points(save(tmp_path / "i.gpkg", class_id=[3, 1, 3])).numbered
    both = save(tmp_path / "b.gpkg", class_name=["b", "a", "b"], class_id=[7, 1, 7])
    assert not read_points(both).numbered


def test_spellings_of_one_class_are_one_class(tmp_path):
    points = read_points(save(tmp_path / "p.gpkg", label=["Water", "water", "sand"]))
    assert len(points.legend.ids) == 2
    assert points.frame["class_id"].nunique() == 2
    assert points.notes[1:] == ("spellings taken as one class: ('Water', 'water')",)
    assert read_points(save(tmp_path / "q.gpkg", label=["sea", "sea ", "sand"])).notes[1:] == ()


def test_gaps_in_ids_are_kept(tmp_path):
    points = read_points(save(tmp_path / "p.gpkg", label=[200, 0, 7]))
    assert points.legend.ids == (0, 7, 200)
    assert points.frame["class_id"].tolist() == [200, 0, 7]


def test_ids_with_missing_ones_are_still_ids(tmp_path):
    path = write(tmp_path / "p.csv", "lon,lat,class\n1,2,5\n3,4,\n5,6,2\n")
    assert read_points(path).frame["class_id"].tolist() == [5, 2]


def test_codes_above_254_become_classes_of_that_name(tmp_path):
    points = read_points(save(tmp_path / "p.gpkg", label=[311, 112, 311]))
    assert points.legend.names == ("112", "311")
    assert points.frame["class_id"].tolist() == [2, 1, 2]


@pytest.mark.parametrize(
    ("number", "name"),
    [("class_id", "class_name"), ("C_ID", "C_NAME"), ("classvalue", "classname")],
)
def test_ids_and_names_go_together(tmp_path, number, name):
    path = save(tmp_path / "p.gpkg", **{name: ["b", "a", "b"], number: [4, 9, 4]})
    points = read_points(path)
    assert [(c.id, c.name) for c in points.legend.classes] == [(4, "b"), (9, "a")]
    assert "with" in points.notes[0]


def test_a_legend_says_what_ids_and_names_mean(tmp_path):
    legend = Legend((LandClass(3, "Water", "#0000ff"), LandClass(8, "sand", "#ffff00")))
    named = read_points(save(tmp_path / "p.gpkg", label=["water", "SAND", "water"]), legend=legend)
    assert named.frame["class_id"].tolist() == [3, 8, 3]
    assert named.frame["class_name"].tolist() == ["Water", "sand", "Water"]
    numbered = read_points(save(tmp_path / "q.gpkg", label=[8, 3, 8]), legend=legend)
    assert numbered.frame["class_id"].tolist() == [8, 3, 8]


@pytest.mark.parametrize("labels", [["lava", "Water", "Water"], [7, 3, 3]])
def test_a_class_that_the_legend_lacks_is_an_error(tmp_path, labels):
    legend = Legend((LandClass(3, "Water", "#0000ff"),))
    with pytest.raises(PointsError, match=r"has class '(lava|7)', which the legend lacks.*'Water'"):
        read_points(save(tmp_path / "p.gpkg", label=labels), legend=legend)


def test_presence_only_points_need_no_class_column(tmp_path):
    path = save(tmp_path / "p.gpkg", seen=["yes", "yes", "no"])
    with pytest.raises(PointsError, match="presence-only points with --background 200"):
        read_points(path)
    points = read_points(path, presence_only=True)
    assert points.legend.names == (PRESENCE,)
    assert points.notes == ("no class column: each feature is taken as class 'presence'",)
    legend = Legend((LandClass(3, "Water", "#0000ff"),))
    points = read_points(path, presence_only=True, legend=legend)
    assert points.legend.names == (PRESENCE,)
    assert points.notes[0].endswith("; the legend is not used")


def test_a_folder_of_files_is_one_table(tmp_path):
    save(tmp_path / "a.gpkg", label=["x", "y", "x"])
    moved = gpd.GeoSeries(XY, crs="EPSG:4326").to_crs("EPSG:3857")
    save(tmp_path / "b.geojson", crs="EPSG:3857", label=["z", "y", "x"], geometry=moved)
    points = read_points(tmp_path)
    assert len(points) == 6
    assert points.legend.names == ("x", "y", "z")
    assert sorted(points.frame.geometry.x.round(6)) == [1, 1, 2, 2, 3, 3]


def test_a_folder_without_points_or_with_half_the_crs_is_refused(tmp_path):
    with pytest.raises(PointsError, match="holds no point file"):
        read_points(tmp_path)
    save(tmp_path / "a.gpkg", label=["x", "y", "x"])
    write(tmp_path / "b.csv", "x,y,label\n1,2,x\n")
    with pytest.raises(PointsError, match="say theirs with --crs"):
        read_points(tmp_path)


def test_an_empty_layer_has_no_points(tmp_path):
    path = save(tmp_path / "p.gpkg", label=[], geometry=[])
    with pytest.raises(PointsError, match="holds no points"):
        read_points(path)


def test_weight_source_and_role_are_read_and_have_defaults(tmp_path):
    path = save(tmp_path / "p.gpkg", label=["a", "b", "a"], weight=[0.5, None, 2],
                source=["linked", "gps", None], role=["Assess", "train", None])  # fmt: skip
    frame = read_points(path).frame
    assert frame["weight"].tolist() == [0.5, 1, 2]
    assert frame["source"].tolist() == ["linked", "human", "human"]
    assert frame["role"].tolist() == ["assess", "train", "train"]
    bare = read_points(save(tmp_path / "q.gpkg", label=["a", "b", "a"])).frame
    assert (bare["weight"] == 1).all()
    assert set(bare["source"]) == {"human"}
    assert set(bare["role"]) == {"train"}


def test_kinds_of_geometry_are_named(tmp_path):
    shapes = gpd.GeoSeries.from_wkt(
        ["POINT (1 2)", "LINESTRING (0 0, 1 1)", "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))"]
    )
    path = save(tmp_path / "p.fgb", label=["a", "b", "c"], geometry=shapes.values)
    assert geometry_kinds(read_points(path)) == {"point", "line", "polygon"}


LEGEND = legend_from_names(["a", "b", "c"])


def scattered(seed, **options):
    generator = np.random.default_rng(seed)
    coords = generator.uniform(-0.5, 19.5, (12, 2))
    return make_places(coords, np.arange(12) % 3 + 1, **options)


@pytest.mark.parametrize("place", [UTM, {}, {"crs": "EPSG:4326", "transform": Affine.scale(0.01)}])
def test_places_survive_the_file(tmp_path, place):
    scene = scene_from_array(np.ones((1, 20, 20)), name="one", **place)
    places = scattered(1, source="simulated", group=np.arange(12) // 2)
    write_points(places_to_points(places, [scene], LEGEND), tmp_path / "p.gpkg")
    points = read_points(tmp_path / "p.gpkg")
    back = locate(points, [scene]).train
    order = np.argsort(back.index)
    assert np.abs(back.coords[order] - places.coords).max() < 1e-6
    assert (back.label[order] == places.label).all()
    assert (back.source == places.source).all()
    assert (back.group[order] == places.group).all()
    assert points.frame["id"].is_unique
    assert points.legend == LEGEND


def test_places_are_named_by_their_scene_and_where_on_it_they_are():
    scene, other = (scene_from_array(np.ones((1, 20, 20)), name=name, **UTM) for name in "st")
    places = scattered(1)
    frame = places_to_points(places, [scene], LEGEND).frame
    said = [str(uuid5(NAMESPACE_URL, f"s/{row}/{col}")) for row, col in places.coords.tolist()]
    assert frame["id"].tolist() == said
    moved = replace(places, scene=places.scene + 1)
    assert places_to_points(moved, [other, scene], LEGEND).frame["id"].tolist() == said
    assert places_to_points(places, [other], LEGEND).frame["id"].tolist() != said


def test_features_of_several_kinds_share_a_file(tmp_path):
    shapes = [Point(1, 2), LineString([(0, 0), (1, 1)]), box(0, 0, 2, 3)]
    columns = {"class_id": [1, 2, 1], "note": ["a", None, "c"], "height": [1.5, np.nan, 2]}
    frame = gpd.GeoDataFrame(columns, geometry=shapes, crs="EPSG:32633")
    write_points(Points(frame, LEGEND), tmp_path / "p.gpkg")
    back = gpd.read_file(tmp_path / "p.gpkg")
    assert [a.equals(b) for a, b in zip(back.geometry, shapes, strict=True)] == [True] * 3
    assert back["note"].isna().tolist() == [False, True, False]
    assert back["height"].isna().tolist() == [False, True, False]


def test_places_on_scenes_in_two_crs_survive_as_degrees(tmp_path):
    other = {"crs": "EPSG:32634", "transform": Affine(10, 0, 300_000, 0, -10, 5_000_000)}
    scenes = [
        scene_from_array(np.ones((1, 20, 20)), name=name, **place)
        for name, place in (("west", UTM), ("east", other))
    ]
    places = concatenate([scattered(1, scene=0), scattered(2, scene=1)])
    points = places_to_points(places, scenes, LEGEND)
    assert points.frame.crs.to_epsg() == 4326
    write_points(points, tmp_path / "p.gpkg")
    back = locate(read_points(tmp_path / "p.gpkg"), scenes).train
    assert (back.scene == places.scene).all()
    assert np.abs(back.coords - places.coords).max() < 1e-4


def test_places_on_scenes_with_and_without_crs_cannot_share_a_file():
    scenes = [scene_from_array(np.ones((3, 3)), name="a", **UTM), scene_from_array(np.ones((3, 3)))]
    with pytest.raises(PointsError, match="sample them apart"):
        places_to_points(scattered(1), scenes, LEGEND)


def test_a_column_of_too_many_values_is_no_class(tmp_path):
    lines = [f"1,2,site {i}" for i in range(300)]
    path = write(tmp_path / "p.csv", "\n".join(["lon,lat,label", *lines]))
    with pytest.raises(PointsError, match="column 'label' has 300 different values"):
        read_points(path)
