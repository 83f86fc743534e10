"""Where labelled places lie on the pixel grids of a collection's scenes."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from landvisor.geo.tiling import Shape

SOURCES = {"human": 1, "simulated": 2, "linked": 3, "grown": 4, "pseudo": 5}


@dataclass(frozen=True)
class Places:
    """Labelled places in pixel coordinates, all arrays of one length `n`.

    Attributes:
        scene: int64 `[n]`: position of the scene in its collection.
        coords: float64 `[n, 2]`: (row, col) in pixels, sub-pixel; an integer is a pixel's centre.
        label: int64 `[n]`: class id of the legend (never a position in it).
        weight: float32 `[n]`: confidence, above 0; 1 is a sure human label.
        source: uint8 `[n]`: a value of `SOURCES`.
        group: int64 `[n]`: feature the place came from; a split never parts a group.
        index: int64 `[n]`: row of the points table the place came from.
    """

    scene: NDArray[np.int64]
    coords: NDArray[np.float64]
    label: NDArray[np.int64]
    weight: NDArray[np.float32]
    source: NDArray[np.uint8]
    group: NDArray[np.int64]
    index: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.label)

    def take(self, selection: NDArray[np.bool_] | NDArray[np.int64]) -> Places:
        """Keep the places that a boolean `[n]` marks, or those at integer positions."""
        return Places(*(getattr(self, field.name)[selection] for field in fields(self)))

    def on_scene(self, position: int) -> Places:
        """Keep the places of one scene."""
        return self.take(self.scene == position)

    def pixels(self) -> NDArray[np.int64]:
        """Return `[n, 2]`: the (row, col) of the pixel that each place lies in."""
        return np.asarray(np.floor(self.coords + 0.5).astype(np.int64))


def make_places(
    coords: NDArray[np.float64],
    label: NDArray[np.int64],
    *,
    scene: int | NDArray[np.int64] = 0,
    source: str = "human",
    group: NDArray[np.int64] | None = None,
) -> Places:
    """Build places of weight 1 from coordinates `[n, 2]` and class ids `[n]`."""
    count = len(label)
    return Places(
        scene=np.broadcast_to(np.asarray(scene, dtype=np.int64), (count,)).copy(),
        coords=np.asarray(coords, dtype=np.float64).reshape(count, 2),
        label=np.asarray(label, dtype=np.int64),
        weight=np.ones(count, dtype=np.float32),
        source=np.full(count, SOURCES[source], dtype=np.uint8),
        group=np.arange(count) if group is None else np.asarray(group, dtype=np.int64),
        index=np.arange(count, dtype=np.int64),
    )


def no_places() -> Places:
    """Return places of which there are none."""
    return make_places(np.zeros((0, 2)), np.zeros(0, dtype=np.int64))


def concatenate(parts: list[Places]) -> Places:
    """Join places of the same collection; group and index are kept as they are."""
    assert parts, "there is something to join"
    return Places(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Places)))


def map_to_pixels(grid: GeoBox, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn map coordinates `[n, 2]` (x, y) into (row, col); an integer is a pixel's centre."""
    cols, rows = _apply(~grid.affine, xy[:, 0], xy[:, 1])
    return np.column_stack([rows, cols]) - 0.5


def pixels_to_map(grid: GeoBox, coords: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn (row, col) `[n, 2]` into map coordinates `[n, 2]` (x, y)."""
    return np.column_stack(_apply(grid.affine, coords[:, 1] + 0.5, coords[:, 0] + 0.5))


def rescale(coords: NDArray[np.float64], *, source: Shape, target: Shape) -> NDArray[np.float64]:
    """Carry places through a resize: with factor s, r becomes (r + 0.5) · s - 0.5.

    Args:
        coords: `[n, 2]`, (row, col) on an image of `source`; an integer is a pixel's centre.
        source: `(rows, cols)` before.
        target: `(rows, cols)` after, of the same extent.
    """
    factor = np.asarray(target, dtype=np.float64) / np.asarray(source)
    return np.asarray((coords + 0.5) * factor - 0.5)


def _apply(
    affine: Affine, first: NDArray[np.float64], second: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, b, c, d, e, f = affine[:6]
    # A place that its CRS cannot say is infinite: 0 times that is NaN, which no window holds.
    with np.errstate(invalid="ignore"):
        return a * first + b * second + c, d * first + e * second + f
