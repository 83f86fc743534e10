"""Scenes open from any raster or picture, with the no-data that the file declares."""

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.enums import ColorInterp

from landvisor.errors import SceneError
from landvisor.geo import handles
from landvisor.geo.rasters import Reading, open_bands, open_scene
from landvisor.geo.tiling import Window, cover

RNG = np.random.default_rng(0)
NOISE = RNG.integers(1, 250, (3, 40, 50), dtype=np.uint8)
RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


def test_windowed_reads_from_several_threads_equal_a_whole_read(make_tif):
    data = RNG.integers(0, 60_000, (2, 300, 280), dtype=np.uint16)
    scene = open_scene(make_tif("a.tif", data, tiled=True, blockxsize=64, blockysize=64))
    windows = cover(scene.shape, size=70, overlap=20) * 3
    with ThreadPoolExecutor(4) as threads:
        for window, pixels in zip(windows, threads.map(scene.read, windows), strict=True):
            assert (pixels.data == data[:, *window.slices]).all()
    assert (scene.read().data == data).all()


def test_a_virtual_mosaic_is_read_by_several_threads(make_tif, tmp_path):
    source = make_tif("a.tif", NOISE)
    path = tmp_path / "a.vrt"
    rasterio.shutil.copy(source, path, driver="VRT")
    scene = open_scene(path)
    with ThreadPoolExecutor(4) as threads:
        for pixels in threads.map(lambda _: scene.read(), range(8)):
            assert (pixels.data == NOISE).all()


def test_a_scene_can_be_sent_to_another_process(make_tif):
    scene = open_scene(make_tif("a.tif", NOISE))
    scene.read(Window(0, 0, 1, 1))
    assert (pickle.loads(pickle.dumps(scene)).read().data == NOISE).all()


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32", "float32"])
def test_data_keep_their_type(make_tif, dtype):
    scene = open_scene(make_tif("a.tif", NOISE.astype(dtype)))
    assert scene.dtype == scene.read().data.dtype == np.dtype(dtype)


def test_grid_name_and_bands_come_from_the_file(make_tif):
    def describe(raster):
        raster.descriptions = ("B02", None, "B04")

    path = make_tif("T33.b.tif", NOISE, change=describe, photometric="RGB")
    scene = open_scene(path)
    assert (scene.name, scene.bands, scene.path) == ("T33.b", ("B02", "green", "B04"), path)
    assert scene.shape == (40, 50)
    assert scene.grid.crs.epsg == 32633


def test_declared_nodata_is_no_data(make_tif):
    data = NOISE.astype(np.int16)
    data[1, 3, 4] = -9999
    valid = open_scene(make_tif("a.tif", data, nodata=-9999)).read().valid
    assert np.argwhere(~valid).tolist() == [[3, 4]]


def test_given_nodata_adds_to_the_declared_one(make_tif):
    data = NOISE.astype(np.int16)
    data[:, 3, 4], data[:, 5, 6] = -9999, 0
    path = make_tif("a.tif", data, nodata=-9999)
    assert open_scene(path, Reading(nodata=0)).read().valid.sum() == 40 * 50 - 2


def test_nan_is_no_data(make_tif):
    data = NOISE.astype(np.float32)
    data[2, 0, 0] = np.nan
    assert open_scene(make_tif("a.tif", data)).read().valid.sum() == 40 * 50 - 1
    assert open_scene(make_tif("b.tif", data, nodata=np.nan)).read().valid.sum() == 40 * 50 - 1


@pytest.mark.parametrize("internal", [False, True])
def test_a_mask_band_says_where_data_is(make_tif, internal):
    mask = np.full((40, 50), 255, np.uint8)
    mask[:7] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal):
        path = make_tif("a.tif", NOISE, change=lambda raster: raster.write_mask(mask))
    assert path.with_name("a.tif.msk").exists() != internal
    scene = open_scene(path)
    assert (scene.read().valid == (mask > 0)).all()
    assert (scene.read(Window(5, 5, 4, 4)).valid == (mask > 0)[5:9, 5:9]).all()


@pytest.mark.parametrize(("dtype", "opaque"), [("uint8", 255), ("uint16", 65535), ("uint16", 255)])
def test_an_alpha_band_is_validity_and_no_data_band(make_tif, dtype, opaque):
    alpha = np.full((1, 40, 50), opaque, dtype)
    alpha[0, :, :9] = 0

    def tag(raster):
        raster.colorinterp = (*RGB, ColorInterp.alpha)

    scene = open_scene(make_tif("a.tif", np.concatenate([NOISE.astype(dtype), alpha]), change=tag))
    assert scene.bands == ("red", "green", "blue")
    assert (scene.read().valid == (alpha[0] > 0)).all()


def test_near_infrared_that_is_tagged_as_alpha_stays_data(make_tif):
    four = RNG.integers(0, 256, (4, 300, 300), dtype=np.uint8)

    def tag(raster):
        raster.colorinterp = (*RGB, ColorInterp.alpha)

    scene = open_scene(make_tif("naip.tif", four, change=tag))
    assert len(scene.bands) == 4
    assert scene.read().valid.all()
    assert (scene.read().data == four).all()
    assert "used as data" in scene.notes[0]


@pytest.mark.parametrize(("driver", "name"), [("PNG", "a.png"), ("JPEG", "a.jpg")])
def test_pictures_are_scenes_without_a_place(make_tif, tmp_path, driver, name):
    source = make_tif("a.tif", NOISE, crs=None, transform=None)
    rasterio.shutil.copy(source, tmp_path / name, driver=driver)
    scene = open_scene(tmp_path / name)
    assert (scene.bands, scene.georeferenced) == (("red", "green", "blue"), False)
    assert scene.read().valid.all()
    assert scene.grid.affine == Affine.identity()


def test_a_transparent_picture_has_no_data_where_it_is_clear(make_tif, tmp_path):
    alpha = np.full((1, 40, 50), 255, np.uint8)
    alpha[0, 0] = 0
    alpha[0, 1:20] = np.arange(1, 51)
    source = make_tif("a.tif", np.concatenate([NOISE, alpha]), crs=None, transform=None)
    rasterio.shutil.copy(source, tmp_path / "a.png", driver="PNG")
    scene = open_scene(tmp_path / "a.png")
    assert len(scene.bands) == 3
    assert scene.read().valid.sum() == 39 * 50


def one_line(caught: pytest.ExceptionInfo[SceneError]) -> bool:
    return "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SceneError, match=r"no such file: .*none.tif'; give the path") as caught:
        open_scene(tmp_path / "none.tif")
    assert one_line(caught)


def test_a_text_file_is_no_raster(tmp_path):
    path = tmp_path / "a.tif"
    path.write_text("hello")
    with pytest.raises(SceneError, match="is not a raster that GDAL can open") as caught:
        open_scene(path)
    assert one_line(caught)


@pytest.mark.parametrize("share", [0.02, 0.5])
def test_a_truncated_file_is_reported_with_what_to_do(make_tif, share):
    data = RNG.integers(0, 256, (3, 200, 200), dtype=np.uint8)
    path = make_tif("a.tif", data, tiled=True, blockxsize=64, blockysize=64)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(SceneError, match="truncated") as caught:
        open_scene(path).read()
    assert one_line(caught)


def test_complex_rasters_are_refused(make_tif):
    with pytest.raises(SceneError, match="complex bands found"):
        open_scene(make_tif("a.tif", np.ones((1, 3, 3), np.complex64)))
    with pytest.raises(SceneError, match="complex bands found"):
        open_scene(make_tif("b.tif", np.ones((1, 3, 3), np.complex64), change=None))


FINE = np.arange(100, dtype=np.uint16).reshape(1, 10, 10)
COARSE = {"transform": Affine(20, 0, 500_000, 0, -20, 5_000_000)}


def test_band_files_come_to_the_finest_grid(make_tif):
    coarse = np.full((1, 5, 5), 7, np.uint16)
    scene = open_bands([make_tif("B11.tif", coarse, **COARSE), make_tif("s/B02.tif", FINE)])
    data, valid = scene.read()
    assert (scene.shape, scene.bands, scene.dtype) == ((10, 10), ("B11", "B02"), np.uint16)
    assert valid.all()
    assert (data[0] == 7).all()
    assert (data[1] == FINE[0]).all()
    assert (scene.read(Window(3, 2, 4, 5)).data == data[:, 3:7, 2:7]).all()


def test_band_files_come_to_a_named_resolution(make_tif):
    coarse = np.full((1, 5, 5), 7, np.uint16)
    files = [make_tif("B02.tif", FINE), make_tif("B11.tif", coarse, **COARSE)]
    scene = open_bands(files, resolution=20)
    assert scene.shape == (5, 5)
    assert (scene.read().data[1] == 7).all()


def test_scale_and_offset_of_band_files_are_applied(make_tif):
    def scale(raster):
        raster.scales, raster.offsets = (0.5,), (-10.0,)

    scene = open_bands([make_tif("a.tif", FINE, change=scale), make_tif("b.tif", FINE)])
    assert scene.dtype == np.float32
    assert np.allclose(scene.read().data, [FINE[0] * 0.5 - 10, FINE[0]])


def test_given_nodata_of_band_files_is_the_raw_value(make_tif):
    def scale(raster):
        raster.scales, raster.offsets = (0.5,), (-10.0,)

    scene = open_bands([make_tif("a.tif", FINE, change=scale)], reading=Reading(nodata=0))
    assert np.argwhere(~scene.read().valid).tolist() == [[0, 0]]


def test_beyond_a_band_file_there_is_no_data(make_tif):
    part = np.full((1, 3, 3), 7, np.uint16)
    scene = open_bands([make_tif("a.tif", FINE), make_tif("b.tif", part, **COARSE)])
    valid = scene.read().valid
    assert valid[:6, :6].all()
    assert valid.sum() == 36


def test_nodata_of_one_band_file_does_not_bleed_into_its_neighbours(make_tif):
    coarse = np.full((1, 5, 5), 700, np.uint16)
    coarse[0, 2, 2] = 0
    files = [make_tif("a.tif", FINE), make_tif("b.tif", coarse, nodata=0, **COARSE)]
    data, valid = open_bands(files).read()
    assert not valid[4:6, 4:6].any()
    assert set(data[1][valid].tolist()) == {700}


@pytest.mark.parametrize(
    ("options", "shape", "said"),
    [
        ({"crs": "EPSG:32634"}, (1, 5, 5), "different CRSs"),
        ({"transform": Affine(10, 0, 7e5, 0, -10, 5e6)}, (1, 5, 5), "do not overlap"),
        ({}, (2, 5, 5), "has 2 bands; need one per file"),
    ],
)
def test_band_files_that_do_not_go_together_are_refused(make_tif, options, shape, said):
    other = make_tif("b.tif", np.ones(shape, np.uint16), **options)
    with pytest.raises(SceneError, match=said):
        open_bands([make_tif("a.tif", FINE), other])


def test_a_damaged_band_file_is_reported(make_tif):
    noise = RNG.integers(0, 60_000, (1, 200, 200), dtype=np.uint16)
    path = make_tif("a.tif", noise, tiled=True, blockxsize=64, blockysize=64)
    scene = open_bands([path])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SceneError, match="damaged"):
        scene.read()


def test_a_palette_is_read_as_codes_and_noted(make_tif):
    codes = NOISE[:1] % 4
    table = {code: (code, 0, 0, 255) for code in range(4)}
    path = make_tif("a.tif", codes, change=lambda raster: raster.write_colormap(1, table))
    scene = open_scene(path)
    assert (scene.read().data == codes).all()
    assert "codes of a palette" in scene.notes[0]


def test_thousands_of_scenes_keep_few_files_open(make_tif, monkeypatch):
    monkeypatch.setattr(handles, "_MOST_OPEN", 3)
    monkeypatch.setattr(handles, "_THREAD", threading.local())
    images = [np.full((1, 3, 4), value, np.uint8) for value in range(8)]
    scenes = [open_scene(make_tif(f"{i}.tif", image)) for i, image in enumerate(images)]
    for _ in range(2):
        assert [int(scene.read().data.max()) for scene in scenes] == list(range(8))
        assert sum(len(vars(scene.source.handles._local)) for scene in scenes) == 3
