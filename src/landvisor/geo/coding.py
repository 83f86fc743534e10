"""How a prediction is coded for a map: class ids, and shares of 0 to 1 in a byte each."""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
from numpy.typing import NDArray

from landvisor.errors import OutputError
from landvisor.geo.tiling import Window

ONE = 254
"""Code of the share 1.0 in probability and uncertainty rasters; 0 is the share 0."""

UNKNOWN = 255
"""Code of no data in probability and uncertainty rasters."""

EXTRA = 3
"""Planes before the probabilities: class, normalised entropy, one minus margin; and, of several
models, their disagreement as a fourth."""

_NONE, _FULL = np.float32(0), np.float32(1)
_ROUND = np.float32(1.5 * 2**23)

# A float32 above 0 is 2^(exponent - 127) x (1 + fraction / 2^23), in this order of bits.
_MANTISSA, _BIAS, _FRACTION, _UNIT = 23, 127, 2**23 - 1, np.float32(2.0**-23)
# log2(1 + f) over 0 <= f <= 1 to 3e-6: least squares at 64 Chebyshev nodes.
_LOGARITHM = tuple(
    np.float32(c)
    for c in (
        -0.0251232033, 0.119298238, -0.274623258, 0.455527088, -0.717557872, 1.44247531,
        2.12374089e-06,
    )
)  # fmt: skip

# Blending and float32 may leave a probability this far outside 0..1.
_ROUNDING = np.float32(1e-3)


def encode_map(
    probabilities: NDArray[np.float32],
    valid: NDArray[np.bool_],
    *,
    ids: Sequence[int],
    nodata: int,
    window: Window,
    disagreement: NDArray[np.float32] | None = None,
) -> NDArray[np.uint8]:
    """Code a prediction as the bytes of a map: `[3 + class, row, col]`, or one plane more.

    A pixel's class is the first of its most probable ones. The planes are the class's id, the
    normalised entropy, one minus the margin of the two best, the models' disagreement where there
    are several, and each class's share.

    Args:
        probabilities: `[class, row, col]` in the order of `ids`.
        valid: `[row, col]`; False is no data in all planes.
        ids: Class ids.
        nodata: What stands for no data in the plane of classes.
        window: Where this lies, for messages.
        disagreement: `[row, col]`, 0 to 1; None codes none.

    Raises:
        OutputError: If a valid pixel's probability is not a number of 0 to 1.

    References:
        Shannon (1948), section 6, doi:10.1002/j.1538-7305.1948.tb01338.x, divided by log k.
        Scheffer, Decomain, Wrobel (2001), "Active hidden Markov models", section 3: margin of
        the two most probable classes, doi:10.1007/3-540-44816-0_31.
    """
    if probabilities.shape != (len(ids), *valid.shape) or valid.shape != window.shape:
        raise OutputError(
            f"a window of {(len(ids), *window.shape)} (class, row, col) is to be written, but the "
            f"model gave {probabilities.shape}; predict with the legend of the model"
        )
    extra = count_extra(disagreement=disagreement is not None)
    codes = np.empty((extra + len(ids), *valid.shape), dtype=np.uint8)
    known = np.asarray(ids, dtype=np.uint8)
    row, col = _encode(probabilities, valid, known, np.uint8(nodata), _ROUNDING, extra, codes)
    if row >= 0:
        raise OutputError(
            f"a probability outside 0 to 1 was found near row {window.row + row}, column "
            f"{window.col + col}; look for damaged pixels there, or fit the model again"
        )
    if disagreement is not None:
        _fill_plane(disagreement, valid, codes[EXTRA])
    return codes


def count_extra(*, disagreement: bool) -> int:
    """Return how many planes precede the probabilities."""
    return EXTRA + disagreement


@numba.njit(nogil=True, cache=True)
def measure_spread(parts, weights, spread):  # type: ignore[no-untyped-def]  # numba's types
    """Fill `[row, col]` with how much models disagree, 0 to 1, to 3e-6 times their number.

    It is the mutual information of class and model over the entropy of equal shares, as
    `landvisor.accuracy.uncertainty.measure_disagreement` has it.

    Args:
        parts: float32 `[model, class, row, col]`: what each says.
        weights: float32 `[model]`, of sum 1.
        spread: float32 `[row, col]`, filled.
    """
    models, count, rows, cols = parts.shape
    scale = np.float32(1 / np.log2(count)) if count > 1 else _NONE
    mean, outer = np.empty(cols, np.float32), np.empty(cols, np.float32)
    inner, each = np.empty(cols, np.float32), np.empty(cols, np.float32)
    for row in range(rows):
        outer[:], inner[:] = _NONE, _NONE
        for number in range(count):
            mean[:] = _NONE
            for model in range(models):
                told = parts[model, number, row]
                each[:] = _NONE
                _add_entropy(told, each)
                for col in range(cols):
                    mean[col] += weights[model] * told[col]
                    inner[col] += weights[model] * each[col]
            _add_entropy(mean, outer)
        for col in range(cols):
            spread[row, col] = min(max((outer[col] - inner[col]) * scale, _NONE), _FULL)


@numba.njit(nogil=True, cache=True)
def _fill_plane(share, valid, codes):  # type: ignore[no-untyped-def]  # numba's types
    for row in range(share.shape[0]):
        _fill_share(share[row], valid[row], codes[row])


@numba.njit(nogil=True, cache=True)
def _encode(probabilities, valid, ids, nodata, rounding, extra, codes):  # type: ignore[no-untyped-def]  # numba's types
    """Fill the planes of `encode_map`, and return a pixel that is no prediction, or (-1, -1).

    The logarithm is exact to 3e-6. Plain loops over columns are computed many numbers at a time.
    """
    count, rows, cols = probabilities.shape
    scale = np.float32(1 / np.log2(count)) if count > 1 else _NONE
    best, second = np.empty(cols, np.float32), np.empty(cols, np.float32)
    entropy, share = np.empty(cols, np.float32), np.empty(cols, np.float32)
    winner = np.empty(cols, np.uint8)
    for row in range(rows):
        known = valid[row]
        best[:], second[:] = -_FULL, -_FULL
        entropy[:] = _NONE
        winner[:] = nodata
        bad = 0
        for number in range(count):
            told = probabilities[number, row]
            for col in range(cols):
                # written so that NaN is bad too
                fits = (told[col] >= -rounding) & (told[col] <= _FULL + rounding)
                bad += known[col] and not fits
                kept = told[col] if known[col] else _NONE
                share[col] = min(max(kept, _NONE), _FULL)
            _fill_share(share, known, codes[extra + number, row])
            _add_entropy(share, entropy)
            for col in range(cols):
                wins = share[col] > best[col]
                rest = best[col] if wins else share[col]
                second[col] = max(second[col], rest)
                winner[col] = ids[number] if wins else winner[col]
                best[col] = share[col] if wins else best[col]
        if bad:
            for col in range(cols):
                for number in range(count):
                    told = probabilities[number, row, col]
                    if known[col] and not -rounding <= told <= _FULL + rounding:
                        return row, col
        for col in range(cols):
            codes[0, row, col] = winner[col] if known[col] else nodata
            entropy[col] = min(max(entropy[col] * scale, _NONE), _FULL)
            second[col] = _FULL - (best[col] - second[col]) if count > 1 else _NONE
        _fill_share(entropy, known, codes[1, row])
        _fill_share(second, known, codes[2, row])
    return -1, -1


@numba.njit(nogil=True, cache=True)
def _fill_share(share, known, codes):  # type: ignore[no-untyped-def]  # numba's types
    """Code the shares of a row, which are 0 to 1."""
    for col in range(len(share)):
        # Adding and taking away 1.5 x 2^23 rounds halves to even, as rint does.
        code = (share[col] * np.float32(ONE) + _ROUND) - _ROUND
        codes[col] = np.uint8(code) if known[col] else UNKNOWN


@numba.njit(nogil=True, cache=True)
def _add_entropy(share, entropy):  # type: ignore[no-untyped-def]  # numba's types
    """Add -p log2 p of a row."""
    bits = share.view(np.int32)
    for col in range(len(share)):
        exponent = np.float32((bits[col] >> _MANTISSA) - _BIAS)
        rest = np.float32(bits[col] & _FRACTION) * _UNIT
        value = _LOGARITHM[0]
        value = value * rest + _LOGARITHM[1]
        value = value * rest + _LOGARITHM[2]
        value = value * rest + _LOGARITHM[3]
        value = value * rest + _LOGARITHM[4]
        value = value * rest + _LOGARITHM[5]
        value = value * rest + _LOGARITHM[6]
        entropy[col] -= share[col] * (exponent + value)
