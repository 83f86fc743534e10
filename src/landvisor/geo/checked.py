"""A raster written window by window that becomes a COG and is read back before it counts."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import rasterio
import rasterio.enums
import rasterio.shutil
import rasterio.windows
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from landvisor.errors import OutputError
from landvisor.files import writing
from landvisor.geo.styles import Color, pixel_space_allowed
from landvisor.geo.tiling import Shape, Window

BLOCK = 512
_SMOOTH = {"LEVEL": 1, "PREDICTOR": "STANDARD"}


@dataclass(frozen=True)
class Layout:
    """What the bands of a uint8 raster mean.

    Attributes:
        bands: A description per band.
        nodata: The code of no data in every band.
        overviews: How GDAL makes overviews: `MODE` or `AVERAGE`.
        scale: What a code is multiplied with to give the value it stands for.
        smooth: Neighbours are alike: their differences are compressed, which is faster and smaller.
        colors: Colour table of a single band; empty for none.
        tags: Metadata inside the file.
    """

    bands: tuple[str, ...]
    nodata: int
    overviews: str
    scale: float = 1.0
    smooth: bool = False
    colors: dict[int, Color] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class CheckedRaster:
    """A context that takes windows and leaves a verified COG, or after an error nothing.

    Windows go into an uncompressed temporary beside `path`, because compressed tiles that are
    touched twice would grow the file. Memory stays that of one window.

    Args:
        path: The file to make.
        grid: Size and place of the raster; without a CRS it is plain pixel space.
        layout: What its bands mean.
    """

    def __init__(self, path: Path, grid: GeoBox, *, layout: Layout) -> None:
        self._path = path
        self._temporary = path.with_name(f".{path.stem}.writing.tif")
        self._grid = grid
        self._layout = layout
        self._sums: dict[Window, int] = {}
        self._written: list[Window] = []
        self._raster: Any = None

    def __enter__(self) -> Self:
        with writing(self._path), pixel_space_allowed():
            self._raster = rasterio.open(self._temporary, "w", **_profile(self._grid, self._layout))
            self._describe()
        return self

    def write(self, window: Window, data: NDArray[np.uint8]) -> None:
        """Write a window that no other one overlaps.

        Args:
            window: Where, inside the grid.
            data: uint8 `[band, row, col]`.
        """
        block = np.ascontiguousarray(data, dtype=np.uint8)
        with writing(self._path):
            self._raster.write(block, window=_native(window))
        self._written.append(window)
        self._sums[window] = _checksum(block)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            # The environment takes GDAL's messages from stderr into the log.
            with writing(self._path), rasterio.Env():
                self._raster.close()
                if error is None:
                    self._finish()
        except BaseException:
            self._path.unlink(missing_ok=True)
            raise
        finally:
            self._clean()

    def _describe(self) -> None:
        self._raster.descriptions = self._layout.bands
        self._raster.update_tags(**self._layout.tags)
        if self._layout.scale != 1:
            self._raster.scales = (self._layout.scale,) * len(self._layout.bands)
        if self._layout.colors:
            self._raster.write_colormap(1, self._layout.colors)

    def _finish(self) -> None:
        rows, cols = self._grid.shape
        if not covers_once(self._written, (rows, cols)):
            raise OutputError(
                f"{len(self._written)} windows do not cover each of the {rows} x {cols} pixels of "
                f"{str(self._path)!r} exactly once, so it was not made; run the prediction again"
            )
        self._add_overviews()
        rasterio.shutil.copy(
            self._temporary,
            self._path,
            driver="COG",
            COMPRESS="DEFLATE",
            BLOCKSIZE=BLOCK,
            BIGTIFF="IF_SAFER",
            NUM_THREADS="ALL_CPUS",
            **(_SMOOTH if self._layout.smooth else {}),
        )
        self._verify()

    def _add_overviews(self) -> None:
        """Halve the raster until it is a block, band by band.

        The COG driver would hold all bands of some rows over the raster's whole width at a time.
        """
        levels = range(1, max(0, (max(self._grid.shape) - 1) // BLOCK).bit_length() + 1)
        if not levels:
            return
        with pixel_space_allowed(), rasterio.open(self._temporary, "r+") as raster:
            how = rasterio.enums.Resampling[self._layout.overviews.lower()]
            raster.build_overviews([2**level for level in levels], how)

    def _verify(self) -> None:
        with pixel_space_allowed(), rasterio.open(self._path) as raster:
            for window, expected in self._sums.items():
                if _checksum(raster.read(window=_native(window))) != expected:
                    # An OSError, because `writing` then says whether the disk is full: GDAL
                    # loses what fails while it flushes and closes, only reading shows it.
                    raise OSError(
                        f"it reads back other values than were written at row {window.row}, "
                        f"column {window.col}"
                    )

    def _clean(self) -> None:
        # GDAL's COG driver leaves its own temporaries beside the file when it fails.
        leftovers = self._path.parent.glob(f"{self._path.name}.*.tmp")
        for path in (self._temporary, *leftovers):
            path.unlink(missing_ok=True)


def covers_once(windows: Iterable[Window], shape: Shape) -> bool:
    """Tell whether windows cover every pixel of a grid exactly once, without a mask of it.

    A window's corners, signed + and - alternately, are the mixed second difference of its
    indicator function; differences add up, and determine the sum of the functions. So the
    windows count every pixel once exactly if their corners sum to those of the whole grid.
    """
    balance: Counter[Shape] = Counter()
    for window in windows:
        _add_corners(balance, window)
    whole: Counter[Shape] = Counter()
    _add_corners(whole, Window(0, 0, *shape))
    return {k: n for k, n in balance.items() if n} == dict(whole)


def _add_corners(balance: Counter[Shape], window: Window) -> None:
    bottom, right = window.row + window.rows, window.col + window.cols
    balance[window.row, window.col] += 1
    balance[bottom, right] += 1
    balance[window.row, right] -= 1
    balance[bottom, window.col] -= 1


def _checksum(block: NDArray[np.uint8]) -> int:
    return zlib.crc32(block.data)


def _native(window: Window) -> Any:
    return rasterio.windows.Window(window.col, window.row, window.cols, window.rows)


def _profile(grid: GeoBox, layout: Layout) -> dict[str, Any]:
    return {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": len(layout.bands),
        "height": grid.shape[0],
        "width": grid.shape[1],
        "nodata": layout.nodata,
        "crs": None if grid.crs is None else grid.crs.to_wkt(),
        "transform": grid.affine,
        "tiled": True,
        "interleave": "band",  # overviews are then made of one band at a time
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "BIGTIFF": "IF_SAFER",
        "SPARSE_OK": True,
        # Without these GDAL takes three bands for RGB and the fourth for alpha.
        "photometric": "MINISBLACK",
        "ALPHA": "NO",
    }
