"""Damaged blocks of a file are named, and with tolerance they alone are no data."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rasterio
import rasterio.shutil

from landvisor.errors import DamageError, SceneError
from landvisor.geo.damage import tolerate
from landvisor.geo.rasters import Reading, open_bands, open_scene
from landvisor.geo.tiling import Window, cover
from landvisor.geo.warp import warp_scene

NOISE = np.random.default_rng(0).integers(1, 256, (2, 200, 150), dtype=np.uint8)
TILED = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}


def place_of(path, block_row, block_col):
    """Return offset and size in bytes of a tile of the first band."""
    with rasterio.open(path) as raster:
        name = f"BLOCK_OFFSET_{block_col}_{block_row}"
        offset = raster.get_tag_item(name, "TIFF", bidx=1)
        size = raster.get_tag_item(name.replace("OFFSET", "SIZE"), "TIFF", bidx=1)
        return int(offset), int(size)


def flip(path, block_row, block_col):
    offset, _ = place_of(path, block_row, block_col)
    content = bytearray(path.read_bytes())
    content[offset] ^= 0xFF  # zlib need not notice one in the middle
    path.write_bytes(content)


@pytest.fixture
def flipped(make_tif):
    path = make_tif("a.tif", NOISE, **TILED)
    flip(path, 1, 2)
    flip(path, 2, 0)
    return path


@pytest.fixture
def cut(make_tif, tmp_path):
    """Make a COG that ends in the middle of its last row of tiles but three."""
    cog = tmp_path / "cut.tif"
    rasterio.shutil.copy(
        make_tif("whole.tif", NOISE), cog, driver="COG", BLOCKSIZE=128, OVERVIEWS="NONE"
    )
    offset, size = place_of(cog, 1, 0)
    cog.write_bytes(cog.read_bytes()[: offset + size // 2])
    return cog


FLIPPED = [Window(64, 128, 64, 22), Window(128, 0, 64, 64)]
CUT = [Window(128, 0, 72, 128), Window(128, 128, 72, 22)]


def test_damage_is_named_with_its_block(flipped, cut):
    with pytest.raises(DamageError, match=r"a.tif' cannot be read at rows 64 to 127, columns 128"):
        open_scene(flipped).read()
    with pytest.raises(
        SceneError, match=r"cut.tif' .* at rows 128 to 199, columns 0 to 127: it is"
    ):
        open_scene(cut).read(Window(100, 30, 60, 60))
    with pytest.raises(DamageError, match="columns 128 to 149") as caught:
        open_scene(cut).read(Window(150, 140, 3, 3))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [200, 61, 16])
@pytest.mark.parametrize(("name", "blocks"), [("flipped", FLIPPED), ("cut", CUT)])
def test_damaged_blocks_alone_are_no_data(request, size, name, blocks):
    scene, damage = tolerate(open_scene(request.getfixturevalue(name)))
    assert damage.blocks == ()
    data, valid = np.zeros_like(NOISE), np.zeros(NOISE.shape[1:], dtype=bool)
    windows = cover(scene.shape, size=size)
    with ThreadPoolExecutor(4) as pool:
        for window, found in zip(windows, pool.map(scene.read, windows), strict=True):
            data[:, *window.slices], valid[window.slices] = found
    expected = np.ones_like(valid)
    for block in blocks:
        expected[block.slices] = False
    assert (valid == expected).all()
    assert (data == NOISE * valid).all()
    assert [block.window for block in damage.blocks] == blocks
    assert {block.scene for block in damage.blocks} == {scene.name}
    assert all(str(block.window) in block.message for block in damage.blocks)


def test_a_sound_file_is_read_as_ever(make_tif):
    whole = open_scene(make_tif("a.tif", NOISE, **TILED))
    scene, damage = tolerate(whole)
    assert (scene.read().data == NOISE).all()
    assert scene.read().valid.all()
    assert damage.blocks == ()


def test_masks_stay_and_the_blocks_are_the_files(flipped):
    scene, damage = tolerate(open_scene(flipped, Reading(nodata=250)).with_mask(_Right()))
    valid = scene.read(Window(0, 0, 200, 150)).valid
    assert not valid[:, :9].any()
    assert [block.window for block in damage.blocks] == FLIPPED


class _Right:
    def read(self, window):
        cols = np.arange(window.col, window.col + window.cols)
        return np.repeat((cols >= 9)[None], window.rows, axis=0)


def test_band_files_lose_the_blocks_that_gdal_warps_at_once(make_tif):
    big = np.tile(NOISE[:1], (1, 2, 2))
    paths = [make_tif(name, big, **TILED) for name in ("B02.tif", "B03.tif")]
    flip(paths[1], 5, 0)
    with pytest.raises(DamageError, match=r"B03.tif' cannot be read where rows 0 to 399"):
        open_bands(paths).read()
    scene, damage = tolerate(open_bands(paths))
    valid = scene.read().valid
    assert [block.window for block in damage.blocks] == [Window(256, 0, 128, 300)]
    assert valid.sum() == valid.size - 128 * 300


def test_a_file_without_tiles_loses_its_strips(make_tif):
    path = make_tif("a.tif", NOISE, blockysize=16, compress="deflate")
    flip(path, 3, 0)
    scene, damage = tolerate(open_scene(path))
    assert (~scene.read().valid).nonzero()[0].tolist() == np.repeat(np.arange(48, 64), 150).tolist()
    assert [block.window for block in damage.blocks] == [Window(48, 0, 16, 150)]


def test_a_file_that_does_not_open_is_no_damage(make_tif):
    path = make_tif("a.tif", NOISE, **TILED)
    scene, damage = tolerate(open_scene(path))
    path.unlink()
    fresh = pickle.loads(pickle.dumps(scene))
    with pytest.raises(SceneError, match="no such file"):
        fresh.read()
    assert damage.blocks == ()


def test_damage_is_noted_on_another_grid_and_travels(flipped):
    scene, damage = tolerate(open_scene(flipped))
    grid = scene.grid.zoom_to(resolution=7)
    assert not warp_scene(scene, grid).read().valid.all()
    assert [block.window for block in damage.blocks] == FLIPPED
    assert pickle.loads(pickle.dumps(damage)).blocks == damage.blocks
