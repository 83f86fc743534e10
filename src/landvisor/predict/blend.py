"""How overlapping windows are joined: weights that sum to one at every pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from landvisor.geo.tiling import Shape


def taper(length: int, *, overlap: int) -> NDArray[np.float32]:
    """Weight the pixels along one side of a window: a ramp over the overlap, then 1.

    The ramp never reaches 0, so that a pixel which only one window covers keeps its whole
    weight after the division by the sum of weights.

    Args:
        length: Pixels of the side.
        overlap: Pixels that neighbours share.
    """
    distance = np.minimum(np.arange(length), np.arange(length)[::-1]) + 0.5
    return np.minimum(distance / max(overlap, 0.5), 1.0).astype(np.float32)


def window_weights(shape: Shape, *, overlap: int) -> NDArray[np.float32]:
    """Weight every pixel of a window `[row, col]`: the product of both sides' tapers."""
    rows, cols = shape
    return np.outer(taper(rows, overlap=overlap), taper(cols, overlap=overlap))


class Strip:
    """Sums over windows for the rows that are not finished yet.

    Windows come row by row; once the next ones start further down, the rows above are final.
    Memory is `classes + 2` values for each pixel of the rows in progress, never of the scene.

    Args:
        classes: Channels of a prediction.
        cols: Columns of the scene.
        overlap: Pixels that neighbouring windows share.
    """

    def __init__(self, classes: int, cols: int, *, overlap: int) -> None:
        self.first_row = 0
        self._overlap = overlap
        self._sums = np.zeros((classes, 0, cols), dtype=np.float32)
        self._weights = np.zeros((0, cols), dtype=np.float32)
        self._valid = np.zeros((0, cols), dtype=bool)

    def reserve(self, last_row: int) -> None:
        """Make room for rows up to `last_row` (exclusive)."""
        missing = last_row - self.first_row - len(self._weights)
        if missing <= 0:
            return
        self._sums = np.pad(self._sums, ((0, 0), (0, missing), (0, 0)))
        self._weights = np.pad(self._weights, ((0, missing), (0, 0)))
        self._valid = np.pad(self._valid, ((0, missing), (0, 0)))

    def mark(self, row: int, col: int, valid: NDArray[np.bool_]) -> None:
        """Note which pixels of a window `[row, col]` hold data."""
        rows, cols = self._slices(row, col, valid.shape)
        self._valid[rows, cols] = valid

    def add(self, row: int, col: int, probabilities: NDArray[np.float32]) -> None:
        """Add a window's probabilities `[class, row, col]` with its weights."""
        shape = probabilities.shape[1:]
        weights = window_weights((shape[0], shape[1]), overlap=self._overlap)
        rows, cols = self._slices(row, col, shape)
        self._sums[:, rows, cols] += probabilities * weights
        self._weights[rows, cols] += weights

    def finish(self, before: int) -> tuple[int, NDArray[np.float32], NDArray[np.bool_]]:
        """Take out the rows above `before`: first row, probabilities and validity."""
        count = before - self.first_row
        weights = self._weights[:count]
        valid = self._valid[:count] & (weights > 0)
        divisor = np.maximum(weights, np.finfo(np.float32).tiny).astype(np.float32)
        means: NDArray[np.float32] = self._sums[:, :count] / divisor
        first = self.first_row
        self._sums = self._sums[:, count:].copy()
        self._weights, self._valid = self._weights[count:].copy(), self._valid[count:].copy()
        self.first_row = before
        return first, means, valid

    def _slices(self, row: int, col: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
        top = row - self.first_row
        return slice(top, top + shape[0]), slice(col, col + shape[1])
