"""Floods from points through like pixels, compiled; apart, since numba is slow to import."""

from __future__ import annotations

import numba
import numpy as np

_CONTESTED = -2


@numba.njit(nogil=True, cache=True)
def flood(features, valid, points, label, radius, tolerance, worst):  # type: ignore[no-untyped-def]  # numba's types
    """Flood from each point and settle who gets a pixel that several reach.

    Args:
        features: float32 `[row, col, feature]`, contiguous.
        valid: `[row, col]`.
        points: int64 `[n, 2]`: (row, col).
        label: int64 `[n]`.
        radius: Farthest pixel from its point.
        tolerance: Largest difference from the point.
        worst: Differences are the largest of all features instead of their root mean square.

    Returns:
        Positions of points `[row, col]`, below 0 where unlabelled, and float32 differences from
        that point `[row, col]`.
    """
    rows, cols = valid.shape
    point = np.full((rows, cols), -1, np.int64)
    near = np.zeros((rows, cols), np.float32)
    reach = min(int(radius), max(rows, cols))
    side = 2 * reach + 1
    seen = np.full((side, side), -1, np.int64)
    queue = np.empty((side * side, 2), np.int64)
    for index in range(len(points)):
        row, col = points[index]
        seen[reach, reach] = index
        queue[0] = row, col
        _claim(point, near, row, col, index, np.float32(0), points, label)
        first, last = 0, 1
        while first < last:
            for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                r, c = queue[first, 0] + down, queue[first, 1] + right
                dr, dc = r - row, c - col
                if r < 0 or c < 0 or r >= rows or c >= cols or dr * dr + dc * dc > radius * radius:
                    continue
                if not valid[r, c] or seen[dr + reach, dc + reach] == index:
                    continue
                seen[dr + reach, dc + reach] = index
                gap = _differ(features[r, c], features[row, col], worst)
                if gap <= tolerance:
                    queue[last] = r, c
                    last += 1
                    _claim(point, near, r, c, index, gap, points, label)
            first += 1
    return point, near


@numba.njit(nogil=True, cache=True, inline="always")
def _differ(one, other, worst):  # type: ignore[no-untyped-def]  # numba's types
    most, total = np.float32(0), np.float32(0)
    for feature in range(len(one)):
        gap = abs(one[feature] - other[feature])
        most = max(most, gap)
        total += gap * gap
    return most if worst else np.sqrt(total / np.float32(len(one)))


@numba.njit(nogil=True, cache=True, inline="always")
def _claim(point, near, row, col, index, gap, points, label):  # type: ignore[no-untyped-def]  # numba's types
    """Let a point have a pixel if it is the first, or the better one of its class."""
    owner = point[row, col]
    if owner == _CONTESTED:
        return
    if owner >= 0 and label[owner] != label[index]:
        point[row, col] = _CONTESTED
        return
    if owner >= 0:
        old = (row - points[owner, 0]) ** 2 + (col - points[owner, 1]) ** 2
        new = (row - points[index, 0]) ** 2 + (col - points[index, 1]) ** 2
        if gap > near[row, col] or (gap == near[row, col] and new >= old):
            return
    point[row, col] = index
    near[row, col] = gap
