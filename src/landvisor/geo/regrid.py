"""Where the pixels of one grid lie on another: the same answer whatever window is asked for."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from landvisor.errors import SceneError
from landvisor.geo.tiling import Window

Coords = NDArray[np.float64]

_STEP = 32  # pixels between places that are transformed; a power of two divides without rounding
_MOST_BENT = 0.01  # of a source pixel, between them
_MOST_SHIFTED = 0.01  # of a pixel off the other lattice, over the whole grid
_THREAD = threading.local()


@dataclass(frozen=True)
class Regrid:
    """How the pixels of `target` lie on `source`.

    Between two CRSs, a lattice of places every 32 pixels, fixed to the target, is transformed and
    what lies between is interpolated. A cell whose middle would be more than 0.01 source pixels
    off is transformed pixel by pixel. Both depend on the pixel alone, never on a window.

    Attributes:
        source: The grid that pixels are wanted of.
        target: The grid whose pixels are located.

    Raises:
        SceneError: If one of them has no CRS.
    """

    source: GeoBox
    target: GeoBox

    def __post_init__(self) -> None:
        if self.source.crs is None or self.target.crs is None:
            raise SceneError(
                "a grid without a CRS has no place among others; georeference the image first"
            )

    @cached_property
    def shift(self) -> tuple[int, int] | None:
        """Rows and columns to add to a target's pixel where both share one lattice, else None."""
        if self.source.crs != self.target.crs:
            return None
        rows, cols = self.target.shape
        corners = np.array([[0, 0, rows, rows], [0, cols, 0, cols]], dtype=np.float64)
        moved = _apply(~self.source.affine @ self.target.affine, corners) - corners
        whole = np.round(moved[:, :1])
        if np.abs(moved - whole).max() > _MOST_SHIFTED:
            return None
        return int(whole[0, 0]), int(whole[1, 0])

    @cached_property
    def scale(self) -> float:
        """Side of a target's pixel in source pixels, at the source's middle; NaN if it has none."""
        row, col = self._source_middle()
        around = np.array([[row + 1, row, row], [col, col, col + 1]])
        with np.errstate(invalid="ignore"):
            (down_row, down_col), (right_row, right_col) = np.diff(self._transform(around)).T
            return math.sqrt(abs(float(down_row * right_col - down_col * right_row)))

    def locate(self, window: Window) -> Coords:
        """Return `[2, row, col]`: row and col on the source of each target pixel in a window.

        An integer is a pixel's centre. What the source's CRS cannot say is not finite.
        """
        rows = np.arange(window.row, window.row + window.rows)
        cols = np.arange(window.col, window.col + window.cols)
        if self.source.crs == self.target.crs:
            return self._transform(np.stack(np.meshgrid(rows, cols, indexing="ij")))
        return self._interpolate(rows, cols)

    def locate_corners(self, corners: Coords) -> Coords:
        """Carry `[2, n]` (row, col) of the target, an integer being a pixel's first corner."""
        return self._transform(corners - 0.5) + 0.5

    def _interpolate(self, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> Coords:
        cell_rows = np.arange(rows[0] // _STEP, rows[-1] // _STEP + 1)
        cell_cols = np.arange(cols[0] // _STEP, cols[-1] // _STEP + 1)
        nodes = self._at(np.append(cell_rows, cell_rows[-1] + 1), [*cell_cols, cell_cols[-1] + 1])
        i, j = rows // _STEP - cell_rows[0], cols // _STEP - cell_cols[0]
        down, right = (rows % _STEP / _STEP)[:, None], cols % _STEP / _STEP
        with np.errstate(invalid="ignore"):  # what is not finite is found, and done exactly
            lines = nodes[:, i] * (1 - down) + nodes[:, i + 1] * down
            found: Coords = lines[:, :, j] * (1 - right) + lines[:, :, j + 1] * right
            middles = (nodes[:, :-1] + nodes[:, 1:]) / 2
            middles = (middles[:, :, :-1] + middles[:, :, 1:]) / 2
            off = np.abs(middles - self._at(cell_rows + 0.5, cell_cols + 0.5)).max(axis=0)
        bent = ~(off <= _MOST_BENT)[np.ix_(i, j)]
        if bent.any():
            row, col = np.nonzero(bent)
            found[:, bent] = self._transform(np.stack([rows[row], cols[col]]))
        return found

    def _at(self, rows: Any, cols: Any) -> Coords:
        """Transform a lattice of places whose rows and columns are counted in steps."""
        lattice = np.meshgrid(np.multiply(rows, _STEP), np.multiply(cols, _STEP), indexing="ij")
        return self._transform(np.stack(lattice))

    def _transform(self, coords: NDArray[Any]) -> Coords:
        """Turn (row, col) `[2, ...]` of the target into those of the source, exactly."""
        corner = coords + 0.5
        if self.source.crs == self.target.crs:
            return _apply(~self.source.affine @ self.target.affine, corner) - 0.5
        y, x = _apply(self.target.affine, corner)
        transformer = _find_transformer(self.target.crs.to_wkt(), self.source.crs.to_wkt())
        there = np.stack(transformer.transform(x, y)[::-1])
        return _apply(~self.source.affine, there) - 0.5

    def _source_middle(self) -> tuple[float, float]:
        """Return (row, col) of a target pixel at the middle of the source."""
        back = Regrid(self.target, self.source)
        rows, cols = self.source.shape
        row, col = back._transform(np.array([[(rows - 1) / 2], [(cols - 1) / 2]]))[:, 0]
        return float(row), float(col)


def _apply(affine: Affine, coords: Coords) -> Coords:
    """Apply an affine, which takes (x, y), to `[2, ...]` of (row, col) or (y, x)."""
    a, b, c, d, e, f = affine[:6]
    with np.errstate(invalid="ignore"):  # 0 times infinity is NaN, which lies nowhere
        return np.stack([d * coords[1] + e * coords[0] + f, a * coords[1] + b * coords[0] + c])


def _find_transformer(here: str, there: str) -> Transformer:
    """Return this thread's own transformer: pyproj's must not be shared."""
    known: dict[tuple[str, str], Transformer] = _THREAD.__dict__.setdefault("known", {})
    if (here, there) not in known:
        known[here, there] = Transformer.from_crs(here, there, always_xy=True)
    return known[here, there]
