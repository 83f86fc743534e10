"""Which pixels may be used beyond what a file declares: collars and areas of interest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.features import geometry_mask
from scipy import ndimage
from shapely.geometry.base import BaseGeometry

from landvisor.errors import SceneError
from landvisor.geo.scene import Scene
from landvisor.geo.tiling import Window, split_blocks
from landvisor.geo.vectors import read_vectors

_BLOCK = 1024
_SUSPICIOUS = 0.1


@dataclass(frozen=True)
class BitMask:
    """A mask of a whole scene, eight pixels to the byte."""

    packed: NDArray[np.uint8]
    cols: int

    def read(self, window: Window) -> NDArray[np.bool_]:
        """Return `[row, col]` of the window."""
        rows, cols = window.slices
        return np.unpackbits(self.packed[rows], axis=1, count=self.cols)[:, cols].astype(bool)


def find_collar(scene: Scene, *, value: float, tolerance: float) -> BitMask:
    """Find the no-data collar of a lossy picture.

    A pixel belongs to it if every band is within `tolerance` of `value` and a chain of such
    pixels (4-connected) leads to the image's border; dark pixels inside the image stay data.

    Args:
        scene: The scene; it is read once, block by block.
        value: The collar's value before lossy compression.
        tolerance: Largest difference in native units.
    """
    near = np.zeros(scene.shape, dtype=bool)
    for block in split_blocks(scene.shape, _BLOCK):
        data = scene.read(block).data.astype(np.float64)
        near[block.slices] = (np.abs(data - value) <= tolerance).all(axis=0)
    parts, _ = ndimage.label(near)
    edges = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    collar = np.isin(parts, np.unique(edges[edges > 0]))
    return BitMask(np.packbits(~collar, axis=1), scene.shape[1])


def suspect_collar(scene: Scene) -> str | None:
    """Say if the image's border looks like no data that the file does not declare.

    Looked for is one value, 0 or the largest of the type, that all bands have at a tenth of the
    valid border pixels or more.
    """
    if scene.dtype.kind not in "iu":
        return None
    rows, cols = scene.shape
    edges = (
        Window(0, 0, 1, cols), Window(rows - 1, 0, 1, cols),
        Window(0, 0, rows, 1), Window(0, cols - 1, rows, 1),
    )  # fmt: skip
    pixels = [scene.read(edge) for edge in edges]
    border = np.concatenate([found.data[:, found.valid] for found in pixels], axis=1)
    for value in (0, int(np.iinfo(scene.dtype).max)):
        share = float((border == value).all(axis=0).mean()) if border.size else 0.0
        if share >= _SUSPICIOUS:
            return (
                f"{share:.0%} of the border of {scene.name} is {value} in all bands, and counts as "
                f"data: if it is no data, say --nodata {value}"
            )
    return None


@dataclass(frozen=True)
class AreaMask:
    """Polygons as a mask: a pixel is inside if its centre is."""

    polygons: tuple[BaseGeometry, ...]
    grid: GeoBox

    def read(self, window: Window) -> NDArray[np.bool_]:
        """Rasterise the polygons in a window."""
        part: Any = self.grid[window.slices]
        return np.asarray(
            geometry_mask(self.polygons, window.shape, part.affine, all_touched=False, invert=True)
        )


def read_area(path: Path, grid: GeoBox) -> AreaMask:
    """Read an area of interest and bring it to a grid's CRS.

    Raises:
        SceneError: If the file holds no polygon or the area misses the grid.
    """
    frame = read_vectors(path, what="polygons of the area of interest")
    if frame.crs is not None and grid.crs is not None:
        frame = frame.to_crs(grid.crs.to_wkt())
    shapes = frame.geometry[frame.geom_type.isin(["Polygon", "MultiPolygon"])]
    if shapes.empty:
        raise SceneError(f"the area of interest {str(path)!r} holds no polygon; give polygons")
    extent = grid.extent.geom
    inside = tuple(shape for shape in shapes if shape.intersects(extent))
    if not inside:
        raise SceneError(f"the area of interest {str(path)!r} lies off the scene; check its CRS")
    return AreaMask(inside, grid)
