"""Coordinates of the synthetic landscape: turned and bent as fields and streets are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from landvisor.demo.noise import Field, make_fractal
from landvisor.geo.tiling import Shape

_AZIMUTH_DEG = 24.0  # of the parcels and streets against the pixel grid


@dataclass(frozen=True)
class Plane:
    """Turned, gently bent coordinates in pixels, and the landscape's smaller side.

    Attributes:
        u: Along the streets `[row, col]`.
        v: Across them `[row, col]`.
        side: Of the landscape.
    """

    u: Field
    v: Field
    side: float


def make_plane(shape: Shape, rng: np.random.Generator) -> Plane:
    """Turn the pixel grid and bend it a little, as land is never straight."""
    rows, cols = np.indices(shape, dtype=np.float64)
    turn = np.deg2rad(_AZIMUTH_DEG)
    bend = 5.0 * make_fractal(shape, rng, slope=5.0)
    u = cols * np.cos(turn) + rows * np.sin(turn) + bend
    v = rows * np.cos(turn) - cols * np.sin(turn) + bend[::-1, ::-1]
    return Plane(u, v, float(min(shape)))


def measure_distance(shape: Shape, place: tuple[float, float]) -> Field:
    """Return the distance as a share of the smaller side; `place` is in shares of each side."""
    rows, cols = np.indices(shape, dtype=np.float64)
    return np.asarray(np.hypot(rows - place[0] * shape[0], cols - place[1] * shape[1]) / min(shape))
