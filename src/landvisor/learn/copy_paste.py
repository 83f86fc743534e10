"""Patches around places of rare classes, pasted into chips with all that belongs to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from landvisor.geo.tiling import Shape, Window
from landvisor.learn.cutting import Cutting
from landvisor.learn.targets import Geometry, Targets, join_targets, shift_targets

_GRAIN = 8  # patches end between the cells of any decoder
_SIDES = 8, 4  # parts of a chip: a patch is between an eighth and a quarter as wide


def draw_class(generator: np.random.Generator, counts: Mapping[int, int]) -> int:
    """Draw a class in inverse proportion to its number of places, all of them above 0."""
    labels = list(counts)
    rarity = 1 / np.array([counts[label] for label in labels], dtype=np.float64)
    return int(generator.choice(labels, p=rarity / rarity.sum()))


def draw_spot(generator: np.random.Generator, side: int) -> Window:
    """Draw where on a chip of `side` pixels a patch goes: a square in steps of 8 pixels."""
    smallest, largest = (max(2, side // (part * _GRAIN)) for part in _SIDES)
    wide = int(generator.integers(smallest, largest, endpoint=True))
    row, col = generator.integers(0, side // _GRAIN - wide, 2, endpoint=True)
    return Window(int(row) * _GRAIN, int(col) * _GRAIN, wide * _GRAIN, wide * _GRAIN)


def centre_on(
    geometry: Geometry, *, place: NDArray[np.float64], shape: Shape, side: int
) -> Geometry:
    """Move a crop so that a place is in its middle, or as near to it as the region allows.

    Args:
        geometry: Its symmetry and zoom are kept.
        place: `[1, 2]`, in pixels of the region.
        shape: `(rows, cols)` of the region.
        side: Rows and columns of the crop.
    """
    middle = replace(geometry, offset=(0, 0)).forward(place, shape)[0]
    room = np.array(
        [int(length * geometry.zoom + 1e-6) - side for length in geometry.turned(shape)]
    )
    first = np.floor(middle + 0.5).astype(np.int64) - side // 2
    row, col = np.clip(first, np.minimum(room, 0), np.maximum(room, 0))
    return replace(geometry, offset=(int(row), int(col)))


def paste(chip: Cutting, patch: Cutting, *, at: Window, stride: int) -> Cutting:
    """Paste the valid pixels of a patch, with hard edges; what lay beneath them is gone.

    Places of the chip beneath pasted pixels are dropped, those of the patch on them come along.
    A cell of the guide is the patch's where at least half of its pixels are.

    Args:
        chip: Is not changed.
        patch: As wide as `at`.
        at: Where it goes, at multiples of 8 pixels.
        stride: Pixels a side of a cell of the guides.
    """
    rows, cols = at.slices
    pasted = np.zeros_like(chip.valid)
    pasted[rows, cols] = patch.valid
    image = chip.image.copy()
    np.copyto(image[:, rows, cols], patch.image, where=patch.valid)
    moved = shift_targets(patch.targets, row=at.row, col=at.col)
    targets = join_targets(
        chip.targets.take(~_lie_on(pasted, chip.targets)), moved.take(_lie_on(pasted, moved))
    )
    return Cutting(image, chip.valid | pasted, targets, _mix_guides(chip, patch, at, stride))


def _mix_guides(
    chip: Cutting, patch: Cutting, at: Window, stride: int
) -> NDArray[np.float32] | None:
    if chip.guide is None or patch.guide is None:
        return None
    guide = chip.guide.copy()
    rows, cols = (slice(part.start // stride, part.stop // stride) for part in at.slices)
    cells = at.rows // stride
    share = patch.valid.reshape(cells, stride, cells, stride).mean(axis=(1, 3))
    np.copyto(guide[:, rows, cols], patch.guide, where=share >= 0.5)
    return guide


def _lie_on(pixels: NDArray[np.bool_], targets: Targets) -> NDArray[np.bool_]:
    row, col = np.floor(targets.coords + 0.5).astype(np.int64).T
    return np.asarray(pixels[row, col])
