"""Where each class of the synthetic landscape lies: terrain, river, parcels, woods, a village."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landvisor.demo.noise import Field, make_fractal
from landvisor.demo.parcels import Parcels, make_parcels
from landvisor.demo.plane import make_plane, measure_distance
from landvisor.demo.village import Village, make_village
from landvisor.geo.tiling import Shape

WATER, FOREST, MEADOW, CROPLAND, BARE, BUILT, WETLAND = range(1, 8)
NO_DATA = 0

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Layout:
    """Everything about the land that does not depend on how it is seen.

    Attributes:
        truth: uint8 `[row, col]`: class id; 0 is outside of the swath.
        elevation: Height of the ground in metres `[row, col]`.
        parcels: The fields, whether farmed or not.
        village: Houses and roads.
    """

    truth: NDArray[np.uint8]
    elevation: Field
    parcels: Parcels
    village: Village


def make_layout(shape: Shape, rng: np.random.Generator) -> Layout:
    """Lay out a landscape; every class is there for any seed from 200 x 200 pixels on."""
    plane = make_plane(shape, rng)
    river = _make_river(shape, rng)
    lake = _make_lake(shape, rng)
    elevation = _make_elevation(shape, rng, river=river, lake=lake)
    parcels = make_parcels(plane, rng)
    truth = np.full(shape, MEADOW, dtype=np.uint8)
    _farm(truth, parcels)
    _grow_woods(truth, rng, elevation=elevation, parcels=parcels)
    _expose_ground(truth, rng, elevation=elevation, river=river)
    _flood(truth, rng, lake=lake, river=river)
    village = make_village(plane, rng, dry=truth != WATER)
    truth[village.built] = BUILT
    truth[_outside_swath(shape)] = NO_DATA
    return Layout(truth, elevation, parcels, village)


def _make_river(shape: Shape, rng: np.random.Generator) -> Field:
    """Return the signed distance to a meandering river's axis, in pixels."""
    rows, cols = np.indices(shape, dtype=np.float64)
    along = rows / shape[0]
    phase = rng.uniform(0, 2 * np.pi, 2)
    swing = 0.09 * np.sin(2 * np.pi * 1.2 * along + phase[0])
    ripple = 0.028 * np.sin(2 * np.pi * 3.1 * along + phase[1])
    axis = shape[1] * (0.36 + 0.22 * along + swing + ripple)
    slant = np.gradient(axis, axis=0)
    return np.asarray((cols - axis) / np.hypot(1.0, slant) + 2.0 * make_fractal(shape, rng))


def _make_lake(shape: Shape, rng: np.random.Generator) -> Field:
    """Return a distance from the lake's middle that is 1 at its shore."""
    rows, cols = np.indices(shape, dtype=np.float64)
    down = (rows - 0.79 * shape[0]) / min(shape)
    right = (cols - 0.25 * shape[1]) / min(shape)
    along, beside = down * 0.6 + right * 0.8, right * 0.6 - down * 0.8
    bays = 0.30 * make_fractal(shape, rng, slope=4.2, largest=0.35 * min(shape))
    return np.asarray(np.hypot(along / 0.125, (beside + 0.9 * along**2) / 0.066) + bays)


def _make_elevation(shape: Shape, rng: np.random.Generator, *, river: Field, lake: Field) -> Field:
    valley = np.minimum(np.abs(river) / min(shape), 0.12 * np.maximum(0.0, lake - 0.9))
    rise = valley / (valley + 0.25)
    hills = make_fractal(shape, rng, slope=4.4) + 0.03 * make_fractal(shape, rng, slope=2.4)
    relief = 70.0 * rise + 24.0 * hills * np.minimum(1.0, 0.02 + 2.2 * rise)
    return np.asarray(300.0 + relief * min(shape) / 640)  # slopes stay alike at any size


def _farm(truth: NDArray[np.uint8], parcels: Parcels) -> None:
    margin = 1.0 + (parcels.index % 3 == 0)
    truth[(parcels.crop[parcels.index] >= 0) & (parcels.edge > margin)] = CROPLAND


def _grow_woods(
    truth: NDArray[np.uint8], rng: np.random.Generator, *, elevation: Field, parcels: Parcels
) -> None:
    shape = (truth.shape[0], truth.shape[1])
    likely = (elevation - elevation.mean()) / elevation.std()
    likely = likely + 0.55 * make_fractal(shape, rng, slope=2.6)
    slopes = likely > np.quantile(likely, 0.70)
    # Farmers clear whole parcels, so most of a wood's border follows theirs.
    share = _average(slopes, parcels.index)
    truth[slopes & (share[parcels.index] > 0.3)] = FOREST
    hedged = (parcels.index % 4 == 1) & (make_fractal(shape, rng, slope=2.0) > -0.3)
    truth[hedged & (parcels.edge < 3.5)] = FOREST


def _expose_ground(
    truth: NDArray[np.uint8], rng: np.random.Generator, *, elevation: Field, river: Field
) -> None:
    shape = (truth.shape[0], truth.shape[1])
    rock = elevation / elevation.std() + 0.7 * make_fractal(shape, rng, slope=2.8)
    truth[rock > np.quantile(rock, 0.975)] = BARE
    edge = 0.25 * make_fractal(shape, rng, slope=4.0, largest=0.2 * min(shape))
    truth[measure_distance(shape, (0.68, 0.86)) / 0.06 + edge < 1] = BARE  # a quarry
    bars = np.abs(river) / min(shape) + 0.006 * make_fractal(shape, rng, slope=3.0, largest=60)
    truth[bars < 0.021] = BARE


def _flood(
    truth: NDArray[np.uint8], rng: np.random.Generator, *, lake: Field, river: Field
) -> None:
    shape = (truth.shape[0], truth.shape[1])
    reeds = make_fractal(shape, rng, slope=3.2, largest=0.2 * min(shape))
    truth[(lake < 1.15 + 0.25 * reeds) & (truth != FOREST)] = WETLAND
    truth[(np.abs(river) < 0.07 * min(shape)) & (reeds > 1.75) & (truth != BARE)] = WETLAND
    width = 0.016 + 0.003 * make_fractal(shape, rng, slope=4.0)
    truth[np.abs(river) < np.maximum(width, 0.008) * min(shape)] = WATER
    truth[lake < 1.0] = WATER


def _outside_swath(shape: Shape) -> Mask:
    rows, cols = np.indices(shape)
    return np.asarray(cols / shape[1] + 0.36 * (1 - rows / shape[0]) < 0.117)


def _average(values: Mask, index: NDArray[np.int64]) -> Field:
    """Return the mean of values per parcel; 0 for a parcel outside of the landscape."""
    size = np.maximum(np.bincount(index.ravel()), 1)
    return np.asarray(np.bincount(index.ravel(), values.ravel()) / size)
