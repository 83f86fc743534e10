"""Which grid holds several scenes: its CRS, its pixel size, and the lattice it lies on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo import CRS
from odc.geo.geobox import GeoBox
from pyproj.exceptions import CRSError

from landvisor.errors import SceneError
from landvisor.geo.regrid import Regrid
from landvisor.geo.scene import Scene
from landvisor.geo.tiling import Window

Bounds = tuple[float, float, float, float]

_POINTS_PER_EDGE = 64  # straight edges are curves in another CRS
_NEARLY = 0.9  # 10 m pixels of a neighbouring UTM zone are 9.9 m in this one
_MOST_TIMES = 1000  # as wide or narrow as scenes' pixels: more is a mistake in units
_ROUNDING = 1e-6  # of a pixel
_LITTLE = 1e-3  # units of a CRS that tell how long they are where a scene lies
_NOWHERE = "reaches where the CRS of the mosaic has no places; choose another CRS"


def mosaic_grid(
    scenes: Sequence[Scene],
    *,
    crs: str | None = None,
    resolution: float | None = None,
    bounds: Bounds | None = None,
) -> GeoBox:
    """Return the smallest grid that holds all scenes.

    It lies on the lattice of the first scene, so that this one and all on the same lattice are
    shifted and never resampled, unless another CRS or resolution is asked for or a scene has
    pixels less than 0.9 times as wide. Then pixels are square, and lie from the first corner of
    the first scene on, or in another CRS from its origin on.

    Args:
        scenes: At least one; all with a CRS and the same number of bands.
        crs: Anything pyproj understands; that of the first scene by default.
        resolution: Side of a pixel in units of the CRS; that of the finest scene by default.
        bounds: `(left, bottom, right, top)` in the CRS, instead of the scenes' footprints; grown
            to whole pixels.

    Raises:
        SceneError: If a scene has no CRS, none of the CRS's places, or another number of bands, the
            CRS is not known, the resolution is far from that of the scenes, or bounds are empty.
    """
    _check(scenes, resolution, bounds)
    first = scenes[0].grid
    there = GeoBox((1, 1), Affine.scale(_LITTLE), first.crs if crs is None else _read_crs(crs))
    if resolution is not None:
        _check_size(resolution, _finest(scenes, there))
    if there.crs != first.crs:
        lattice = _square(there, resolution or _finest(scenes, there))
    else:
        side, finest = _side(first), _finest(scenes, there)
        wanted = resolution or (side if finest > _NEARLY * side else finest)
        lattice = first if math.isclose(wanted, side) else _square(first, wanted)
    return _grow(lattice, scenes, bounds)


def find_footprint(scene: Scene, grid: GeoBox) -> Window:
    """Return the rectangle of a grid's pixels that a scene lies in, be it beyond the grid.

    Raises:
        SceneError: If the scene reaches where the grid's CRS has no places.
    """
    corners = _outline(scene, grid)
    # Edges that are curves may bulge between the places that were looked at.
    low = np.floor(corners.min(axis=1)).astype(int) - 1
    high = np.ceil(corners.max(axis=1)).astype(int) + 1
    return Window(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))


def _check(scenes: Sequence[Scene], resolution: float | None, bounds: Bounds | None) -> None:
    if not scenes:
        raise SceneError("no scene was given for a mosaic; name at least one")
    for scene in scenes:
        if scene.grid.crs is None:
            raise SceneError(f"scene {scene.name!r} has no CRS; a mosaic needs to know where it is")
        if len(scene.bands) != len(scenes[0].bands):
            raise SceneError(
                f"scene {scene.name!r} has {len(scene.bands)} bands and {scenes[0].name!r} has "
                f"{len(scenes[0].bands)}; a mosaic needs the same in all"
            )
    if resolution is not None and not (0 < resolution < math.inf):
        raise SceneError(f"resolution {resolution!r} was given for a mosaic; need more than 0")
    if bounds is not None and not (bounds[0] < bounds[2] and bounds[1] < bounds[3]):
        raise SceneError(f"bounds {bounds!r} are empty; need left, bottom, right, top")


def _read_crs(text: str) -> CRS:
    try:
        return CRS(text)
    except CRSError as error:
        raise SceneError(
            f"CRS {text!r} was given for a mosaic and is not known; need one as in EPSG:32633"
        ) from error


def _check_size(resolution: float, finest: float) -> None:
    """Refuse what was meant in degrees and is metres, or the other way round."""
    if not 1 / _MOST_TIMES < resolution / finest < _MOST_TIMES:
        raise SceneError(
            f"resolution {resolution:g} was given for a mosaic of scenes with pixels {finest:.3g} "
            "wide in its CRS; need a size like theirs, in units of the CRS (degrees or metres)"
        )


def _finest(scenes: Sequence[Scene], grid: GeoBox) -> float:
    """Return the side of the smallest pixel of any scene in units of a grid's CRS."""
    sides = [
        _side(scene.grid)
        if scene.grid.crs == grid.crs
        else _side(grid) / Regrid(scene.grid, grid).scale
        for scene in scenes
    ]
    for scene, side in zip(scenes, sides, strict=True):
        if not 0 < side < math.inf:
            raise SceneError(f"scene {scene.name!r} {_NOWHERE}")
    return min(sides)


def _side(grid: GeoBox) -> float:
    return math.sqrt(abs(grid.affine.determinant))


def _square(grid: GeoBox, resolution: float) -> GeoBox:
    """Return a pixel of a size whose first corner is that of the grid."""
    corner = Affine.translation(grid.affine.c, grid.affine.f)
    return GeoBox((1, 1), corner @ Affine.scale(resolution, -resolution), grid.crs)


def _grow(lattice: GeoBox, scenes: Sequence[Scene], bounds: Bounds | None) -> GeoBox:
    """Return the part of an endless lattice that holds bounds or the scenes."""
    if bounds is not None:
        left, bottom, right, top = bounds
        x, y = np.array([left, left, right, right]), np.array([bottom, top, bottom, top])
        corners = np.stack((~lattice.affine @ (x, y))[::-1])
    else:
        corners = np.concatenate([_outline(scene, lattice) for scene in scenes], axis=1)
    low = np.floor(corners.min(axis=1) + _ROUNDING).astype(int)
    high = np.ceil(corners.max(axis=1) - _ROUNDING).astype(int)
    shape = tuple(int(side) for side in np.maximum(high - low, 1))
    place = lattice.affine @ Affine.translation(int(low[1]), int(low[0]))
    return GeoBox(shape, place, lattice.crs)


def _outline(scene: Scene, lattice: GeoBox) -> NDArray[np.float64]:
    """Return `[2, n]`: pixel corners (row, col) on a lattice along a scene's border."""
    rows, cols = scene.shape
    along = np.linspace(0, 1, _POINTS_PER_EDGE + 1)
    ends, edge = np.zeros_like(along), np.ones_like(along)
    row = np.concatenate([ends, edge, along, along]) * rows
    col = np.concatenate([along, along, ends, edge]) * cols
    places = Regrid(lattice, scene.grid).locate_corners(np.stack([row, col]))
    if not np.isfinite(places).all():
        raise SceneError(f"scene {scene.name!r} {_NOWHERE}")
    return places
