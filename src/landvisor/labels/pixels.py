"""Which pixels of a scene have a label, where it comes from, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from landvisor.geo.places import SOURCES, Places
from landvisor.geo.tiling import Shape

SURE = 255
FIRST_MADE = SOURCES["linked"]
"""Sources from this one on are labels made from labels; below it are points."""


@dataclass(frozen=True, eq=False)
class LabelledPixels:
    """Labelled pixels of one scene, all arrays of one length `n`; the rest is unlabelled.

    Attributes:
        shape: Size of the scene as `(rows, cols)`.
        position: int64 `[n]`: row * cols + col, ascending, none twice.
        label: uint8 `[n]`: class id of the legend.
        source: uint8 `[n]`: a value of `SOURCES`.
        weight: uint8 `[n]`: confidence, 1 to 255, which is that of a sure human label.
        place: int64 `[n]`: position of the place that the label came from; -1 is unknown.
    """

    shape: Shape
    position: NDArray[np.int64]
    label: NDArray[np.uint8]
    source: NDArray[np.uint8]
    weight: NDArray[np.uint8]
    place: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.position)

    def take(self, selection: NDArray[np.bool_] | NDArray[np.int64]) -> LabelledPixels:
        """Keep the pixels that a boolean `[n]` marks, or those at ascending positions."""
        arrays = (getattr(self, field.name)[selection] for field in fields(self)[1:])
        return LabelledPixels(self.shape, *arrays)

    @property
    def made(self) -> NDArray[np.bool_]:
        """Tell which pixels `[n]` have a label made from labels, not that of a place."""
        return np.asarray(self.source >= FIRST_MADE)

    def coords(self) -> NDArray[np.int64]:
        """Return `[n, 2]`: (row, col) of each pixel."""
        return np.stack(np.divmod(self.position, self.shape[1]), axis=1)

    def find(self, pixels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return `[m]`: where pixels `[m, 2]` (row, col) stand in the arrays; -1 if nowhere."""
        wanted = pixels[:, 0] * self.shape[1] + pixels[:, 1]
        if not len(self):
            return np.full(len(wanted), -1)
        found = np.minimum(np.searchsorted(self.position, wanted), len(self) - 1)
        return np.where(self.position[found] == wanted, found, -1)


def make_pixels(
    shape: Shape,
    position: NDArray[np.int64],
    *,
    label: NDArray[np.integer],
    source: str | NDArray[np.uint8],
    weight: NDArray[np.floating] | float = 1.0,
    place: NDArray[np.int64] | None = None,
) -> LabelledPixels:
    """Bring labelled pixels into order.

    Args:
        shape: Size of the scene as `(rows, cols)`.
        position: `[n]`: row * cols + col, in any order, none twice.
        label: `[n]`: class ids, 0 to 254.
        source: A key of `SOURCES` for all, or codes `[n]`.
        weight: Confidence above 0; more than 1 counts as 1.
        place: `[n]`: position of the place that each came from; unknown by default.
    """
    count = len(position)
    order = np.argsort(position)
    code = SOURCES[source] if isinstance(source, str) else source
    coded = np.clip(np.rint(np.asarray(weight, dtype=np.float64) * SURE), 1, SURE)
    origin = np.full(count, -1) if place is None else place
    return LabelledPixels(
        shape,
        np.asarray(position, dtype=np.int64)[order],
        np.asarray(label).astype(np.uint8)[order],
        np.broadcast_to(np.asarray(code, dtype=np.uint8), (count,))[order],
        np.broadcast_to(coded.astype(np.uint8), (count,))[order],
        np.asarray(origin, dtype=np.int64)[order],
    )


def pixels_of_places(places: Places, shape: Shape) -> LabelledPixels:
    """Return the pixels that places of one scene lie in; the first of a pixel counts."""
    pixels = places.pixels()
    _, first = np.unique(pixels[:, 0] * shape[1] + pixels[:, 1], return_index=True)
    kept = places.take(first)
    position = pixels[first, 0] * shape[1] + pixels[first, 1]
    return make_pixels(
        shape, position, label=kept.label, source=kept.source, weight=kept.weight, place=first
    )


def overlay(above: LabelledPixels, below: LabelledPixels) -> LabelledPixels:
    """Join two sets of labelled pixels of one scene; where both have one, `above` counts."""
    assert above.shape == below.shape, "both belong to one scene"
    free = below.take(~np.isin(below.position, above.position, assume_unique=True))
    order = np.argsort(np.concatenate([above.position, free.position]), kind="stable")
    arrays = (
        np.concatenate([getattr(above, field.name), getattr(free, field.name)])[order]
        for field in fields(above)[1:]
    )
    return LabelledPixels(above.shape, *arrays)


def find_near(pixels: NDArray[np.int64], shape: Shape) -> NDArray[np.int64]:
    """Return the positions, row * cols + col, of pixels `[n, 2]` and of their neighbours.

    Args:
        pixels: (row, col) of each.
        shape: Size of the scene as `(rows, cols)`; what lies outside is left out.
    """
    around = (pixels[:, None] + np.argwhere(np.ones((3, 3))) - 1).reshape(-1, 2)
    inside = around[((around >= 0) & (around < np.array(shape))).all(axis=1)]
    return np.unique(inside[:, 0] * shape[1] + inside[:, 1])


def leave_known(pixels: LabelledPixels, places: Places) -> LabelledPixels:
    """Drop the pixels of places and their eight neighbours: people are not overruled."""
    near = find_near(places.pixels(), pixels.shape)
    return pixels.take(~np.isin(pixels.position, near))


def no_pixels(shape: Shape) -> LabelledPixels:
    """Return a scene of which nothing is labelled."""
    nothing = np.zeros(0, dtype=np.int64)
    return make_pixels(shape, nothing, label=nothing, source="grown")


def pixels_to_places(pixels: LabelledPixels, origin: Places, *, scene: int) -> Places:
    """Turn labelled pixels into places at their centres.

    Each has the group of the place that it came from, so that no split or fold parts them, and
    the row of the points table; pixels of unknown origin must have got one before.

    Args:
        pixels: Labelled pixels of one scene.
        origin: The places that `LabelledPixels.place` counts.
        scene: Position of the scene in its collection.
    """
    assert (pixels.place >= 0).all(), "the place that each pixel came from is known"
    return Places(
        scene=np.full(len(pixels), scene, dtype=np.int64),
        coords=pixels.coords().astype(np.float64),
        label=pixels.label.astype(np.int64),
        weight=(pixels.weight / np.float32(SURE)).astype(np.float32),
        source=pixels.source,
        group=origin.group[pixels.place],
        index=origin.index[pixels.place],
    )
