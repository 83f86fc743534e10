"""Which pixels of a map a sample is drawn from, and which stratum each of them is in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import AssessmentError
from landvisor.geo.class_map import NODATA, ClassMap
from landvisor.geo.pixel_areas import find_pixel_areas
from landvisor.geo.rasters import open_scene
from landvisor.geo.scene import Scene
from landvisor.geo.styles import read_map_legend
from landvisor.geo.tiling import Window

Kind = Literal["simple", "stratified"]
WHOLE = "map"
"""Name of the only stratum of a simple random sample."""


@dataclass(frozen=True)
class Stratum:
    """A part of the map that units are drawn from apart from the others.

    Attributes:
        name: Of the map class, or of the value in a stratum raster.
        pixels: How many there are to be drawn.
        area: Square metres; None where the map has no CRS.
    """

    name: str
    pixels: int
    area: float | None


@dataclass(frozen=True)
class Frame:
    """The mapped pixels, and the stratum of each.

    Attributes:
        kind: A simple random sample knows one stratum, the map.
        classes: The map.
        strata: Raster of whole numbers on the map's grid, or None: strata are the map's classes.
    """

    kind: Kind
    classes: ClassMap
    strata: Scene | None = None

    @property
    def source(self) -> str:
        """Say what the strata are."""
        if self.kind == "simple":
            return "the whole map"
        if self.strata is None:
            return "the classes of the map"
        return f"the values of {self.strata.name}"

    def read(self, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Read class ids and codes of strata `[row, col]`; `NODATA` is in no stratum.

        Raises:
            AssessmentError: If a stratum raster holds a value beyond 0 to 254.
        """
        classes = self.classes.read(window)
        if self.kind == "simple":
            return classes, np.where(classes == NODATA, np.uint8(NODATA), np.uint8(0))
        if self.strata is None:
            return classes, classes
        pixels = self.strata.read(window)
        codes = check_codes(pixels.data[0], pixels.valid, name=self.strata.name)
        return classes, np.where(classes == NODATA, np.uint8(NODATA), codes)

    def name_strata(self) -> dict[int, str]:
        """Name all strata that there can be, by code."""
        if self.kind == "simple":
            return {0: WHOLE}
        if self.strata is None:
            return {c.id: c.name for c in self.classes.legend.active}
        assert self.strata.path is not None, "a stratum raster is a file"
        known = read_map_legend(self.strata.path)
        named = {c.id: c.name for c in known.classes} if known else {}
        return {code: named.get(code, f"stratum {code}") for code in range(NODATA)}


@dataclass(frozen=True, eq=False)
class Census:
    """What a look at every pixel of the map gave.

    Attributes:
        strata: Those that hold a pixel, by code.
        mapped: int64 `[256]`: pixels by class id.
        by_strip: int64 `[strip, 256]`: pixels by code of stratum.
        digest: SHA-256 of the classes and the grid; another map has another one.
        unstratified: Mapped pixels that are in no stratum.
        unevenness: Largest pixel by smallest, on the ground; 1 where that is unknown.
    """

    strata: dict[int, Stratum]
    mapped: NDArray[np.int64]
    by_strip: NDArray[np.int64]
    digest: str
    unstratified: int
    unevenness: float


def open_frame(classes: ClassMap, kind: Kind, strata: Path | None = None) -> Frame:
    """Open what a sample is drawn from.

    Raises:
        AssessmentError: If a stratum raster is not one band of whole numbers on the map's grid.
    """
    if strata is None:
        return Frame(kind, classes)
    scene = open_scene(strata)
    if len(scene.bands) != 1 or scene.dtype.kind not in "iu":
        raise AssessmentError(
            f"--strata {str(strata)!r} has {len(scene.bands)} bands of {scene.dtype}; strata are "
            "one band of whole numbers from 0 to 254"
        )
    grid = classes.scene.grid
    same = scene.shape == classes.scene.shape and scene.grid.crs == grid.crs
    if not same or not scene.grid.affine.almost_equals(grid.affine, 1e-6 * abs(grid.affine.a)):
        raise AssessmentError(
            f"--strata {str(strata)!r} is not on the grid of the map {str(classes.path)!r}; warp "
            "it to the same CRS, corner, pixel size and number of rows and columns"
        )
    return Frame(kind, classes, scene)


def take_census(frame: Frame) -> Census:
    """Count the pixels of every stratum, strip by strip.

    Raises:
        AssessmentError: If no pixel is in any stratum.
        SceneError: If the map cannot be read.
    """
    ground = find_pixel_areas(frame.classes.scene.grid)
    by_strip, mapped, areas = [], np.zeros(256, dtype=np.int64), np.zeros(256)
    seen = hashlib.sha256(_describe_grid(frame.classes.scene))
    smallest, largest = np.inf, 0.0
    for window, classes, codes in _read_strips(frame):
        seen.update(np.ascontiguousarray(classes).data)
        mapped += np.bincount(classes.ravel(), minlength=256)
        by_strip.append(np.bincount(codes.ravel(), minlength=256))
        if ground is not None:
            sizes = ground.read(window)
            smallest, largest = min(smallest, sizes.min()), max(largest, sizes.max())
            areas += np.bincount(codes.ravel(), weights=sizes.ravel(), minlength=256)
    pixels = np.sum(by_strip, axis=0)
    names = frame.name_strata()
    held = [int(code) for code in np.flatnonzero(pixels[:NODATA])]
    if not held:
        raise AssessmentError(
            f"no pixel of {str(frame.classes.path)!r} has a class and a stratum; nothing can be "
            "drawn from it or said of it"
        )
    return Census(
        strata={
            code: Stratum(names[code], int(pixels[code]), float(areas[code]) if ground else None)
            for code in held
        },
        mapped=mapped,
        by_strip=np.stack(by_strip),
        digest=seen.hexdigest(),
        unstratified=int(mapped[:NODATA].sum() - pixels[:NODATA].sum()),
        unevenness=float(largest / smallest) if ground and smallest > 0 else 1.0,
    )


def pick_pixels(
    frame: Frame, census: Census, ranks: dict[int, NDArray[np.int64]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the pixels that have given ranks within their strata, counted row by row.

    Args:
        frame: Read again, and only in strips that hold one of them.
        census: Of the same frame.
        ranks: By code of stratum, `[n]`: 0 to pixels - 1.

    Returns:
        int64 `[n, 2]` (row, col), and `[n]`: code of the stratum.
    """
    before = np.zeros(256, dtype=np.int64)
    places, codes = [], []
    for window, counts in zip(frame.classes.strips(), census.by_strip, strict=True):
        here = {
            code: wanted[(wanted >= before[code]) & (wanted < before[code] + counts[code])]
            for code, wanted in ranks.items()
        }
        here = {code: wanted - before[code] for code, wanted in here.items() if len(wanted)}
        before += counts
        if not here:
            continue
        strata = frame.read(window)[1].ravel()
        for code, wanted in here.items():
            rows, cols = divmod(np.flatnonzero(strata == code)[wanted], window.cols)
            places.append(np.column_stack([rows + window.row, cols + window.col]))
            codes.append(np.full(len(wanted), code))
    return np.concatenate(places), np.concatenate(codes)


def check_codes(
    values: NDArray[np.integer], valid: NDArray[np.bool_], *, name: str
) -> NDArray[np.uint8]:
    """Turn values of a stratum raster into codes, `NODATA` where there is none.

    Raises:
        AssessmentError: If a value is beyond 0 to 254.
    """
    strange = valid & ((values < 0) | (values >= NODATA))
    if strange.any():
        raise AssessmentError(
            f"--strata {name!r} holds the value {values[strange][0]}; strata are whole numbers "
            "from 0 to 254, and no-data is in no stratum"
        )
    return np.where(valid, values, NODATA).astype(np.uint8)


def _read_strips(
    frame: Frame,
) -> Iterator[tuple[Window, NDArray[np.uint8], NDArray[np.uint8]]]:
    for window in frame.classes.strips():
        yield window, *frame.read(window)


def _describe_grid(scene: Scene) -> bytes:
    crs = scene.grid.crs.to_wkt() if scene.georeferenced else ""
    return repr((scene.shape, tuple(scene.grid.affine)[:6], crs)).encode()
