"""What a random sample says of a map: accuracy and class areas, each with its error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.accuracy.ratio import Estimates, estimate_ratio

# Of a class, by reference state (row: is it not, is it) and map state (column).
_BOTH = np.array([[0, 0], [0, 1]])
_IN_MAP = np.array([[0, 1], [0, 1]])
_IN_REFERENCE = np.array([[0, 0], [1, 1]])
_RATIOS = {
    "ua": (_BOTH, _IN_MAP),
    "pa": (_BOTH, _IN_REFERENCE),
    "f1": (2 * _BOTH, _IN_MAP + _IN_REFERENCE),
    "iou": (_BOTH, np.maximum(_IN_MAP, _IN_REFERENCE)),
}
_SHARE = (np.array([[0], [1]]), np.ones((2, 1)))  # of the whole, where the map does not matter


@dataclass(frozen=True, eq=False)
class SampleEstimates:
    """What a random sample says of the whole map.

    Attributes:
        oa: `[..., 1]`: overall accuracy, the share of the area that is mapped right.
        ua: `[..., k]`: user's accuracy.
        pa: `[..., k]`: producer's accuracy.
        f1: `[..., k]`: 2 both / (mapped + there), as a ratio of totals.
        iou: `[..., k]`: both / (mapped or there).
        share: `[..., k]`: share of all pixels that are of the class, whatever the map says.
        matrix: float64 `[..., reference, map]`: share of all pixels, by class.
    """

    oa: Estimates
    ua: Estimates
    pa: Estimates
    f1: Estimates
    iou: Estimates
    share: Estimates
    matrix: NDArray[np.float64]


def estimate_accuracy(
    counts: NDArray[np.integer], pixels: NDArray[Any], *, nested: bool = False
) -> SampleEstimates:
    """Estimate accuracy and shares of the area from a simple or stratified random sample.

    Strata may be the classes of the map or anything else; a simple random sample has one stratum.

    Args:
        counts: `[..., h, reference, map]`: units of each stratum by class; any leading axes.
        pixels: `[h]`: pixels of the strata, of which at least as many as there are units.
        nested: Every stratum lies in one class of the map, as where strata are its classes.

    References:
        Olofsson et al. (2014), equations 1 to 11, doi:10.1016/j.rse.2014.02.015; Stehman (2014),
        equations 2 and 12 to 28, doi:10.1080/01431161.2014.930207. Intervals: `estimate_ratio`.
    """
    units = np.asarray(counts)
    total = units.sum(axis=(-2, -1))[..., None]
    cells = _part_by_class(units)
    rates = {
        name: estimate_ratio(cells, weights=pixels, pixels=pixels, y=y, x=x, nested=nested)
        for name, (y, x) in _RATIOS.items()
    }
    weights = np.asarray(pixels, dtype=np.float64) / np.sum(pixels)
    matrix = (units / total[..., None] * weights[:, None, None]).sum(axis=-3)
    return SampleEstimates(
        oa=estimate_overall(units, pixels),
        **rates,
        share=estimate_shares(units, weights=pixels, pixels=pixels),
        matrix=matrix,
    )


def estimate_overall(counts: NDArray[np.integer], pixels: NDArray[Any]) -> Estimates:
    """Estimate the overall accuracy `[..., 1]`; for the arguments see `estimate_accuracy`.

    References:
        Olofsson et al. (2014), equations 1 and 5; Stehman (2014), equations 12 and 25.
    """
    units = np.asarray(counts)
    right = np.trace(units, axis1=-2, axis2=-1)
    cells = np.stack([units.sum(axis=(-2, -1)) - right, right], axis=-1)
    y, x = _SHARE
    return estimate_ratio(cells[..., None, :, None], weights=pixels, pixels=pixels, y=y, x=x)


def estimate_shares(
    counts: NDArray[np.integer], *, weights: NDArray[Any], pixels: NDArray[Any]
) -> Estimates:
    """Estimate the share of the whole that each class has in truth.

    Args:
        counts: `[..., h, reference, map]`: units of each stratum by class.
        weights: `[h]`: sizes of the strata, in pixels or m²; the whole is their sum.
        pixels: `[h]`: pixels of the strata.

    References:
        Olofsson et al. (2014), equations 9 to 11; Stehman (2014), equations 14 and 25.
    """
    units = np.asarray(counts)
    there = units.sum(axis=-1)
    total = there.sum(axis=-1, keepdims=True)
    cells = np.stack([total - there, there], axis=-1)[..., None]
    y, x = _SHARE
    return estimate_ratio(cells, weights=weights, pixels=pixels, y=y, x=x)


def _part_by_class(counts: NDArray[np.integer]) -> NDArray[np.integer]:
    """Return `[..., h, k, 2, 2]`: units by whether they are, and are mapped as, class k."""
    both = np.diagonal(counts, axis1=-2, axis2=-1)
    there, mapped = counts.sum(axis=-1) - both, counts.sum(axis=-2) - both
    neither = counts.sum(axis=(-2, -1))[..., None] - both - there - mapped
    rows = np.stack([neither, mapped], axis=-1), np.stack([there, both], axis=-1)
    return np.stack(rows, axis=-2)
