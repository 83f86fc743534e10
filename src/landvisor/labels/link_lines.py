"""Which pixels lie on a link, whether their colours allow it, and who claims each pixel."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from landvisor.geo.tiling import Window

FREE, CLASH, TAKEN = -1, -2, -3
KEPT, OFF_COLOUR, NO_DATA = 0, 1, 2  # a link has the largest of its pixels


class Sites(NamedTuple):
    """Places as compiled loops take them.

    Attributes:
        coords: float64 `[n, 2]`: (row, col), sub-pixel.
        pixels: int64 `[n, 2]`: the pixel that each lies in.
        label: int64 `[n]`: class id.
        weight: float64 `[n]`: confidence.
    """

    coords: NDArray[np.float64]
    pixels: NDArray[np.int64]
    label: NDArray[np.int64]
    weight: NDArray[np.float64]


class Canvas(NamedTuple):
    """Claims to the pixels of a window, all arrays `[row, col]`.

    Attributes:
        corner: int64 `[2]`: (row, col) of the window's first pixel.
        label: int16: class that claims the pixel; `FREE`, `CLASH` between classes, or `TAKEN`
            by a place. The other arrays hold nothing where it is below 0.
        near: float64: squared distance to the place that the claim comes from.
        place: int64: that place; of several, the nearest, then the surest, then the first.
        weight: float64: confidence of the claim.
    """

    corner: NDArray[np.int64]
    label: NDArray[np.int16]
    near: NDArray[np.float64]
    place: NDArray[np.int64]
    weight: NDArray[np.float64]


def blank_canvas(window: Window, pixels: NDArray[np.int64]) -> Canvas:
    """Make a canvas where the pixels `[n, 2]` that places lie in are taken."""
    corner = np.array([window.row, window.col])
    label = np.full(window.shape, FREE, dtype=np.int16)
    rows, cols = (pixels - corner).T
    inside = (rows >= 0) & (rows < window.rows) & (cols >= 0) & (cols < window.cols)
    label[rows[inside], cols[inside]] = TAKEN
    return Canvas(
        corner,
        label,
        np.empty(window.shape),
        np.empty(window.shape, dtype=np.int64),
        np.empty(window.shape),
    )


@numba.njit(nogil=True, cache=True)
def draw_lines(canvas, sites, first, second, factor):  # type: ignore[no-untyped-def]  # numba's types
    """Claim the pixels between the ends of links for their class.

    Args:
        canvas: What is drawn on; lines are cut off at its edges.
        sites: The places.
        first: `[link]`: position of one end.
        second: `[link]`: position of the other.
        factor: Confidence of a pixel beside that of the less sure end.
    """
    for link in range(len(first)):
        a, b = first[link], second[link]
        weight = min(sites.weight[a], sites.weight[b]) * factor
        for step in range(1, _length(sites.pixels[a], sites.pixels[b])):
            r, c, also_r, also_c = _pixel(sites.pixels[a], sites.pixels[b], step)
            _claim_nearer(canvas, sites, r, c, a, b, weight)
            if also_r != r or also_c != c:
                _claim_nearer(canvas, sites, also_r, also_c, a, b, weight)


@numba.njit(nogil=True, cache=True)
def claim_pixels(canvas, sites, pixels, place, factor):  # type: ignore[no-untyped-def]  # numba's types
    """Claim pixels `[m, 2]` (row, col) of a canvas for the places `[m]`."""
    for at in range(len(place)):
        own = place[at]
        _claim_nearer(
            canvas, sites, pixels[at, 0], pixels[at, 1], own, own, sites.weight[own] * factor
        )


@numba.njit(nogil=True, cache=True)
def check_lines(data, valid, corner, first, second, limit):  # type: ignore[no-untyped-def]  # numba's types
    """Say for each link whether a pixel on it leaves the colours of its ends.

    Args:
        data: `[band, row, col]` of a window that holds the links.
        valid: `[row, col]`: False is no data.
        corner: `[2]`: (row, col) of the window's first pixel.
        first: `[link, 2]`: pixel of one end.
        second: `[link, 2]`: pixel of the other.
        limit: `[band]`: how far a value may lie below or above both ends.

    Returns:
        uint8 `[link]`: `KEPT`, `NO_DATA` or `OFF_COLOUR`.
    """
    status = np.zeros(len(first), np.uint8)
    for link in range(len(first)):
        a, b = first[link] - corner, second[link] - corner
        for step in range(_length(a, b) + 1):
            r, c, also_r, also_c = _pixel(a, b, step)
            status[link] = max(
                status[link],
                _check_pixel(data, valid, a, b, r, c, limit),
                _check_pixel(data, valid, a, b, also_r, also_c, limit),
            )
            if status[link] == NO_DATA:
                break
    return status


@numba.njit(nogil=True, cache=True)
def _check_pixel(data, valid, a, b, r, c, limit):  # type: ignore[no-untyped-def]  # numba's types
    if not valid[r, c]:
        return NO_DATA
    for band in range(len(data)):
        one, other, here = data[band, a[0], a[1]], data[band, b[0], b[1]], data[band, r, c]
        if here < min(one, other) - limit[band] or here > max(one, other) + limit[band]:
            return OFF_COLOUR
    return KEPT


@numba.njit(nogil=True, cache=True)
def _length(a, b):  # type: ignore[no-untyped-def]  # numba's types
    return max(abs(b[0] - a[0]), abs(b[1] - a[1]))


@numba.njit(nogil=True, cache=True)
def _pixel(a, b, step):  # type: ignore[no-untyped-def]  # numba's types
    """Return the pixel of a line, or the two, `step` pixels along its longer axis.

    The pixel whose centre is nearest to the line is taken; where two are, the one towards the
    nearer end, and in the very middle both: so a line is the same from either end, and turns
    and mirrors with its ends.
    """
    rows, cols = b[0] - a[0], b[1] - a[1]
    if abs(rows) >= abs(cols):
        low, high = _offsets(step, abs(rows), cols)
        along = a[0] + (step if rows > 0 else -step)
        return along, a[1] + low, along, a[1] + high
    low, high = _offsets(step, abs(cols), rows)
    along = a[1] + (step if cols > 0 else -step)
    return a[0] + low, along, a[0] + high, along


@numba.njit(nogil=True, cache=True)
def _offsets(step, length, across):  # type: ignore[no-untyped-def]  # numba's types
    """Round `step * across / length`, a half towards the nearer end, both ways in the middle."""
    if length == 0:
        return 0, 0
    doubled = 2 * step * across + length
    high = doubled // (2 * length)
    if doubled != high * 2 * length:
        return high, high
    if 2 * step == length:
        return high - 1, high
    inner = high - 1 if (across > 0) == (2 * step < length) else high
    return inner, inner


@numba.njit(nogil=True, cache=True)
def _claim_nearer(canvas, sites, r, c, a, b, weight):  # type: ignore[no-untyped-def]  # numba's types
    row, col = r - canvas.corner[0], c - canvas.corner[1]
    if not (0 <= row < canvas.label.shape[0] and 0 <= col < canvas.label.shape[1]):
        return
    held = canvas.label[row, col]
    if held in (CLASH, TAKEN):
        return
    if held != FREE and held != sites.label[a]:
        canvas.label[row, col] = CLASH
        return
    to_a = (r - sites.coords[a, 0]) ** 2 + (c - sites.coords[a, 1]) ** 2
    to_b = (r - sites.coords[b, 0]) ** 2 + (c - sites.coords[b, 1]) ** 2
    near = min(to_a, to_b)
    place = a if to_a < to_b else b if to_b < to_a else min(a, b)
    if held != FREE and (near, -weight, place) >= (
        canvas.near[row, col],
        -canvas.weight[row, col],
        canvas.place[row, col],
    ):
        return
    canvas.label[row, col] = sites.label[a]
    canvas.near[row, col] = near
    canvas.weight[row, col] = weight
    canvas.place[row, col] = place
