"""By how much probabilities are softened or sharpened, so that they mean what they say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

LEAST_SHARE = 1e-4
"""Smaller probabilities are taken for this: trees say 0 of a class that no leaf of theirs saw."""

LEAST_FEATURES = 30
"""Fewest features that a temperature is fitted on; with fewer it would be chance."""

_SIGNIFICANT = 3.84  # 95 % of a chi-squared variable of one degree of freedom stay below

LIMITS = (0.2, 5.0)
"""What is fitted stays between: beyond, a few places decide."""


def apply_temperature(
    shares: NDArray[np.floating], temperature: float, *, axis: int = -1
) -> NDArray[np.float32]:
    """Return the softmax of log p / T: the same order of classes, above T = 1 less sure of it.

    Args:
        shares: Probabilities that sum to one along `axis`; below `LEAST_SHARE` they count as that.
        temperature: Above 0; 1 changes nothing.
        axis: Of the classes.
    """
    if temperature == 1:
        return shares.astype(np.float32, copy=False)
    best = shares.max(axis=axis, keepdims=True)
    # relative to the best one, so that nothing underflows
    powers = (np.maximum(shares.astype(np.float64), LEAST_SHARE) / best) ** (1 / temperature)
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True), dtype=np.float32)


def fit_temperature(
    shares: NDArray[np.floating],
    position: NDArray[np.int64],
    *,
    weight: NDArray[np.floating] | None = None,
    group: NDArray[np.int64] | None = None,
) -> float:
    """Find the temperature at which known classes are the likeliest, if it matters.

    Places of one feature are right or wrong together, so a feature counts as one place however many
    it became. A few features that are all right would else sharpen what is wrong elsewhere: on two
    scenes labelled by polygons that raised the log loss (docs/benchmarks.md).

    Args:
        shares: `[n, class]` of a model that has not learned from these places.
        position: `[n]`: the true class of each place as a position among the classes.
        weight: `[n]`: how much each place counts within its feature; alike where None.
        group: `[n]`: feature of each place; each is one of its own where None.

    Returns:
        Within `LIMITS`; 1 where features are fewer than `LEAST_FEATURES`, or where the likelihood
        gains no more by it than chance does once in twenty times.

    References:
        Guo et al. 2017, On calibration of modern neural networks, section 4.2, arXiv:1706.04599.
        The loss is convex in 1/T. Wilks 1938, doi:10.1214/aoms/1177732360: the ratio test.
    """
    plain = np.ones(len(position)) if weight is None else np.asarray(weight, dtype=np.float64)
    feature = np.unique(np.arange(len(position)) if group is None else group, return_inverse=True)[
        1
    ]
    features = int(feature.max(initial=-1)) + 1
    if features < LEAST_FEATURES:
        return 1.0
    count = plain / np.bincount(feature, weights=plain)[feature]
    logs = np.log(np.maximum(shares.astype(np.float64), LEAST_SHARE))
    own = logs[np.arange(len(position)), position]

    def miss(cold: float) -> float:
        scaled = logs * cold
        top = scaled.max(axis=1)
        total = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
        return float((count * (total - own * cold)).sum() / features)

    found = minimize_scalar(miss, bounds=(1 / LIMITS[1], 1 / LIMITS[0]), method="bounded",
                            options={"xatol": 1e-6})  # fmt: skip
    gain = 2 * features * (miss(1.0) - miss(found.x))
    return float(1 / found.x) if gain > _SIGNIFICANT else 1.0
