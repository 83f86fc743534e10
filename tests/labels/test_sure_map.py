"""What a map is sure of becomes labels, but for what people have said."""

import numpy as np
import pytest

from landvisor.errors import PointsError
from landvisor.geo.collection import Collection, Item
from landvisor.geo.legend import legend_from_ids
from landvisor.geo.places import SOURCES, make_places, no_places
from landvisor.geo.points import places_to_points
from landvisor.geo.scene import scene_from_array
from landvisor.labels.extend import Making
from landvisor.labels.make import make_labels
from landvisor.labels.pixels import find_near, leave_known
from landvisor.labels.sure_map import SureMap

LEGEND = legend_from_ids([1, 2], {1: "water", 2: "sand"})
SIDE = 20


def make_scene(name="scene", side=SIDE):
    image = np.arange(side * side, dtype=np.uint8).reshape(1, side, side) % 200
    return scene_from_array(image, name=name, crs="EPSG:32633")


@pytest.fixture
def write_map(write_prediction):
    def write(folder, scene, *, legend=LEGEND, stem="map"):
        """Rows are ever surer of the first class; the first column has no data."""
        rows, cols = scene.shape
        first = np.tile(np.linspace(0, 1, rows, dtype=np.float32)[:, None], (1, cols))
        valid = np.ones((rows, cols), bool)
        valid[:, 0] = False
        folder.mkdir(exist_ok=True)
        shares = np.stack([first, 1 - first])
        write_prediction(
            folder, scene.grid, legend=legend, stem=stem, probabilities=shares, valid=valid
        )
        return folder

    return write


def read(folder, threshold=0.9, legend=LEGEND, scene=None, alone=True):
    found = SureMap(folder, threshold)
    return found.read(scene or make_scene(), legend=legend, alone=alone)


def test_pixels_from_the_threshold_on_are_labels_of_that_weight(tmp_path, write_map):
    pixels = read(write_map(tmp_path / "m", make_scene()))
    rows, cols = pixels.coords().T
    assert set(rows) == {0, 1, 18, 19}  # 0, 1/19, 18/19 and 1
    assert set(cols) == set(range(1, SIDE))
    assert set(pixels.label[rows < 9]) == {2}
    assert set(pixels.label[rows > 9]) == {1}
    assert set(pixels.source) == {SOURCES["pseudo"]}
    assert np.allclose(pixels.weight[rows == 18] / 255, 18 / 19, atol=1 / 127)


def test_classes_are_those_of_the_same_name(tmp_path, write_map):
    folder = write_map(tmp_path / "m", make_scene())
    other = legend_from_ids([4, 7], {4: "rock", 7: "sand"})
    pixels = read(folder, legend=other)
    assert set(pixels.label) == {7}
    assert set(pixels.coords()[:, 0]) == {0, 1}
    with pytest.raises(PointsError, match=r"no class of 'map\.tif'"):
        read(folder, legend=legend_from_ids([1], {1: "rock"}))


def test_people_are_not_overruled(tmp_path, write_map):
    pixels = read(write_map(tmp_path / "m", make_scene()))
    places = make_places(np.array([[19.0, 5.2], [0.4, 10]]), np.array([2, 1]))
    left = leave_known(pixels, places)
    assert len(pixels) - len(left) == 2 * 3 + 2 * 3
    assert not np.isin(find_near(places.pixels(), pixels.shape), left.position).any()
    assert len(leave_known(pixels, no_places())) == len(pixels)


def test_a_map_goes_with_its_own_scene(tmp_path, write_map):
    folder = write_map(tmp_path / "m", make_scene())
    with pytest.raises(PointsError, match=r"holds no scene_probabilities\.tif"):
        read(folder, alone=False)
    with pytest.raises(PointsError, match="not on the grid"):
        read(folder, scene=make_scene(side=SIDE + 1))
    named = write_map(tmp_path / "n", make_scene(), stem="scene")
    assert len(read(named, alone=False)) == len(read(folder))


def test_labels_of_maps_are_made_and_checked_like_others(tmp_path, write_map):
    scene = make_scene()
    folder = write_map(tmp_path / "m", scene)
    coords = np.array([[2.0, 3], [19, 9], [19, 14], [1, 9], [1, 15], [0, 5]])
    places = make_places(coords, np.array([2, 1, 1, 2, 2, 1]))  # the last one is wrong
    points = places_to_points(places, [scene], LEGEND)
    making = Making(sure_map=SureMap(folder, 0.9), holdout=1.0)
    made = make_labels(Collection((Item("scene", scene),)), points, making=making)
    pixels = made.pixels[0]
    human = pixels.source < SOURCES["linked"]
    assert human.sum() == len(places)
    assert set(pixels.source[~human]) == {SOURCES["pseudo"]}
    near = np.setdiff1d(find_near(places.pixels(), scene.shape), pixels.position[human])
    assert not np.isin(near, pixels.position).any()
    assert made.facts["map"] == {"folder": "m", "threshold": 0.9}
    checked = made.facts["purity"]
    assert (checked["checked"], checked["purity"]) == (5, pytest.approx(4 / 5))
    assert any("has learned from these points" in note for note in made.facts["notes"])
