"""What a scene shows on another grid: shifted where the pixels agree, else resampled."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal, get_args

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from landvisor.errors import SceneError
from landvisor.geo.regrid import Coords, Regrid
from landvisor.geo.scene import Pixels, Scene
from landvisor.geo.tiling import Shape, Window, full_window, split_blocks

Resampling = Literal["bilinear", "nearest"]

_HALF = 0.5
_BLOCK = 256  # side of what is read of a scene and resampled at once: what it costs in memory


def warp_scene(scene: Scene, grid: GeoBox, *, resampling: Resampling = "bilinear") -> Scene:
    """Return a scene as it looks on another grid; it is read and resampled by window.

    Reading a window gives the same pixels, bit by bit, as that part of reading all: places depend
    on the pixel alone (see `Regrid`), and the scene is read through its own `read`, so that masks,
    alpha, no-data of any kind, arrays and band files all count. Where scene and grid share one
    lattice (same CRS and pixel size, to 0.01 pixels over the grid) pixels are copied, never
    resampled.

    A pixel is valid where the scene's pixel under its centre is; of the four neighbours, valid ones
    alone are averaged. Where the grid is coarser, a pixel is the mean of so many bilinear samples
    as there are scene's pixels in it, and valid where half of them are.

    Args:
        scene: A scene with a CRS.
        grid: Any grid with a CRS; the scene may cover part of it, or nothing.
        resampling: `bilinear`, or `nearest` for classes.

    Raises:
        SceneError: If a CRS is missing or there is no such resampling.
    """
    if resampling not in get_args(Resampling):
        known = " or ".join(get_args(Resampling))
        raise SceneError(f"resampling {resampling!r} was asked for; need {known}")
    if scene.grid == grid:
        return scene
    regrid = Regrid(scene.grid, grid)
    if regrid.shift is not None:
        source: ShiftedSource | ResampledSource = ShiftedSource(scene, regrid.shift)
    elif resampling == "nearest":
        source = ResampledSource(scene, regrid, nearest=True)
    else:
        if not math.isfinite(regrid.scale):
            raise SceneError(
                f"scene {scene.name!r} lies where the CRS {grid.crs} has no places; choose another"
            )
        samples = max(1, round(regrid.scale))
        source = ResampledSource(scene, Regrid(scene.grid, _refine(grid, samples)), samples)
    return replace(scene, grid=grid, source=source, complete=False)


@dataclass(frozen=True)
class ShiftedSource:
    """A scene seen from a grid on its own lattice; `shift` is added to that grid's pixels."""

    scene: Scene
    shift: Shape

    def read(self, window: Window) -> Pixels:
        """Copy what the scene holds of a window."""
        moved = replace(window, row=window.row + self.shift[0], col=window.col + self.shift[1])
        found = _nothing(self.scene, window.shape)
        part = moved.intersect(full_window(self.scene.shape))
        if part is not None:
            rows, cols = part.relative_to(moved).slices
            found.data[:, rows, cols], found.valid[rows, cols] = self.scene.read(part)
        return found


@dataclass(frozen=True)
class ResampledSource:
    """A scene seen from any grid.

    Attributes:
        scene: What is seen.
        regrid: From the grid, each side of its pixels cut into `samples`, to the scene.
        samples: Per pixel and axis.
        nearest: Take the pixel under each place instead of the four around it.
    """

    scene: Scene
    regrid: Regrid
    samples: int = 1
    nearest: bool = False

    def read(self, window: Window) -> Pixels:
        """Resample a window, block by block."""
        found = _nothing(self.scene, window.shape)
        side = _BLOCK / self.samples / max(1, self.regrid.scale)
        for block in split_blocks(window.shape, max(1, int(side))):
            rows, cols = block.slices
            here = replace(block, row=window.row + block.row, col=window.col + block.col)
            found.data[:, rows, cols], found.valid[rows, cols] = self._read_block(here)
        return found

    def _read_block(self, block: Window) -> Pixels:
        many = self.samples
        fine = Window(block.row * many, block.col * many, block.rows * many, block.cols * many)
        places = self.regrid.locate(fine)
        area = _area_under(places, self.scene.shape)
        if area is None:
            return _nothing(self.scene, block.shape)
        pixels = self.scene.read(area)
        places = places - np.array([area.row, area.col])[:, None, None]
        if self.nearest:
            return _take_nearest(pixels, places)
        values, valid = _take_bilinear(pixels, places)
        if many > 1:
            values, valid = _average(values, valid, many)
        return Pixels(_as_type(values, self.scene.dtype), valid)


def _refine(grid: GeoBox, samples: int) -> GeoBox:
    rows, cols = grid.shape
    return GeoBox(
        (rows * samples, cols * samples), grid.affine @ Affine.scale(1 / samples), grid.crs
    )


def _nothing(scene: Scene, shape: Shape) -> Pixels:
    return Pixels(np.zeros((len(scene.bands), *shape), scene.dtype), np.zeros(shape, dtype=bool))


def _area_under(places: Coords, shape: Shape) -> Window | None:
    """Return the pixels that places in a scene and their neighbours need, or None."""
    inside = _inside(places, shape)
    if not inside.any():
        return None
    low = np.floor(places[:, inside].min(axis=1)).astype(int)
    high = np.floor(places[:, inside].max(axis=1)).astype(int) + 1
    around = Window(int(low[0]), int(low[1]), *(int(side) for side in high - low + 1))
    return around.intersect(full_window(shape))


def _inside(places: Coords, shape: Shape) -> NDArray[np.bool_]:
    limits = np.array(shape)[:, None, None] - _HALF
    return np.asarray(((places >= -_HALF) & (places < limits)).all(axis=0))


def _part(places: Coords) -> tuple[NDArray[np.intp], Coords]:
    """Part places into the pixel before them and the rest of 0 to 1, without rounding."""
    first = np.floor(places)
    return first.astype(np.intp), places - first


def _take_nearest(pixels: Pixels, places: Coords) -> Pixels:
    inside = _inside(places, _shape_of(pixels))
    first, share = _part(np.where(inside, places, 0))
    rows, cols = first + (share >= _HALF)
    valid = pixels.valid[rows, cols] & inside
    return Pixels(np.where(valid, pixels.data[:, rows, cols], 0), valid)


def _take_bilinear(pixels: Pixels, places: Coords) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Average the valid ones of four pixels around each place; what is not valid is 0."""
    kind = np.result_type(pixels.data.dtype, np.float32)
    finite = pixels.finite
    data = np.where(finite, pixels.data, 0).astype(kind, copy=False)
    rows, cols = _shape_of(pixels)
    inside = _inside(places, (rows, cols))
    first, share = _part(np.where(inside, places, 0))
    values, total = np.zeros((len(data), *inside.shape), kind), np.zeros(inside.shape, kind)
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        row, col = first[0] + down, first[1] + right
        there = (row >= 0) & (row < rows) & (col >= 0) & (col < cols)
        flat = np.where(there, row * cols + col, 0)  # taking along one axis is faster than two
        weight = np.abs(1 - down - share[0]) * np.abs(1 - right - share[1])
        weight = np.where(there & finite.take(flat), weight, 0).astype(kind)
        values += weight * data.reshape(len(data), -1).take(flat, axis=1)
        total += weight
    nearest = first + (share >= _HALF)
    valid = inside & finite[nearest[0], nearest[1]]
    return np.where(valid, values, 0) / np.where(valid, total, 1), valid


def _average(
    values: NDArray[Any], valid: NDArray[np.bool_], many: int
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Average the valid ones of `many` x `many` samples per pixel; half of them make it valid.

    Values are 0 where they are not valid.
    """
    # Added one by one: the order that NumPy sums in depends on the array's shape.
    parts = list(product(range(many), repeat=2))
    counts = sum(valid[row::many, col::many].astype(values.dtype) for row, col in parts)
    sums = sum(values[:, row::many, col::many] for row, col in parts)
    enough = np.asarray(2 * counts >= many**2)
    return np.where(enough, sums, 0) / np.maximum(counts, 1), enough


def _as_type(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    return (np.rint(values) if dtype.kind in "iu" else values).astype(dtype, copy=False)


def _shape_of(pixels: Pixels) -> Shape:
    return int(pixels.valid.shape[0]), int(pixels.valid.shape[1])
