"""Predicted blocks become a map's files, and a run that was cut short goes on where it was."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from landvisor.card import read_card
from landvisor.errors import ModelError, OutputError
from landvisor.geo.bundle import MapFiles, map_files
from landvisor.geo.collection import Collection, Item
from landvisor.geo.rasters import open_scene
from landvisor.geo.scene import scene_from_array
from landvisor.geo.styles import read_map_legend
from landvisor.options import Options
from landvisor.predict.making import make_maps, map_stem
from landvisor.predict.stream import classify, predict_scene
from landvisor.predict.write import published, write_bundle
from landvisor.recipe import PredictSpec

SPEC = PredictSpec(window=32, overlap=8, block=(16, 24))
UTM = {"crs": "EPSG:32633", "transform": Affine(10, 0, 500_000, 0, -10, 5_000_000)}
RASTERS = ("map.tif", "probabilities.tif", "uncertainty.tif")


def make_scene(name, shape=(50, 40), bands=1):
    data = np.random.default_rng(len(name)).uniform(1, 6, (bands, *shape)).astype(np.float32)
    data[0, :3] = -1
    return scene_from_array(data, name=name, nodata=-1, **UTM)


def collect(*scenes):
    return Collection(tuple(Item(scene.name, scene) for scene in scenes))


def make(model, *scenes, work, spec=SPEC, **options):
    return make_maps(model, collect(*scenes), work=work, spec=spec, options=Options(**options))


def list_files(made):
    return [getattr(each.files, part.name) for each in made for part in fields(MapFiles)]


def contents(made):
    return {path.name: path.read_bytes() for path in list_files(made)}


class KillError(Exception):
    """Stands for a kill."""


def stop_after(pixels):
    def look(done, _):
        if done >= pixels:
            raise KillError

    return look


def test_the_files_hold_what_was_predicted_on_the_grid_of_the_scene(make_model, tmp_path):
    model, scene = make_model(), make_scene("s")
    make(model, scene, work=tmp_path)
    files = map_files(tmp_path / "predict" / "maps")
    told = predict_scene(model, scene, SPEC)
    with rasterio.open(files.classes) as raster:
        expected = classify(told.probabilities, told.valid, model.card.legend)
        assert (raster.read(1) == expected).all()
        assert raster.transform == scene.grid.affine
        assert raster.crs.to_epsg() == 32633
    with rasterio.open(files.probabilities) as raster:
        valid = scene.read().valid
        error = np.abs(raster.read()[:, valid] / 254 - told.probabilities[:, valid])
        assert error.max() <= 0.5 / 254 + 1e-6
    assert open_scene(files.classes).read().valid.tolist() == valid.tolist()
    assert read_map_legend(files.classes).ids == (1, 2, 3)


@pytest.mark.parametrize("block", [(1, 40), (50, 1), (7, 11), (16, 40), (500, 500)])
@pytest.mark.parametrize("reach", [0, 2])
def test_blocks_of_any_size_make_the_same_bytes(make_model, tmp_path, block, reach):
    model, scene = make_model(reach=reach), make_scene("s")
    first = make(model, scene, work=tmp_path / "a")
    other = make(model, scene, work=tmp_path / "b", spec=SPEC.model_copy(update={"block": block}))
    assert contents(first) == contents(other)


@pytest.mark.parametrize("pixels", [0, 300, 1000, 1999])
def test_a_run_that_was_cut_short_goes_on_and_ends_with_the_same_bytes(
    make_model, tmp_path, pixels
):
    model, scene = make_model(reach=2), make_scene("s")
    whole = make(model, scene, work=tmp_path / "whole")
    with pytest.raises(KillError):
        make(model, scene, work=tmp_path / "cut", on_pixels=stop_after(pixels))
    counts = []
    resumed = make(
        model, scene, work=tmp_path / "cut", on_pixels=lambda done, total: counts.append(done)
    )
    assert contents(resumed) == contents(whole)
    assert counts[0] > min(pixels, 1)  # what was done is not done again
    assert counts[-1] == 50 * 40


def test_a_damaged_block_is_made_anew_and_a_torn_line_does_no_harm(make_model, tmp_path):
    model, scene = make_model(), make_scene("s")
    whole = make(model, scene, work=tmp_path / "whole")
    with pytest.raises(KillError):
        make(model, scene, work=tmp_path / "cut", on_pixels=stop_after(1200))
    blocks = sorted((tmp_path / "cut" / "predict" / "blocks" / "map").iterdir())
    blocks[0].write_bytes(blocks[0].read_bytes()[:-3])
    damaged = bytearray(blocks[1].read_bytes())
    damaged[-5] ^= 255
    blocks[1].write_bytes(damaged)
    journal = tmp_path / "cut" / "predict" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-9])
    assert contents(make(model, scene, work=tmp_path / "cut")) == contents(whole)


def test_finished_maps_need_their_blocks_no_more(make_model, tmp_path):
    scenes = [make_scene("a"), make_scene("bb", shape=(60, 70))]
    whole = make(make_model(), *scenes, work=tmp_path / "whole")
    with pytest.raises(KillError):
        make(make_model(), *scenes, work=tmp_path / "cut", on_pixels=stop_after(3500))
    blocks = tmp_path / "cut" / "predict" / "blocks"
    assert [path.name for path in blocks.iterdir()] == ["bb"]
    model = make_model()
    assert contents(make(model, *scenes, work=tmp_path / "cut")) == contents(whole)
    assert 0 < sum(model.predictor.batches) < 16  # windows of the second scene alone
    assert list(blocks.iterdir()) == []


def test_another_model_option_or_image_starts_anew_and_says_why(make_model, tmp_path, caplog):
    scene = make_scene("s")

    def cut_short(model=None, scene=scene, spec=SPEC):
        caplog.clear()
        with pytest.raises(KillError):
            make(model or make_model(), scene, work=tmp_path, spec=spec, on_pixels=stop_after(400))
        return [r.message for r in caplog.records if r.message.startswith("starting anew")]

    assert cut_short() == []
    assert cut_short() == []
    changed = SPEC.model_copy(update={"overlap": 4})
    assert cut_short(spec=changed) == ["starting anew: the options changed since the last attempt"]
    legend = make_model().card.model_copy(update={"notes": ("other",)})
    other = type(make_model())(legend, make_model().predictor)
    assert cut_short(model=other, spec=changed) == [
        "starting anew: the model changed since the last attempt"
    ]
    assert cut_short(model=other, scene=make_scene("t", shape=(51, 40)), spec=changed) == [
        "starting anew: the imagery changed since the last attempt"
    ]


def test_a_block_lost_after_it_was_made_is_an_error(make_model, tmp_path, monkeypatch):
    from landvisor.predict import blocks

    def lose(self, block, content):
        write(self, block, content)
        (self._journal.folder / self._name(block)).unlink()

    write = blocks.BlockStore.write
    monkeypatch.setattr(blocks.BlockStore, "write", lose)
    with pytest.raises(OutputError, match="lost or damaged on the disk"):
        make(make_model(), make_scene("s"), work=tmp_path)


def test_a_scene_alone_is_called_map_and_several_keep_their_names(make_model, tmp_path):
    scenes = [make_scene("west"), make_scene("east")]
    assert map_stem(scenes[:1], 0) == "map"
    made = list_files(make(make_model(), *scenes, work=tmp_path))
    assert {path.name for path in made} >= {"west.tif", "east.tif", "west.qml", "east.qml"}
    assert all(path.exists() for path in made)


def test_progress_counts_the_pixels_of_all_scenes(make_model, tmp_path):
    seen = []
    scenes = [make_scene("a"), make_scene("bb", shape=(7, 9))]
    make(make_model(), *scenes, work=tmp_path, on_pixels=lambda *count: seen.append(count))
    assert seen[-1] == (2063, 2063)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_all_scenes_are_checked_before_the_first_is_predicted(make_model, tmp_path):
    model = make_model()
    with pytest.raises(ModelError, match="scene 'odd' has 2"):
        make(model, *[make_scene(name, bands=2) for name in ("odd", "odder")], work=tmp_path)
    assert model.predictor.batches == []
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_holds_the_model_and_where_it_lies_on_earth(make_model, tmp_path):
    model, scene = make_model(), make_scene("s")
    made = make(model, scene, work=tmp_path)
    folder = tmp_path / "bundle"
    folder.mkdir()
    (files,) = write_bundle(model, folder, made=made)
    assert read_card(folder / "model.safetensors") == model.card
    assert {path.name for path in folder.iterdir()} == {
        *RASTERS, "map.qml", "map.tif.aux.xml", "model.safetensors", "stac-item.json",
    }  # fmt: skip
    assert published(files, Path("result")).names == Path("result/map.tif.aux.xml")


def test_beside_several_maps_lies_a_raster_that_shows_them_as_one(make_model, tmp_path):
    scenes = [make_scene("west"), make_scene("east")]
    made = make(make_model(), *scenes, work=tmp_path)
    folder = tmp_path / "bundle"
    folder.mkdir()
    write_bundle(make_model(), folder, made=made)
    assert not (folder / "stac-item.json").exists()
    with rasterio.open(folder / "maps.vrt") as raster:
        assert raster.shape == (50, 40)
