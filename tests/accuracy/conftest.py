"""A map of three classes and a stratum raster, both small."""

import numpy as np
import pytest

from landvisor.geo.legend import legend_from_names
from landvisor.geo.rasters import open_scene

LEGEND = legend_from_names(["grass", "sand", "water"])


@pytest.fixture
def small_map(tmp_path, make_tif, write_prediction):
    """Write a map and return (its folder, class ids `[row, col]` with 0 for no data)."""
    classes = np.resize([1, 1, 1, 2, 2, 3, 1], (300, 40)).astype(np.uint8)
    classes[:, :3] = 0
    grid = open_scene(make_tif("grid.tif", classes)).grid
    (tmp_path / "result").mkdir()
    shares = np.stack([classes == k for k in (1, 2, 3)]).astype(np.float32)
    write_prediction(
        tmp_path / "result", grid, legend=LEGEND, probabilities=shares, valid=classes > 0
    )
    return tmp_path / "result", classes
