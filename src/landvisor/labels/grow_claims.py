"""Who grows over a pixel: claims of points, limited for each and settled among blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Claims(NamedTuple):
    """Pixels `[n]` of a scene with the seed that each grows from.

    Attributes:
        position: int64: row * cols + col.
        seed: int64: number of the seed.
        confidence: float32.
    """

    position: NDArray[np.int64]
    seed: NDArray[np.int64]
    confidence: NDArray[np.float32]

    def take(self, selection: NDArray[np.bool_] | NDArray[np.int64]) -> Claims:
        """Keep the claims that a boolean `[n]` marks, or those at integer positions."""
        return Claims(self.position[selection], self.seed[selection], self.confidence[selection])


def no_claims() -> Claims:
    """Return no claims at all."""
    nothing = np.zeros(0, dtype=np.int64)
    return Claims(nothing, nothing, nothing.astype(np.float32))


def limit_claims(
    claims: Claims, distance: NDArray[np.number], *, farthest: float, most: int
) -> Claims:
    """Keep for each seed the claims within a distance, and of these the nearest few.

    Args:
        claims: Of one block.
        distance: `[n]`: from each pixel to its seed.
        farthest: Largest distance.
        most: Claims of one seed; of equally near ones the more confident counts, then the first.
    """
    near = distance <= farthest
    claims, distance = claims.take(near), distance[near]
    order = np.lexsort((claims.position, -claims.confidence, distance, claims.seed))
    ranked = claims.take(order)
    begins = np.searchsorted(ranked.seed, ranked.seed)
    return ranked.take(np.arange(len(order)) - begins < most)


def settle_claims(parts: Sequence[Claims], label: NDArray[np.int64]) -> Claims:
    """Join the claims of several blocks, one for each pixel.

    A pixel that two blocks claim for different classes is dropped; of one class the more confident
    claim counts, then that of the first seed.

    Args:
        parts: Claims of each block.
        label: Class id of each seed.
    """
    all_parts = [no_claims(), *parts]
    every = Claims(
        np.concatenate([part.position for part in all_parts]),
        np.concatenate([part.seed for part in all_parts]),
        np.concatenate([part.confidence for part in all_parts]),
    )
    ranked = every.take(np.lexsort((every.seed, -every.confidence, every.position)))
    if not len(ranked.position):
        return ranked
    begins = np.flatnonzero(np.diff(ranked.position, prepend=-1))
    labels = label[ranked.seed]
    agreed = np.minimum.reduceat(labels, begins) == np.maximum.reduceat(labels, begins)
    return ranked.take(begins[agreed])
