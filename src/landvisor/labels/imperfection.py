"""How points depart from perfect ones: moved off their pixel, or of a wrong class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import PointsError

# In the corner of an image three tries of four fail: one place in 10⁸ then stays where it was.
_TRIES = 64


def jitter_coords(
    coords: NDArray[np.float64],
    *,
    radius: float,
    valid: NDArray[np.bool_],
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """Move each place uniformly within a disc, as far as the image holds data there.

    Args:
        coords: `[n, 2]`, (row, col) in pixels, each on a valid pixel.
        radius: Of the disc, in pixels.
        valid: `[row, col]`: False is no data, where no place may go.
        generator: Of the moves.

    Returns:
        `[n, 2]`, sub-pixel, uniform over the part of the disc that lies on valid pixels; a place
        that can hardly move stays.
    """
    moved, waiting = coords.copy(), np.arange(len(coords))
    for _ in range(_TRIES):
        if not waiting.size:
            break
        tried = coords[waiting] + _draw_offsets(waiting.size, radius, generator)
        good = _holds_data(tried, valid)
        moved[waiting[good]] = tried[good]
        waiting = waiting[~good]
    return moved


def confuse_labels(
    label: NDArray[np.int64],
    *,
    ids: Sequence[int],
    share: float,
    generator: np.random.Generator,
) -> NDArray[np.int64]:
    """Give a share of the places another class, any of the others alike.

    It is `share` times n places, rounded up or down at random so that many images with few
    places each keep the share. One place of each class is spared as long as others are left.

    Args:
        label: int64 `[n]`, each one of `ids`.
        ids: Classes that an annotator may say.
        share: 0 to 1.
        generator: Of the choice.

    Raises:
        PointsError: If there is only one class, so that none can be mistaken for another.
    """
    if len(ids) < 2:
        raise PointsError(f"noise was asked for with {len(ids)} active class; it needs two or more")
    order = generator.permutation(len(label))
    spared = np.zeros(len(label), dtype=bool)
    spared[np.unique(label[order], return_index=True)[1]] = True
    order = np.concatenate([order[~spared], order[spared]])
    hit = order[: int(share * len(label) + generator.random())]
    known = np.sort(np.asarray(ids, dtype=np.int64))
    shift = generator.integers(1, len(known), size=len(hit))
    confused = label.copy()
    confused[hit] = known[(np.searchsorted(known, label[hit]) + shift) % len(known)]
    return confused


def _draw_offsets(count: int, radius: float, generator: np.random.Generator) -> NDArray[np.float64]:
    angle = generator.uniform(0, 2 * np.pi, count)
    length = radius * np.sqrt(generator.random(count))  # the root makes areas equally likely
    return np.stack([length * np.sin(angle), length * np.cos(angle)], axis=1)


def _holds_data(coords: NDArray[np.float64], valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    pixels = np.floor(coords + 0.5).astype(np.int64)
    inside = np.asarray(((pixels >= 0) & (pixels < valid.shape)).all(axis=1))
    inside[inside] = valid[tuple(pixels[inside].T)]
    return inside
