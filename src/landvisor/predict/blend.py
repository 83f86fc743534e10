"""How overlapping windows are joined: weights that sum to one at every pixel."""

from __future__ import annotations

from collections.abc import Iterator

import numba
import numpy as np
from numpy.typing import NDArray

from landvisor.geo.tiling import Window


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


class Strip:
    """Sums over windows for the rows that are not finished yet.

    Windows come row by row; once the next ones start further down, the rows above are final. The
    rows of an area are reused in turn, so memory is `classes + 1` values of 4 bytes and one of 1
    for each column of the area in as many rows as a window has.

    Args:
        classes: Channels of a prediction.
        area: The part of the grid that is wanted; what windows hold beyond it is left out.
        rows: Rows of a window.
        overlap: Pixels that neighbouring windows share.
    """

    def __init__(self, classes: int, area: Window, *, rows: int, overlap: int) -> None:
        self.first_row = area.row
        self._area = area
        self._overlap = overlap
        self._sums = np.zeros((classes, rows, area.cols), dtype=np.float32)
        self._weights = np.zeros((rows, area.cols), dtype=np.float32)
        self._valid = np.zeros((rows, area.cols), dtype=bool)

    def mark(self, window: Window, valid: NDArray[np.bool_]) -> None:
        """Note which pixels of a window `[row, col]` hold data."""
        part = self._clip(window)
        rows, cols = part.relative_to(window).slices
        at = np.arange(part.row, part.row + part.rows) % len(self._valid)
        first = part.col - self._area.col
        self._valid[at, first : first + part.cols] = valid[rows, cols]

    def add(
        self,
        window: Window,
        probabilities: NDArray[np.float32],
        *,
        factors: NDArray[np.float32] | None = None,
    ) -> None:
        """Add a window's probabilities `[class, row, col]` with its weights.

        Args:
            window: Where it lies on the grid.
            probabilities: Summing to one over classes.
            factors: One per class, to favour some; the shares of a pixel still sum to one.
        """
        part = self._clip(window)
        seen = part.relative_to(window)
        _add(
            self._sums,
            self._weights,
            probabilities,
            np.empty(0, np.float32) if factors is None else factors,
            taper(window.rows, overlap=self._overlap),
            taper(window.cols, overlap=self._overlap),
            (seen.row, seen.col, seen.rows, seen.cols),
            (part.row, part.col - self._area.col),
        )

    def finish(
        self, before: int, *, most: int
    ) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.bool_]]]:
        """Take out the rows above `before`, at most `most` at a time.

        Yields:
            First row, mean probabilities `[class, row, col]` and validity `[row, col]`. Their
            memory is used again for the next ones: new pages are dearer than what fills them.
        """
        if before <= self.first_row:  # as after most windows
            return
        means = np.empty((len(self._sums), most, self._area.cols), dtype=np.float32)
        valid = np.empty((most, self._area.cols), dtype=bool)
        while self.first_row < before:
            first, count = self.first_row, min(most, before - self.first_row)
            _take(self._sums, self._weights, self._valid, first, means[:, :count], valid[:count])
            self.first_row += count
            yield first, means[:, :count], valid[:count]

    def _clip(self, window: Window) -> Window:
        part = window.intersect(self._area)
        assert part is not None, "a window of the area"
        return part


@numba.njit(nogil=True, cache=True)
def _add(sums, weights, probabilities, factors, down, across, seen, place):  # type: ignore[no-untyped-def]  # numba's types
    """Add what a window says, times its weights, to the sums.

    Args:
        sums: float32 `[class, row, col]`; a row of the grid lies at its number modulo the rows.
        weights: float32 `[row, col]`, likewise.
        probabilities: float32 `[class, row, col]` of the window.
        factors: float32 `[class]`, or none.
        down: float32 `[row]`, the weights along the window's rows.
        across: float32 `[col]`, along its columns.
        seen: First row and column, rows and columns of what is wanted of the window.
        place: Row of the grid and column of the sums where that lies.
    """
    top, left, rows, cols = seen
    classes, height = sums.shape[:2]
    share, total = np.empty(cols, np.float32), np.empty(cols, np.float32)
    for row in range(rows):
        at = (place[0] + row) % height
        weight = weights[at, place[1] : place[1] + cols]
        for col in range(cols):
            share[col] = down[top + row] * across[left + col]
            weight[col] += share[col]
        if len(factors):
            total[:] = 0
            for number in range(classes):
                told = probabilities[number, top + row, left : left + cols]
                for col in range(cols):
                    total[col] += told[col] * factors[number]
            for col in range(cols):
                share[col] = share[col] / total[col] if total[col] > 0 else share[col]
        for number in range(classes):
            told = probabilities[number, top + row, left : left + cols]
            mean = sums[number, at, place[1] : place[1] + cols]
            factor = factors[number] if len(factors) else np.float32(1)
            for col in range(cols):
                mean[col] += told[col] * factor * share[col]


@numba.njit(nogil=True, cache=True)
def _take(sums, weights, known, first, means, valid):  # type: ignore[no-untyped-def]  # numba's types
    """Divide the sums of finished rows by their weights, and clear these rows.

    Args:
        sums: See `_add`.
        weights: See `_add`.
        known: bool `[row, col]`, likewise: pixels with data.
        first: Row of the grid to begin with.
        means: float32 `[class, row, col]`, filled.
        valid: bool `[row, col]`, filled: pixels with data that a window was predicted for.
    """
    height, cols = weights.shape
    for row in range(len(valid)):
        at = (first + row) % height
        weight = weights[at]
        for col in range(cols):
            valid[row, col] = known[at, col] and weight[col] > 0
            weight[col] = 1 / weight[col] if weight[col] > 0 else 0
        for number in range(len(sums)):
            total, mean = sums[number, at], means[number, row]
            for col in range(cols):
                mean[col] = total[col] * weight[col]
                total[col] = 0
        weight[:] = 0
        known[at] = False
