"""The built-up part of the synthetic landscape: roads, streets and houses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landvisor.demo.noise import Field, make_fractal
from landvisor.demo.plane import Plane, measure_distance

Mask = NDArray[np.bool_]

HOUSES = 4096  # numbers that houses take; far lots may share one and look alike
_PLACE = (0.27, 0.72)
_BLOCK = (34, 64)  # a street of 4 pixels, then two lots by five
_LOT = (15, 12)
_STREET = 4


@dataclass(frozen=True)
class Village:
    """What people built.

    Attributes:
        built: Roads and the village with its gardens `[row, col]`.
        paved: Roads and streets `[row, col]`.
        roof: int64 `[row, col]`: number of the house, or -1.
        ridge: Side of a roof's ridge, -1 or 1, `[row, col]`.
    """

    built: Mask
    paved: Mask
    roof: NDArray[np.int64]
    ridge: Field


def make_village(plane: Plane, rng: np.random.Generator, *, dry: Mask) -> Village:
    """Build a village at a crossing of two roads; bridges cross what is not dry."""
    shape = (dry.shape[0], dry.shape[1])
    row, col = (int(share * side) for share, side in zip(_PLACE, shape, strict=True))
    u, v = plane.u - plane.u[row, col], plane.v - plane.v[row, col]
    off_road = np.minimum(np.abs(u), np.abs(v)) / plane.side
    sprawl = measure_distance(shape, _PLACE) / 0.17 + off_road / 0.10
    sprawl = sprawl + 0.12 * make_fractal(shape, rng, slope=4.4, largest=0.25 * plane.side)
    village = (sprawl < 1) & dry
    roads = (np.abs(u - 2) < 2.3) | (np.abs(v - 2) < 2.3)
    u, v = u + _BLOCK[0] * 40, v + _BLOCK[1] * 40
    streets = village & ((u % _BLOCK[0] < _STREET) | (v % _BLOCK[1] < _STREET))
    number, inside, ridge = _place_houses(u, v, rng=rng)
    house = village & inside & ~streets & ~roads
    return Village(village | roads, roads | streets, np.where(house, number, -1), ridge)


def _place_houses(
    u: Field, v: Field, *, rng: np.random.Generator
) -> tuple[NDArray[np.int64], Mask, Field]:
    """Put a house of its own size and place on nearly every lot."""
    lot_u, lot_v = np.floor((u % _BLOCK[0] - _STREET) / _LOT[0]), v % _BLOCK[1] - _STREET
    column = (u // _BLOCK[0] * 2 + lot_u).astype(np.int64)
    row = (v // _BLOCK[1] * 5 + np.floor(lot_v / _LOT[1])).astype(np.int64)
    number = (column * 131 + row * 17) % HOUSES
    built = rng.random(HOUSES) < 0.88
    half_u, half_v = rng.uniform(2.6, 5.2, HOUSES), rng.uniform(2.2, 4.2, HOUSES)
    shift_u, shift_v = rng.uniform(-1.5, 1.5, (2, HOUSES))
    du = (u % _BLOCK[0] - _STREET) % _LOT[0] - _LOT[0] / 2 - shift_u[number]
    dv = lot_v % _LOT[1] - _LOT[1] / 2 - shift_v[number]
    inside = built[number] & (np.abs(du) < half_u[number]) & (np.abs(dv) < half_v[number])
    return number, inside, np.sign(dv)
