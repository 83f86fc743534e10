"""Small rasters and points files that several tests need."""

import re
import threading
import warnings
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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


class Shelf(ThreadingHTTPServer):
    """A web server of a folder, with ranges, that refuses what `busy` says once per entry."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.folder = folder
        self.busy: list[str] = []
        self.asked: list[str] = []

    def address(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class _Answer(BaseHTTPRequestHandler):
    server: Shelf

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        name = self.path.split("?")[0].lstrip("/")
        self.server.asked.append(f"{self.command} {name}")
        if name in self.server.busy:
            self.server.busy.remove(name)
            return self._answer(503, b"")
        file = self.server.folder / name
        if not file.is_file():
            return self._answer(404, b"")
        content = file.read_bytes()
        span = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if span is None:
            return self._answer(200, content)
        first, last = int(span[1]), min(int(span[2]), len(content) - 1)
        where = f"bytes {first}-{last}/{len(content)}"
        return self._answer(206, content[first : last + 1], where)

    def _answer(self, status: int, content: bytes, where: str = "") -> None:
        self.send_response(status)
        kind = "image/tiff" if ".tif" in self.path else "application/geo+json"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Accept-Ranges", "bytes")
        if where:
            self.send_header("Content-Range", where)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    """Serve the folder of `make_tif` over HTTP; a retry waits as short as it can."""
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.01")
    server = Shelf(tmp_path)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
