"""What `vectorize`, `sieve` and `areas` print, and what they refuse."""

import json

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

from landvisor.cli.main import group, main
from landvisor.geo.legend import LandClass, Legend, write_legend

LEGEND = Legend((LandClass(1, "sea", "#0000ff"), LandClass(2, "land", "#ffee99")))


@pytest.fixture
def inputs(make_tif, tmp_path):
    """Return a class raster without names, and the legend that names them."""
    codes = np.full((20, 30), 1, np.uint8)
    codes[:, 15:] = 2
    codes[3, 3] = 2
    codes[10, 20:22] = 1
    path = make_tif("classes.tif", codes, nodata=0)
    write_legend(LEGEND, tmp_path / "legend.toml")
    return [str(path), "--legend", str(tmp_path / "legend.toml")]


def run(*words):
    result = CliRunner().invoke(group, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_vectorize_counts_polygons(inputs, tmp_path):
    out = tmp_path / "map.gpkg"
    assert run("vectorize", *inputs, "--out", out).splitlines() == ["4 polygons", f"made: {out}"]
    said = run("vectorize", *inputs, "--out", out, "--overwrite", "--min-area", "150")
    assert said.splitlines()[:2] == ["3 polygons", "left out as too small: 1 patch"]
    run("vectorize", *inputs, "--out", out, "--overwrite", "--min-pixels", "3")
    assert len(gpd.read_file(out, layer="patches")) == 2


@pytest.mark.parametrize(
    ("how", "changed"),
    [
        (["--min-pixels", "2"], 1),
        (["--min-pixels", "3"], 3),
        (["--min-area", "150", "--connect", "8"], 1),
        (["--majority", "3"], 3),
    ],
)
def test_sieve_tells_what_it_changed(inputs, tmp_path, how, changed):
    out = tmp_path / "sieved.tif"
    said = run("sieve", *inputs, "--out", out, *how).splitlines()
    with rasterio.open(inputs[0]) as before, rasterio.open(out) as after:
        assert (before.read() != after.read()).sum() == changed
    noun = "pixel" if changed == 1 else "pixels"
    assert said == [f"changed: {changed} {noun} of 600, {changed / 6:.2f} %", f"made: {out}"]


def test_areas_prints_a_table_and_json(inputs):
    table = run("areas", *inputs).splitlines()
    assert table[0].split() == ["class", "pixels", "m2", "ha", "share"]
    assert table[1].split()[:2] == ["sea", "301"]
    found = json.loads(run("areas", *inputs, "--json"))
    assert [c["pixels"] for c in found["classes"]] == [301, 299]
    assert found["method"] == "ellipsoidal (WGS 84)"


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--min-pixels", "2", "--majority", "3"],
        ["--majority", "3", "--connect", "8"],
        ["--min-pixels", "0"],
    ],
)
def test_sieve_refuses_what_contradicts_itself(inputs, tmp_path, words):
    out = str(tmp_path / "out.tif")
    assert CliRunner().invoke(group, ["sieve", *inputs, "--out", out, *words]).exit_code == 2


def test_a_map_without_names_fails_in_one_line(inputs, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["vectorize", inputs[0], "--out", str(tmp_path / "map.gpkg")])
    assert caught.value.code == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "--legend" in error
