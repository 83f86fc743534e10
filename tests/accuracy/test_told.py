"""Probabilities beside a map are held against places, as what was computed them by hand."""

import numpy as np
import pytest
from affine import Affine

from landvisor.accuracy.calibration import expected_error
from landvisor.accuracy.reference import hold_against
from landvisor.geo.legend import legend_from_names
from landvisor.geo.scene import scene_from_array
from landvisor.options import Options

LEGEND = legend_from_names(["grass", "sand"])
SHAPE = (30, 40)


@pytest.fixture
def make_map(tmp_path, write_prediction):
    def make(stem="map", *, seed=0):
        sure = np.random.default_rng(seed).uniform(0.5, 1, SHAPE)
        grass = np.random.default_rng(seed + 1).random(SHAPE) < 0.5
        shares = np.where(grass, sure, 1 - sure)
        grid = scene_from_array(
            np.ones(SHAPE, np.uint8),
            crs="EPSG:32633",
            transform=Affine(10, 0, 500_000, 0, -10, 5_000_000),
        ).grid
        files = write_prediction(
            tmp_path, grid, legend=LEGEND, probabilities=np.stack([shares, 1 - shares]), stem=stem
        )
        return files, grass, sure

    return make


@pytest.fixture
def pixels():
    return np.stack(np.unravel_index(np.arange(0, 1200, 5), SHAPE), axis=1)


def test_places_tell_of_probabilities(make_map, make_points, pixels):
    files, grass, sure = make_map()
    right = np.random.default_rng(5).random(len(pixels)) < 0.7
    here = tuple(pixels.T)
    truth = np.where(grass[here] == right, "grass", "sand")
    points = make_points("p.gpkg", pixels, label=list(truth))
    found = hold_against(files.classes, points, options=Options())
    calibration = found.calibration
    assert calibration.places == len(pixels)
    assert calibration.accuracy == pytest.approx(right.mean())
    assert calibration.confidence == pytest.approx(sure[here].mean(), abs=0.003)
    wanted = expected_error(np.round(sure[here] * 254) / 254, right)
    assert calibration.ece == pytest.approx(wanted, abs=0.005)
    assert set(calibration.auroc) == {"entropy", "margin"}
    assert f"{calibration.ece:.3f} (chance alone" in found.table()
    assert found.to_dict()["calibration"]["places"] == len(pixels)


def test_an_uncertain_error_is_found(make_map, make_points, pixels):
    files, grass, sure = make_map()
    here = tuple(pixels.T)
    right = sure[here] > 0.7
    truth = np.where(grass[here] == right, "grass", "sand")
    points = make_points("p.gpkg", pixels, label=list(truth))
    calibration = hold_against(files.classes, points, options=Options()).calibration
    assert calibration.auroc["entropy"] == pytest.approx(1, abs=0.01)
    assert calibration.error_rates["margin"][0] == 0


def test_a_map_alone_has_no_probabilities(make_map, make_points, pixels):
    files, grass, _ = make_map()
    files.probabilities.unlink()
    labels = np.where(grass[tuple(pixels.T)], "grass", "sand")
    points = make_points("p.gpkg", pixels, label=list(labels))
    found = hold_against(files.classes, points, options=Options())
    assert found.calibration is None
    assert "probabilities" not in found.table()


def test_disagreement_is_the_third_band(make_map, make_points, make_tif, pixels):
    files, grass, _ = make_map()
    labels = np.where(grass[tuple(pixels.T)], "grass", "sand")
    labels[::3] = np.where(labels[::3] == "grass", "sand", "grass")
    spread = np.zeros(SHAPE, np.uint8)
    spread[tuple(pixels[::3].T)] = 200
    make_tif(files.uncertainty.name, np.stack([spread * 0, spread * 0, spread]))
    points = make_points("p.gpkg", pixels, label=list(labels))
    calibration = hold_against(files.classes, points, options=Options()).calibration
    assert calibration.auroc["disagreement"] == 1
    assert calibration.error_rates["disagreement"][-1] == 1
