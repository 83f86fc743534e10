"""A scene on another grid shows the same place, and the same pixels whatever window is read."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from scipy.ndimage import map_coordinates

from landvisor.errors import SceneError
from landvisor.geo import warp
from landvisor.geo.rasters import Reading, open_bands, open_scene
from landvisor.geo.scene import scene_from_array
from landvisor.geo.tiling import Window, full_window
from landvisor.geo.warp import warp_scene

PLACE = Affine(10, 0, 500_000, 0, -10, 5_000_000)
GRID = GeoBox((80, 90), PLACE, "EPSG:32633")
NEXT_ZONE = GeoBox((100, 110), Affine(10, 0, 28_250, 0, -10, 5_017_600), "EPSG:32634")
NOISE = np.random.default_rng(0).integers(0, 256, (2, 80, 90), dtype=np.uint8)


def make_scene(data=NOISE, **how):
    return scene_from_array(data, crs="EPSG:32633", transform=PLACE, **how)


def grid_at(move, shape=(60, 70)):
    return GeoBox(shape, PLACE @ move, "EPSG:32633")


TARGETS = {
    "shifted": grid_at(Affine.translation(-5, 12)),
    "between": grid_at(Affine.translation(3.3, -4.6)),
    "turned": grid_at(Affine.translation(30, 5) @ Affine.rotation(20)),
    "coarse": grid_at(Affine.translation(-3, -3) @ Affine.scale(2.6), (40, 40)),
    "fine": grid_at(Affine.translation(3, 2) @ Affine.scale(0.4), (120, 130)),
    "zone": NEXT_ZONE,
}


def holed():
    data = NOISE.astype(np.float32)
    data[0, 20:30, 40:60] = np.nan
    return make_scene(data)


@cache
def whole(name, resampling):
    return warp_scene(holed(), TARGETS[name], resampling=resampling).read()


@pytest.mark.parametrize("block", [256, 48])
@settings(max_examples=30)
@given(data=st.data())
def test_a_window_is_the_same_part_of_all(block, data):
    name = data.draw(st.sampled_from(sorted(TARGETS)))
    how = data.draw(st.sampled_from(["bilinear", "nearest"]))
    scene = warp_scene(holed(), TARGETS[name], resampling=how)
    row, col = (data.draw(st.integers(0, side - 1)) for side in scene.shape)
    rows = data.draw(st.integers(1, scene.shape[0] - row))
    cols = data.draw(st.integers(1, scene.shape[1] - col))
    window = Window(row, col, rows, cols)
    everything = whole(name, how)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warp, "_BLOCK", block)
        found = scene.read(window)
    assert (found.valid == everything.valid[window.slices]).all()
    assert np.array_equal(found.data, everything.data[:, *window.slices], equal_nan=True)


def test_one_lattice_is_copied_and_never_resampled():
    found = warp_scene(make_scene(), grid_at(Affine.translation(-5, 12))).read()
    assert (found.data[:, :, 5:] == NOISE[:, 12:72, :65]).all()
    assert found.valid[:, 5:].all()
    assert not found.valid[:, :5].any()


def test_a_scene_on_its_own_grid_is_itself():
    scene = make_scene()
    assert warp_scene(scene, GRID) is scene


@pytest.mark.parametrize("name", ["between", "turned", "fine", "zone"])
def test_bilinear_agrees_with_scipy(name):
    data = NOISE.astype(np.float64)
    scene = warp_scene(make_scene(data), TARGETS[name])
    found = scene.read()
    places = scene.source.regrid.locate(full_window(scene.shape))
    inner = ((places >= 0) & (places <= np.array([79, 89])[:, None, None])).all(axis=0)
    assert inner.sum() > 1000
    for band, values in zip(found.data, data, strict=True):
        expected = map_coordinates(values, places, order=1)
        assert np.abs(band - expected)[inner].max() < 1e-9
    assert found.valid[inner].all()


def test_places_keep_their_coordinates_in_another_zone():
    rows, cols = np.mgrid[:80, :90]
    x, y = PLACE @ (cols + 0.5, rows + 0.5)
    scene = warp_scene(make_scene(np.stack([x, y])), NEXT_ZONE)
    found = scene.read()
    inner = np.zeros_like(found.valid)
    inner[2:-2, 2:-2] = True
    inner &= found.valid
    for shift in ((0, 3), (0, -3), (3, 0), (-3, 0)):
        inner &= np.roll(found.valid, shift, axis=(0, 1))
    rows, cols = np.nonzero(inner)
    assert len(rows) > 3000
    there = NEXT_ZONE.affine @ (cols + 0.5, rows + 0.5)
    back = Transformer.from_crs("EPSG:32634", "EPSG:32633", always_xy=True).transform(*there)
    assert np.abs(np.stack(back) - found.data[:, inner]).max() < 1e-3


def test_no_data_is_under_the_centre_and_leaks_into_nothing():
    data = np.full((1, 80, 90), 100, np.uint8)
    data[0, :, 45:] = 0
    found = warp_scene(make_scene(data, nodata=0), TARGETS["between"]).read()
    assert set(np.unique(found.data[:, found.valid])) == {100}
    cols = np.arange(70) + 3.3
    assert (found.valid[10] == (np.floor(cols + 0.5) < 45)).all()


def test_infinite_values_reach_no_neighbour():
    data = NOISE.astype(np.float32)
    data[0, 20, 20] = np.inf
    found = warp_scene(make_scene(data), TARGETS["between"]).read()
    assert np.isfinite(found.data[:, found.valid]).all()


def test_a_coarser_grid_shows_means():
    data = NOISE.astype(np.float64)
    grid = GeoBox((20, 22), PLACE @ Affine.scale(4), "EPSG:32633")
    found = warp_scene(make_scene(data), grid).read().data
    blocks = data[:, :80, :88].reshape(2, 20, 4, 22, 4).mean(axis=(2, 4))
    assert np.abs(found - blocks).max() < 1e-9


def test_a_coarse_pixel_is_valid_where_half_of_it_is():
    data = NOISE.astype(np.float32)
    data[:, :, 2:3] = np.nan
    data[:, :, 4:7] = np.nan
    grid = GeoBox((20, 22), PLACE @ Affine.scale(4), "EPSG:32633")
    assert warp_scene(make_scene(data), grid).read().valid[0, :3].tolist() == [True, False, True]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("name", TARGETS)
def test_the_data_type_stays_and_whole_numbers_are_rounded(dtype, name):
    data = np.full((1, 80, 90), 77).astype(dtype)
    found = warp_scene(make_scene(data), TARGETS[name]).read()
    assert found.data.dtype == dtype
    assert found.valid.any()
    values = found.data[:, found.valid]
    exact = np.dtype(dtype).kind in "iu"
    assert (values == 77).all() if exact else np.allclose(values, 77, rtol=1e-6)


def test_classes_stay_classes():
    codes = (NOISE[:1] % 3) * 100
    found = warp_scene(make_scene(codes), TARGETS["turned"], resampling="nearest").read()
    assert set(np.unique(found.data[:, found.valid])) <= {0, 100, 200}


def test_outside_the_footprint_nothing_is_valid_and_nothing_is_read():
    class Broken:
        def read(self, window):
            raise AssertionError("nothing is there")

    scene = replace(make_scene(), source=Broken())
    for move in (Affine.translation(200, 0), Affine.translation(200.5, 0) @ Affine.rotation(5)):
        moved = warp_scene(scene, grid_at(move))
        assert not moved.complete
        assert not moved.read().valid.any()


@pytest.mark.parametrize("how", ["nearest", "bilinear"])
def test_what_is_read_at_once_stays_small_on_a_coarse_grid(monkeypatch, how):
    asked = []

    class Watched:
        def read(self, window):
            asked.append(window)
            return scene.read(window)

    scene = make_scene()
    monkeypatch.setattr(warp, "_BLOCK", 20)
    grid = grid_at(Affine.rotation(3) @ Affine.scale(8), (10, 11))
    found = warp_scene(replace(scene, source=Watched()), grid, resampling=how).read()
    assert found.valid.sum() > 80
    assert max(max(window.shape) for window in asked) <= 20


def test_files_with_masks_alpha_and_band_files_all_count(make_tif):
    four = np.concatenate([NOISE[:1]] * 4)
    four[3] = 255
    four[3, :40] = 0
    paths = [make_tif(f"B0{i}.tif", NOISE[i : i + 1], nodata=None) for i in range(2)]
    alpha = {"photometric": "RGB", "alpha": "YES"}

    def mask_top(raster):
        raster.write_mask(np.repeat(np.arange(80) >= 40, 90).reshape(80, 90))

    scenes = [
        open_scene(make_tif("alpha.tif", four, **alpha)),
        open_scene(make_tif("mask.tif", NOISE, change=mask_top)),
        open_scene(make_tif("given.tif", np.where(np.arange(80)[:, None] < 40, 9, NOISE | 16)),
                   Reading(nodata=9)),
        open_bands(paths).with_mask(_Lower()),
    ]  # fmt: skip
    for scene in scenes:
        found = warp_scene(scene, TARGETS["between"]).read()
        rows = np.floor(np.arange(60) - 4.6 + 0.5)
        assert (found.valid[:, 30] == (rows >= 40)).all(), scene.name


class _Lower:
    def read(self, window):
        rows = np.arange(window.row, window.row + window.rows)
        return np.repeat(rows >= 40, window.cols).reshape(window.shape)


def test_threads_read_the_same():
    scene = warp_scene(holed(), TARGETS["zone"])
    windows = [Window(row, 0, 10, 110) for row in range(0, 100, 10)] * 3
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda window: scene.read(window).data, windows))
    joined = np.concatenate(parts[:10], axis=1)
    assert np.array_equal(joined, whole("zone", "bilinear").data, equal_nan=True)


def test_what_cannot_be_done_is_one_line():
    with pytest.raises(SceneError, match="resampling 'cubic' was asked for; need bilinear or near"):
        warp_scene(make_scene(), NEXT_ZONE, resampling="cubic")
    with pytest.raises(SceneError, match="without a CRS"):
        warp_scene(scene_from_array(NOISE), GRID)
