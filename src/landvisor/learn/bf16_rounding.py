"""How weights become bfloat16 without moving what a filter makes of an even surface.

Rounded to the nearest value, the taps of a filter no longer sum to what they did. Where they nearly
cancel out, as those of depthwise filters often do, and the image has a mean, as everything has
after a ReLU, that shifts a whole channel, and a narrow batch norm magnifies the shift.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LOW = np.uint32(0xFFFF_0000)  # bfloat16 is the upper half of a float32
_STEP = np.uint32(0x1_0000)


def round_filters(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Round filters to values that bfloat16 has, and keep each one's sum.

    Every tap becomes one of the two values around it: the nearest, or the other where that brings
    the sum of its filter nearer to what it was; taps are changed one by one while it gains.

    Args:
        weights: `[..., row, col]`, a filter per leading index.

    Returns:
        The same shape. Filters of one tap are rounded to the nearest value.
    """
    taps = np.ascontiguousarray(weights, dtype=np.float32).reshape(-1, *weights.shape[-2:])
    exact = taps.reshape(len(taps), -1)
    near, far = _around(exact)
    gain = far.astype(np.float64) - near  # what a change adds to the sum
    off = (near.astype(np.float64) - exact).sum(axis=1)
    changed = np.zeros(exact.shape, dtype=bool)
    every = np.arange(len(exact))
    for _ in range(exact.shape[1] if exact.shape[1] > 1 else 0):
        left = np.where(changed, np.inf, np.abs(off[:, None] + gain))
        best = left.argmin(axis=1)
        better = left[every, best] < np.abs(off)
        if not better.any():
            break
        changed[every[better], best[better]] = True
        off[better] += gain[every[better], best[better]]
    return np.where(changed, far, near).reshape(weights.shape)


def _around(
    values: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the nearer and the farther of the two bfloat16 values around each value."""
    inner = values.view(np.uint32) & _LOW
    outer = np.where(values.view(np.uint32) == inner, inner, inner + _STEP)
    low, high = inner.view(np.float32), outer.view(np.float32)
    nearer = np.abs(values - low) <= np.abs(high - values)
    return np.where(nearer, low, high), np.where(nearer, high, low)
