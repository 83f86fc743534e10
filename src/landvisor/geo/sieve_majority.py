"""Which class most pixels around each one have; compiled, and apart, since numba is slow."""

from __future__ import annotations

import numba
import numpy as np

from landvisor.geo.class_map import NODATA


@numba.njit(nogil=True, cache=True)
def vote(codes, ids, top, rows, size, out):  # type: ignore[no-untyped-def]  # numba's types
    """Give each pixel the class that most of the square window around it has.

    Pixels of no data have no vote and stay; so does a pixel whose own class is among the best. Of
    other equals the lowest id wins. A window ends with the raster.

    Args:
        codes: uint8 `[row, col]`, with the rows above and below that windows reach.
        ids: uint8 `[class]`: the ids that occur, ascending.
        top: First row to write.
        rows: How many to write.
        size: Side of the window, odd.
        out: uint8 `[rows, col]` to fill.
    """
    half, cols = size // 2, codes.shape[1]
    for row in range(rows):
        begin, end = max(0, top + row - half), min(len(codes), top + row + half + 1)
        votes = np.zeros(256, np.int64)
        for col in range(-half, cols):
            if col + half < cols:
                for at in range(begin, end):
                    votes[codes[at, col + half]] += 1
            if col > half:
                for at in range(begin, end):
                    votes[codes[at, col - half - 1]] -= 1
            if col >= 0:
                out[row, col] = _winner(votes, ids, codes[top + row, col])


@numba.njit(nogil=True, cache=True)
def _winner(votes, ids, own):  # type: ignore[no-untyped-def]  # numba's types
    if own == NODATA:
        return own
    best = own
    for code in ids:
        if votes[code] > votes[best]:
            best = code
    return best
