"""Counts of small integers and tables of them, compiled; apart, since numba is slow to import."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(nogil=True, cache=True)
def count(values, valid, size):  # type: ignore[no-untyped-def]  # numba's types
    """Count how often each value occurs among the valid ones.

    Args:
        values: Unsigned integers `[n]`, contiguous.
        valid: bool `[n]`, or None: all count.
        size: One more than the largest value.

    Returns:
        int64 `[size]`.
    """
    counts = np.zeros(size, np.int64)
    for at in range(len(values)):
        counts[values[at]] += 1 if valid is None else np.int64(valid[at])
    return counts


@numba.njit(nogil=True, cache=True)
def count_bytes(words):  # type: ignore[no-untyped-def]  # numba's types
    """Count how often each byte occurs in `words`, uint64 `[n]`: int64 `[256]`.

    Eight bytes are read at once, and an addition seldom waits for that of an equal neighbour.
    """
    lanes, byte = np.zeros((4, 256), np.int64), np.uint64(255)
    for word in words:
        lanes[0, word & byte] += 1
        lanes[1, (word >> np.uint64(8)) & byte] += 1
        lanes[2, (word >> np.uint64(16)) & byte] += 1
        lanes[3, (word >> np.uint64(24)) & byte] += 1
        lanes[0, (word >> np.uint64(32)) & byte] += 1
        lanes[1, (word >> np.uint64(40)) & byte] += 1
        lanes[2, (word >> np.uint64(48)) & byte] += 1
        lanes[3, (word >> np.uint64(56)) & byte] += 1
    return lanes.sum(axis=0)


@numba.njit(nogil=True, cache=True)
def look_up(values, table, out):  # type: ignore[no-untyped-def]  # numba's types
    """Replace each of unsigned integers `[n]` by its entry in a table."""
    for at in range(len(values)):
        out[at] = table[values[at]]
