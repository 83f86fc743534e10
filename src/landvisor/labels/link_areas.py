"""Which pixels lie round linked places, and which place each belongs to."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from landvisor.geo.tiling import Window
from landvisor.labels.link_ledger import CLASH, FREE
from landvisor.labels.link_lines import Sites

_EDGE = 1e-9  # pixels: what lies on the edge of a hull belongs to it, whatever rounding did
_CORNERS = 3


class Claims(NamedTuple):
    """Pixels that belong to a place if their colours allow it.

    Attributes:
        pixels: int64 `[m, 2]`: (row, col).
        place: int64 `[m]`: nearest place of all.
        palette: int64 `[m]`: which range of colours to compare with: its place's, or its group's.
    """

    pixels: NDArray[np.int64]
    place: NDArray[np.int64]
    palette: NDArray[np.int64]


_NOTHING = np.zeros(0, dtype=np.int64)
NO_CLAIMS = Claims(_NOTHING.reshape(0, 2), _NOTHING, _NOTHING)


class Hulls(NamedTuple):
    """Convex hulls of groups of linked places that hold no place of another class.

    Attributes:
        corners: float64 `[corner, 2]`: (row, col), hull after hull.
        start: int64 `[hull + 1]`: where the corners of each begin.
        label: int64 `[hull]`: class id.
        group: int64 `[hull]`: the group of places.
    """

    corners: NDArray[np.float64]
    start: NDArray[np.int64]
    label: NDArray[np.int64]
    group: NDArray[np.int64]


def claim_discs(
    window: Window, *, sites: Sites, linked: NDArray[np.bool_], radius: float
) -> Claims:
    """Give the pixels within a radius of linked places to the nearest place.

    Pixels whose nearest place is not linked, or that are as near to two classes, are left out;
    those that are as near to several places of one class are claimed for each that is linked.

    Args:
        window: Pixels to share out.
        sites: All places: those that are not linked hold their ground too.
        linked: `[n]`: which places have a link.
        radius: In pixels.
    """
    first = np.array([window.row, window.col])
    last = first + np.array(window.shape) - 1
    near = ((sites.coords >= first - radius) & (sites.coords <= last + radius)).all(axis=1)
    if not (near & linked).any():
        return NO_CLAIMS
    pixels, place = _share_discs(sites, np.flatnonzero(near), linked, first, window.shape, radius)
    return Claims(pixels, place, place)


def claim_hulls(window: Window, *, sites: Sites, hulls: Hulls, tree: cKDTree) -> Claims:
    """Give the pixels in hulls to the nearest place where it has the hull's class.

    Args:
        window: Pixels to share out.
        sites: All places.
        hulls: From `find_hulls`.
        tree: The coordinates of all places.
    """
    if not len(hulls.label):
        return NO_CLAIMS
    pixels, hull = _fill_hulls(hulls, np.array([window.row, window.col]), window.shape)
    place = _find_nearest(tree, sites, pixels)
    kept = (place >= 0) & (sites.label[place] == hulls.label[hull])
    return Claims(pixels[kept], place[kept], hulls.group[hull[kept]])


def group_places(
    count: int, first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Number the groups that links make of places; returns the group of each `[n]`."""
    links = coo_array((np.ones(len(first), dtype=bool), (first, second)), shape=(count, count))
    return np.asarray(connected_components(links, directed=False)[1], dtype=np.int64)


def find_hulls(sites: Sites, group: NDArray[np.int64]) -> Hulls:
    """Find the convex hulls of groups, without flat ones and those that hold another class.

    References:
        Andrew (1979), Another efficient algorithm for convex hulls in two dimensions,
        doi:10.1016/0020-0190(79)90072-3.
    """
    rows, cols = sites.coords.T
    order = np.lexsort((cols, rows, group))
    sizes = np.bincount(group)
    many = np.flatnonzero(sizes >= _CORNERS)
    begin = (np.cumsum(sizes) - sizes)[many]
    corners, start = _wrap_groups(sites.coords[order], begin, begin + sizes[many])
    label = sites.label[order[begin]]
    by_row = np.argsort(rows, kind="stable")
    clear = _find_clear(corners, start, label, sites.coords[by_row], sites.label[by_row])
    sides = np.diff(start)
    kept = clear & (sides >= _CORNERS)
    ends = np.concatenate([[0], np.cumsum(sides[kept])])
    return Hulls(corners[np.repeat(kept, sides)], ends, label[kept], many[kept])


def _find_nearest(tree: cKDTree, sites: Sites, pixels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the nearest place of each pixel, the surest of several; -1 between two classes."""
    place = np.full(len(pixels), -1)
    left, asked = np.arange(len(pixels)), 2
    while len(left):
        many = min(asked, tree.n)
        distance, found = tree.query(pixels[left], k=np.arange(1, many + 1))
        level = distance == distance[:, :1]
        label = sites.label[found]
        one_class = ((label == label[:, :1]) | ~level).all(axis=1)
        weight = np.where(level, sites.weight[found], 0)
        best = np.where(weight == weight.max(axis=1, keepdims=True), found, tree.n).min(axis=1)
        # More places may be as near where all that were asked for are.
        open_ended = level.all(axis=1) & (many < tree.n)
        settled = one_class & ~open_ended
        place[left[settled]] = best[settled]
        left = left[one_class & open_ended]
        asked *= 4
    return place


@numba.njit(nogil=True, cache=True)
def _share_discs(sites, ids, linked, corner, shape, radius):  # type: ignore[no-untyped-def]  # numba's types
    """List the pixels (row, col) of a window with each linked place that is nearest to them."""
    near, label = _measure_discs(sites, ids, corner, shape, radius)
    pixels = np.empty((1024, 2), np.int64)
    place = np.empty(1024, np.int64)
    used = 0
    for own in ids[linked[ids]]:
        top, bottom, left, right = _bound_disc(sites, own, corner, shape, radius)
        while used + (bottom - top) * (right - left) > len(place):
            pixels = np.concatenate((pixels, np.empty_like(pixels)))
            place = np.concatenate((place, np.empty_like(place)))
        for row in range(top, bottom):
            for col in range(left, right):
                far = _square(sites, own, row + corner[0], col + corner[1])
                if far <= radius * radius and far == near[row, col] and label[row, col] != CLASH:
                    pixels[used, 0], pixels[used, 1], place[used] = row, col, own
                    used += 1
    return pixels[:used] + corner, place[:used]


@numba.njit(nogil=True, cache=True)
def _measure_discs(sites, ids, corner, shape, radius):  # type: ignore[no-untyped-def]  # numba's types
    """Return the squared distance to the nearest place, and its class, within the radius."""
    near = np.full(shape, np.inf)
    label = np.full(shape, FREE, np.int16)
    for own in ids:
        top, bottom, left, right = _bound_disc(sites, own, corner, shape, radius)
        for row in range(top, bottom):
            for col in range(left, right):
                far = _square(sites, own, row + corner[0], col + corner[1])
                if far <= radius * radius and far <= near[row, col]:
                    level = far == near[row, col] and label[row, col] != sites.label[own]
                    label[row, col] = CLASH if level else sites.label[own]
                    near[row, col] = far
    return near, label


@numba.njit(nogil=True, cache=True)
def _square(sites, own, row, col):  # type: ignore[no-untyped-def]  # numba's types
    return (row - sites.coords[own, 0]) ** 2 + (col - sites.coords[own, 1]) ** 2


@numba.njit(nogil=True, cache=True)
def _bound_disc(sites, own, corner, shape, radius):  # type: ignore[no-untyped-def]  # numba's types
    """Return the rows and the columns of a window that a disc may reach, ends excluded."""
    row, col = sites.coords[own]
    top, bottom = _cut(row - radius, row + radius, corner[0], shape[0])
    left, right = _cut(col - radius, col + radius, corner[1], shape[1])
    return top, bottom, left, right


@numba.njit(nogil=True, cache=True)
def _cut(low, high, first, length):  # type: ignore[no-untyped-def]  # numba's types
    """Return the first pixel of a stretch and the one behind its last, within a window."""
    return max(0, int(np.floor(low)) - first), min(length, int(np.ceil(high)) + 1 - first)


@numba.njit(nogil=True, cache=True)
def _wrap_groups(coords, begin, end):  # type: ignore[no-untyped-def]  # numba's types
    """Wrap each group of places, sorted by row and col, into its convex hull."""
    corners = np.empty((2 * len(coords) + 2, 2))
    start = np.zeros(len(begin) + 1, np.int64)
    used = 0
    for group in range(len(begin)):
        for turn in range(2):  # there along one side, back along the other
            floor = used
            for step in range(end[group] - begin[group]):
                at = begin[group] + step if turn == 0 else end[group] - 1 - step
                row, col = coords[at, 0], coords[at, 1]
                while used - floor >= 2 and _turn(corners, used, row, col) <= 0:
                    used -= 1
                corners[used, 0], corners[used, 1] = row, col
                used += 1
            used -= 1  # the last one begins the other side
        start[group + 1] = used
    return corners[:used], start


@numba.njit(nogil=True, cache=True)
def _turn(corners, used, row, col):  # type: ignore[no-untyped-def]  # numba's types
    """Return twice the area that the last side and a corner span; above 0 is one way round."""
    top, left = corners[used - 2, 0], corners[used - 2, 1]
    one = (corners[used - 1, 0] - top) * (col - left)
    return one - (corners[used - 1, 1] - left) * (row - top)


@numba.njit(nogil=True, cache=True)
def _find_clear(corners, start, label, coords, labels):  # type: ignore[no-untyped-def]  # numba's types
    """Tell which hulls hold no place of another class; places come sorted by row."""
    clear = np.ones(len(label), np.bool_)
    for hull in range(len(label)):
        top, bottom, left, right = _box(corners, start[hull], start[hull + 1])
        at = np.searchsorted(coords[:, 0], top)
        while clear[hull] and at < len(coords) and coords[at, 0] <= bottom:
            col = coords[at, 1]
            if labels[at] != label[hull] and left <= col <= right:
                low, high = _span(corners, start[hull], start[hull + 1], coords[at, 0])
                clear[hull] = col < low - _EDGE or col > high + _EDGE
            at += 1
    return clear


@numba.njit(nogil=True, cache=True)
def _fill_hulls(hulls, corner, shape):  # type: ignore[no-untyped-def]  # numba's types
    """List the pixels (row, col) of a window that lie in each hull, and that hull."""
    pixels = np.empty((1024, 2), np.int64)
    owner = np.empty(1024, np.int64)
    used = 0
    for hull in range(len(hulls.label)):
        first, last = hulls.start[hull], hulls.start[hull + 1]
        top, bottom, _, _ = _box(hulls.corners, first, last)
        begin = max(corner[0], int(np.ceil(top)))
        end = min(corner[0] + shape[0] - 1, int(np.floor(bottom)))
        for row in range(begin, end + 1):
            low, high = _span(hulls.corners, first, last, row)
            left = max(corner[1], int(np.ceil(low - _EDGE)))
            right = min(corner[1] + shape[1] - 1, int(np.floor(high + _EDGE)))
            while used + right - left >= len(owner):
                pixels = np.concatenate((pixels, np.empty_like(pixels)))
                owner = np.concatenate((owner, np.empty_like(owner)))
            for col in range(left, right + 1):
                pixels[used, 0], pixels[used, 1], owner[used] = row, col, hull
                used += 1
    return pixels[:used], owner[:used]


@numba.njit(nogil=True, cache=True)
def _box(corners, first, last):  # type: ignore[no-untyped-def]  # numba's types
    """Return the top, bottom, left and right of a hull."""
    top = bottom = corners[first, 0]
    left = right = corners[first, 1]
    for at in range(first + 1, last):
        top, bottom = min(top, corners[at, 0]), max(bottom, corners[at, 0])
        left, right = min(left, corners[at, 1]), max(right, corners[at, 1])
    return top, bottom, left, right


@numba.njit(nogil=True, cache=True)
def _span(corners, first, last, row):  # type: ignore[no-untyped-def]  # numba's types
    """Return the first and the last column of a convex hull in a row that it reaches."""
    low, high = np.inf, -np.inf
    for at in range(first, last):
        before = at - 1 if at > first else last - 1
        upper, lower = corners[before, 0], corners[at, 0]
        left, right = corners[before, 1], corners[at, 1]
        if not min(upper, lower) <= row <= max(upper, lower):
            continue
        if upper == lower:
            low, high = min(low, left, right), max(high, left, right)
        else:
            col = left + (row - upper) / (lower - upper) * (right - left)
            low, high = min(low, col), max(high, col)
    return low, high
