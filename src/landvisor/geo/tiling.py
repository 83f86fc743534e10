"""Which windows cover a grid, and which one holds a place best: arithmetic without I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, int]


@dataclass(frozen=True, order=True)
class Window:
    """A rectangle of whole pixels: `row, col` of its first pixel, then its size."""

    row: int
    col: int
    rows: int
    cols: int

    def __str__(self) -> str:
        last_row, last_col = self.row + self.rows - 1, self.col + self.cols - 1
        return f"rows {self.row} to {last_row}, columns {self.col} to {last_col}"

    @property
    def shape(self) -> Shape:
        """Size as `(rows, cols)`."""
        return self.rows, self.cols

    @property
    def size(self) -> int:
        """Pixels that it holds."""
        return self.rows * self.cols

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of this window in an array of the whole grid, as `array[..., rows, cols]`."""
        return slice(self.row, self.row + self.rows), slice(self.col, self.col + self.cols)

    def intersect(self, other: Window) -> Window | None:
        """Return the common part, or None where there is none."""
        row, col = max(self.row, other.row), max(self.col, other.col)
        rows = min(self.row + self.rows, other.row + other.rows) - row
        cols = min(self.col + self.cols, other.col + other.cols) - col
        return Window(row, col, rows, cols) if rows > 0 and cols > 0 else None

    def relative_to(self, other: Window) -> Window:
        """Return this window in the coordinates of `other`."""
        return Window(self.row - other.row, self.col - other.col, self.rows, self.cols)

    def holds(self, coords: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which places lie on the window's pixels.

        Args:
            coords: `[n, 2]` as (row, col) in pixels, an integer being a pixel's centre.
        """
        first = np.array([self.row, self.col]) - 0.5
        inside = (coords >= first) & (coords < first + np.array(self.shape))
        return np.asarray(inside.all(axis=1))


def full_window(shape: Shape) -> Window:
    """Return the window that covers a whole grid of `(rows, cols)`."""
    return Window(0, 0, *shape)


def starts(length: int, *, size: int, overlap: int) -> list[int]:
    """Place windows of `size` along an axis, the last one moved inwards to end with it.

    Args:
        length: Pixels on the axis; at least 1.
        size: Pixels of a window; one shorter than that is used where the axis is shorter.
        overlap: Pixels that neighbours share at least; under `size`.
    """
    assert 0 <= overlap < size, "an overlap is smaller than its window"
    if length <= size:
        return [0]
    step = size - overlap
    return [*range(0, length - size, step), length - size]


def cover(shape: Shape, *, size: int, overlap: int = 0) -> list[Window]:
    """Cover a grid with equal windows that overlap by at least `overlap` pixels.

    Windows are anchored at the grid's first pixel and listed row by row. The last one of a row
    or column is moved inwards, so that all have the same size unless the grid is smaller.
    """
    rows, cols = min(size, shape[0]), min(size, shape[1])
    return [
        Window(row, col, rows, cols)
        for row in starts(shape[0], size=size, overlap=overlap)
        for col in starts(shape[1], size=size, overlap=overlap)
    ]


def cover_area(shape: Shape, area: Window, *, size: int, overlap: int) -> list[list[Window]]:
    """List those windows of `cover` that touch an area, one list for each row of windows.

    They are the windows of the whole grid, so that what is found in one does not depend on the
    area.
    """
    rows, cols = min(size, shape[0]), min(size, shape[1])
    return [
        [
            Window(row, col, rows, cols)
            for col in starts(shape[1], size=size, overlap=overlap)
            if col < area.col + area.cols and col + cols > area.col
        ]
        for row in starts(shape[0], size=size, overlap=overlap)
        if row < area.row + area.rows and row + rows > area.row
    ]


def split_blocks(shape: Shape, size: int | Shape) -> Iterator[Window]:
    """Cut a grid into blocks that touch without overlap; the last ones may be smaller.

    Args:
        shape: Of the grid.
        size: Side of a block, or its rows and columns.
    """
    rows, cols = (size, size) if isinstance(size, int) else size
    for row in range(0, shape[0], rows):
        for col in range(0, shape[1], cols):
            yield Window(row, col, min(rows, shape[0] - row), min(cols, shape[1] - col))


def blocks_under(window: Window, *, block: Shape, shape: Shape) -> list[Window]:
    """List the blocks of a file that a window touches, whole.

    Args:
        window: Part of the grid.
        block: Size of the blocks, which begin at the grid's first pixel.
        shape: Of the grid, which may cut the last blocks.
    """
    first_row, first_col = window.row // block[0] * block[0], window.col // block[1] * block[1]
    return [
        Window(row, col, min(block[0], shape[0] - row), min(block[1], shape[1] - col))
        for row in range(first_row, window.row + window.rows, block[0])
        for col in range(first_col, window.col + window.cols, block[1])
    ]


def group_by_block(
    pixels: NDArray[np.int64], *, shape: Shape, size: int
) -> Iterator[tuple[Window, NDArray[np.int64]]]:
    """Sort pixels into the blocks of `split_blocks`, in the same order.

    Args:
        pixels: `[n, 2]` as (row, col), on the grid.
        shape: Of the grid.
        size: Side of a block.

    Yields:
        Each block that holds a pixel, and the positions of its pixels in `pixels`.
    """
    across = -(-shape[1] // size)
    block = pixels[:, 0] // size * across + pixels[:, 1] // size
    order = np.argsort(block, kind="stable")
    begin = np.flatnonzero(np.diff(block[order], prepend=-1))
    for here in np.split(order, begin[1:]) if len(order) else ():
        row, col = (int(part) * size for part in divmod(block[here[0]], across))
        yield Window(row, col, min(size, shape[0] - row), min(size, shape[1] - col)), here


def most_interior(coords: NDArray[np.float64], windows: list[Window]) -> NDArray[np.int64]:
    """Find for each place the window whose edge is farthest from it.

    Args:
        coords: `[n, 2]` as (row, col) in pixels.
        windows: Windows that cover all places.

    Returns:
        `[n]`: position in `windows`; the first of equals.
    """
    first = np.array([[window.row, window.col] for window in windows]) - 0.5
    last = first + np.array([window.shape for window in windows])
    best = np.full(len(coords), -np.inf)
    found = np.zeros(len(coords), dtype=np.int64)
    for index in range(len(windows)):
        depth = np.minimum(coords - first[index], last[index] - coords).min(axis=1)
        better = depth > best
        best[better], found[better] = depth[better], index
    return found
