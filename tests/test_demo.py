import geopandas
import numpy as np
import pytest
import rasterio

from landvisor.demo import make_demo, write_demo
from landvisor.geo.legend import read_legend

SMALL = (224, 256)


@pytest.fixture(scope="module")
def demo():
    return make_demo(size=SMALL, seed=3)


def test_equal_seeds_give_equal_bits(demo):
    again = make_demo(size=SMALL, seed=3)
    assert np.array_equal(demo.scene_data, again.scene_data)
    assert np.array_equal(demo.truth, again.truth)
    assert demo.points.equals(again.points)


def test_another_seed_gives_another_land(demo):
    assert not np.array_equal(demo.truth, make_demo(size=SMALL, seed=4).truth)


def test_scene_truth_and_grid_are_congruent_in_a_real_crs(demo):
    assert demo.scene_data.shape == (4, *SMALL)
    assert demo.scene_data.dtype == np.uint16
    assert demo.truth.shape == SMALL == tuple(demo.grid.shape)
    assert demo.grid.crs.epsg == 32633 == demo.points.crs.to_epsg()


def test_no_data_is_one_corner_and_nothing_else(demo):
    missing = demo.truth == 0
    assert missing[-1, 0]
    assert 0.005 < missing.mean() < 0.05
    assert np.array_equal((demo.scene_data == 0).all(axis=0), missing)
    assert np.array_equal((demo.scene_data == 0).any(axis=0), missing)


@pytest.mark.parametrize("seed", range(4))
def test_every_class_lies_in_truth_and_has_its_points(seed):
    demo = make_demo(size=(200, 200), seed=seed)
    assert set(np.unique(demo.truth)) == {0, *demo.legend.ids}
    counts = demo.points["class"].value_counts()
    assert dict(counts) == dict.fromkeys(demo.legend.names, 40)


def test_wetland_is_rare_and_no_class_covers_half():
    share = np.bincount(make_demo(size=(400, 400)).truth.ravel()) / 400**2
    assert 0.003 < share[7] < 0.03
    assert share.max() < 0.5


def test_points_match_truth_but_for_a_few_slips(demo):
    cols, rows = ~demo.grid.affine * (demo.points.geometry.x.values, demo.points.geometry.y.values)
    found = demo.truth[np.floor(rows).astype(int), np.floor(cols).astype(int)]
    wanted = demo.points["class"].map({c.name: c.id for c in demo.legend.classes})
    assert 0.97 <= (found == wanted).mean() <= 1


def test_colour_alone_cannot_tell_the_classes_apart(demo):
    """A Gaussian per class, given the truth itself, is beaten by the overlap of colours."""
    pixels = demo.scene_data[:, demo.truth > 0].astype(float)
    truth = demo.truth[demo.truth > 0]
    distance = []
    for label in demo.legend.ids:
        own = pixels[:, truth == label]
        off = pixels - own.mean(axis=1, keepdims=True)
        spread = np.cov(own)
        mahalanobis = (off * np.linalg.solve(spread, off)).sum(axis=0)
        distance.append(mahalanobis + np.linalg.slogdet(spread)[1])
    right = np.array(demo.legend.ids)[np.argmin(distance, axis=0)] == truth
    assert 0.4 < right.mean() < 0.85


def test_files_hold_what_was_made(tmp_path):
    paths = write_demo(tmp_path / "new" / "demo", size=SMALL, seed=5)
    demo = make_demo(size=SMALL, seed=5)
    with rasterio.open(paths.scene) as scene, rasterio.open(paths.truth) as truth:
        assert np.array_equal(scene.read(), demo.scene_data)
        assert np.array_equal(truth.read(1), demo.truth)
        assert scene.descriptions == ("blue", "green", "red", "nir")
        assert scene.nodata == truth.nodata == 0
        assert scene.crs == truth.crs == "EPSG:32633"
        assert scene.transform == truth.transform == demo.grid.affine
    points = geopandas.read_file(paths.points, layer="points")
    assert list(points["class"]) == list(demo.points["class"])
    assert points.crs.to_epsg() == 32633
    assert read_legend(paths.legend) == demo.legend


def test_writing_twice_replaces_the_points(tmp_path):
    first = write_demo(tmp_path, size=SMALL, seed=1)
    write_demo(tmp_path, size=SMALL, seed=1)
    assert len(geopandas.read_file(first.points)) == 280
