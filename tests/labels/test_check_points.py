"""Points that contradict each other or their imagery are told, with where they are."""

import re

import geopandas as gpd
import numpy as np
import pytest
from affine import Affine

from landvisor.errors import PointsError
from landvisor.geo.collection import Collection, Item
from landvisor.geo.legend import LandClass, Legend
from landvisor.geo.places import make_places
from landvisor.geo.points import read_points
from landvisor.geo.scene import scene_from_array
from landvisor.labels.check import check_inputs, write_suspects
from landvisor.labels.check_points import check_distance, check_points, find_near

LEGEND = Legend((LandClass(1, "sand", "#ffee88"), LandClass(2, "sea", "#3333ff")))
GRID = {"crs": "EPSG:32633", "transform": Affine(1, 0, 0, 0, -1, 0)}


@pytest.fixture
def scene():
    level = np.repeat([50.0, 150.0], 30)
    data = level + np.random.default_rng(0).normal(0, 5, (2, 40, 60))
    return scene_from_array(data.astype(np.float32), name="coast", **GRID)


def write_points(path, *, wrong=()):
    """Write a point every four pixels: sand on the left, sea on the right, some wrong."""
    cols, rows = (axis.ravel() for axis in np.meshgrid(np.arange(2, 60, 4), np.arange(2, 40, 4)))
    sea = (cols >= 30) ^ np.isin(np.arange(len(cols)), wrong)
    gpd.GeoDataFrame(
        {"class": np.where(sea, "sea", "sand")},
        geometry=gpd.points_from_xy(cols + 0.5, -rows - 0.5),
        crs="EPSG:32633",
    ).to_file(path)
    return path


def notes(findings):
    return [finding for finding in findings if finding.level != "ok"]


def test_planted_errors_are_ranked_by_row_of_the_points_file(scene, tmp_path):
    path = write_points(tmp_path / "p.gpkg", wrong=(17, 90))
    checked = check_points(path, [scene])
    (found,) = notes(checked.findings)
    assert "2 features like another class" in found.text
    assert "row 17 (sea, like sand)" in found.text
    assert {row["points_row"] for row in found.rows} == {17, 90}
    assert found.rows[0]["scene"] == "coast"
    assert (found.rows[0]["row"], found.rows[0]["col"]) in {(6, 10), (26, 2)}


def test_clean_points_have_no_notes(scene, tmp_path):
    checked = check_points(write_points(tmp_path / "p.gpkg"), [scene])
    assert notes(checked.findings) == []
    assert any("would show in sand, sea" in finding.text for finding in checked.findings)


def test_suspects_are_written_with_what_their_neighbours_say(scene, tmp_path):
    path = write_points(tmp_path / "p.gpkg", wrong=(17,))
    checked = check_inputs(Collection((Item("coast", scene),)), path)
    write_suspects(checked, tmp_path / "s.gpkg")
    frame = gpd.read_file(tmp_path / "s.gpkg")
    assert frame["neighbours_say"].tolist() == ["sand"]
    assert frame["score"][0] > 0.8
    assert frame.geometry[0] == gpd.read_file(path).geometry[17]


def test_no_suspects_are_a_file_without_rows(scene, tmp_path):
    checked = check_inputs(Collection((Item("coast", scene),)), write_points(tmp_path / "p.gpkg"))
    write_suspects(checked, tmp_path / "s.gpkg")
    assert len(gpd.read_file(tmp_path / "s.gpkg")) == 0


def test_suspects_of_unreadable_points_are_refused(scene, tmp_path):
    (tmp_path / "p.geojson").write_text("{")
    checked = check_inputs(Collection((Item("coast", scene),)), tmp_path / "p.geojson")
    with pytest.raises(PointsError, match="no suspects are written"):
        write_suspects(checked, tmp_path / "s.gpkg")


def tell(coords, label, distance, scene):
    places = make_places(np.array(coords, dtype=float), np.array(label))
    return check_distance(places, [scene], legend=LEGEND, distance=distance)


def test_classes_that_nearly_meet_are_told_the_nearest_first(scene):
    coords = [(10, 10), (10, 11.5), (20, 20), (20, 21), (30, 30), (30, 30.5)]
    (found,) = tell(coords, [1, 2, 2, 1, 1, 1], 2.0, scene)
    assert found.level == "note"
    assert "2 pairs of places of different classes within 2 pixels" in found.text
    assert "sea and sand at row 20 col 20 of coast, sand and sea at row 10" in found.text
    assert [row["distance"] for row in found.rows] == [1.0, 1.5]
    assert found.rows[0]["points_rows"] == [2, 3]


@pytest.mark.parametrize(("distance", "count"), [(0, 0), (1.4, 0), (1.5, 1), (3, 1)])
def test_the_distance_is_the_largest_that_is_told(scene, distance, count):
    assert len(tell([(10, 10), (10, 11.5)], [1, 2], distance, scene)) == count


def test_places_on_different_scenes_are_never_near():
    places = make_places(np.zeros((2, 2)), np.array([1, 2]), scene=np.array([0, 1]))
    assert find_near(places, 5.0) == {}


def test_near_places_are_those_of_comparing_all():
    generator = np.random.default_rng(0)
    coords, label = generator.uniform(0, 40, (120, 2)), generator.integers(1, 4, 120)
    apart = np.hypot(*(coords[:, None] - coords).transpose(2, 0, 1))
    apart[label[:, None] == label] = np.inf
    nearest = apart.argmin(axis=1)
    wanted = {tuple(sorted((i, int(j)))) for i, j in enumerate(nearest) if apart[i, j] <= 2}
    assert set(find_near(make_places(coords, label), 2.0)) == wanted


def test_points_on_no_data_are_one_problem(scene, tmp_path):
    blank = scene_from_array(np.full((2, 40, 60), np.nan), name="blank", **GRID)
    checked = check_points(write_points(tmp_path / "p.gpkg"), [blank])
    assert [finding.level for finding in notes(checked.findings)] == ["problem"]
    assert checked.places is None


def test_the_legend_of_read_points_is_kept(scene, tmp_path):
    path = write_points(tmp_path / "p.gpkg")
    assert check_points(path, [scene]).legend == read_points(path).legend


def test_agreement_no_better_than_chance_is_a_note_with_both_shares(scene, tmp_path):
    wrong = np.flatnonzero(np.random.default_rng(0).integers(0, 2, 150))
    checked = check_points(write_points(tmp_path / "p.gpkg", wrong=wrong), [scene])
    (found,) = [f for f in checked.findings if "by chance" in f.text]
    assert found.level == "note"
    assert "tells little of its class" in found.text
    share, chance = (int(s) for s in re.findall(r"(\d+) %", found.text))
    assert abs(share - chance) < 20
    right = check_points(write_points(tmp_path / "r.gpkg"), [scene])
    (found,) = [f for f in right.findings if "by chance" in f.text]
    assert found.level == "ok"
    assert re.match(r"(99|100) % of 150 features have", found.text)
    assert "50 % would by chance" in found.text
