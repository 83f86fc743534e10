"""What the surroundings of a pixel look like: colour, edges, blobs and texture at several widths.

The bank needs no training and takes any number of bands. No-data is handled by normalised
convolution: a mean is taken over the valid pixels under the kernel alone.

References:
    Knutsson and Westin (1993), Normalized and differential convolution, CVPR, eq. 4,
    doi:10.1109/CVPR.1993.341081. Scale-normalised derivatives: Lindeberg (1998), Feature detection
    with automatic scale selection, eq. 17, doi:10.1023/A:1008045108935. Derivatives are central
    differences of the smoothed image instead of sampled Gaussian derivatives, so that a constant
    image has derivative 0 beside no-data too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

SIGMAS = (1.0, 2.0, 4.0, 8.0)
KINDS = ("mean", "gradient", "laplacian", "deviation")
_TRUNCATE = 3.0  # a Gaussian holds 99.7 % of its mass within three widths
_LEAST_WEIGHT = 1e-6

_Image = NDArray[np.float32]


def filter_bank(
    data: NDArray[Any], valid: NDArray[np.bool_], *, sigmas: Sequence[float] = SIGMAS
) -> _Image:
    """Describe every pixel by its colour and its surroundings at several widths.

    Args:
        data: `[band, row, col]` in any dtype; values of invalid pixels do not matter.
        valid: `[row, col]`; outside the image the nearest pixel is repeated.
        sigmas: Widths of the Gaussians in pixels.

    Returns:
        float32 `[feature, row, col]`, finite, in the order of `filter_bank_names`, in native
        units (derivatives times sigma and sigma squared); 0 at invalid pixels.
    """
    each = 1 + len(KINDS) * len(sigmas)
    bank = np.zeros((len(data) * each, *valid.shape), dtype=np.float32)
    if not valid.any():
        return bank
    weights = [None if valid.all() else _smooth(valid.astype(np.float32), s) for s in sigmas]

    def fill(band: int) -> None:
        out = bank[band * each : (band + 1) * each]
        _fill_band(data[band], valid, sigmas=sigmas, weights=weights, out=out)

    with ThreadPoolExecutor(min(len(data), os.cpu_count() or 1)) as threads:
        list(threads.map(fill, range(len(data))))
    return bank


def filter_bank_names(bands: Sequence[str], sigmas: Sequence[float] = SIGMAS) -> tuple[str, ...]:
    """Name the features of a bank, such as `red` and `red gradient 2`."""
    around = [""] + [f" {kind} {sigma:g}" for sigma in sigmas for kind in KINDS]
    return tuple(band + suffix for band in bands for suffix in around)


def filter_bank_margin(sigmas: Sequence[float] = SIGMAS) -> int:
    """Return how far a pixel's features look, in pixels.

    The deviation smooths squared differences from a smoothed image: two kernels in a row.
    """
    return 2 * max((ceil(_TRUNCATE * sigma + 0.5) for sigma in sigmas), default=0)


def _fill_band(
    values: NDArray[Any],
    valid: NDArray[np.bool_],
    *,
    sigmas: Sequence[float],
    weights: Sequence[_Image | None],
    out: _Image,
) -> None:
    # Around 0 the float32 differences below keep their digits, and a constant band is exactly 0.
    center = np.float32(np.mean(values, where=valid, dtype=np.float64))
    image = np.where(valid, values, center).astype(np.float32) - center
    out[0] = image + center
    parts = out[1:].reshape(len(sigmas), len(KINDS), *valid.shape)
    for sigma, weight, part in zip(sigmas, weights, parts, strict=True):
        mean = _weigh(_smooth(image, sigma), weight)
        part[0] = mean + center
        part[1:3] = _derive(mean, sigma)
        squares = np.where(valid, np.square(image - mean), np.float32(0))
        part[3] = np.sqrt(_weigh(_smooth(squares, sigma), weight))
    out *= valid


def _smooth(image: _Image, sigma: float) -> _Image:
    return np.asarray(gaussian_filter(image, sigma, mode="nearest", truncate=_TRUNCATE))


def _weigh(smoothed: _Image, weight: _Image | None) -> _Image:
    if weight is None:
        return smoothed
    return np.divide(smoothed, np.maximum(weight, np.float32(_LEAST_WEIGHT)), dtype=np.float32)


def _derive(mean: _Image, sigma: float) -> _Image:
    """Return `[2, row, col]`: gradient magnitude times sigma, Laplacian times sigma squared."""
    padded = np.pad(mean, 1, mode="edge")
    above, below = padded[:-2, 1:-1], padded[2:, 1:-1]
    left, right = padded[1:-1, :-2], padded[1:-1, 2:]
    slope = np.hypot(below - above, right - left) * np.float32(sigma / 2)
    curve = (above + below + left + right - 4 * mean) * np.float32(sigma**2)
    return np.stack([slope, curve])
