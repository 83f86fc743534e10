"""How far apart labelled places must be to tell nothing of each other: variogram and neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.spatial import cKDTree

from landvisor.geo.places import Places

LEAST_FEATURES = 50
"""Fewest features that a variogram is estimated from (Webster and Oliver 1992)."""

ENOUGH_FEATURES = 150
"""Features from which on a variogram without a range tells that there is none."""

_LAGS = 15
_PAIRS = 30  # fewest pairs of a lag (Journel and Huijbregts 1978, section III.B.7)
_MOST = 1500  # features whose pairs are compared: a million pairs are enough
_RANGES = 60  # ranges that are tried
_GAIN = 0.1  # share of the sill that depends on distance, or there is no range
# Share of what lags differ by that a range must explain. By 25 drawn fields each: at 0.1 a third of
# those without structure had a range, at 0.3 one in twenty; at 0.4 half of the real ones were lost.
_EXPLAINED = 0.3
_NEAREST = 0.95  # share of the features whose nearest neighbour lies within the distance


@dataclass(frozen=True)
class Dependence:
    """How far labelled places resemble each other.

    Attributes:
        distance: In pixels; 0 where nothing was found.
        method: "variogram" or "nearest neighbours".
        features: How many it was estimated from.
        bounded: False where the variogram still rises at the farthest lag, so that the distance
            is the least that the range can be.
        labels: Range of the classes alone, in pixels; None without a variogram.
        bands: Range of the imagery's values at the places; None without.
    """

    distance: float
    method: str
    features: int
    bounded: bool = True
    labels: float | None = None
    bands: float | None = None


@dataclass(frozen=True)
class Variogram:
    """An empirical variogram and the spherical model fitted to it.

    Attributes:
        lag: `[k]`: mean distance of the pairs of each lag, in pixels.
        gamma: `[k]`: semivariance.
        pairs: `[k]`: how many pairs.
        nugget: Semivariance at distance 0.
        sill: What the model adds to it up to its range; 0 without one.
        range: In pixels; 0 where distance explains nothing.
        bounded: Whether the range lies below the farthest lag.
    """

    lag: NDArray[np.float64]
    gamma: NDArray[np.float64]
    pairs: NDArray[np.int64]
    nugget: float
    sill: float
    range: float
    bounded: bool


def find_dependence(
    places: Places, values: NDArray[np.floating] | None = None, *, seed: int = 0
) -> Dependence:
    """Estimate how far labelled places resemble each other.

    That is the range of a variogram, the larger of those of the classes and of the imagery's
    values; where the features are fewer than `LEAST_FEATURES`, or fewer than `ENOUGH_FEATURES` and
    show no range, the distance within which 95 % of them have their nearest neighbour. A feature
    counts as one place, at its centre.

    Args:
        places: With `scene` numbering planes: distances between two of them are unknown.
        values: `[n, band]`: the imagery at the places, NaN where unknown; None leaves it out.
        seed: Of the choice of features where there are many.

    References:
        Webster and Oliver 1992, Sample adequately to estimate variograms of soil properties,
        Journal of Soil Science 43, doi:10.1111/j.1365-2389.1992.tb00128.x: fewer than 50 places
        are too few, 150 suffice.
    """
    centres = _find_centres(places, values)
    count = len(centres.coords)
    if count < LEAST_FEATURES:
        return Dependence(_find_neighbours(centres), "nearest neighbours", count)
    chosen = np.random.default_rng(seed).permutation(count)[:_MOST]
    coords, plane = centres.coords[chosen], centres.plane[chosen]
    labels = estimate_variogram(coords, _to_shares(centres.label[chosen]), plane=plane)
    bands = None
    if centres.values is not None:
        bands = estimate_variogram(coords, _standardise(centres.values[chosen]), plane=plane)
    found = [fitted for fitted in (labels, bands) if fitted is not None]
    if not found or (count < ENOUGH_FEATURES and not any(fitted.range for fitted in found)):
        return Dependence(_find_neighbours(centres), "nearest neighbours", count)
    largest = max(found, key=lambda fitted: fitted.range)
    return Dependence(
        distance=largest.range,
        method="variogram",
        features=count,
        bounded=largest.bounded,
        labels=None if labels is None else labels.range,
        bands=None if bands is None else bands.range,
    )


def estimate_variogram(
    coords: NDArray[np.float64],
    values: NDArray[np.float64],
    *,
    plane: NDArray[np.int64] | None = None,
) -> Variogram | None:
    """Estimate the variogram of one or more values, summed, and fit a spherical model.

    Of indicators, one per class, the sum is the share of pairs whose classes differ. Lags reach to
    half the largest distance; nugget and sill are fitted by least squares that weigh lags by their
    pairs, for each of many ranges, of which the best is taken.

    Args:
        coords: `[n, 2]` in pixels.
        values: `[n, k]`; rows with NaN are left out.
        plane: `[n]`: pairs of two planes are left out.

    Returns:
        None where fewer than three lags have 30 pairs.

    References:
        Matheron 1963, Principles of geostatistics, eq. 9, doi:10.2113/gsecongeo.58.8.1246: the
        estimator. Cressie 1985, Fitting variogram models by weighted least squares,
        doi:10.1007/BF01032109; its weights but for the factor 1/γ², so that lags without
        variance do not decide all.
    """
    known = np.isfinite(values).all(axis=1)
    planes = np.zeros(len(coords), dtype=np.int64) if plane is None else plane
    distance, half = _pair_up(coords[known], values[known], planes[known])
    lag, gamma, pairs = _bin_pairs(distance, half)
    if len(lag) < 3:
        return None
    return _fit_spherical(lag, gamma, pairs)


def spherical(lag: NDArray[np.float64], reach: float) -> NDArray[np.float64]:
    """Return the spherical model of sill 1: 1.5 h/a - 0.5 (h/a)³ up to its range, then 1."""
    share = np.minimum(lag / reach, 1.0)
    return np.asarray(1.5 * share - 0.5 * share**3)


@dataclass(frozen=True)
class _Centres:
    """One row per feature."""

    coords: NDArray[np.float64]
    plane: NDArray[np.int64]
    label: NDArray[np.int64]
    values: NDArray[np.float64] | None


def _find_centres(places: Places, values: NDArray[np.floating] | None) -> _Centres:
    """Reduce places to features, each on one plane: a feature on two is two."""
    keys = np.column_stack([places.group, places.scene])
    _, first, of_place = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    number = np.bincount(of_place.ravel()).astype(np.float64)

    def mean(column: NDArray[np.floating]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(of_place.ravel(), weights=column) / number)

    coords = np.column_stack([mean(column) for column in places.coords.T])
    means = None if values is None else np.column_stack([mean(c) for c in np.asarray(values).T])
    return _Centres(coords, places.scene[first], places.label[first], means)


def _find_neighbours(centres: _Centres) -> float:
    """Return the distance within which 95 % of the features have their nearest neighbour."""
    nearest = []
    for plane in np.unique(centres.plane):
        here = centres.coords[centres.plane == plane]
        if len(here) > 1:
            nearest.append(cKDTree(here).query(here, k=2)[0][:, 1])
    return float(np.quantile(np.concatenate(nearest), _NEAREST)) if nearest else 0.0


def _to_shares(label: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(label[:, None] == np.unique(label), dtype=np.float64)


def _standardise(values: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = np.nanstd(values, axis=0) if np.isfinite(values).any() else np.ones(values.shape[1])
    return np.asarray(values / np.where(spread > 0, spread, 1.0))


def _pair_up(
    coords: NDArray[np.float64], values: NDArray[np.float64], plane: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return of all pairs on one plane the distance and half the squared difference, summed."""
    distances, halves = [np.empty(0)], [np.empty(0)]
    for one in np.unique(plane):
        here = np.flatnonzero(plane == one)
        first, second = np.triu_indices(len(here), k=1)
        first, second = here[first], here[second]
        distances.append(np.hypot(*(coords[first] - coords[second]).T))
        squares = np.zeros(len(first))
        for column in values.T:
            squares += np.square(column[first] - column[second])
        halves.append(squares / 2)
    return np.concatenate(distances), np.concatenate(halves)


def _bin_pairs(
    distance: NDArray[np.float64], half: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Gather pairs up to half the largest distance into lags with enough of them."""
    limit = distance.max(initial=0.0) / 2
    near = (distance <= limit) & (distance > 0)
    if not near.any():
        return np.empty(0), np.empty(0), np.empty(0, dtype=np.int64)
    number = np.minimum((distance[near] / limit * _LAGS).astype(np.int64), _LAGS - 1)
    pairs = np.bincount(number, minlength=_LAGS)
    sums = [np.bincount(number, weights=v[near], minlength=_LAGS) for v in (distance, half)]
    enough = pairs >= _PAIRS
    lag, gamma = (total[enough] / pairs[enough] for total in sums)
    return lag, gamma, np.asarray(pairs[enough])


def _fit_spherical(
    lag: NDArray[np.float64], gamma: NDArray[np.float64], pairs: NDArray[np.int64]
) -> Variogram:
    root = np.sqrt(pairs)
    flat = float(np.average(gamma, weights=pairs))
    spread = float((pairs * (gamma - flat) ** 2).sum())
    tried = np.linspace(lag[0], lag[-1], _RANGES)
    fits = []
    for reach in tried:
        design = np.column_stack([np.ones(len(lag)), spherical(lag, reach)])
        fits.append(nnls(design * root[:, None], gamma * root))
    misses = [miss for _, miss in fits]
    best = int(np.argmin(misses))
    nugget, sill = (float(part) for part in fits[best][0])
    explained = 1 - misses[best] ** 2 / spread if spread > 0 else 0.0
    if sill <= _GAIN * (nugget + sill) or explained < _EXPLAINED:
        return Variogram(lag, gamma, pairs, flat, 0.0, 0.0, bounded=True)
    bounded = best < _RANGES - 1
    return Variogram(lag, gamma, pairs, nugget, sill, float(tried[best]), bounded=bounded)
