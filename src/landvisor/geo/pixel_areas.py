"""How large each pixel is on the ground, in square metres, and by which method that is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from pyproj.crs import ProjectedCRS
from pyproj.crs.coordinate_operation import LambertAzimuthalEqualAreaConversion

from landvisor.geo.places import pixels_to_map
from landvisor.geo.tiling import Window

# Parts of PROJ's names of projections that keep areas; others are measured, with the same result.
_EQUAL_AREA = ("equal area", "equal earth", "mollweide", "sinusoidal")
_CELL = 10_000.0  # metres; a projection's scale bends so little over them that lines will do
_CELL_PIXELS = 64


@dataclass(frozen=True)
class PixelAreas:
    """The areas of a grid's pixels.

    Attributes:
        method: How they are known, as in "ellipsoidal (WGS 84)".
        read: Gives the areas float64 `[row, col]` of a window, in square metres; read-only.
    """

    method: str
    read: Callable[[Window], NDArray[np.float64]]


def find_pixel_areas(grid: GeoBox) -> PixelAreas | None:
    """Find how large a grid's pixels are; None where no CRS says it.

    In an equal-area projection all pixels have the area that they have on the map. In degrees it
    is that of the ellipsoid between two parallels and two meridians. In any other projection cells
    of up to 64 pixels and 10 km are carried to an equal-area one, and the areas between their
    centres interpolated. What lies off the earth has none.

    References:
        Snyder (1987), Map Projections - A Working Manual, USGS Professional Paper 1395,
        equation 3-12, doi:10.3133/pp1395: `q`, to which the area from the equator to a parallel is
        proportional; equations 24-2 and 24-23 to 24-25: the polar azimuthal equal-area projection.
    """
    crs = _horizontal(grid.crs.proj) if grid.crs is not None else None
    if crs is None or crs.geodetic_crs is None or crs.ellipsoid is None:
        return None
    ellipsoidal = f"ellipsoidal ({crs.ellipsoid.name})"
    if crs.is_geographic and grid.affine.b == 0 == grid.affine.d:
        return PixelAreas(ellipsoidal, partial(_read_degrees, grid=grid, crs=crs))
    projection = crs.coordinate_operation
    name = projection.method_name if projection is not None else ""
    if any(part in name.lower() for part in _EQUAL_AREA) and "spherical" not in name.lower():
        area = abs(grid.affine.determinant) * crs.axis_info[0].unit_conversion_factor ** 2
        return PixelAreas(f"equal-area projection ({name})", partial(_read_same, area=area))
    to_equal = _make_transformer(grid, crs)
    step = _cell_pixels(grid, crs)
    return PixelAreas(ellipsoidal, partial(_read_cells, grid=grid, to_equal=to_equal, step=step))


def parallel_area(latitude: NDArray[np.float64], *, crs: CRS) -> NDArray[np.float64]:
    """Compute the area from the equator to a parallel, per radian of longitude.

    Args:
        latitude: In radians, north positive.
        crs: Its ellipsoid is measured on.

    Returns:
        Square metres, with the sign of the latitude.

    References:
        Snyder (1987), equation 3-12, times a²/2; the logarithm is written as an inverse hyperbolic
        tangent.
    """
    major, minor = crs.ellipsoid.semi_major_metre, crs.ellipsoid.semi_minor_metre
    sine, squared = np.sin(latitude), 1 - (minor / major) ** 2
    if squared == 0:
        return np.asarray(major**2 * sine)
    e = np.sqrt(squared)
    return np.asarray(minor**2 / 2 * (sine / (1 - squared * sine**2) + np.arctanh(e * sine) / e))


def _horizontal(crs: CRS) -> CRS:
    """Strip heights, and what a CRS says of others."""
    if crs.is_compound:
        return _horizontal(crs.sub_crs_list[0])
    return _horizontal(crs.source_crs) if crs.is_bound else crs.to_2d()


def _read_same(window: Window, *, area: float) -> NDArray[np.float64]:
    return np.broadcast_to(area, window.shape)


def _read_degrees(window: Window, *, grid: GeoBox, crs: CRS) -> NDArray[np.float64]:
    unit = crs.axis_info[0].unit_conversion_factor
    edges = grid.affine.f + grid.affine.e * np.arange(window.row, window.row + window.rows + 1)
    edges = np.clip(edges * unit, -np.pi / 2, np.pi / 2)
    rows = np.abs(np.diff(parallel_area(edges, crs=crs))) * abs(grid.affine.a) * unit
    return np.broadcast_to(rows[:, None], window.shape)


def _make_transformer(grid: GeoBox, crs: CRS) -> Transformer:
    """Make the way to an equal-area projection on the same ellipsoid, seen from the nearer pole."""
    rows, cols = grid.shape
    middle = pixels_to_map(grid, np.array([[rows / 2, cols / 2]]))[0]
    degrees = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform(*middle)
    pole = -90 if degrees[1] < 0 else 90
    conversion = LambertAzimuthalEqualAreaConversion(latitude_natural_origin=pole)
    equal = ProjectedCRS(conversion, geodetic_crs=crs.geodetic_crs)
    return Transformer.from_crs(crs, equal, always_xy=True)


def _cell_pixels(grid: GeoBox, crs: CRS) -> int:
    axis = crs.axis_info[0]
    metres = crs.ellipsoid.semi_major_metre if crs.is_geographic else 1.0
    side = np.sqrt(abs(grid.affine.determinant)) * axis.unit_conversion_factor * metres
    return int(np.clip(_CELL / side, 1, _CELL_PIXELS))


def _read_cells(
    window: Window, *, grid: GeoBox, to_equal: Transformer, step: int
) -> NDArray[np.float64]:
    rows = (np.arange(window.row, window.row + window.rows) + 0.5) / step
    cols = (np.arange(window.col, window.col + window.cols) + 0.5) / step
    first_row, first_col = int(rows[0]), int(cols[0])
    shape = int(rows[-1]) - first_row + 2, int(cols[-1]) - first_col + 2
    cells = _measure_cells(first_row, first_col, shape, grid=grid, to_equal=to_equal, step=step)
    return _between(_between(cells, rows - first_row).T, cols - first_col).T


def _measure_cells(
    row: int, col: int, shape: tuple[int, int], *, grid: GeoBox, to_equal: Transformer, step: int
) -> NDArray[np.float64]:
    """Measure the mean pixel of cells whose centres lie `step` apart, from corner (0, 0) on."""
    rows = (np.arange(shape[0] + 1) + row - 0.5) * step - 0.5
    cols = (np.arange(shape[1] + 1) + col - 0.5) * step - 0.5
    corners = np.stack(np.meshgrid(rows, cols, indexing="ij"), axis=-1)
    places = pixels_to_map(grid, corners.reshape(-1, 2))
    x, y = (
        np.reshape(part, corners.shape[:2])
        for part in to_equal.transform(places[:, 0], places[:, 1])
    )
    with np.errstate(invalid="ignore"):
        right, left = x[1:, 1:] - x[:-1, :-1], x[1:, :-1] - x[:-1, 1:]
        up, down = y[1:, :-1] - y[:-1, 1:], y[1:, 1:] - y[:-1, :-1]
        areas = np.abs(right * up - left * down) / 2 / step**2
    return np.asarray(np.where(np.isfinite(areas), areas, 0))


def _between(values: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate along the first axis."""
    first = places.astype(np.int64)
    share = (places - first)[:, None]
    return np.asarray(values[first] * (1 - share) + values[first + 1] * share)
