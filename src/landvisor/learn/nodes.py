"""Every so many rows and columns of a window as nodes, and what lies in between by interpolation.

A node is a pixel of every `stride`th row and column, from the first on.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from landvisor.geo.tiling import Shape

_ONE = np.float32(1)


def read_between(
    values: NDArray[np.float32],
    rows: NDArray[np.float64],
    cols: NDArray[np.float64],
    into: NDArray[np.float32],
) -> None:
    """Read a map between its cells, bilinearly and clamped at its border.

    Args:
        values: `[h, w, channel]`, channels next to each other in memory.
        rows: `[r]`: positions in cells; whole ones are cells.
        cols: `[c]`, likewise.
        into: Becomes what is read, `[r, c, channel]`.
    """
    above, down = _place(rows, values.shape[0])
    left, along = _place(cols, values.shape[1])
    _read(values, above, down, left, along, into)


def fill_between(
    shares: NDArray[np.float32], known: NDArray[np.bool_], *, shape: Shape, stride: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Interpolate what is known at nodes over all pixels.

    A pixel's neighbours that are not known do not count, so nothing comes in from no data.

    Args:
        shares: `[r, c, class]` at the nodes; anything where not known.
        known: `[r, c]`.
        shape: `(rows, cols)` of the window.
        stride: Pixels between nodes.

    Returns:
        float32 `[row, col, class]`, and `[row, col]`: whether a neighbouring node was known.
    """
    rows, cols = (np.arange(size) / stride for size in shape)
    filled = np.empty((*shape, shares.shape[2]), dtype=np.float32)
    if known.all():
        read_between(shares, rows, cols, filled)
        return filled, np.ones(shape, dtype=bool)
    read_between(np.where(known[..., None], shares, np.float32(0)), rows, cols, filled)
    weight = np.empty((*shape, 1), dtype=np.float32)
    read_between(known[..., None].astype(np.float32), rows, cols, weight)
    reached = weight > 0
    filled /= np.where(reached, weight, _ONE)
    return filled, reached[..., 0]


def _place(places: NDArray[np.float64], cells: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return for each place the cell before it, and how far it is on the way to the next."""
    clamped = np.clip(places, 0, cells - 1)
    before = np.minimum(clamped.astype(np.intp), max(cells - 2, 0))
    return before, (clamped - before).astype(np.float32)


@numba.njit(nogil=True, cache=True)
def _read(values, above, down, left, along, into):  # type: ignore[no-untyped-def]  # numba's types
    """Fill `into`; see `read_between`."""
    high, wide, channels = values.shape
    for r in range(len(above)):
        first, share = above[r], down[r]
        upper, lower = values[first], values[min(first + 1, high - 1)]
        for c in range(len(left)):
            near, way = left[c], along[c]
            far = min(near + 1, wide - 1)
            a, b = (_ONE - share) * (_ONE - way), (_ONE - share) * way
            d, e = share * (_ONE - way), share * way
            told = into[r, c]
            for k in range(channels):
                told[k] = (
                    a * upper[near, k] + b * upper[far, k] + d * lower[near, k] + e * lower[far, k]
                )
