"""What a scene looks like when made small enough for a page."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.geo.scene import Pixels, Scene
from landvisor.geo.tiling import split_blocks

_BLOCK = 1024


def shrink_step(shape: tuple[int, int], size: int) -> int:
    """Return the smallest whole step that brings the longer side to `size` or less."""
    return max(1, -(-max(shape) // size))


def read_thumbnail(scene: Scene, *, size: int = 900) -> Pixels:
    """Read every n-th pixel of a scene, block by block, so that no side exceeds `size`.

    Classes stay classes, since nothing is averaged.

    Returns:
        Data `[band, row, col]` and validity; pixel (r, c) is the scene's (r·step, c·step).
    """
    step = shrink_step(scene.shape, size)
    small = tuple(-(-side // step) for side in scene.shape)
    data: NDArray[Any] = np.zeros((len(scene.bands), *small), dtype=scene.dtype)
    valid = np.zeros(small, dtype=bool)
    block = max(step, _BLOCK // step * step)
    for window in split_blocks(scene.shape, block):
        pixels = scene.read(window)
        rows = slice(window.row // step, -(-(window.row + window.rows) // step))
        cols = slice(window.col // step, -(-(window.col + window.cols) // step))
        data[:, rows, cols] = pixels.data[:, ::step, ::step]
        valid[rows, cols] = pixels.valid[::step, ::step]
    return Pixels(data, valid)
