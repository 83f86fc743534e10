"""How many units a sample needs, and how many of them each stratum gets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import AssessmentError

ALLOCATIONS = ("proportional", "equal", "neyman")
SURE = 0.99
"""Most that an expected accuracy counts for: no stratum is known to be without error."""

_ROUNDS = 200


def find_shares(
    allocation: str, pixels: NDArray[Any], accuracy: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Say which share of the units each stratum gets.

    Args:
        allocation: `proportional` to pixels, `equal`, or `neyman`: to pixels times the standard
            deviation of being right, the least error of overall accuracy.
        pixels: `[h]`.
        accuracy: `[h]`: expected share that is mapped right.

    Raises:
        AssessmentError: If the allocation is unknown.

    References:
        Cochran (1977), Sampling Techniques, equation 5.26; Neyman (1934),
        doi:10.2307/2342192. Olofsson et al. (2014), section 5.1.1.
    """
    sizes = np.asarray(pixels, dtype=np.float64)
    weights = {
        "proportional": sizes,
        "equal": np.ones_like(sizes),
        "neyman": sizes * _deviate(accuracy),
    }
    if allocation not in weights:
        raise AssessmentError(
            f"allocation {allocation!r} is unknown; choose one of {', '.join(ALLOCATIONS)}"
        )
    return np.asarray(weights[allocation] / weights[allocation].sum())


def find_size(
    standard_error: float,
    *,
    shares: NDArray[np.float64],
    pixels: NDArray[Any],
    accuracy: NDArray[np.float64],
) -> int:
    """Find how many units give overall accuracy a wanted standard error.

    Args:
        standard_error: Above 0, as in 0.01.
        shares: `[h]`: shares of the units, see `find_shares`.
        pixels: `[h]`.
        accuracy: `[h]`: expected share that is mapped right.

    Raises:
        AssessmentError: If the wanted standard error is not above 0.

    References:
        Cochran (1977), equation 5.25; for Neyman's allocation it is equation 13 of Olofsson et
        al. (2014), doi:10.1016/j.rse.2014.02.015.
    """
    if not standard_error > 0:
        raise AssessmentError(f"standard error {standard_error} wanted; it must be above 0")
    weights = np.asarray(pixels, dtype=np.float64) / np.sum(pixels)
    deviation = _deviate(accuracy)
    spread = float((weights**2 * deviation**2 / shares).sum())
    remainder = float((weights * deviation**2).sum() / np.sum(pixels))
    return math.ceil(spread / (standard_error**2 + remainder) - 1e-9)


def expect_error(
    units: NDArray[Any], *, pixels: NDArray[Any], accuracy: NDArray[np.float64]
) -> float:
    """Expect the standard error of overall accuracy that a sample gives.

    References:
        Cochran (1977), equation 5.7, with binomial variances.
    """
    sizes = np.asarray(pixels, dtype=np.float64)
    of_mean = _deviate(accuracy) ** 2 / units * (1 - units / sizes)
    return float(np.sqrt((sizes**2 * of_mean).sum()) / sizes.sum())


def allocate(
    n: int, *, shares: NDArray[np.float64], pixels: NDArray[Any], minimum: int
) -> NDArray[np.int64]:
    """Deal `n` units to strata: by shares, but at least `minimum` and at most all pixels each.

    Args:
        n: Units in all.
        shares: `[h]`, see `find_shares`.
        pixels: `[h]`.
        minimum: Of every stratum that has as many pixels.

    Returns:
        int64 `[h]` of sum `n`; remainders go to the largest fractions.

    Raises:
        AssessmentError: If `n` is less than the minima or more than all pixels.
    """
    most = np.asarray(pixels, dtype=np.int64)
    least = np.minimum(most, minimum)
    if not least.sum() <= n <= most.sum():
        raise AssessmentError(
            f"{n:,} units are to be drawn from {most.sum():,} pixels in {len(most)} strata with at "
            f"least {minimum} each; ask for {least.sum():,} to {most.sum():,} with --n or change "
            "--minimum"
        )
    low, high = 0.0, float(most.max() / max(shares[shares > 0].min(), 1e-300))
    for _ in range(_ROUNDS):  # the units per share that make n in all, before rounding
        factor = (low + high) / 2
        fits = np.clip(factor * shares, least, most).sum() <= n
        low, high = (factor, high) if fits else (low, factor)
    wanted = np.clip(low * shares, least, most)
    units = np.floor(wanted).astype(np.int64)
    rest = np.where(units < most, wanted - units, -1.0)
    order = np.argsort(-rest, kind="stable")
    left = n - int(units.sum())
    units[order[:left]] += 1
    return units


def _deviate(accuracy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard deviation of being right; an unknown accuracy counts as one half."""
    expected = np.where(np.isnan(accuracy), 0.5, np.clip(accuracy, 1 - SURE, SURE))
    return np.asarray(np.sqrt(expected * (1 - expected)))
