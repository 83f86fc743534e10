"""How a prediction is coded for a map: class ids, and shares of 0 to 1 in a byte each."""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from landvisor.errors import OutputError
from landvisor.geo.tiling import Window

ONE = 254
"""Code of the share 1.0 in probability and uncertainty rasters; 0 is the share 0."""

UNKNOWN = 255
"""Code of no data in probability and uncertainty rasters."""

EXTRA = 3
"""Planes before the probabilities: class, normalised entropy, one minus margin."""

# Blending and float32 may leave a probability this far outside 0..1.
_ROUNDING = 1e-3


def encode_map(
    probabilities: NDArray[np.float32],
    valid: NDArray[np.bool_],
    *,
    ids: Sequence[int],
    nodata: int,
    window: Window,
) -> NDArray[np.uint8]:
    """Code a prediction as the bytes of a map: `[3 + class, row, col]`.

    A pixel's class is the first of its most probable ones. The planes are the class's id, the
    normalised entropy, one minus the margin (see `measure_uncertainty`), and each class's share.

    Args:
        probabilities: `[class, row, col]` in the order of `ids`.
        valid: `[row, col]`; False is no data in all planes.
        ids: Class ids.
        nodata: What stands for no data in the plane of classes.
        window: Where this lies, for messages.

    Raises:
        OutputError: If a valid pixel's probability is not a number of 0 to 1.
    """
    if probabilities.shape != (len(ids), *valid.shape) or valid.shape != window.shape:
        raise OutputError(
            f"a window of {(len(ids), *window.shape)} (class, row, col) is to be written, but the "
            f"model gave {probabilities.shape}; predict with the legend of the model"
        )
    codes = np.empty((EXTRA + len(ids), *valid.shape), dtype=np.uint8)
    known = np.asarray(ids, dtype=np.uint8)
    row, col = _encode(probabilities, valid, known, np.uint8(nodata), _ROUNDING, codes)
    if row >= 0:
        raise OutputError(
            f"a probability outside 0 to 1 was found near row {window.row + row}, column "
            f"{window.col + col}; look for damaged pixels there, or fit the model again"
        )
    return codes


def encode_shares(shares: NDArray[np.floating], *, valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Code shares of 0 to 1 as 0 to 254, and no data as 255.

    Args:
        shares: `[..., row, col]`, finite wherever `valid`.
        valid: `[row, col]`.
    """
    codes = np.rint(np.where(valid, shares, 0) * ONE)
    return np.where(valid, codes, UNKNOWN).astype(np.uint8)


def measure_uncertainty(probabilities: NDArray[np.floating]) -> NDArray[np.float32]:
    """Measure how undecided a prediction is: entropy over its maximum, and one minus margin.

    Args:
        probabilities: `[class, row, col]`, 0 to 1.

    Returns:
        `[2, row, col]`, 0 (sure) to 1; all 0 where there is only one class to choose.

    References:
        Shannon (1948), section 6, doi:10.1002/j.1538-7305.1948.tb01338.x, divided by log k.
        Scheffer, Decomain, Wrobel (2001), "Active hidden Markov models", section 3: margin of
        the two most probable classes, doi:10.1007/3-540-44816-0_31.
    """
    count = len(probabilities)
    if count == 1:
        return np.zeros((2, *probabilities.shape[1:]), dtype=np.float32)
    entropy = -xlogy(probabilities, probabilities).sum(axis=0) / np.log(count)
    second, best = np.partition(probabilities, count - 2, axis=0)[-2:]
    measures = np.stack([entropy, 1 - (best - second)])
    return np.asarray(np.clip(measures, 0, 1), dtype=np.float32)


@numba.njit(nogil=True, cache=True)
def _encode(probabilities, valid, ids, nodata, rounding, codes):  # type: ignore[no-untyped-def]  # numba's types
    """Fill the planes of `encode_map`, and return a pixel that is no prediction, or (-1, -1).

    `encode_shares` and `measure_uncertainty` say in NumPy what this does in one pass.
    """
    count, rows, cols = probabilities.shape
    one = np.float32(ONE)
    scale = np.float32(1 / np.log(count)) if count > 1 else np.float32(0)
    for row in range(rows):
        for col in range(cols):
            if not valid[row, col]:
                codes[0, row, col] = nodata
                codes[1:, row, col] = UNKNOWN
                continue
            best, second = np.float32(-1), np.float32(-1)
            entropy, winner = np.float32(0), 0
            for number in range(count):
                share = probabilities[number, row, col]
                if not (-rounding <= share <= 1 + rounding):  # NaN is refused too
                    return row, col
                share = min(max(share, np.float32(0)), np.float32(1))
                codes[EXTRA + number, row, col] = np.uint8(np.rint(share * one))
                if share > 0:
                    entropy -= share * np.log(share)
                if share > best:
                    best, second, winner = share, best, number
                elif share > second:
                    second = share
            margin = best - second if count > 1 else np.float32(1)
            codes[0, row, col] = ids[winner]
            codes[1, row, col] = np.uint8(np.rint(min(entropy * scale, np.float32(1)) * one))
            codes[2, row, col] = np.uint8(np.rint((np.float32(1) - margin) * one))
    return -1, -1
