"""One command makes a map, says how good it is, and is right about it."""

import hashlib
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import rasterio
from rio_cogeo.cogeo import cog_validate

from landvisor.geo.legend import read_legend
from landvisor.geo.styles import read_map_legend

RASTERS = ("map.tif", "probabilities.tif", "uncertainty.tif")
COMPANIONS = {
    "map.qml", "map.tif.aux.xml", "model.safetensors", "assessment.json", "report.html",
    "overview.png", "stac-item.json", "run.json",
}  # fmt: skip
FLOOR = 0.6


@pytest.fixture(scope="module")
def folder(bundle):
    return bundle[0]


@pytest.fixture(scope="module")
def truth(demo):
    with rasterio.open(demo.truth) as raster:
        return raster.read(1)


def read(path, band=None):
    with rasterio.open(path) as raster:
        return raster.read(band)


def test_a_bundle_holds_all_its_files_and_no_other(folder):
    assert {path.name for path in folder.iterdir()} == {*RASTERS, *COMPANIONS}


def test_nothing_else_is_left_beside_a_bundle(folder):
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize("name", RASTERS)
def test_every_band_of_every_raster_has_the_grid_of_the_scene(folder, demo, name):
    with rasterio.open(demo.scene) as scene, rasterio.open(folder / name) as raster:
        assert (raster.crs, raster.transform) == (scene.crs, scene.transform)
        assert raster.shape == scene.shape
        assert all(raster.descriptions)
        assert raster.read().shape == (raster.count, *scene.shape)


@pytest.mark.parametrize("name", RASTERS)
def test_every_raster_is_a_strictly_valid_cog(folder, name):
    assert cog_validate(folder / name, strict=True, quiet=True) == (True, [], [])


def test_the_map_carries_colours_and_names_of_its_classes(folder, demo):
    legend = read_legend(demo.legend)
    found = read_map_legend(folder / "map.tif")
    assert [(c.id, c.name, c.color) for c in found.classes] == [
        (c.id, c.name, c.color) for c in legend.classes
    ]
    with rasterio.open(folder / "map.tif") as raster:
        colours = raster.colormap(1)
    assert {i: colours[i][:3] for i in legend.ids} == {c.id: c.rgb for c in legend.classes}
    names = [entry.text or "" for entry in ET.parse(folder / "map.tif.aux.xml").iter("Category")]
    assert [names[i] for i in legend.ids] == list(legend.names)


@pytest.mark.parametrize("name", RASTERS)
def test_no_data_is_no_data_in_every_band_and_nothing_else_is(folder, truth, name):
    with rasterio.open(folder / name) as raster:
        assert ((raster.read_masks() > 0) == (truth > 0)).all()


def test_probabilities_sum_to_one_and_their_best_is_the_map(folder, truth, demo):
    codes = read(folder / "probabilities.tif")[:, truth > 0].astype(float)
    rounding = len(codes) * 0.5 / 254
    assert np.abs(codes.sum(axis=0) / 254 - 1).max() <= rounding
    ids = np.array(read_legend(demo.legend).ids)
    best = codes == codes.max(axis=0)
    assert best[
        np.searchsorted(ids, read(folder / "map.tif", 1)[truth > 0]), range(len(best.T))
    ].all()


def test_the_map_is_right_and_beats_the_largest_class(folder, truth):
    known = truth > 0
    accuracy = (read(folder / "map.tif", 1) == truth)[known].mean()
    assert accuracy > FLOOR
    assert accuracy > np.bincount(truth[known]).max() / known.sum() + 0.2


def test_the_statement_is_at_labelled_places_and_printed(bundle):
    folder, said = bundle
    stated = json.loads((folder / "assessment.json").read_text())
    assert stated["statement"].startswith("at labelled places")
    assert sum(map(sum, stated["counts"])) == stated["reference"]["places"] == 280
    assert 0 < stated["intervals"]["oa"][0] < stated["rates"]["oa"] < stated["intervals"]["oa"][1]
    assert f"overall accuracy {stated['rates']['oa']:.3f}" in said.out
    assert "at labelled places" in said.out
    assert str(folder / "report.html") in said.out


def test_the_report_says_how_far_apart_folds_were_as_the_assessment_does(folder):
    stated = json.loads((folder / "assessment.json").read_text())
    page = (folder / "report.html").read_text(encoding="utf-8")
    apart, sure = stated["separation"], stated["calibration"]
    assert apart["sight"]["distance"] == 50  # the reach of the filter bank
    assert apart["wanted"] == max(apart["sight"]["distance"], apart["dependence"]["distance"])
    assert 0 <= apart["dropped"] <= apart["most_dropped"] <= 0.4
    assert sure["places"] == stated["reference"]["places"]
    (said,) = re.findall(r'<p class="statement">(.*?)</p>', page, re.S)
    low, high = stated["intervals"]["oa"]
    assert (
        f"accuracy was {stated['rates']['oa']:.2f} (95 % interval {low:.2f} to {high:.2f}" in said
    )
    assert f"within {apart['taken']:.0f} pixels of a held-out one" in said
    assert f"left out {100 * apart['dropped']:.0f} %" in said
    assert f"probabilities was {sure['ece']:.3f}" in said
    assert "Reliability at 280 places" in page
    assert f"{sure['auroc']['entropy']:.2f} by entropy" in page
    assert "Folds" in page or "labelled places by the fold" in page


def test_the_report_needs_no_other_file_and_names_every_class(folder, demo):
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert not re.search(r"url\((?!data:)|@import|<script|<link", page)
    assert all(name in page for name in read_legend(demo.legend).names)
    assert "at labelled places" in page
    assert "EPSG:32633" in page
    assert "PROJCS" not in page


def test_the_record_holds_hashes_of_inputs_and_outputs(folder, demo):
    record = json.loads((folder / "run.json").read_text())
    files = {path.name: path for path in folder.iterdir() if path.name != "run.json"}
    assert record["outputs"] == {name: hash_of(path) for name, path in files.items()}
    found = {entry["sha256"] for entry in record["inputs"].values()}
    assert {hash_of(demo.scene), hash_of(demo.points)} <= found


def hash_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def unstated(landvisor, demo, fast, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unstated") / "result"
    said = landvisor("map", demo.scene, demo.points, "--out", folder, "--folds", 0, *fast)
    assert said.code == 0, said.err
    return folder, said


def test_without_folds_no_accuracy_is_stated_and_both_outputs_say_so(unstated):
    folder, said = unstated
    assert "accuracy: not stated" in said.out
    assert "overall accuracy" not in said.out
    assert not (folder / "assessment.json").exists()
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "This map was not assessed" in page
    assert "assessment.json" not in page


@pytest.mark.parametrize("name", RASTERS)
def test_the_same_seed_gives_the_same_pixels_whatever_is_stated(folder, unstated, name):
    assert np.array_equal(read(folder / name), read(unstated[0] / name))


def test_an_assessment_against_the_truth_counts_every_pixel(landvisor, folder, demo, truth):
    said = landvisor("assess", folder, demo.truth, "--json")
    found = json.loads(said.out)
    assert sum(map(sum, found["counts"])) == (truth > 0).sum()
    accuracy = (read(folder / "map.tif", 1) == truth)[truth > 0].mean()
    assert found["rates"]["oa"] == pytest.approx(accuracy)


def test_info_tells_what_the_bundle_is(landvisor, folder):
    said = landvisor("info", folder)
    assert said.code == 0
    assert "kind: map" in said.out
    assert "at labelled places" in said.out


@pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="no gdalinfo on the PATH")
@pytest.mark.parametrize("name", RASTERS)
def test_gdalinfo_opens_every_raster(folder, name):
    done = subprocess.run(
        ["gdalinfo", str(folder / name)], check=True, capture_output=True, text=True
    )
    assert "LAYOUT=COG" in done.stdout
