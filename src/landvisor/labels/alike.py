"""Which images nearly equal each other: correlations of thumbnails, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from landvisor.labels.looks import SIZE, Look

SAME = 0.95
"""Correlation from which two images are one: the same, coded or brightened again."""

_SIDE = 32
_BROAD = 9  # cells; light and haze that many images share are broader
_BLOCK = 1024

Thumbnails = NDArray[np.float32]


def make_thumbnails(looks: Sequence[Look]) -> Thumbnails:
    """Reduce images to what tells them apart: fine structure, whatever their brightness.

    Args:
        looks: Of images with one number of bands.

    Returns:
        float32 `[n, bands * 32 * 32]`: 32 x 32 means less those of 9 x 9 around them, of norm 1;
        all 0 where an image is constant or has no data.
    """
    return np.stack([_make_thumbnail(look) for look in looks])


def correlate(thumbnails: Thumbnails) -> NDArray[np.float32]:
    """Correlate each of a few images with each: `[n, n]`."""
    return np.asarray(thumbnails @ thumbnails.T)


def find_alike(thumbnails: Thumbnails) -> list[tuple[int, int, float]]:
    """List pairs of images that nearly equal each other, with their correlation.

    All pairs are compared, 1,024 images against as many at a time: the time grows with the square
    of their number, the memory does not.

    Returns:
        `(first, second, correlation)` with `first < second`, in order.
    """
    return sorted(pair for block in _split(thumbnails) for pair in block)


def shrink(look: Look) -> NDArray[np.float32]:
    """Average the cells of a look: `[band, 32, 32]`, NaN where none has data."""
    step = SIZE // _SIDE
    cells = look.mean.reshape(len(look.mean), _SIDE, step, _SIDE, step)
    count = (~np.isnan(cells)).sum(axis=(2, 4), dtype=np.float32)
    total = np.nansum(cells, axis=(2, 4))
    return np.asarray(np.divide(total, count, where=count > 0, out=np.full_like(total, np.nan)))


def _make_thumbnail(look: Look) -> NDArray[np.float32]:
    if look.constant:
        return np.zeros(len(look.mean) * _SIDE**2, dtype=np.float32)
    small = shrink(look).astype(np.float64)
    seen = ~np.isnan(small[0])
    centered = np.where(seen, small - small[:, seen].mean(axis=1)[:, None, None], 0)
    weight = np.maximum(uniform_filter(seen.astype(np.float64), _BROAD), 1 / _BROAD**2)
    fine = np.where(seen, centered - uniform_filter(centered, (0, _BROAD, _BROAD)) / weight, 0)
    norm = float(np.linalg.norm(fine))
    least = 1e-6 * float(np.abs(small[:, seen]).max())  # below it, all is rounding
    return (fine / norm if norm > least else 0 * fine).ravel().astype(np.float32)


def _split(thumbnails: Thumbnails) -> Iterator[list[tuple[int, int, float]]]:
    starts = range(0, len(thumbnails), _BLOCK)
    for first in starts:
        for second in (start for start in starts if start >= first):
            alike = thumbnails[first : first + _BLOCK] @ thumbnails[second : second + _BLOCK].T
            near = np.argwhere(alike >= SAME).tolist()
            pairs = [(first + i, second + j, float(alike[i, j])) for i, j in near]
            yield [pair for pair in pairs if pair[0] < pair[1]]
