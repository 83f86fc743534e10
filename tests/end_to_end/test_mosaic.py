"""Overlapping tiles in two UTM zones, named by a STAC item collection, become one map."""

import json
import os
import shutil
import subprocess

import geopandas
import numpy as np
import pytest
import rasterio
from rasterio.transform import array_bounds
from rasterio.warp import Resampling, calculate_default_transform, reproject, transform_bounds
from rasterio.windows import Window

SIDE = 150
CLOUDS = (40, 10, 25, 5)
SMALL = ("--set", "predict.window=64", "--set", "predict.overlap=16", "--set",
         "predict.block=[64, 96]")  # fmt: skip


def write_tile(source, path, row, col, crs):
    """Cut a tile out of a raster; warp it where it is to lie in another CRS."""
    window = Window(col, row, SIDE, SIDE)
    data, place = source.read(window=window), source.window_transform(window)
    if crs != source.crs:
        there, cols, rows = calculate_default_transform(
            source.crs, crs, SIDE, SIDE, *array_bounds(SIDE, SIDE, place), resolution=source.res
        )
        warped = np.zeros((len(data), rows, cols), data.dtype)
        reproject(data, warped, src_transform=place, src_crs=source.crs, dst_transform=there,
                  dst_crs=crs, src_nodata=0, dst_nodata=0,
                  resampling=Resampling.bilinear)  # fmt: skip
        data, place = warped, there
    bands, rows, cols = data.shape
    profile = {"driver": "GTiff", "dtype": data.dtype, "nodata": 0, "crs": crs, "tiled": True,
               "blockxsize": 64, "blockysize": 64, "compress": "deflate"}  # fmt: skip
    with rasterio.open(
        path, "w", count=bands, height=rows, width=cols, transform=place, **profile
    ) as tile:
        tile.write(data)
    return transform_bounds(crs, "EPSG:4326", *array_bounds(rows, cols, place))


def describe(name, bounds, cloud):
    left, bottom, right, top = bounds
    ring = [[left, bottom], [right, bottom], [right, top], [left, top], [left, bottom]]
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "bbox": list(bounds), "links": [],
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"datetime": "2024-06-01T10:00:00Z", "eo:cloud_cover": cloud},
        "assets": {"data": {"href": f"{name}.tif", "roles": ["data"]}},
    }  # fmt: skip


def write_items(path, items):
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    return path


@pytest.fixture(scope="module")
def items(demo, tmp_path_factory):
    """Four tiles, those to the east in the next zone; return the folder and their items."""
    folder, found = tmp_path_factory.mktemp("tiles"), []
    with rasterio.open(demo.scene) as source:
        for number, (row, col) in enumerate(((0, 0), (0, 106), (106, 0), (106, 106))):
            crs = rasterio.crs.CRS.from_epsg(32634) if col else source.crs
            bounds = write_tile(source, folder / f"t{number}.tif", row, col, crs)
            found.append(describe(f"t{number}", bounds, CLOUDS[number]))
    write_items(folder / "items.json", found)
    return folder, found


@pytest.fixture
def predict(landvisor, bundle, tmp_path):
    def run(imagery, name, *options):
        said = landvisor("predict", bundle[0] / "model.safetensors", imagery, "--out",
                         tmp_path / name, *SMALL, *options)  # fmt: skip
        assert said.code == 0, said.err
        return tmp_path / name

    return run


def read(path):
    with rasterio.open(path) as raster:
        return raster.read()


def test_a_feathered_mosaic_is_the_map_of_the_whole(items, predict, bundle):
    folder = predict(items[0] / "items.json", "made", "--mosaic", "feather")
    assert {path.suffix for path in folder.glob("*.vrt")} == set()
    with rasterio.open(folder / "map.tif") as found, rasterio.open(bundle[0] / "map.tif") as whole:
        assert (found.crs, found.res) == (whole.crs, whole.res)
        corner = np.array(~found.transform @ (whole.transform.c, whole.transform.f))
        offset = corner.round().astype(int)
        assert corner == pytest.approx(offset)
        seen, told = found.read(1, window=Window(*offset, *whole.shape)), whole.read(1)
    both = (seen != 0) & (told != 0)
    assert both.sum() > 0.97 * (told != 0).sum()  # warping costs the outermost pixels
    assert (seen == told)[both].mean() > 0.85  # half of the tiles were resampled twice
    shifts = [(row, col) for row in range(-2, 3) for col in range(-2, 3)]
    alike = [(np.roll(seen, shift, (0, 1)) == told)[both].mean() for shift in shifts]
    assert shifts[int(np.argmax(alike))] == (0, 0)
    assert len(json.loads((folder / "run.json").read_text())["inputs"]) == len(CLOUDS)


def test_the_clearest_first_is_the_order_of_the_covers(items, predict):
    clear = sorted(items[1], key=lambda item: item["properties"]["eo:cloud_cover"])
    write_items(items[0] / "clear.json", clear)
    grid = ("--to-crs", "EPSG:3857", "--resolution", "3")  # the same whoever comes first
    by_cover = predict(items[0] / "items.json", "cloud", "--mosaic", "cloud", *grid)
    by_order = predict(items[0] / "clear.json", "first", "--mosaic", "first", *grid)
    assert (read(by_cover / "map.tif") == read(by_order / "map.tif")).all()
    as_named = predict(items[0] / "items.json", "named", "--mosaic", "first", *grid)
    assert (read(by_cover / "map.tif") != read(as_named / "map.tif")).any()


def test_without_a_mosaic_each_zone_gets_a_virtual_raster(items, predict):
    folder = predict(items[0] / "items.json", "apart")
    assert {path.name for path in folder.glob("t?.tif")} == {f"t{n}.tif" for n in range(4)}
    zones = {path.name: read(path) for path in folder.glob("*.vrt")}
    assert set(zones) == {"maps_EPSG32633.vrt", "maps_EPSG32634.vrt"}
    assert all((classes != 0).mean() > 0.8 for classes in zones.values())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--to-crs", "EPSG:3857"), "there is no mosaic"),
        (("--mosaic", "first", "--to-crs", "EPSG:99999"), "is not known"),
        (("--mosaic", "first", "--to-crs", "EPSG:4326", "--resolution", "10"), "degrees or metres"),
    ],
)
def test_a_grid_that_nobody_can_mean_is_one_line(items, landvisor, bundle, tmp_path, options, said):
    found = landvisor("predict", bundle[0] / "model.safetensors", items[0] / "items.json",
                      "--out", tmp_path / "made", *options)  # fmt: skip
    assert (found.code, found.err.count("\n")) == (1, 1)
    assert said in found.err
    assert list(tmp_path.iterdir()) == []


def test_a_mosaic_is_made_of_valid_cogs(items, predict):
    cogeo = pytest.importorskip("rio_cogeo")
    folder = predict(items[0] / "items.json", "made", "--mosaic", "feather")
    for name in ("map.tif", "probabilities.tif", "uncertainty.tif"):
        valid, errors, warnings = cogeo.cog_validate(folder / name)
        assert (valid, errors, warnings) == (True, [], [])


@pytest.mark.skipif(
    not (shutil.which("gdalinfo") and shutil.which("gdal_polygonize.py")),
    reason="GDAL's programs are not installed: gdal-bin and python3-gdal on Debian",
)
def test_the_programs_of_gdal_accept_a_mosaic(items, predict, tmp_path):
    folder = predict(items[0] / "items.json", "made", "--mosaic", "feather")
    for name in ("map.tif", "probabilities.tif", "uncertainty.tif"):
        said = run("gdalinfo", "-json", folder / name)
        assert json.loads(said)["metadata"]["IMAGE_STRUCTURE"]["LAYOUT"] == "COG"
    run("gdal_polygonize.py", "-q", "-f", "GPKG", folder / "map.tif", tmp_path / "patches.gpkg")
    classes = geopandas.read_file(tmp_path / "patches.gpkg")["DN"]
    assert set(classes) == set(np.unique(read(folder / "map.tif"))) - {0}


def run(*words):
    # The programs have a GDAL of their own, which must not read another's data files.
    others = {"GDAL_DATA", "PROJ_DATA", "PROJ_LIB", "PYTHONPATH"}
    clean = {key: value for key, value in os.environ.items() if key not in others}
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, env=clean, check=True)
    return done.stdout
