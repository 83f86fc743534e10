"""A class map without small patches, or smoothed by majority: a map of its own beside the old."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import OutputError, RecipeError, SceneError
from landvisor.files import check_output, publish_file
from landvisor.geo import patches_number as p
from landvisor.geo.bundle import class_layout
from landvisor.geo.checked import CheckedRaster
from landvisor.geo.class_map import NODATA, ClassMap, open_class_map
from landvisor.geo.legend import Legend
from landvisor.geo.pixel_areas import PixelAreas, find_pixel_areas
from landvisor.geo.sieve_majority import vote
from landvisor.geo.styles import write_category_names, write_qml
from landvisor.geo.tiling import Window

Strip = tuple[Window, NDArray[np.uint8], NDArray[np.uint8]]
"""A strip's window, its class ids, and what they become."""

SUFFIXES = (".tif", ".tiff")
_FIRST_PATCHES = 1 << 16


@dataclass(frozen=True)
class Sieved:
    """What was changed.

    Attributes:
        path: The new map.
        pixels: Pixels with a class.
        changed: Those of them that have another one now.
    """

    path: Path
    pixels: int
    changed: int


def sieve(
    source: Path | str,
    out: Path | str,
    *,
    min_pixels: int = 0,
    min_area: float = 0.0,
    connect: int = 4,
    legend: Legend | None = None,
    overwrite: bool = False,
) -> Sieved:
    """Give each small patch of a class map the class of its largest neighbour.

    It equals GDAL's sieve filter, pixel by pixel: sizes are those before any change; if the largest
    neighbour is small too, its largest neighbour decides, and so on; of equal neighbours it is the
    first that is met, row by row. A patch that no large one can be reached from stays. No data is
    no neighbour and stays. Only the classes are written, as a COG with names and colours like those
    of the source; probabilities and uncertainty are not touched.

    Memory holds a strip of the map and tables of about 25 bytes per patch. The source is read
    three times.

    Args:
        source: A class raster, or a folder that `map` or `predict` made.
        out: GeoTIFF to write.
        min_pixels: Patches of fewer pixels are small.
        min_area: Instead of it: those under so many square metres on the ground are small, and
            the largest neighbour is that of the largest area.
        connect: 4: pixels hang together by their sides; 8: by their corners too.
        legend: Instead of the one in the map.
        overwrite: Replace earlier files.

    Raises:
        RecipeError: If not just one of `min_pixels` and `min_area` is given, or `connect` is wrong.
        SceneError: If the map cannot be read or has no CRS to measure `min_area` in.
        OutputError: If the file cannot be written.
    """
    if (min_pixels > 0) == (min_area > 0):
        raise RecipeError("what is small needs one of --min-pixels and --min-area; give just one")
    if connect not in (4, 8):
        raise RecipeError(f"--connect {connect!r} found; pixels hang together by 4 or 8 neighbours")
    read = open_class_map(source, legend)
    ground = find_pixel_areas(read.scene.grid) if min_area else None
    if min_area and ground is None:
        raise SceneError(f"{str(read.path)!r} has no CRS, so no square metres; use --min-pixels")
    sieving = Sieving(read, ground, min_area or min_pixels, connect == 8)
    return _write(read, out, sieving.strips, folder=source, overwrite=overwrite)


def majority(
    source: Path | str,
    out: Path | str,
    *,
    size: int = 3,
    legend: Legend | None = None,
    overwrite: bool = False,
) -> Sieved:
    """Give each pixel of a class map the class that most of the window around it has.

    No data has no vote and stays. A pixel keeps its class if no other has more votes; of other
    equals the lowest id wins. At the border the window is cut. What is written is as for `sieve`.

    Args:
        source: A class raster, or a folder that `map` or `predict` made.
        out: GeoTIFF to write.
        size: Side of the window in pixels, odd, at least 3.
        legend: Instead of the one in the map.
        overwrite: Replace earlier files.

    Raises:
        RecipeError: If `size` is even or under 3.
        SceneError: If the map cannot be read.
        OutputError: If the file cannot be written.
    """
    if size < 3 or size % 2 == 0:
        raise RecipeError(f"--majority {size} found; a window has an odd side of 3 or more pixels")
    read = open_class_map(source, legend)
    ids = np.array(sorted(read.legend.ids), dtype=np.uint8)

    def strips() -> Iterator[Strip]:
        height, half = read.scene.shape[0], size // 2
        for window in read.strips():
            first = max(0, window.row - half)
            last = min(height, window.row + window.rows + half)
            around = read.read(Window(first, 0, last - first, window.cols))
            top, after = window.row - first, np.empty(window.shape, dtype=np.uint8)
            vote(around, ids, top, window.rows, size, after)
            yield window, around[top : top + window.rows], after

    return _write(read, out, strips, folder=source, overwrite=overwrite)


@dataclass(frozen=True)
class Sieving:
    """The three readings of a map that a sieve needs.

    Attributes:
        map: What is sieved.
        ground: Areas of its pixels; None counts them.
        least: What a patch must reach.
        eight: Pixels that touch in a corner hang together.
    """

    map: ClassMap
    ground: PixelAreas | None
    least: float
    eight: bool

    def strips(self) -> Iterator[Strip]:
        """Yield each strip's window, codes, and what they become."""
        numbers = self._number()
        p.settle_numbers(numbers)
        largest = np.full(int(numbers.begun[0]), -1, dtype=numbers.parents.dtype)
        begin_again(numbers)
        for _, codes in self._read():
            p.compare_rows(numbers, codes, largest, self.eight)
        becomes = p.choose_codes(numbers, largest, self.least)
        del largest
        begin_again(numbers)
        for window, codes in self._read():
            out = np.empty(window.shape, dtype=np.uint8)
            p.recode_rows(numbers, codes, becomes, out, self.eight)
            yield window, codes[:, 1:-1], out

    def _number(self) -> p.Numbering:
        numbers = begin_numbering(self.map.scene.shape)
        for window, codes in self._read():
            weights = (
                self.ground.read(window) if self.ground else np.broadcast_to(1.0, window.shape)
            )
            at = 0
            while at < len(codes):
                numbers = _make_room(numbers)
                at = p.join_rows(numbers, codes, weights, at, self.eight)
        return numbers

    def _read(self) -> Iterator[tuple[Window, NDArray[np.uint8]]]:
        for window in self.map.strips():
            codes = self.map.read(window)
            yield window, np.pad(codes, ((0, 0), (1, 1)), constant_values=NODATA)


def begin_numbering(shape: tuple[int, int]) -> p.Numbering:
    """Make the tables of a raster of `(rows, cols)` before its first row."""
    kind = np.int32 if shape[0] * shape[1] < 2**31 else np.int64
    line = np.empty((3, shape[1] + 2), dtype=kind)
    numbers = p.Numbering(
        np.empty(_FIRST_PATCHES, dtype=kind),
        np.empty(_FIRST_PATCHES),
        np.empty(_FIRST_PATCHES, dtype=np.uint8),
        line,
        np.zeros(1, dtype=np.int64),
    )
    begin_again(numbers)
    return numbers


def begin_again(numbers: p.Numbering) -> None:
    """Go back above the first row; the tables stay."""
    numbers.line[:] = -1
    numbers.line[p.CODES] = NODATA
    numbers.begun[0] = 0


def _make_room(numbers: p.Numbering) -> p.Numbering:
    """Double the tables where they may not hold the next row."""
    size, needed = len(numbers.parents), int(numbers.begun[0]) + numbers.line.shape[1]
    if size >= needed:
        return numbers
    tables = (numbers.parents, numbers.sizes, numbers.codes)
    more = max(size, needed - size)
    grown = [np.concatenate([table, np.empty(more, dtype=table.dtype)]) for table in tables]
    return numbers._replace(parents=grown[0], sizes=grown[1], codes=grown[2])


def _write(
    source: ClassMap,
    out: Path | str,
    strips: Callable[[], Iterable[Strip]],
    *,
    folder: Path | str,
    overwrite: bool,
) -> Sieved:
    """Write strips as a map with its style and names, all or none."""
    target = Path(out)
    if target.suffix.lower() not in SUFFIXES:
        raise OutputError(f"--out {str(out)!r} is not named as a GeoTIFF; end it in .tif")
    paths = (target.with_suffix(".qml"), target.with_name(target.name + ".aux.xml"), target)
    for path in paths:
        check_output(path, overwrite=overwrite, kind="file", inputs=[folder, source.path])
    with ExitStack() as stack:
        style, names, whole = (
            stack.enter_context(publish_file(path, overwrite=overwrite)) for path in paths
        )
        write_qml(style, legend=source.legend)
        write_category_names(names, legend=source.legend)
        pixels, changed = _write_classes(source, whole, strips())
    return Sieved(target, pixels, changed)


def _write_classes(source: ClassMap, path: Path, strips: Iterable[Strip]) -> tuple[int, int]:
    """Write the raster; returns how many pixels have a class, and another one than before."""
    pixels = changed = 0
    layout, nodata = class_layout(source.legend), np.uint8(source.legend.nodata)
    with CheckedRaster(path, source.scene.grid, layout=layout) as raster:
        for window, before, after in strips:
            pixels += int((before != NODATA).sum())
            changed += int((before != after).sum())
            raster.write(window, np.where(after == NODATA, nodata, after)[None])
    return pixels, changed
