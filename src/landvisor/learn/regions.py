"""Which windows of the imagery are read around places, and how they are kept decoded."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landvisor.geo.places import Places
from landvisor.geo.scene import Pixels, Scene
from landvisor.geo.tiling import Shape, Window, cover, most_interior


@dataclass(frozen=True, order=True)
class Region:
    """A window of one scene of the collection."""

    scene: int
    window: Window


@dataclass(frozen=True)
class RegionCache:
    """Decoded regions as memory-mapped files, each written when it is first read.

    Args:
        scenes: The scenes that `Region.scene` counts.
        folder: Where the files go. What another cache left there is overwritten, not read.
    """

    scenes: Sequence[Scene]
    folder: Path
    checksums: dict[Region, int] = field(default_factory=dict)

    def read(self, region: Region) -> Pixels:
        """Return the pixels of a region, in native units."""
        self.checksum(region)
        data, valid = (np.load(path, mmap_mode="r") for path in self._paths(region))
        return Pixels(data, valid)

    def checksum(self, region: Region) -> int:
        """Decode a region if that has not happened yet, and return the CRC-32 of its content."""
        if region not in self.checksums:
            pixels = self.scenes[region.scene].read(region.window)
            arrays = tuple(np.ascontiguousarray(part) for part in pixels)
            self.folder.mkdir(parents=True, exist_ok=True)
            for path, array in zip(self._paths(region), arrays, strict=True):
                np.save(path, array)
            self.checksums[region] = zlib.crc32(
                arrays[1].tobytes(), zlib.crc32(arrays[0].tobytes())
            )
        return self.checksums[region]

    def _paths(self, region: Region) -> tuple[Path, Path]:
        window = region.window
        stem = f"{region.scene}_{window.row}_{window.col}_{window.rows}x{window.cols}"
        return self.folder / f"{stem}.npy", self.folder / f"{stem}_valid.npy"


def find_regions(
    places: Places, shapes: Sequence[Shape], *, size: int, overlap: int
) -> list[tuple[Region, NDArray[np.int64]]]:
    """Find the windows that places are most interior to.

    Args:
        places: Places on any of the scenes.
        shapes: `(rows, cols)` of every scene.
        size: Side of the windows.
        overlap: Pixels that neighbouring windows share.

    Returns:
        Regions with at least one place, in order, each with the positions of its places; every
        place occurs once.
    """
    found = []
    for scene in np.unique(places.scene):
        here = np.flatnonzero(places.scene == scene)
        windows = cover(shapes[scene], size=size, overlap=overlap)
        nearest = most_interior(places.coords[here], windows)
        found += [
            (Region(int(scene), windows[index]), here[nearest == index])
            for index in np.unique(nearest)
        ]
    return found


def group_by_shape(
    found: list[tuple[Region, NDArray[np.int64]]], batch_size: int
) -> Iterator[list[tuple[Region, NDArray[np.int64]]]]:
    """Put regions of one shape together, at most `batch_size` of them."""
    for shape in sorted({region.window.shape for region, _ in found}):
        alike = [item for item in found if item[0].window.shape == shape]
        for start in range(0, len(alike), batch_size):
            yield alike[start : start + batch_size]
