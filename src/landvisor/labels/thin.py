"""A part of many places that stands for all of them."""

from __future__ import annotations

import numpy as np

from landvisor.geo.places import Places

_FEW = 1_000


def thin_places(places: Places, most: int, *, seed: int) -> Places:
    """Draw at most about so many places, each class in proportion to what it has.

    No class is left with fewer than a thousand, or than it has: with many small classes a few more
    places than `most` are kept. They stay in their order, and up to `most` all are kept.

    Args:
        places: Of any number, as whole masks give them.
        most: How many are wanted, above 0.
        seed: Of the draw.
    """
    if len(places) <= most:
        return places
    generator = np.random.default_rng([seed, 5])
    labels, counts = np.unique(places.label, return_counts=True)
    share = np.ceil(counts * (most / len(places))).astype(np.int64)
    wanted = np.minimum(counts, np.maximum(share, _FEW))
    drawn = [
        generator.choice(np.flatnonzero(places.label == label), count, replace=False)
        for label, count in zip(labels, wanted, strict=True)
    ]
    return places.take(np.sort(np.concatenate(drawn)))
