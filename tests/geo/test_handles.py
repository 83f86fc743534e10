"""Remote rasters are read with patience, and only they are read otherwise than files."""

import os

import numpy as np
import pytest
import rasterio
from rasterio.env import get_gdal_config

from landvisor.errors import SceneError
from landvisor.geo.handles import open_quietly
from landvisor.geo.rasters import open_scene
from landvisor.geo.tiling import Window
from landvisor.remote import SETTINGS

NOISE = np.random.default_rng(0).integers(0, 256, (2, 300, 300), dtype=np.uint8)
TILED = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}


def test_a_remote_raster_reads_like_its_file_though_the_server_is_busy(shelf, make_tif):
    local = open_scene(make_tif("a.tif", NOISE, **TILED))
    shelf.busy = ["a.tif", "a.tif"]
    remote = open_scene(shelf.address("a.tif"))
    assert shelf.busy == []
    assert (remote.name, remote.path, remote.grid) == ("a", None, local.grid)
    shelf.busy = ["a.tif"]
    window = Window(200, 150, 80, 90)
    assert (remote.read(window).data == local.read(window).data).all()
    assert shelf.busy == []


def test_a_given_virtual_path_is_read_as_it_is(shelf, make_tif):
    make_tif("a.tif", NOISE)
    assert (open_scene("/vsicurl/" + shelf.address("a.tif")).read().data == NOISE).all()


def test_no_side_files_are_asked_for(shelf, make_tif):
    make_tif("a.tif", NOISE)
    open_scene(shelf.address("a.tif")).read()
    assert {line.split()[1] for line in shelf.asked} == {"a.tif"}


@pytest.mark.parametrize("name", ["none.tif?sig=secret", "none.tif"])
def test_an_address_without_a_raster_is_one_clear_line(shelf, name):
    with pytest.raises(
        SceneError, match=r"none.tif' cannot be opened \(.*404.*check the"
    ) as caught:
        open_scene(shelf.address(name))
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_remote_file_that_is_cut_is_named_with_its_place(shelf, make_tif):
    path = make_tif("a.tif", NOISE, **TILED)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SceneError, match=r"a.tif' cannot be read at rows 128 to .*or the network"):
        open_scene(shelf.address("a.tif?sig=secret")).read()


def test_settings_hold_while_a_remote_file_is_opened_and_users_settings_win(make_tif, monkeypatch):
    seen = {}

    def look(path, mode, **profile):
        seen.update({key: get_gdal_config(key) for key in SETTINGS})

    path = make_tif("a.tif", NOISE)
    monkeypatch.setattr(rasterio, "open", look)
    open_quietly(path)
    assert set(seen.values()) == {None}
    open_quietly("https://a.org/b.tif")
    assert {key: str(value) for key, value in seen.items()} == SETTINGS
    monkeypatch.setenv("GDAL_HTTP_TIMEOUT", "7")
    with rasterio.Env(GDAL_HTTP_MAX_RETRY=9):
        open_quietly("https://a.org/b.tif")
    assert (seen["GDAL_HTTP_MAX_RETRY"], seen["GDAL_HTTP_TIMEOUT"]) == (9, 7)
    assert seen["GDAL_HTTP_CONNECTTIMEOUT"] == int(SETTINGS["GDAL_HTTP_CONNECTTIMEOUT"])
    assert all(get_gdal_config(key) is None for key in SETTINGS if key not in os.environ)
