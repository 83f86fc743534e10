"""Where each class of the synthetic landscape lies: terrain, river, parcels, woods, a village."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from landvisor.demo.noise import Field, make_fractal
from landvisor.geo.tiling import Shape

WATER, FOREST, MEADOW, CROPLAND, BARE, BUILT, WETLAND = range(1, 8)
NO_DATA = 0

Mask = NDArray[np.bool_]
_AZIMUTH_DEG = 24.0  # of the parcels and streets against the pixel grid
_BLOCK = (34, 64)  # a street of 4 pixels, then two lots by five
_LOT = (15, 12)
_STREET = 4


@dataclass(frozen=True)
class Parcels:
    """Fields of a farmed plain, as rectangles in turned coordinates.

    Attributes:
        index: int64 `[row, col]`: which parcel a pixel is in.
        edge: Pixels to the parcel's border `[row, col]`.
        across: Coordinate across the rows of the crop, in pixels `[row, col]`.
        crop: Per parcel: 0 green, 1 ripe, 2 ploughed, 3 young; -1 is grassland.
    """

    index: NDArray[np.int64]
    edge: Field
    across: Field
    crop: NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """Everything about the land that does not depend on how it is seen.

    Attributes:
        truth: uint8 `[row, col]`: class id; 0 is outside of the swath.
        elevation: Height of the ground in metres `[row, col]`.
        parcels: The fields, wherever farmed or not.
        roof: int64 `[row, col]`: number of the house, or -1.
        ridge: Side of the roof's ridge, -1 or 1, `[row, col]`.
        paved: Roads and streets `[row, col]`.
        bank: Pixels to the nearest water `[row, col]`.
    """

    truth: NDArray[np.uint8]
    elevation: Field
    parcels: Parcels
    roof: NDArray[np.int64]
    ridge: Field
    paved: Mask
    bank: Field


@dataclass(frozen=True)
class _Plane:
    """Turned, gently bent coordinates in pixels, and the size of the landscape in them."""

    u: Field
    v: Field
    side: float


def make_layout(shape: Shape, rng: np.random.Generator) -> Layout:
    """Lay out a landscape; every class is there for any seed from 200 x 200 pixels on."""
    plane = _make_plane(shape, rng)
    river = _make_river(shape, rng)
    lake = _make_lake(shape, rng)
    elevation = _make_elevation(shape, rng, river=river, lake=lake)
    parcels = _make_parcels(plane, rng)
    truth = np.full(shape, MEADOW, dtype=np.uint8)
    _farm(truth, parcels)
    _grow_woods(truth, rng, elevation=elevation, parcels=parcels)
    _expose_ground(truth, rng, elevation=elevation, river=river)
    _flood(truth, rng, lake=lake, river=river)
    paved, roof, ridge = _settle(truth, rng, plane=plane)
    bank = distance_transform_edt(truth != WATER)
    truth[_outside_swath(shape)] = NO_DATA
    return Layout(truth, elevation, parcels, roof, ridge, paved, bank)


def _make_plane(shape: Shape, rng: np.random.Generator) -> _Plane:
    rows, cols = np.indices(shape, dtype=np.float64)
    turn = np.deg2rad(_AZIMUTH_DEG)
    bend = 5.0 * make_fractal(shape, rng, slope=5.0)
    u = cols * np.cos(turn) + rows * np.sin(turn) + bend
    v = rows * np.cos(turn) - cols * np.sin(turn) + bend[::-1, ::-1]
    return _Plane(u, v, float(min(shape)))


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


def _make_parcels(plane: _Plane, rng: np.random.Generator) -> Parcels:
    low = np.array([plane.u.min(), plane.v.min()])
    high = np.array([plane.u.max(), plane.v.max()])
    boxes = np.array(list(_split((*low, *high), rng, side=plane.side)))
    index = np.zeros(plane.u.shape, dtype=np.int64)
    for number, (u0, v0, u1, v1) in enumerate(boxes):
        index[(plane.u >= u0) & (plane.u < u1) & (plane.v >= v0) & (plane.v < v1)] = number
    u0, v0, u1, v1 = boxes[index].transpose(2, 0, 1)
    edge = np.minimum.reduce([plane.u - u0, u1 - plane.u, plane.v - v0, v1 - plane.v])
    across = np.where(u1 - u0 > v1 - v0, plane.v, plane.u)
    crop = rng.choice([0, 1, 2, 3, -1], p=[0.24, 0.17, 0.14, 0.17, 0.28], size=len(boxes))
    return Parcels(index, edge, across, crop)


def _split(
    box: tuple[float, ...], rng: np.random.Generator, *, side: float
) -> Iterator[tuple[float, ...]]:
    """Cut a rectangle in two, and its parts again, until they are as small as fields."""
    u0, v0, u1, v1 = box
    wide, high = u1 - u0, v1 - v0
    if max(wide, high) < side * 0.10 + 26 or min(wide, high) < side * 0.03 + 14:
        yield box
        return
    cut = rng.uniform(0.34, 0.66)
    if wide * rng.uniform(0.75, 1.33) > high:
        parts = ((u0, v0, u0 + cut * wide, v1), (u0 + cut * wide, v0, u1, v1))
    else:
        parts = ((u0, v0, u1, v0 + cut * high), (u0, v0 + cut * high, u1, v1))
    for part in parts:
        yield from _split(part, rng, side=side)


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
    truth[_distance_from(shape, (0.68, 0.86)) / 0.06 + edge < 1] = BARE  # a quarry
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


def _settle(
    truth: NDArray[np.uint8], rng: np.random.Generator, *, plane: _Plane
) -> tuple[Mask, NDArray[np.int64], Field]:
    """Build a village and roads into the land; return paving, houses and roof sides."""
    shape = (truth.shape[0], truth.shape[1])
    at = tuple(axis[int(0.27 * shape[0]), int(0.72 * shape[1])] for axis in (plane.u, plane.v))
    off_road = np.minimum(np.abs(plane.u - at[0]), np.abs(plane.v - at[1])) / min(shape)
    sprawl = _distance_from(shape, (0.27, 0.72)) / 0.17 + off_road / 0.10
    sprawl = sprawl + 0.12 * make_fractal(shape, rng, slope=4.4, largest=0.25 * min(shape))
    village = (sprawl < 1) & (truth != WATER)
    u, v = plane.u - at[0] + _BLOCK[0] * 40, plane.v - at[1] + _BLOCK[1] * 40
    roads = (np.abs(plane.u - at[0] - 2) < 2.3) | (np.abs(plane.v - at[1] - 2) < 2.3)
    streets = village & ((u % _BLOCK[0] < _STREET) | (v % _BLOCK[1] < _STREET))
    number, inside, side = _place_houses(u, v, rng)
    house = village & inside & ~streets & ~roads
    truth[village | roads] = BUILT
    return roads | streets, np.where(house, number, -1), side


def _place_houses(
    u: Field, v: Field, rng: np.random.Generator
) -> tuple[NDArray[np.int64], Mask, Field]:
    """Put a house of its own size and place on nearly every lot."""
    lot_u, lot_v = np.floor((u % _BLOCK[0] - _STREET) / _LOT[0]), v % _BLOCK[1] - _STREET
    column = (u // _BLOCK[0] * 2 + lot_u).astype(np.int64)
    row = (v // _BLOCK[1] * 5 + np.floor(lot_v / _LOT[1])).astype(np.int64)
    number = (column * 131 + row * 17) % 4096
    built = rng.random(4096) < 0.88
    half_u, half_v = rng.uniform(2.6, 5.2, 4096), rng.uniform(2.2, 4.2, 4096)
    shift_u, shift_v = rng.uniform(-1.5, 1.5, (2, 4096))
    du = (u % _BLOCK[0] - _STREET) % _LOT[0] - _LOT[0] / 2 - shift_u[number]
    dv = lot_v % _LOT[1] - _LOT[1] / 2 - shift_v[number]
    inside = built[number] & (np.abs(du) < half_u[number]) & (np.abs(dv) < half_v[number])
    return number, inside, np.sign(dv)


def _distance_from(shape: Shape, place: tuple[float, float]) -> Field:
    """Return the distance to a place, both as shares of the landscape's smaller side."""
    rows, cols = np.indices(shape, dtype=np.float64)
    return np.asarray(np.hypot(rows - place[0] * shape[0], cols - place[1] * shape[1]) / min(shape))


def _outside_swath(shape: Shape) -> Mask:
    rows, cols = np.indices(shape)
    return np.asarray(cols / shape[1] + 0.36 * (1 - rows / shape[0]) < 0.117)


def _average(values: Mask, index: NDArray[np.int64]) -> Field:
    """Return the mean of values per parcel; 0 for a parcel outside of the landscape."""
    size = np.maximum(np.bincount(index.ravel()), 1)
    return np.asarray(np.bincount(index.ravel(), values.ravel()) / size)
