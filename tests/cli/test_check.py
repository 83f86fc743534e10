import json

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

from landvisor.cli.main import group, main
from landvisor.errors import OutputError


@pytest.fixture
def scene(tmp_path):
    path = tmp_path / "scene.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=60, height=50, count=1, dtype="uint8",
        crs="EPSG:32633", transform=rasterio.Affine(1, 0, 600000, 0, -1, 5000000),
    ) as out:  # fmt: skip
        out.write(np.random.default_rng(0).integers(20, 99, (1, 50, 60)).astype(np.uint8))
    return path


def write_points(path, names, *, step=1):
    x, y = np.meshgrid(np.arange(2.5, 60, 6 * step), -np.arange(2.5, 50, 6 * step))
    labels = np.resize(names, x.size)
    gpd.GeoDataFrame(
        {"class": labels},
        geometry=gpd.points_from_xy(x.ravel() + 600000, y.ravel() + 5000000),
        crs="EPSG:32633",
    ).to_file(path)
    return path


def test_check_prints_a_level_before_each_finding(scene, tmp_path):
    points = write_points(tmp_path / "p.gpkg", ["sea", "sand"])
    result = CliRunner().invoke(group, ["check", str(scene), str(points)])
    assert result.exit_code == 0, result.output
    assert all(line.startswith(("ok ", "note ", "problem ")) for line in result.stdout.splitlines())
    assert "usable places: sand 40, sea 40" in result.stdout
    assert "spatial folds" in result.stdout


def test_a_problem_that_stops_map_exits_with_1(scene, tmp_path, capsys):
    points = write_points(tmp_path / "p.gpkg", ["sea"])
    with pytest.raises(SystemExit) as caught:
        main(["check", str(scene), str(points), "--json"])
    assert caught.value.code == 1
    found = json.loads(capsys.readouterr().out)
    assert any("--background" in f["text"] for f in found if f["level"] == "problem")


def test_places_too_few_for_folds_are_a_problem_with_a_way_out(scene, tmp_path):
    points = write_points(tmp_path / "p.gpkg", ["sea", "sand"], step=9)
    gpd.read_file(points).head(2).to_file(points)
    result = CliRunner().invoke(group, ["check", str(scene), str(points)])
    assert result.exit_code == 1


def test_images_alone_can_be_checked(scene):
    result = CliRunner().invoke(group, ["check", str(scene)])
    assert result.exit_code == 0
    assert "100.0 % of pixels hold data" in result.stdout


def test_points_alone_are_bad_usage(tmp_path):
    points = write_points(tmp_path / "p.gpkg", ["sea"])
    assert CliRunner().invoke(group, ["check", str(points)]).exit_code == 2


def test_a_missing_image_fails_in_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["check", str(tmp_path / "none.tif")])
    assert caught.value.code == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_suspects_go_to_a_file_that_is_not_overwritten_unasked(scene, tmp_path):
    points = write_points(tmp_path / "p.gpkg", ["sea", "sand"])
    arguments = ["check", str(scene), str(points), "--suspects", str(tmp_path / "s.gpkg")]
    assert CliRunner().invoke(group, arguments).exit_code == 0
    assert {"neighbours_say", "score"} <= set(gpd.read_file(tmp_path / "s.gpkg").columns)
    assert CliRunner().invoke(group, arguments).exit_code == 1
    assert CliRunner().invoke(group, [*arguments, "--overwrite"]).exit_code == 0


def test_points_of_two_classes_nearer_than_the_distance_are_told(scene, tmp_path):
    points = write_points(tmp_path / "p.gpkg", ["sea", "sand"])
    said = CliRunner().invoke(group, ["check", str(scene), str(points), "--distance", "6"]).stdout
    assert "pairs of places of different classes within 6 pixels" in said
    assert "of different classes" not in CliRunner().invoke(
        group, ["check", str(scene), str(points)]
    ).stdout  # fmt: skip


@pytest.mark.parametrize("options", [["--suspects", "s.gpkg"], ["--overwrite"]])
def test_options_without_what_they_go_with_are_bad_usage(scene, options):
    assert CliRunner().invoke(group, ["check", str(scene), *options]).exit_code == 2


def test_json_lists_what_each_finding_counts(scene, tmp_path):
    points = write_points(tmp_path / "p.gpkg", ["sea", "sand"])
    result = CliRunner().invoke(
        group, ["check", str(scene), str(points), "--distance", "6", "--json"]
    )
    rows = next(f["rows"] for f in json.loads(result.stdout) if "classes within" in f["text"])
    assert rows[0]["distance"] == 6
    assert rows[0]["classes"] == ["sea", "sand"]


def test_suspects_replace_no_input_and_are_a_geopackage(scene, tmp_path):
    points = write_points(tmp_path / "p.gpkg", ["sea", "sand"])
    before = points.read_bytes()
    for out, said in ((points, "lost; change --suspects"), (tmp_path / "s.csv", "--suspects '")):
        arguments = ["check", scene, points, "--suspects", out, "--overwrite"]
        error = CliRunner().invoke(group, [*map(str, arguments)]).exception
        assert isinstance(error, OutputError)
        assert said in str(error)
    assert points.read_bytes() == before


def test_an_asset_of_a_stac_item_is_an_image(scene, tmp_path):
    assets = {name: {"href": "scene.tif", "roles": ["data"]} for name in ("red", "nir")}
    path = tmp_path / "item.json"
    content = {"type": "Feature", "stac_version": "1.1.0", "id": "s", "assets": assets}
    path.write_text(json.dumps(content))
    result = CliRunner().invoke(group, ["check", str(path), "--asset", "red"])
    assert result.exit_code == 0, result.output
    result = CliRunner().invoke(group, ["check", str(path), "--asset", "red", "--stack"])
    assert result.exit_code == 2
    assert "--stack from files" in result.output
