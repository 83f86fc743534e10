"""Predicted rows become a map's files, one set for each scene."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from landvisor.card import read_card
from landvisor.errors import ModelError
from landvisor.geo.rasters import open_scene
from landvisor.geo.scene import scene_from_array
from landvisor.geo.styles import read_map_legend
from landvisor.predict.stream import predict_rows
from landvisor.predict.write import map_stem, published, write_bundle, write_maps
from landvisor.recipe import PredictSpec

SPEC = PredictSpec(window=32, overlap=8)
UTM = {"crs": "EPSG:32633", "transform": Affine(10, 0, 500_000, 0, -10, 5_000_000)}


def make_scene(name, shape=(50, 40), bands=1):
    data = np.random.default_rng(len(name)).uniform(1, 6, (bands, *shape)).astype(np.float32)
    data[0, :3] = -1
    return scene_from_array(data, name=name, nodata=-1, **UTM)


def test_the_files_hold_what_was_predicted_on_the_grid_of_the_scene(make_model, tmp_path):
    model, scene = make_model(), make_scene("s")
    (files,) = write_maps(model, [scene], folder=tmp_path, spec=SPEC)
    rows = list(predict_rows(model, scene, SPEC))
    with rasterio.open(files.classes) as raster:
        assert (raster.read(1) == np.concatenate([part.classes for part in rows])).all()
        assert raster.transform == scene.grid.affine
        assert raster.crs.to_epsg() == 32633
    with rasterio.open(files.probabilities) as raster:
        shares = np.concatenate([part.probabilities for part in rows], axis=1)
        valid = scene.read().valid
        assert np.abs(raster.read()[:, valid] / 254 - shares[:, valid]).max() <= 0.5 / 254 + 1e-6
    assert open_scene(files.classes).read().valid.tolist() == valid.tolist()
    assert read_map_legend(files.classes).ids == (1, 2, 3)


def test_a_scene_alone_is_called_map_and_several_keep_their_names(make_model, tmp_path):
    scenes = [make_scene("west"), make_scene("east")]
    assert map_stem(scenes[:1], 0) == "map"
    files = write_maps(make_model(), scenes, folder=tmp_path, spec=SPEC)
    assert [file.classes.name for file in files] == ["west.tif", "east.tif"]
    assert all(file.classes.exists() and file.style.exists() for file in files)


def test_progress_counts_the_rows_of_all_scenes(make_model, tmp_path):
    seen = []
    scenes = [make_scene("a"), make_scene("bb", shape=(7, 9))]
    write_maps(make_model(), scenes, folder=tmp_path, spec=SPEC, progress=lambda *c: seen.append(c))
    assert seen[-1] == (57, 57)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_all_scenes_are_checked_before_the_first_is_predicted(make_model, tmp_path):
    model = make_model()
    with pytest.raises(ModelError, match="scene 'odd' has 2"):
        write_maps(model, [make_scene("a"), make_scene("odd", bands=2)], folder=tmp_path, spec=SPEC)
    assert model.predictor.batches == []
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_holds_the_model_and_where_it_lies_on_earth(make_model, tmp_path):
    model = make_model()
    write_bundle(model, [make_scene("s")], tmp_path, spec=SPEC)
    assert read_card(tmp_path / "model.safetensors") == model.card
    assert (tmp_path / "stac-item.json").exists()


def test_files_are_named_as_they_were_published(make_model, tmp_path):
    (files,) = write_maps(make_model(), [make_scene("s")], folder=tmp_path, spec=SPEC)
    moved = published(files, Path("result"))
    assert moved.classes == Path("result/map.tif")
    assert moved.names == Path("result/map.tif.aux.xml")
