"""Growing whatever the imagery: each point takes the pixels round it, nearest point first."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

from landvisor.labels.growth import NOBODY, Block, Grown
from landvisor.recipe import GrowSpec


def grow_discs(block: Block, spec: GrowSpec) -> Grown:
    """Give each pixel within `radius` of a point to the nearest point, with confidence 1.

    A pixel as near to points of two classes stays unlabelled. This is the buffer of any GIS, and
    what a method that looks at the imagery has to beat.

    Args:
        block: Its imagery is not looked at.
        spec: `radius`.
    """
    rows, cols = np.ogrid[: block.valid.shape[0], : block.valid.shape[1]]
    nearest = np.full(block.valid.shape, int(spec.radius**2) + 1)  # squares of whole pixels
    point = np.full(block.valid.shape, NOBODY, dtype=np.int64)
    for label in np.unique(block.label):
        here = np.flatnonzero(block.label == label)
        number = np.full(block.valid.shape, NOBODY, dtype=np.int64)
        number[tuple(block.points[here].T)] = here
        near = distance_transform_edt(number < 0, return_distances=False, return_indices=True)
        away = (near[0] - rows) ** 2 + (near[1] - cols) ** 2
        point[away == nearest] = NOBODY
        closer = away < nearest
        point[closer] = number[near[0][closer], near[1][closer]]
        nearest[closer] = away[closer]
    return Grown(point, np.ones(point.shape, dtype=np.float32))
