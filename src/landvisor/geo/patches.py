"""Which patches a class raster holds: their outlines, pixels and areas, found row by row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.geo import patches_sweep as s
from landvisor.geo.class_map import NODATA
from landvisor.geo.patches_rings import measure_rings, write_rings

_FIRST_NODES, _FIRST_PATCHES = 1 << 16, 1 << 12  # tables grow as they must


@dataclass(frozen=True)
class Threshold:
    """Which patches are too small.

    Attributes:
        pixels: A patch of fewer pixels is.
        area: A patch of less area is, in square metres.
    """

    pixels: int = 0
    area: float = 0.0

    def keeps(self, pixels: NDArray[np.int64], area: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which patches `[n]` are large enough."""
        return np.asarray((pixels >= self.pixels) & (area >= self.area))


@dataclass(frozen=True)
class Outlines:
    """Patches of a class raster as polygons in pixel space.

    Attributes:
        code: uint8 `[n]`: class id.
        pixels: int64 `[n]`.
        area: float64 `[n]`: sum of what was given as its pixels' areas.
        corners: int32 `[places, 2]`: (row, col) on the lattice of pixel corners, 0 being the
            raster's own border; ring after ring, each ending where it began, a patch's outer
            border before its holes.
        ring_ends: int64 `[rings + 1]`: where in `corners` rings begin and end.
        patch_ends: int64 `[n + 1]`: where in the rings patches begin and end.
        left_out: How many patches were too small.
    """

    code: NDArray[np.uint8]
    pixels: NDArray[np.int64]
    area: NDArray[np.float64]
    corners: NDArray[np.int32]
    ring_ends: NDArray[np.int64]
    patch_ends: NDArray[np.int64]
    left_out: int

    def __len__(self) -> int:
        return len(self.code)


def trace_patches(
    strips: Iterable[tuple[NDArray[np.uint8], NDArray[np.float64]]],
    cols: int,
    *,
    smallest: Threshold | None = None,
) -> Iterator[Outlines]:
    """Trace the patches of a raster whose pixels hang together by their sides.

    Memory holds a strip and the outlines of patches that are not finished, whatever the raster's
    height. The patches, their order and their corners do not depend on how it is cut into strips.

    Args:
        strips: From top to bottom, codes `[row, col]` with `NODATA` for no data,
            and the area of each pixel, of the same shape.
        cols: Pixels of a row.
        smallest: Smaller patches are left out.

    Yields:
        Patches that came to their end, in the order in which they did.
    """
    limit, sweep = smallest or Threshold(), begin_sweep(cols)
    end = np.full((1, cols), NODATA, dtype=np.uint8), np.zeros((1, cols))
    for codes, areas in chain(strips, [end]):
        padded = np.pad(codes, ((0, 0), (1, 1)), constant_values=NODATA)
        at = 0
        while at < len(codes):
            at = s.sweep_rows(sweep, padded, areas, at)
            if sweep.counts[s.FINISHED]:
                yield _drain(sweep, limit)
            sweep = make_room(sweep)


def begin_sweep(cols: int) -> s.Sweep:
    """Make the state of a sweep above the first row."""
    line = np.full((5, cols + 2), -1, dtype=np.int32)
    line[s.CODES] = NODATA
    counts = np.zeros(11, dtype=np.int64)
    nodes = np.empty((_FIRST_NODES, 6), dtype=np.int32)
    patches = np.empty((_FIRST_PATCHES, 9), dtype=np.int64)
    return make_room(s.Sweep(nodes, patches, np.empty(_FIRST_PATCHES), line, counts))


def make_room(sweep: s.Sweep) -> s.Sweep:
    """Double the tables until they hold whatever the next row brings, and are half empty.

    Half, because a table that is nearly full would be emptied after every few rows.
    """
    counts, width = sweep.counts, sweep.line.shape[1]
    nodes = int(counts[s.NODES] - counts[s.FREE_NODES])
    patches = int(counts[s.PATCHES] - counts[s.FREE_PATCHES])
    return sweep._replace(
        nodes=_grow(sweep.nodes, 2 * nodes + 4 * width),
        patches=_grow(sweep.patches, 2 * patches + width),
        areas=_grow(sweep.areas, 2 * patches + width),
    )


def _grow(table: NDArray[Any], needed: int) -> NDArray[Any]:
    size = len(table)
    if size >= needed:
        return table
    larger = np.empty((max(needed, 2 * size), *table.shape[1:]), dtype=table.dtype)
    larger[:size] = table
    return larger


def _drain(sweep: s.Sweep, limit: Threshold) -> Outlines:
    """Take the finished patches out of a sweep."""
    done = sweep.patches[: sweep.counts[s.FINISHED], s.DONE]
    pixels, area = sweep.patches[done, s.PIXELS], sweep.areas[done]
    kept = limit.keeps(pixels, area)
    code = sweep.patches[done, s.CODE].astype(np.uint8)
    most = measure_rings(sweep)
    corners = np.empty((most + most // 4, 2), dtype=np.int32)  # a ring has four corners or more
    ends, rings = np.empty(most // 4, dtype=np.int64), np.empty(len(kept), dtype=np.int64)
    places, count = write_rings(sweep, kept, corners, ends, rings)
    return Outlines(
        code[kept],
        pixels[kept],
        area[kept],
        corners[:places],
        np.concatenate([[0], ends[:count]]),
        np.concatenate([[0], np.cumsum(rings[kept])]),
        len(kept) - int(kept.sum()),
    )
