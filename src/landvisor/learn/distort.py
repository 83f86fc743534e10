"""A chip bent as rubber: a smooth field of shifts moves pixels, places and guide alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from landvisor.geo.tiling import full_window
from landvisor.learn.cutting import Cutting
from landvisor.learn.targets import crop_targets

KNOTS = {"elastic": 32, "grid": 64}
"""Pixels between the places where shifts are drawn; what lies between is smooth, or linear."""
_SPLINE = {"elastic": 3, "grid": 1}
_STEEPEST = 0.5  # change of a shift from a pixel to the next: from 1 on, a chip would fold over
_ROUNDS = 40  # of halving the error, far below a pixel's hundredth


def draw_shifts(
    generator: np.random.Generator, side: int, *, kind: str, pixels: float
) -> NDArray[np.float32]:
    """Draw where each pixel of a bent chip comes from.

    Args:
        generator: Source of randomness.
        side: Rows and columns of the chip.
        kind: `elastic` bends everywhere (after Simard, Steinkraus and Platt 2003, section 2, with
            splines in place of a convolution), `grid` moves the crossings of a coarse grid.
        pixels: Standard deviation of the shifts at the knots; less where they would fold the chip.

    Returns:
        float32 `[2, row, col]`: the pixel (row, col) shows what lay at (row, col) + shift.
    """
    spacing = KNOTS[kind]
    count = -(-side // spacing) + 1
    knots = generator.normal(scale=pixels, size=(2, count, count))
    places = np.arange(side) / spacing
    grid = np.stack(np.meshgrid(places, places, indexing="ij"))
    shifts = np.stack(
        [ndimage.map_coordinates(k, grid, order=_SPLINE[kind], mode="nearest") for k in knots]
    )
    steepest = max(float(np.abs(np.diff(shifts, axis=axis)).sum(axis=0).max()) for axis in (1, 2))
    return (shifts * min(1.0, _STEEPEST / max(steepest, 1e-9))).astype(np.float32)


def distort(chip: Cutting, shifts: NDArray[np.float32], *, stride: int) -> Cutting:
    """Bend a chip; what comes from beyond its border is no data.

    Args:
        chip: Is not changed.
        shifts: `[2, row, col]`, from `draw_shifts`.
        stride: Pixels a side of a cell of the guide.
    """
    image, valid = _bend(chip.image, chip.valid, shifts)
    guide = None
    if chip.guide is not None:
        mean = shifts.reshape(2, len(valid) // stride, stride, -1, stride).mean(axis=(2, 4))
        guide, _ = _bend(chip.guide, np.asarray(chip.guide.any(axis=0)), mean / stride)
    moved = chip.targets.coords + _find_ways(chip.targets.coords, shifts)
    targets = replace(chip.targets, coords=moved)
    return Cutting(image, valid, crop_targets(targets, full_window(valid.shape)), guide)


def _bend(
    planes: NDArray[np.float32], known: NDArray[np.bool_], shifts: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Read planes `[band, row, col]` elsewhere, from what is known alone; else they are 0."""
    grid = np.indices(known.shape) + shifts
    read = [
        ndimage.map_coordinates(plane, grid, order=1, mode="constant", cval=0.0)
        for plane in (*np.where(known, planes, 0), known.astype(np.float32))
    ]
    share = read[-1]
    inside = share >= 0.5
    total = np.stack(read[:-1]) / np.where(inside, share, 1)
    return np.where(inside, total, 0).astype(np.float32), inside


def _find_ways(coords: NDArray[np.float64], shifts: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return `[n, 2]`: where places go, for a shift says where a pixel comes from.

    A place at x goes to the y with y + shift(y) = x. As shifts change by less than a half from
    pixel to pixel, y = x - shift(y) draws nearer each time (Banach's fixed point).
    """
    ways = np.zeros_like(coords)
    for _ in range(_ROUNDS):
        at = (coords + ways).T
        ways = -np.stack(
            [ndimage.map_coordinates(s, at, order=1, mode="nearest") for s in shifts], axis=1
        )
    return ways
