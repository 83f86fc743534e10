"""What a finished map says at each pixel: class ids strip by strip, with its legend and grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import SceneError
from landvisor.geo.legend import Legend
from landvisor.geo.rasters import open_scene
from landvisor.geo.scene import Scene
from landvisor.geo.styles import read_map_legend
from landvisor.geo.tiling import Window

NODATA = 255
"""Code of pixels without a class; ids of classes end below it."""

STRIP_ROWS = 128
"""Most rows that are held at a time; a COG's tiles are higher, but GDAL keeps a row of them."""

_STRIP_PIXELS = 1 << 23


@dataclass(frozen=True)
class ClassMap:
    """A class raster with the meaning of its values.

    Attributes:
        scene: The raster, of one band of whole numbers.
        legend: Its classes; those it ignores are no data, merged ones are what they became.
    """

    scene: Scene
    legend: Legend

    @property
    def path(self) -> Path:
        """The file."""
        assert self.scene.path is not None, "a class map is a file"
        return self.scene.path

    def strips(self) -> Iterator[Window]:
        """Cut the map into strips of its whole width, of 8 million pixels at most."""
        height, width = self.scene.shape
        step = max(1, min(STRIP_ROWS, _STRIP_PIXELS // width))
        for row in range(0, height, step):
            yield Window(row, 0, min(step, height - row), width)

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Read class ids `[row, col]`, `NODATA` where there is none.

        Raises:
            SceneError: If the file is damaged or holds a value that its legend lacks.
        """
        pixels = self.scene.read(window)
        values = pixels.data[0]
        if values.dtype != np.uint8:
            self._refuse(values, pixels.valid & ((values < 0) | (values > NODATA)))
            values = values.astype(np.uint8)
        self._refuse(values, pixels.valid & self._unknown[values])
        return np.where(pixels.valid, self._codes[values], np.uint8(NODATA))

    @cached_property
    def _codes(self) -> NDArray[np.uint8]:
        resolved = self.legend.resolve(np.arange(256))
        return np.where(resolved < 0, NODATA, resolved).astype(np.uint8)

    @cached_property
    def _unknown(self) -> NDArray[np.bool_]:
        known = [c.id for c in self.legend.classes]
        return np.asarray(~np.isin(np.arange(256), known))

    def _refuse(self, values: NDArray[np.integer], strange: NDArray[np.bool_]) -> None:
        if strange.any():
            raise SceneError(
                f"{str(self.path)!r} holds the value {values[strange][0]}, which its legend lacks; "
                "name it in a legend.toml (ignore = true makes it no data), or declare it as the "
                "file's no-data value"
            )


def open_class_map(path: Path | str, legend: Legend | None = None) -> ClassMap:
    """Open a class raster, or the one of a folder that `map` or `predict` made.

    Args:
        path: File or folder.
        legend: Instead of the one in the file.

    Raises:
        SceneError: If there is no such map, the folder holds several, its values are no ids, or
            nothing names its classes.
    """
    file = _find_file(Path(path))
    scene = open_scene(file)
    if len(scene.bands) != 1 or scene.dtype.kind not in "iu":
        raise SceneError(
            f"{str(file)!r} has {len(scene.bands)} bands of {scene.dtype}; a class map has one "
            "band of whole numbers"
        )
    found = legend or read_map_legend(file)
    if found is None:
        raise SceneError(f"{str(file)!r} carries no class names; give --legend legend.toml")
    return ClassMap(scene, found)


def _find_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    if (path / "map.tif").exists():
        return path / "map.tif"
    found = [file for file in sorted(path.glob("*.tif")) if read_map_legend(file) is not None]
    if len(found) != 1:
        held = f"{len(found)} maps" if found else "no map"
        raise SceneError(f"{str(path)!r} holds {held}; name one file, as map.tif")
    return found[0]
