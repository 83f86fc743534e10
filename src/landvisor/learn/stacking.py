"""How much each model of an ensemble should count, from places whose class is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEAST = 0.01
"""No weight is smaller: a model that is to say nothing is left out by its user."""

_UNLIKELY = 1e-4  # trees say 0 of a class that none of their leaves saw; it is not impossible
_STEPS = 2000
_STILL = 1e-9


def fit_weights(likely: NDArray[np.floating], count: NDArray[np.floating]) -> tuple[float, ...]:
    """Find the weights whose mean of probabilities makes known classes the likeliest.

    The logarithmic score of a weighted mean is concave in the weights, so there is one optimum, and
    expectation maximisation climbs to it without a step size.

    Args:
        likely: `[model, place]`: the probability that each model gives to the place's own class.
        count: `[place]`: how much each place counts, above 0.

    Returns:
        One per model, of sum 1, none below `LEAST`.

    References:
        Smyth and Wolpert (1999), Linearly combining density estimators via stacking, Machine
        Learning 36, 59-83, section 3, doi:10.1023/A:1007511322260.
    """
    chances = np.maximum(likely.astype(np.float64), _UNLIKELY)
    parts = count.astype(np.float64) / count.sum()
    weights = np.full(len(chances), 1 / len(chances))
    for _ in range(_STEPS):
        before = weights
        weights = weights * ((chances / (weights @ chances)) @ parts)
        if np.abs(weights - before).max() < _STILL:
            break
    return _keep_all(weights)


def _keep_all(weights: NDArray[np.float64]) -> tuple[float, ...]:
    """Lift weights to `LEAST`, at the cost of those above in proportion to what they have more."""
    spare = 1 - LEAST * len(weights)
    more = np.maximum(weights - LEAST, 0)
    return tuple((LEAST + spare * more / more.sum()).tolist())
