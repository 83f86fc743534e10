"""What is wrong is said in one line that tells what to do, and nothing is published."""

import resource
import shutil
import signal
import subprocess
import sys

import geopandas
import numpy as np
import pandas as pd
import pytest
import rasterio
import torch
from safetensors.numpy import save_file

from landvisor.errors import SceneError
from landvisor.geo.rasters import open_scene
from landvisor.geo.styles import pixel_space_allowed

FEW = ("--folds", "0", "-q")
UNET = ("--model", "unet", "--folds", "0", "--epochs", "1", "-q")


@pytest.fixture
def fails(landvisor, fast, tmp_path):
    """Run a verb that must fail; return its one line."""

    def run(*arguments, out=None):
        target = out or tmp_path / "result"
        before = sorted(path.name for path in tmp_path.iterdir())
        said = landvisor(*arguments, "--out", target)
        assert said.code == 1, said
        assert said.out == ""
        assert said.err.count("\n") == 1, said.err
        assert said.err.startswith("landvisor: ")
        assert "unexpected" not in said.err
        assert sorted(path.name for path in tmp_path.iterdir()) == before
        return said.err

    return run


@pytest.fixture
def map_fails(fails, demo, fast):
    """Run `map` with one of its inputs, or with further options, that must fail."""

    def run(*options, scene=None, points=None, out=None):
        return fails(
            "map", scene or demo.scene, points or demo.points, *options, *FEW, *fast, out=out
        )

    return run


@pytest.fixture
def points(demo):
    return geopandas.read_file(demo.points)


def write(frame, path):
    frame.to_file(path) if hasattr(frame, "geometry") else frame.to_csv(path, index=False)
    return path


def as_table(points, **columns):
    return pd.DataFrame({"class": points["class"], **columns})


# Files that are missing or something else


@pytest.mark.parametrize("role", ["scene", "points"])
def test_a_missing_file_is_named(map_fails, tmp_path, role):
    path = tmp_path / ("none.tif" if role == "scene" else "none.gpkg")
    assert f"no such file: {str(path)!r}" in map_fails(**{role: path})


def test_a_missing_model_is_named(fails, demo, tmp_path):
    said = fails("predict", tmp_path / "none.safetensors", demo.scene)
    assert "none.safetensors" in said
    assert "give a .safetensors file of `fit`" in said


def test_text_is_no_raster(map_fails, tmp_path):
    (tmp_path / "text.tif").write_text("hello")
    said = map_fails(scene=tmp_path / "text.tif")
    assert "is not a raster that GDAL can open" in said
    assert "need a GeoTIFF" in said


def test_imagery_and_points_in_the_wrong_order_are_noticed(fails, demo, fast):
    said = fails("map", demo.points, demo.scene, *FEW, *fast)
    assert "imagery is named first, points last" in said


@pytest.mark.parametrize("kept", [0.0005, 0.5, 0.95])
def test_a_truncated_raster_is_called_so(map_fails, demo, tmp_path, kept):
    whole = demo.scene.read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[: int(kept * len(whole))])
    assert "truncated" in map_fails(scene=tmp_path / "cut.tif")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("points.gpkg", "hello", "is not a vector file that can be read"),
        ("points.csv", "", "is not a CSV table"),
        ("points.csv", "lon,lat,class\n", "holds no points; label some places first"),
        ("points.csv", "a,b,class\n1,2,x\n", "need lon and lat, x and y with --crs"),
        ("points.csv", "lon,lat,class\n1,north,x\n", "'north' in column 'lat'; need numbers"),
    ],
)
def test_a_file_without_points_is_refused(map_fails, tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    assert said in map_fails(points=tmp_path / name)


# Points that do not fit


def test_zero_points_are_too_few(map_fails, points, tmp_path):
    said = map_fails(points=write(points.iloc[:0], tmp_path / "zero.gpkg"))
    assert "holds no points; label some places first" in said


def test_points_off_the_image_are_told_with_both_extents(map_fails, points, tmp_path):
    points["geometry"] = points.translate(1e5, 0)
    said = map_fails(points=write(points, tmp_path / "off.gpkg"))
    assert "all 280 features lie off the imagery" in said
    assert "x 612" in said
    assert "the imagery x 512000 to 512512 and y 5361488 to 5362000 in EPSG:32633" in said


def test_swapped_coordinates_are_recognised(map_fails, points, tmp_path):
    places = points.to_crs(4326).geometry
    swapped = as_table(points, lon=places.y, lat=places.x)
    assert "swap lon and lat" in map_fails(points=write(swapped, tmp_path / "swapped.csv"))


def test_points_on_no_data_are_told_from_those_off_the_image(map_fails, demo, points, tmp_path):
    with rasterio.open(demo.scene) as raster:
        rows, cols = np.argwhere(raster.dataset_mask() == 0)[::40].T
        x, y = raster.transform @ (cols + 0.5, rows + 0.5)
    classes = np.resize(["water", "forest"], len(x))
    table = write(pd.DataFrame({"class": classes, "x": x, "y": y}), tmp_path / "nodata.csv")
    said = map_fails("--crs", "EPSG:32633", points=table)
    assert f"all {len(x)} places lie on no-data; check the nodata value" in said


def test_one_class_needs_another_or_background(map_fails, points, tmp_path):
    water = points[points["class"] == "water"]
    said = map_fails(points=write(water, tmp_path / "one.gpkg"))
    assert "all places have one class, 'water'" in said
    assert "--background 200" in said


def test_points_without_a_class_column_are_told_their_columns(map_fails, points, tmp_path):
    said = map_fails(points=write(points[["id", "geometry"]], tmp_path / "bare.gpkg"))
    assert "has columns 'id' and none of them is a class" in said
    assert "--class-column" in said


def test_a_class_that_the_legend_lacks_is_named(map_fails, tmp_path):
    legend = tmp_path / "legend.toml"
    legend.write_text('[[class]]\nid = 1\nname = "water"\n')
    said = map_fails("--legend", legend)
    assert "which the legend lacks; the legend has 'water'" in said


def test_coordinates_without_a_crs_need_one_on_a_georeferenced_scene(map_fails, points, tmp_path):
    table = as_table(points, x=points.geometry.x, y=points.geometry.y)
    said = map_fails(points=write(table, tmp_path / "xy.csv"))
    assert "the points have no CRS but scene 'scene' has EPSG:32633" in said
    assert "--crs" in said


def test_points_in_a_crs_do_not_fit_a_plain_picture(map_fails, tmp_path):
    said = map_fails(scene=write_picture(tmp_path / "plain.png"))
    assert "the points are in EPSG:32633 but scene 'plain' has no CRS" in said


def write_picture(path):
    shape = {"width": 64, "height": 64, "count": 3, "dtype": "uint8"}
    with pixel_space_allowed(), rasterio.open(path, "w", driver="PNG", **shape) as raster:
        raster.write(np.ones((3, 64, 64), np.uint8))
    return path


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--class-column", "kind"), "no column 'kind' among 'id', 'class'"),
        (("--split", "train"), "no scene has split 'train'; there are no splits"),
        (("--aoi", "none.gpkg"), "no such file: 'none.gpkg'; give polygons"),
        (("--recipe", "none.toml"), "no recipe at 'none.toml'"),
        (("--set", "fit.lr"), "has no value; write it as --set"),
        (("--set", "fit.lrr=1"), "the nearest valid one is 'fit.lr'"),
        (("--set", "fit.lr=-1"), "recipe key 'fit.lr' has -1"),
        (("--set", "fit.epochs=many"), "recipe key 'fit.epochs' has 'many'"),
    ],
)
def test_a_bad_option_is_named_with_what_it_takes(map_fails, options, said):
    assert said in map_fails(*options)


def test_an_unknown_recipe_key_names_the_nearest_and_its_kin(map_fails, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[fit]\nlearning_rate = 0.1\n")
    said = map_fails("--recipe", recipe)
    assert "unknown recipe key 'fit.learning_rate'; the nearest valid one is" in said
    assert "the keys of 'fit' are epochs" in said
    assert " lr," in said


# Models and weights


def test_a_scene_of_other_bands_does_not_fit_a_model(fails, bundle, tmp_path):
    picture = write_picture(tmp_path / "plain.png")
    said = fails("predict", bundle[0] / "model.safetensors", picture)
    assert "reads 4 bands (blue, green, red, nir)" in said
    assert "has 3 (red, green, blue)" in said


@pytest.fixture(params=["foreign", "torch", "random", "empty", "cut"])
def not_a_model(request, bundle, tmp_path):
    path = tmp_path / "model.safetensors"
    if request.param == "foreign":
        save_file({"weight": np.zeros(3)}, path)
    elif request.param == "torch":
        torch.save({"weight": torch.zeros(3)}, path)
    elif request.param == "random":
        path.write_bytes(np.random.default_rng(0).bytes(1000))
    elif request.param == "empty":
        path.touch()
    else:
        path.write_bytes((bundle[0] / "model.safetensors").read_bytes()[:-1000])
    return path


def test_a_file_that_is_no_model_of_ours_is_refused(fails, not_a_model, demo):
    said = fails("predict", not_a_model, demo.scene)
    assert any(hint in said for hint in ("`fit`", "fit the model again"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--encoder", "mobilnetv2_100", "--encoder-weights", "none"), "'mobilenetv2_100'"),
        (("--encoder-weights", "none.safetensors"), "cannot be read"),
        (("--encoder-weights", "banana"), "timm knows no weights 'banana'"),
    ],
)
def test_an_unknown_encoder_or_weights_are_named(fails, demo, options, said):
    assert said in fails("map", demo.scene, demo.points, *UNET, *options)


def test_weights_of_something_else_are_refused(fails, demo, tmp_path):
    save_file({"weight": np.zeros(3, np.float32)}, tmp_path / "other.safetensors")
    weights = ("--encoder-weights", tmp_path / "other.safetensors")
    said = fails("map", demo.scene, demo.points, *UNET, *weights)
    assert "give weights of this very timm encoder" in said


# Outputs


def test_a_folder_inside_a_file_cannot_be_made(map_fails, tmp_path):
    (tmp_path / "file").touch()
    said = map_fails(out=tmp_path / "file" / "result")
    assert f"{str(tmp_path / 'file')!r} is not a folder; create it or change --out" in said


def test_an_existing_output_is_not_replaced_unasked(map_fails, bundle, tmp_path):
    shutil.copytree(bundle[0], tmp_path / "result")
    assert "exists already; add --overwrite or change --out" in map_fails()


def test_a_folder_of_others_is_not_replaced_even_if_asked(map_fails, tmp_path):
    (tmp_path / "result").mkdir()
    (tmp_path / "result" / "thesis.doc").touch()
    assert "will not replace it; change --out" in map_fails("--overwrite")
    assert (tmp_path / "result" / "thesis.doc").exists()


def test_a_file_is_not_replaced_by_a_folder(map_fails, tmp_path):
    (tmp_path / "result").touch()
    assert "is a file, a folder is to be written" in map_fails("--overwrite")


def test_a_full_disk_leaves_nothing_that_opens_as_a_map(bundle, demo, tmp_path):
    """A limit on the size of files stands for the disk: writing fails in the same way."""
    code = "import sys; from landvisor.cli.main import main; main(sys.argv[1:])"
    words = ("predict", bundle[0] / "model.safetensors", demo.scene, "--out", tmp_path / "result")
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words), "-q"],
        capture_output=True, text=True, preexec_fn=limit_files, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    # libtiff writes of its own accord to stderr, which no handler of GDAL's can prevent
    said = [text for text in done.stderr.splitlines() if not text.startswith("_tiff")]
    assert all(line.startswith("landvisor: ") for line in said)
    assert f"{str(tmp_path / 'result')!r}" in said[-1]
    assert [path.name for path in tmp_path.iterdir()] in ([], [".result.work"])
    for path in tmp_path.rglob("*"):
        with pytest.raises(SceneError):
            open_scene(path)


def limit_files():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
