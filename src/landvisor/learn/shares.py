"""Logits at a network's stride become class shares of all pixels, in one pass on the processor."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from landvisor.geo.tiling import Shape

_LOG2_E = np.float32(1.4426950408889634)
_LEAST = np.float32(-126)  # 2 to the power of less is no normal float32
_HALF, _ONE = np.float32(0.5), np.float32(1)
_BIAS = 23  # bits of a float32 below its exponent

# 2^f over 0 <= f <= 1 to 1.2e-7: least squares at 64 Chebyshev nodes.
_POWERS = tuple(
    np.float32(c)
    for c in (0.00189510729, 0.00894621467, 0.0558632827, 0.24014077, 0.69315462, 0.999999896)
)


def spread_shares(logits: NDArray[np.float32], *, stride: int, size: Shape) -> NDArray[np.float32]:
    """Bring logits to pixels and take the softmax.

    Each logit lies at the centre of its `stride` pixels, between which it is bilinear, as
    `landvisor.learn.nets.upsample` has it. One row at a time stays in the processor's cache, and
    loops are plain enough to be computed eight or sixteen numbers at a time.

    Args:
        logits: float32 `[b, class, h, w]` of any layout.
        stride: Pixels per logit.
        size: (rows, cols) of the image, at most `stride` times those of the logits.

    Returns:
        float32 `[b, class, row, col]`, to 2e-7 what is exact.
    """
    plain = np.ascontiguousarray(logits)
    shares = np.empty((*plain.shape[:2], *size), dtype=np.float32)
    before, share = _place(size[0], plain.shape[2], stride)
    left, right = _place(size[1], plain.shape[3], stride)
    for one, told in zip(plain, shares, strict=True):
        _spread(one, told, before, share, left, right)
    return shares


def _place(pixels: int, logits: int, stride: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return for each pixel the logit before it, and how far it is on the way to the next."""
    place = np.clip((np.arange(pixels) + 0.5) / stride - 0.5, 0, logits - 1)
    before = np.minimum(place.astype(np.intp), max(logits - 2, 0))
    return before, (place - before).astype(np.float32)


@numba.njit(nogil=True, cache=True)
def _spread(logits, shares, above, down, before, along):  # type: ignore[no-untyped-def]  # numba's types
    """Fill the shares `[class, row, col]` of one image; see `spread_shares`."""
    count, high, wide = logits.shape
    rows, cols = shares.shape[1:]
    line = np.empty(wide, np.float32)
    most, total = np.empty(cols, np.float32), np.empty(cols, np.float32)
    whole = np.empty(cols, np.float32)
    for row in range(rows):
        first, share = above[row], down[row]
        second = min(first + 1, high - 1)
        most[:] = -np.inf
        for number in range(count):
            upper, lower, told = logits[number, first], logits[number, second], shares[number, row]
            for col in range(wide):
                line[col] = upper[col] * (_ONE - share) + lower[col] * share
            if wide == 1:
                told[:] = line[0]
            else:
                for col in range(cols):
                    at = before[col]
                    told[col] = line[at] * (_ONE - along[col]) + line[at + 1] * along[col]
            for col in range(cols):
                most[col] = max(most[col], told[col])
        total[:] = 0
        for number in range(count):
            told = shares[number, row]
            for col in range(cols):
                power = max((told[col] - most[col]) * _LOG2_E, _LEAST)
                whole[col] = np.floor(power)
                rest = power - whole[col]
                value = _POWERS[0]
                value = value * rest + _POWERS[1]
                value = value * rest + _POWERS[2]
                value = value * rest + _POWERS[3]
                value = value * rest + _POWERS[4]
                told[col] = value * rest + _POWERS[5]
            bits = told.view(np.int32)
            for col in range(cols):
                bits[col] += np.int32(whole[col]) << _BIAS
            for col in range(cols):
                total[col] += told[col]
        for col in range(cols):
            total[col] = _ONE / total[col]
        for number in range(count):
            told = shares[number, row]
            for col in range(cols):
                told[col] *= total[col]
