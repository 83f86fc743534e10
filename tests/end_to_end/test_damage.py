"""Part of an image does not read: the run ends and says how to go on, or the rest is mapped."""

import json

import numpy as np
import pytest
import rasterio

from landvisor import workflow
from landvisor.learn.model_file import load_model
from landvisor.options import Options

SIDE = 64
ROW, COL = 1, 2  # of the damaged block
PLACE = (slice(ROW * SIDE, (ROW + 1) * SIDE), slice(COL * SIDE, (COL + 1) * SIDE))
CHOICES = {"predict.window": 64, "predict.overlap": 16, "predict.block": [48, 96]}
SMALL = [word for key, value in CHOICES.items() for word in ("--set", f"{key}={value}")]


@pytest.fixture(scope="module")
def damaged(demo, tmp_path_factory):
    """The demo in blocks of 64 pixels, one of which does not read."""
    path = tmp_path_factory.mktemp("damaged") / "damaged.tif"
    with rasterio.open(demo.scene) as source:
        profile = source.profile | {"tiled": True, "blockxsize": SIDE, "blockysize": SIDE}
        with rasterio.open(path, "w", **profile) as raster:
            raster.write(source.read())
    with rasterio.open(path) as raster:
        offset = int(raster.get_tag_item(f"BLOCK_OFFSET_{COL}_{ROW}", "TIFF", bidx=1))
    content = bytearray(path.read_bytes())
    content[offset : offset + 64] = b"\xff" * 64
    path.write_bytes(content)
    return path


@pytest.fixture
def predict(landvisor, bundle, tmp_path):
    def run(*words):
        model, out = bundle[0] / "model.safetensors", tmp_path / "made"
        return out, landvisor("predict", model, *words, "--out", out, *SMALL)

    return run


def read(path):
    with rasterio.open(path) as raster:
        return raster.read()


def test_the_run_ends_and_names_the_block_and_the_way_on(predict, damaged):
    out, said = predict(damaged, "-q")
    assert said.code == 1
    assert "rows 64 to 127, columns 128 to 191" in said.err
    assert said.err.strip().endswith("or set predict.on_error=nodata to predict the rest")
    assert not out.exists()


def test_the_rest_is_mapped_if_asked_and_the_block_is_reported(predict, damaged, demo, caplog):
    out, said = predict(damaged, "--on-error", "nodata")
    assert said.code == 0, said.err
    classes, truth = read(out / "map.tif")[0], read(demo.truth)[0]
    assert (classes[PLACE] == 0).all()
    outside = np.ones(classes.shape, dtype=bool)
    outside[PLACE] = False
    assert (classes[outside] != 0).mean() == (read(demo.scene) != 0).any(axis=0)[outside].mean()
    assert (classes == truth)[outside & (truth > 0)].mean() > 0.6
    (block,) = json.loads((out / "damaged.json").read_text())
    assert block["window"] == {"row": 64, "col": 128, "rows": 64, "cols": 64}
    assert f"{block['message']}; these pixels are no data in the map" in caplog.text
    assert "damaged.json" in json.loads((out / "run.json").read_text())["outputs"]


def test_an_interrupted_run_reports_what_the_earlier_attempt_met(bundle, damaged, tmp_path):
    model = bundle[0] / "model.safetensors"
    recipe = load_model(model).card.recipe.with_values({**CHOICES, "predict.on_error": "nodata"})

    def stop(done, total):
        if done > 0.95 * total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        workflow.predict(model, damaged, out=tmp_path / "made", recipe=recipe,
                         options=Options(on_pixels=stop))  # fmt: skip
    assert not (tmp_path / "made").exists()
    workflow.predict(model, damaged, out=tmp_path / "made", recipe=recipe)
    assert len(json.loads((tmp_path / "made" / "damaged.json").read_text())) == 1


def test_a_mosaic_is_filled_by_the_image_that_reads(predict, damaged, demo):
    out, said = predict(damaged, demo.scene, "--mosaic", "first", "--on-error", "nodata")
    assert said.code == 0, said.err
    assert (read(out / "map.tif")[0][PLACE] != 0).all()
