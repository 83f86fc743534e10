"""Which places of one class lie close together with no other class between them."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from landvisor.errors import PointsError
from landvisor.geo.places import Places

MOST_LINKS = 20_000_000  # 16 bytes each; beyond it a distance was surely mistaken
_ROOM = 1 + 1e-9  # cells a little larger than the distance, so that rounding skips none
_TOUCH = 1e-9  # square pixels: far above the rounding of coordinates, far below a pixel


class Links(NamedTuple):
    """Pairs of places of one class with no other class between them.

    Attributes:
        first: int64 `[link]`: position of one end among the places.
        second: int64 `[link]`: position of the other end.
        pairs: How many pairs of one class lie within the distance.
        near_other: How many of them pass as near to another class as to their ends.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    pairs: int
    near_other: int


def find_links(places: Places, distance: float) -> Links:
    """Find pairs of places of one class that no other class comes between.

    A pair is refused if, at some point of the segment between its places, a place of another
    class is as near as the nearer of the two. On the half of the segment that is nearer to `a`,
    |q−a|² − |q−o|² is linear in q and thus largest at its ends, and at `a` it is not above 0; so
    the middle m decides: the pair is refused if |m−o| ≤ |m−a|, that is if `o` lies in the closed
    disc with diameter ab, that is if (a−o)·(b−o) ≤ 0.

    Links of two classes never cross. The ends of two segments that cross are the corners of a
    convex quadrangle with the segments as diagonals. Its angles sum to 360°, so that one is at
    least 90°: that corner, an end of one segment, sees the other under this angle and lies in its
    disc. An end on the other segment sees it under 180°.

    Such an `o` is no farther from `a` than `b` is, so that neighbours within the distance tell
    all. They are found in places sorted by cells of that side: n log n for the order, and
    then a number of steps that grows with the pairs found.

    Args:
        places: Places of one scene.
        distance: Farthest places that are paired, in pixels.

    Raises:
        PointsError: If there are more links than memory should hold.

    References:
        Gabriel and Sokal (1969), A new statistical approach to geographic variation analysis,
        doi:10.2307/2412323: the disc, here empty of other classes instead of all points.
        Bentley, Stanat and Williams (1977), The complexity of finding fixed-radius near
        neighbors, doi:10.1016/0020-0190(77)90070-9: the cells.
    """
    if not len(places):
        return Links(np.zeros(0, np.int64), np.zeros(0, np.int64), 0, 0)
    coords = np.ascontiguousarray(places.coords)
    cells = np.floor((coords - coords.min(axis=0)) / (distance * _ROOM))
    stride = int(cells[:, 1].max()) + 3  # neighbours of a row's ends stay off the next row
    key = (cells[:, 0] * stride + cells[:, 1]).astype(np.int64)
    order = np.argsort(key)
    first, second, pairs, near_other = _sweep(
        coords[order], places.label[order], key[order], stride, distance, MOST_LINKS
    )
    if len(first) > MOST_LINKS:
        raise PointsError(
            f"more than {MOST_LINKS} links among {len(places)} places within {distance:g} pixels; "
            "need fewer: lower the distance, or link fewer places"
        )
    return Links(order[first], order[second], pairs, near_other)


@numba.njit(nogil=True, cache=True)
def _sweep(coords, label, key, stride, distance, most):  # type: ignore[no-untyped-def]  # numba's types
    """Walk through the cells in order, each place looking at its own and the eight around it."""
    count = len(key)
    first = np.empty(count, np.int64)
    second = np.empty(count, np.int64)
    others = np.empty(count, np.int64)
    begin = np.zeros(3, np.int64)  # first places of the cells above, beside and below
    found = pairs = refused = 0
    for a in range(count):
        for side in range(3):
            while begin[side] < count and key[begin[side]] < key[a] + (side - 1) * stride - 1:
                begin[side] += 1
        known = -1
        for side in range(1, 3):
            b = max(begin[side], a + 1)
            while b < count and key[b] <= key[a] + (side - 1) * stride + 1:
                if label[b] == label[a] and _squared(coords, a, b) <= distance * distance:
                    if known < 0:
                        known = _gather(label, key, stride, a, begin, others)
                    pairs += 1
                    if _parted(coords, a, b, others, known):
                        refused += 1
                    else:
                        if found == len(first):
                            first = np.concatenate((first, np.empty_like(first)))
                            second = np.concatenate((second, np.empty_like(second)))
                        first[found], second[found] = a, b
                        found += 1
                b += 1
        if found > most:
            break
    return first[:found], second[:found], pairs, refused


@numba.njit(nogil=True, cache=True)
def _gather(label, key, stride, a, begin, others):  # type: ignore[no-untyped-def]  # numba's types
    """List the places of other classes in the cells around a place."""
    known = 0
    for side in range(3):
        o = begin[side]
        while o < len(key) and key[o] <= key[a] + (side - 1) * stride + 1:
            if label[o] != label[a]:
                others[known] = o
                known += 1
            o += 1
    return known


@numba.njit(nogil=True, cache=True)
def _parted(coords, a, b, others, known):  # type: ignore[no-untyped-def]  # numba's types
    for o in others[:known]:
        rows = (coords[a, 0] - coords[o, 0]) * (coords[b, 0] - coords[o, 0])
        cols = (coords[a, 1] - coords[o, 1]) * (coords[b, 1] - coords[o, 1])
        if rows + cols <= _TOUCH:
            return True
    return False


@numba.njit(nogil=True, cache=True)
def _squared(coords, a, b):  # type: ignore[no-untyped-def]  # numba's types
    rows = coords[a, 0] - coords[b, 0]
    cols = coords[a, 1] - coords[b, 1]
    return rows * rows + cols * cols
