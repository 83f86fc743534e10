"""Growing over like pixels: from each point through neighbours that look as it does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from landvisor.geo.filterbank import filter_bank, filter_bank_margin
from landvisor.labels.growth import NOBODY, Block, Grown
from landvisor.recipe import GrowSpec

SIGMAS = (1.0, 2.0)


def grow_regions(block: Block, spec: GrowSpec) -> Grown:
    """Give each point the pixels that can be reached from it over like ones.

    A step leads to one of four neighbours; each pixel on the way lies within `radius` of the
    point and differs from it by at most `tolerance`. A pixel that points of two classes claim
    stays unlabelled; among points of one class the most similar one gives it its class, then the
    nearest, then the first. The confidence falls from 1, no difference, to one half at `tolerance`.

    The difference is the largest of all bands; of the bank and of a caller's features it is the
    root mean square, since the worst of many is mostly noise. The bank's smoothed values differ
    less than bands do: half the tolerance gives about the same purity.

    Args:
        block: `features` are compared if given, else what `spec.features` says.
        spec: `radius`, `tolerance`, `features`.

    References:
        Adams and Bischof (1994), Seeded region growing, doi:10.1109/34.295913. Departure: pixels
        are compared with the point and not with the region so far, which makes the result
        independent of order, and two claims leave a pixel unlabelled.
    """
    from landvisor.labels.flood import flood  # numba is slow to import

    compared, worst = _compare(block, spec)
    point, distance = flood(
        np.ascontiguousarray(np.moveaxis(compared, 0, -1)),
        block.valid,
        block.points,
        block.label,
        spec.radius,
        spec.tolerance,
        worst,
    )
    confidence = 1 - distance / np.float32(2 * spec.tolerance)
    return Grown(np.where(point < 0, NOBODY, point), confidence)


def region_margin(spec: GrowSpec) -> int:
    """Return how many pixels beyond its block's edge the features look."""
    return filter_bank_margin(SIGMAS) if spec.features == "bank" else 0


def _compare(block: Block, spec: GrowSpec) -> tuple[NDArray[np.float32], bool]:
    """Return what is compared, and whether the worst feature counts instead of their mean."""
    if block.features is not None:
        return block.features, False
    if spec.features == "raw":
        return block.image, True
    # All features of a band are in its units: a faint texture is not blown up to count fully.
    return filter_bank(block.image, block.valid, sigmas=SIGMAS), False
