"""Which pixels lie on a link, whether their colours allow it, and for whom they are claimed."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from landvisor.labels.link_ledger import Ledger, claim, make_room

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


@numba.njit(nogil=True, cache=True)
def draw_lines(ledger, sites, first, second, cols, factor):  # type: ignore[no-untyped-def]  # numba's types
    """Claim the pixels between the ends of links for their class.

    Args:
        ledger: What claims are entered in.
        sites: The places.
        first: `[link]`: position of one end among the places.
        second: `[link]`: position of the other.
        cols: Of the scene.
        factor: Confidence of a pixel beside that of the less sure end.

    Returns:
        The ledger with the claims.
    """
    slots, used = ledger
    for link in range(len(first)):
        a, b = first[link], second[link]
        weight = np.float32(min(sites.weight[a], sites.weight[b]) * factor)
        length = _length(sites.pixels[a], sites.pixels[b])
        slots = make_room(slots, used, length)
        for step in range(1, length):
            r, c, also_r, also_c = _pixel(sites.pixels[a], sites.pixels[b], step)
            near, place = _nearer(sites, r, c, a, b)
            used += claim(slots, r * cols + c, sites.label[a], near, place, weight)
            if also_r != r or also_c != c:
                near, place = _nearer(sites, also_r, also_c, a, b)
                used += claim(slots, also_r * cols + also_c, sites.label[a], near, place, weight)
    return Ledger(slots, used)


@numba.njit(nogil=True, cache=True)
def claim_pixels(ledger, sites, pixels, places, cols, factor):  # type: ignore[no-untyped-def]  # numba's types
    """Claim pixels `[m, 2]` (row, col) for places `[m]`; returns the ledger."""
    slots, used = ledger
    slots = make_room(slots, used, len(places))
    for at in range(len(places)):
        r, c, own = pixels[at, 0], pixels[at, 1], places[at]
        near, _ = _nearer(sites, r, c, own, own)
        weight = np.float32(sites.weight[own] * factor)
        used += claim(slots, r * cols + c, sites.label[own], near, own, weight)
    return Ledger(slots, used)


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
def _nearer(sites, r, c, a, b):  # type: ignore[no-untyped-def]  # numba's types
    """Return how far the nearer of two places is, squared, and which it is."""
    to_a = (r - sites.coords[a, 0]) ** 2 + (c - sites.coords[a, 1]) ** 2
    to_b = (r - sites.coords[b, 0]) ** 2 + (c - sites.coords[b, 1]) ** 2
    if to_a == to_b:
        return to_a, min(a, b)
    return (to_a, a) if to_a < to_b else (to_b, b)
