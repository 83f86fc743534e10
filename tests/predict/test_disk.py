"""What a prediction may take of the disk is told before, and is no less than what it takes."""

import logging
import shutil
from collections import namedtuple

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from landvisor.files import hash_file
from landvisor.geo.bundle import map_files, write_map
from landvisor.geo.legend import legend_from_ids
from landvisor.geo.tiling import split_blocks
from landvisor.predict.blocks import pack
from landvisor.predict.disk import most_bytes, tell_room

Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize("classes", [2, 7])
def test_blocks_and_maps_of_noise_take_no_more(tmp_path, classes):
    """Noise cannot be compressed; what lies there while the map is written is watched."""
    legend = legend_from_ids(list(range(1, classes + 1)))
    draw, shape = np.random.default_rng(0), (1024, 1024)
    codes = draw.integers(0, 255, (3 + classes, *shape), dtype=np.uint8)
    codes[0] = draw.integers(1, classes + 1, shape)
    (tmp_path / "block").write_bytes(pack(codes))
    most = 0

    def read_blocks(planes):
        nonlocal most
        for block in split_blocks(shape, (512, 1024)):
            yield block, codes[planes][:, *block.slices]
            most = max(most, measure(tmp_path))

    grid = GeoBox(shape, Affine.scale(1, -1), "EPSG:32633")
    files = map_files(tmp_path)
    for path in write_map(files, grid, legend=legend, read_blocks=read_blocks):
        assert hash_file(path)
        most = max(most, measure(tmp_path))
    told = most_bytes([codes[0].size], missing=codes[0].size, classes=classes)
    assert most <= told
    assert most > told / 2.5


def measure(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_several_maps_are_copied_one_at_a_time():
    one = most_bytes([300], missing=300, classes=3)
    two = most_bytes([300, 300], missing=600, classes=3)
    assert one == 300 * 6 + 4 * 300 * (6 + 3) // 3
    assert two == 2 * one - 4 * 300 * 3 // 3
    assert most_bytes([300], missing=0, classes=3) == one - 300 * 6


@pytest.mark.parametrize(
    ("free", "level", "said"),
    [
        (3_000_000_000, logging.INFO, "disk: at most 2.5 GB for blocks and maps, 3.0 GB are free"),
        (40_000_000, logging.WARNING, "up to 2.5 GB of disk may be needed in {!r} and 40 MB are"),
    ],
)
def test_it_is_a_warning_where_it_may_not_suffice(tmp_path, monkeypatch, caplog, free, level, said):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, free))
    caplog.set_level(logging.INFO)
    (tmp_path / "predict").mkdir()
    tell_room(tmp_path / "predict", 2_500_000_000)
    (record,) = caplog.records
    assert record.levelno == level
    assert record.getMessage().startswith(said.format(str(tmp_path)))
