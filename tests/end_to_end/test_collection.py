"""Many scenes go the same way as one: import, sample, fit, predict, assess."""

import json
import logging
import shutil

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

import landvisor as lv

SIDE = 64
TEST = {"tile_00", "tile_01", "tile_02", "tile_03"}


@pytest.fixture(scope="module")
def tiles(demo, tmp_path_factory):
    """Sixteen tiles of the demo with masks: four to test, the others to learn."""
    root = tmp_path_factory.mktemp("tiles")
    for source, kind in ((demo.scene, "images"), (demo.truth, "masks")):
        with rasterio.open(source) as raster:
            for number, (row, col) in enumerate(np.ndindex(4, 4)):
                name = f"tile_{number:02d}"
                split = "test" if name in TEST else "learn"
                write_tile(raster, root / split / kind / f"{name}.tif", row * SIDE, col * SIDE)
    shutil.copy(demo.legend, root / "legend.toml")
    return root


def write_tile(raster, path, row, col):
    path.parent.mkdir(parents=True, exist_ok=True)
    window = Window(col, row, SIDE, SIDE)
    profile = raster.profile | {
        "width": SIDE, "height": SIDE, "transform": raster.window_transform(window),
        "blockxsize": SIDE, "blockysize": SIDE,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as tile:
        tile.write(raster.read(window=window))
        tile.descriptions = raster.descriptions


@pytest.fixture(scope="module")
def chain(landvisor, tiles, fast):
    """Run every step; return the folder that holds what they made."""
    made = tiles / "made"
    table, points, model = made / "collection.csv", tiles / "points.gpkg", tiles / "m.safetensors"
    steps = (
        ("import", tiles / "learn" / "images", tiles / "test" / "images",
         "--masks", tiles / "learn" / "masks", "--masks", tiles / "test" / "masks",
         "--splits", "train,test", "--val-share", 0.25, "--legend", tiles / "legend.toml",
         "--out", made),
        ("sample", table, "--split", "train,val", "--strategy", "per_class", "--n", 4,
         "--out", points),
        ("fit", table, points, "--split", "train", "--val-split", "val", "--out", model, *fast),
        ("predict", model, table, "--split", "test", "--out", tiles / "maps"),
    )  # fmt: skip
    said = []
    for step in steps:
        said.append(landvisor(*step))
        assert said[-1].code == 0, said[-1].err
    return tiles, said


def test_the_collection_has_the_splits_that_were_asked_for(landvisor, chain):
    found = json.loads(landvisor("info", chain[0] / "made", "--json").out)
    assert found["splits"] == {"train": 9, "val": 3, "test": 4}
    assert found["with_mask"] == 16


def test_only_the_test_scenes_are_mapped_each_on_its_grid(chain):
    maps = chain[0] / "maps"
    assert {path.name for path in maps.glob("tile_??.tif")} == {f"{name}.tif" for name in TEST}
    for name in TEST:
        image = chain[0] / "test" / "images" / f"{name}.tif"
        with rasterio.open(image) as scene, rasterio.open(maps / f"{name}.tif") as raster:
            assert (raster.crs, raster.transform) == (scene.crs, scene.transform)


def test_the_masks_of_the_test_split_are_the_reference(landvisor, chain):
    folder = chain[0]
    said = landvisor("assess", folder / "maps", folder / "made", "--split", "test", "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    pixels = sum(map(sum, found["counts"]))
    assert pixels == sum(labelled(folder / "test" / "masks" / f"{name}.tif") for name in TEST)
    assert found["rates"]["oa"] > 0.45


def labelled(path):
    with rasterio.open(path) as raster:
        return int((raster.read(1) > 0).sum())


def test_map_learns_and_maps_a_collection_at_once(landvisor, chain, fast, tmp_path):
    folder, out = chain[0], tmp_path / "all"
    said = landvisor(
        "map", folder / "made", folder / "points.gpkg", "--out", out, "--folds", 2, *fast
    )
    assert said.code == 0, said.err
    names = {path.stem for path in out.glob("tile_??.tif")}
    assert len(names) == 12
    assert not names & TEST
    assert f"{min(names)}_probabilities.tif" in (out / "report.html").read_text(encoding="utf-8")


def test_weights_of_models_are_fitted_on_the_scenes_of_a_split(chain, tmp_path, caplog):
    root, _ = chain
    table, points, model = (
        root / "made" / "collection.csv",
        root / "points.gpkg",
        root / "m.safetensors",
    )
    scenes = {item.name for item in lv.open_collection(table).select("val").items}
    known = int(lv.read_points(points).frame["scene"].isin(scenes).sum())
    caplog.set_level(logging.INFO)
    lv.predict([model, model], table, out=tmp_path / "maps", weigh_on=points,
               options=lv.Options(split="test", val_split="val"))  # fmt: skip
    assert f"weights, fitted at {known} places: m.safetensors 0.50" in caplog.text
    assert {path.stem for path in (tmp_path / "maps").glob("tile_??.tif")} == TEST
