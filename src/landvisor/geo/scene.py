"""What one image holds: windows of data and validity from any raster, picture or array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from landvisor.errors import SceneError
from landvisor.geo.tiling import Shape, Window, full_window, group_by_block


class Pixels(NamedTuple):
    """A window's content.

    Attributes:
        data: `[band, row, col]` in native units and dtype; anything where not valid.
        valid: `[row, col]`: False is no data.
    """

    data: NDArray[Any]
    valid: NDArray[np.bool_]

    @property
    def finite(self) -> NDArray[np.bool_]:
        """Tell which pixels `[row, col]` are valid and infinite in no band."""
        if self.data.dtype.kind != "f":
            return self.valid
        return np.asarray(self.valid & np.isfinite(self.data).all(axis=0))


class Source(Protocol):
    """Something that windows can be read from, by several threads at once."""

    def read(self, window: Window) -> Pixels:
        """Read one window that lies inside the grid."""
        ...


@dataclass(frozen=True)
class Scene:
    """One image on one grid, read by window only.

    Attributes:
        name: Short name, the file's stem.
        grid: Shape, affine and CRS (None for a plain picture).
        bands: Band names in order.
        dtype: Native data type of all bands.
        source: Where windows are read from.
        path: The file, or None for an array.
        notes: What was decided at opening that a user should know.
        complete: Every pixel is known to hold data, without a look at any.
    """

    name: str
    grid: GeoBox
    bands: tuple[str, ...]
    dtype: np.dtype[Any]
    source: Source
    path: Path | None = None
    notes: tuple[str, ...] = ()
    complete: bool = False

    @property
    def shape(self) -> Shape:
        """Size of the grid as `(rows, cols)`."""
        return int(self.grid.shape[0]), int(self.grid.shape[1])

    @property
    def georeferenced(self) -> bool:
        """Tell whether places in a CRS can be found on this scene."""
        return self.grid.crs is not None

    def read(self, window: Window | None = None) -> Pixels:
        """Read a window, or the whole scene.

        Args:
            window: A window inside the grid; None reads everything.

        Raises:
            SceneError: If the window leaves the grid or the file is damaged there.
        """
        everything = full_window(self.shape)
        wanted = window or everything
        if wanted.intersect(everything) != wanted:
            raise SceneError(f"window {wanted} leaves scene {self.name!r} of {self.shape}")
        return self.source.read(wanted)

    def read_valid(self, window: Window) -> NDArray[np.bool_]:
        """Read which pixels `[row, col]` of a window hold data, and no band without need.

        Raises:
            SceneError: As `read` does.
        """
        return np.ones(window.shape, dtype=bool) if self.complete else self.read(window).valid

    def sample(self, pixels: NDArray[np.int64]) -> Pixels:
        """Read single pixels, block by block.

        Args:
            pixels: `[n, 2]` as (row, col); any off the grid are invalid.

        Returns:
            Data `[band, n]` and validity `[n]`.
        """
        data = np.zeros((len(self.bands), len(pixels)), dtype=self.dtype)
        valid = np.zeros(len(pixels), dtype=bool)
        inside = np.flatnonzero(self._holds(pixels))
        for block, here in group_by_block(pixels[inside], shape=self.shape, size=_LOOKUP_BLOCK):
            found = self.read(block)
            rows, cols = (pixels[inside[here]] - (block.row, block.col)).T
            data[:, inside[here]] = found.data[:, rows, cols]
            valid[inside[here]] = found.valid[rows, cols]
        return Pixels(data, valid)

    def valid_at(self, pixels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell for each pixel `[n, 2]` (row, col) whether it holds data; off the grid is False."""
        return self._holds(pixels) if self.complete else self.sample(pixels).valid

    def _holds(self, pixels: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.asarray(((pixels >= 0) & (pixels < np.array(self.shape))).all(axis=1))

    def with_mask(self, mask: Mask, note: str = "") -> Scene:
        """Return the same scene with more pixels marked as no data."""
        notes = (*self.notes, note) if note else self.notes
        source = MaskedSource(self.source, mask)
        return replace(self, source=source, notes=notes, complete=False)


def name_crs(scene: Scene) -> str | None:
    """Name a scene's CRS in few letters: its EPSG code, else its own name; None without one."""
    crs = scene.grid.crs
    if crs is None:
        return None
    return f"EPSG:{crs.epsg}" if crs.epsg else str(crs.proj.name)


class Mask(Protocol):
    """Something that tells which pixels of a window may be used."""

    def read(self, window: Window) -> NDArray[np.bool_]:
        """Return `[row, col]`: True where the pixel may be used."""
        ...


@dataclass(frozen=True)
class MaskedSource:
    """A source with further pixels marked as no data."""

    source: Source
    mask: Mask

    def read(self, window: Window) -> Pixels:
        """Read a window and join both validities."""
        pixels = self.source.read(window)
        return Pixels(pixels.data, pixels.valid & self.mask.read(window))


@dataclass(frozen=True)
class ArraySource:
    """An array in memory as a source."""

    data: NDArray[Any]
    valid: NDArray[np.bool_]

    def read(self, window: Window) -> Pixels:
        """Return views of the arrays."""
        rows, cols = window.slices
        return Pixels(self.data[:, rows, cols], self.valid[rows, cols])


def scene_from_array(
    array: NDArray[Any],
    *,
    name: str = "array",
    crs: Any = None,
    transform: Affine | None = None,
    nodata: float | None = None,
    bands: Sequence[str] | None = None,
) -> Scene:
    """Make a scene of an array.

    Args:
        array: `[band, row, col]`, or `[row, col]` for one band.
        name: What reports call it.
        crs: Anything that pyproj understands; None for a plain picture.
        transform: Affine from (col, row) corners to map coordinates; identity by default.
        nodata: Value that means "no data"; NaN always does.
        bands: Band names; "band 1" and so on by default.

    Raises:
        SceneError: If the array has another number of axes or no pixels.
    """
    data = array[None] if array.ndim == 2 else array
    if data.ndim != 3 or data.size == 0:
        raise SceneError(f"an array of shape {array.shape} was given; need [band, row, col]")
    names = tuple(bands) if bands else tuple(f"band {i + 1}" for i in range(len(data)))
    if len(names) != len(data):
        raise SceneError(f"{len(names)} band names were given for {len(data)} bands")
    grid = GeoBox(data.shape[1:], transform or Affine.identity(), crs)
    valid = find_valid(data, nodata)
    return Scene(name, grid, names, data.dtype, ArraySource(data, valid))


def find_valid(data: NDArray[Any], nodata: float | None) -> NDArray[np.bool_]:
    """Tell which pixels hold data.

    NaN in any band is no data. A nodata value of 0, or the largest of an unsigned type, counts
    where all bands have it, since dark and saturated pixels have it in one of them; any other
    value counts in any band.

    Args:
        data: `[band, row, col]`.
        nodata: Declared value, or None.
    """
    valid = np.ones(data.shape[1:], dtype=bool)
    if np.issubdtype(data.dtype, np.floating):
        valid &= ~np.isnan(data).any(axis=0)
    if nodata is not None and not np.isnan(nodata):
        hit = _equals(data, nodata)
        measurable = nodata == 0 or (data.dtype.kind == "u" and nodata == np.iinfo(data.dtype).max)
        valid &= ~(hit.all(axis=0) if measurable else hit.any(axis=0))
    return valid


def _equals(data: NDArray[Any], value: float) -> NDArray[np.bool_]:
    """Compare in the data's own type; a value that an integer type lacks occurs nowhere."""
    if data.dtype.kind == "f":
        with np.errstate(over="ignore"):  # GDAL declares float64 extremes for float32 too
            return np.asarray(data == data.dtype.type(value))
    if not float(value).is_integer():
        return np.zeros(data.shape, dtype=bool)
    return np.asarray(data == int(value))


_LOOKUP_BLOCK = 512
