"""A part of a region as chips are made of it: pixels, places and guide, moved alike."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from landvisor.geo.scene import Pixels
from landvisor.geo.tiling import Shape
from landvisor.learn.augment import apply_geometry
from landvisor.learn.targets import Geometry, Targets, move_targets


@dataclass(frozen=True)
class Cutting:
    """A square that was cut from a region.

    Attributes:
        image: float32 `[band, row, col]` in native units.
        valid: bool `[row, col]`.
        targets: Places, in pixels of the square.
        guide: float32 `[class, cell, cell]`, 0 without data; or None.
    """

    image: NDArray[np.float32]
    valid: NDArray[np.bool_]
    targets: Targets
    guide: NDArray[np.float32] | None = None


def cut(
    pixels: Pixels,
    targets: Targets,
    *,
    geometry: Geometry,
    side: int,
    guide: NDArray[np.float16] | None = None,
    stride: int = 1,
) -> Cutting:
    """Cut a square out of a region, with all that belongs to it.

    Args:
        pixels: The region's.
        targets: Places, in pixels of the region.
        geometry: How the region becomes the square.
        side: Rows and columns of the square.
        guide: `[class, cell, cell]` of the whole region, in cells of any size; or None.
        stride: Pixels a side of a cell of the square's guide.
    """
    shape, size = pixels.valid.shape, (side, side)
    image, valid = apply_geometry(pixels.data, pixels.valid, geometry=geometry, out_size=size)
    moved = None
    if guide is not None:
        known = np.asarray(guide.any(axis=0))
        moved, _ = apply_geometry(
            guide, known, geometry=geometry, out_size=size, shape=shape, stride=stride
        )
    return Cutting(image, valid, move_targets(targets, geometry, shape=shape, out_size=size), moved)


def hold_place(
    generator: np.random.Generator,
    geometry: Geometry,
    *,
    anchor: NDArray[np.float64],
    shape: Shape,
    side: int,
) -> Geometry:
    """Draw the crop again among those that hold a place: others teach nothing.

    It also gives places at a region's edge, which few free crops reach, their turn.

    Args:
        generator: Source of randomness.
        geometry: Its symmetry and zoom are kept.
        anchor: `[1, 2]`: the place, in pixels of the region.
        shape: `(rows, cols)` of the region.
        side: Rows and columns of the crop.
    """
    place = replace(geometry, offset=(0, 0)).forward(anchor, shape)[0]
    offset = list(geometry.offset)
    for axis, length in enumerate(geometry.turned(shape)):
        room = int(length * geometry.zoom + 1e-6) - side
        if room > 0:
            pixel = int(np.floor(place[axis] + 0.5))
            first, last = max(0, pixel - side + 1), min(room, pixel)
            offset[axis] = int(generator.integers(min(first, room), max(last, 0), endpoint=True))
    return replace(geometry, offset=(offset[0], offset[1]))
