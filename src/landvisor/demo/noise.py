"""Random fields that land looks like: fractal noise and scattered crowns, from a seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from landvisor.geo.tiling import Shape

Field = NDArray[np.float64]


def make_fractal(
    shape: Shape, rng: np.random.Generator, *, slope: float = 2.0, largest: float = 1e9
) -> Field:
    """Synthesise fractal noise `[row, col]` of mean 0 and deviation 1.

    Args:
        shape: Size as (rows, cols).
        rng: Source of the white noise.
        slope: Fall of power with frequency; 0 is white noise, 2 is cloudy, 4 is smooth.
        largest: Wavelength in pixels above which power no longer grows.

    References:
        Saupe (1988), spectral synthesis, in "The Science of Fractal Images", section 2.4.
    """
    rows, cols = shape
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(cols)[None, :])
    frequency = np.maximum(frequency, max(1.0 / largest, 1.0 / max(shape)))
    spectrum = np.fft.rfft2(rng.standard_normal(shape)) * frequency ** (-slope / 2)
    spectrum[0, 0] = 0
    noise = np.fft.irfft2(spectrum, s=shape)
    return np.asarray(noise / noise.std())


def scatter_crowns(
    shape: Shape, rng: np.random.Generator, *, pitch: float
) -> tuple[Field, NDArray[np.int64], int]:
    """Scatter crown centres on a jittered grid.

    Returns:
        Distance in pixels to the nearest centre `[row, col]`, which centre that is
        `[row, col]`, and how many there are.
    """
    counts = [int(np.ceil(side / pitch)) + 1 for side in shape]
    corners = np.stack(np.meshgrid(*(np.arange(n) for n in counts), indexing="ij"), axis=-1)
    centres = (corners.reshape(-1, 2) + rng.uniform(-0.42, 0.42, (corners.size // 2, 2))) * pitch
    pixels = np.indices(shape).reshape(2, -1).T
    distance, nearest = cKDTree(centres).query(pixels)
    return distance.reshape(shape), nearest.reshape(shape).astype(np.int64), len(centres)
