"""The fields of the synthetic landscape, and what is grown on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landvisor.demo.noise import Field
from landvisor.demo.plane import Plane


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


def make_parcels(plane: Plane, rng: np.random.Generator) -> Parcels:
    """Cut the landscape into fields and choose a crop for each."""
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
