"""What a chip is trained on: labelled places, and how geometry moves them without a raster."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from landvisor.geo.legend import Legend
from landvisor.geo.places import Places
from landvisor.geo.tiling import Shape, Window, full_window


@dataclass(frozen=True)
class Targets:
    """Labelled places of one chip, all arrays of one length `n`; nothing else is labelled.

    Attributes:
        coords: float64 `[n, 2]`: (row, col) in pixels of the chip; an integer is a pixel's centre.
        label: int64 `[n]`: position of the class among the legend's active ones, 0..k-1.
        weight: float32 `[n]`: confidence.
        source: uint8 `[n]`: a value of `landvisor.geo.places.SOURCES`.
    """

    coords: NDArray[np.float64]
    label: NDArray[np.int64]
    weight: NDArray[np.float32]
    source: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.label)

    def take(self, selection: NDArray[np.bool_] | NDArray[np.int64]) -> Targets:
        """Keep the places that a boolean `[n]` marks, or those at integer positions."""
        return Targets(*(getattr(self, field.name)[selection] for field in fields(self)))


@dataclass(frozen=True)
class Geometry:
    """A symmetry of the square, then a zoom, then a crop, as one affine on coordinates.

    Attributes:
        mirror: Flip the columns, before turning.
        turns: Quarter turns counter-clockwise, 0..3, as `numpy.rot90` makes them.
        zoom: Factor on lengths: above 1 objects grow.
        offset: (row, col) of the crop's first pixel on the zoomed grid; may be negative.
    """

    mirror: bool = False
    turns: int = 0
    zoom: float = 1.0
    offset: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        assert self.turns in range(4), "turns are counted 0 to 3"
        assert self.zoom > 0, "a zoom is above 0"

    def turned(self, shape: Shape) -> Shape:
        """Return `(rows, cols)` of an image of `shape` after mirroring and turning."""
        return (shape[1], shape[0]) if self.turns % 2 else shape

    def matrix(self, shape: Shape) -> NDArray[np.float64]:
        """Return the affine `[3, 3]` from (row, col, 1) of a source of `shape` to the crop's."""
        whole = _mirror_matrix(shape) if self.mirror else np.eye(3)
        for _ in range(self.turns):
            whole = _turn_matrix(shape) @ whole
            shape = shape[1], shape[0]
        return np.asarray(_zoom_matrix(self.zoom, self.offset) @ whole)

    def forward(self, coords: NDArray[np.float64], shape: Shape) -> NDArray[np.float64]:
        """Move places `[n, 2]` of a source of `shape` onto the crop."""
        return _apply(self.matrix(shape), coords)

    def backward(self, coords: NDArray[np.float64], shape: Shape) -> NDArray[np.float64]:
        """Find where on the source of `shape` places `[n, 2]` of the crop come from."""
        inverse = np.linalg.inv(self.matrix(shape)).astype(np.float64)
        return _apply(inverse, coords)


def make_targets(places: Places, legend: Legend) -> Targets:
    """Take the places of one scene as targets, in the scene's pixels.

    Places whose class the legend ignores or lacks are left out: they are unlabelled.
    """
    label = legend.to_index(places.label)
    whole = Targets(places.coords, label, places.weight, places.source)
    return whole.take(label >= 0)


def crop_targets(targets: Targets, window: Window) -> Targets:
    """Keep the places on a window's pixels, counted from its first pixel."""
    inside = targets.take(window.holds(targets.coords))
    return _with_coords(inside, inside.coords - np.array([window.row, window.col]))


def shift_targets(targets: Targets, *, row: float, col: float) -> Targets:
    """Count places from another first pixel: add to their rows and columns."""
    return _with_coords(targets, targets.coords + np.array([row, col]))


def join_targets(first: Targets, second: Targets) -> Targets:
    """Put the places of both together."""
    parts = ((getattr(t, field.name) for t in (first, second)) for field in fields(Targets))
    return Targets(*(np.concatenate(list(part)) for part in parts))


def move_targets(targets: Targets, geometry: Geometry, *, shape: Shape, out_size: Shape) -> Targets:
    """Move places along with their chip; those that leave it are dropped from it.

    Args:
        targets: Places on the source.
        geometry: How the source becomes the chip.
        shape: `(rows, cols)` of the source.
        out_size: `(rows, cols)` of the chip.
    """
    moved = _with_coords(targets, geometry.forward(targets.coords, shape))
    return crop_targets(moved, full_window(out_size))


def _with_coords(targets: Targets, coords: NDArray[np.float64]) -> Targets:
    return Targets(coords, targets.label, targets.weight, targets.source)


def _mirror_matrix(shape: Shape) -> NDArray[np.float64]:
    return np.array([[1.0, 0.0, 0.0], [0.0, -1.0, shape[1] - 1], [0.0, 0.0, 1.0]])


def _turn_matrix(shape: Shape) -> NDArray[np.float64]:
    return np.array([[0.0, -1.0, shape[1] - 1], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


def _zoom_matrix(zoom: float, offset: tuple[int, int]) -> NDArray[np.float64]:
    # (r + 0.5) · zoom - 0.5: a pixel's edge, not its centre, is the fixed point of a resize.
    shift = 0.5 * zoom - 0.5
    return np.array([[zoom, 0.0, shift - offset[0]], [0.0, zoom, shift - offset[1]], [0, 0, 1.0]])


def _apply(matrix: NDArray[np.float64], coords: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(coords @ matrix[:2, :2].T + matrix[:2, 2])
