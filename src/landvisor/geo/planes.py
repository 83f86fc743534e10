"""Which scenes lie on one plane, so that distances between their places are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from odc.geo.geobox import GeoBox

from landvisor.geo.places import Places, map_to_pixels, pixels_to_map

_ALIKE = 0.01  # relative difference of pixel sizes that still is one size


def lay_out(places: Places, grids: Sequence[GeoBox]) -> Places:
    """Carry places to planes: scenes of one CRS and pixel size share one.

    All others have their own.

    Args:
        places: `scene` counts `grids`.
        grids: Of the scenes, in order.

    Returns:
        The same places with `scene` counting planes, named after their first scene, and `coords`
        in pixels of that scene; they may lie off its grid.
    """
    plane = find_planes(grids)
    coords = places.coords.copy()
    for scene in np.unique(places.scene):
        home = plane[scene]
        if home != scene:
            here = places.scene == scene
            xy = pixels_to_map(grids[scene], places.coords[here])
            coords[here] = map_to_pixels(grids[home], xy)
    numbers = np.asarray(plane, dtype=np.int64)[places.scene]
    return replace(places, coords=coords, scene=numbers)


def find_planes(grids: Sequence[GeoBox]) -> list[int]:
    """Return for each grid the first one that it shares a plane with; that may be itself."""
    planes: list[int] = []
    for number, grid in enumerate(grids):
        alike = (first for first in dict.fromkeys(planes) if _share_plane(grids[first], grid))
        planes.append(next(alike, number))
    return planes


def _share_plane(first: GeoBox, second: GeoBox) -> bool:
    if first.crs is None or second.crs is None or first.crs != second.crs:
        return False
    sizes = [abs(grid.affine.determinant) ** 0.5 for grid in (first, second)]
    return bool(abs(sizes[0] - sizes[1]) <= _ALIKE * sizes[0])
