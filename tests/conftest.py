"""Small rasters and points files that several tests need."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import settings
from rasterio.errors import NotGeoreferencedWarning

from landvisor.geo.bundle import map_files, write_map
from landvisor.geo.coding import encode_map
from landvisor.geo.tiling import split_blocks

# A busy machine is no reason to fail.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

CRS = "EPSG:32633"
PLACE = Affine(10, 0, 500_000, 0, -10, 5_000_000)

MakeRaster = Callable[..., Path]


@pytest.fixture
def make_tif(tmp_path: Path) -> MakeRaster:
    """Write an array `[band, row, col]` as a GeoTIFF in UTM; options override the profile."""

    def make(name: str, array: Any, *, change: Any = None, **options: Any) -> Path:
        data = np.atleast_3d(array) if np.ndim(array) == 3 else np.asarray(array)[None]
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        profile = {"driver": "GTiff", "crs": CRS, "transform": PLACE, **options}
        profile |= dict(zip(("count", "height", "width"), data.shape, strict=True))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path, "w", dtype=data.dtype, **profile) as raster:
                raster.write(data)
                if change is not None:
                    change(raster)
        return path

    return make


@pytest.fixture
def make_points(tmp_path: Path) -> Callable[..., Path]:
    """Write points at pixels (row, col) of the grid of `make_tif`, with one column per keyword."""

    def make(name: str, pixels: Any, *, crs: str = CRS, **columns: Any) -> Path:
        rows, cols = np.asarray(pixels, dtype=float).reshape(-1, 2).T
        x, y = PLACE @ (cols + 0.5, rows + 0.5)
        frame = gpd.GeoDataFrame(columns, geometry=gpd.points_from_xy(x, y), crs=CRS).to_crs(crs)
        path = tmp_path / name
        if path.suffix == ".parquet":
            frame.to_parquet(path)
        else:
            frame.to_file(path, engine="pyogrio")
        return path

    return make


@pytest.fixture
def write_prediction() -> Callable[..., Any]:
    """Write a prediction in memory as the files of a map, in blocks, and return them."""

    def write(folder: Path, grid: Any, *, legend: Any, probabilities: Any, valid: Any = None,
              stem: str = "map", block: int = 128) -> Any:  # fmt: skip
        known = np.ones(grid.shape, dtype=bool) if valid is None else valid

        def read_blocks(planes: slice) -> Any:
            for window in split_blocks(grid.shape, block):
                codes = encode_map(
                    np.ascontiguousarray(probabilities[:, *window.slices], dtype=np.float32),
                    known[window.slices],
                    ids=legend.ids, nodata=legend.nodata, window=window,
                )  # fmt: skip
                yield window, codes[planes]

        files = map_files(folder, stem)
        list(write_map(files, grid, legend=legend, read_blocks=read_blocks))
        return files

    return write
