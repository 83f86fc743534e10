"""How far may a ratio be from the truth that a stratified random sample estimates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Z = 1.96
"""Normal quantile of 95 % intervals, as Olofsson et al. (2014) round it in section 4.3."""

MUCH = 0.05
"""Share of a stratum above which drawing without replacement narrows an interval.

Cochran (1977), section 2.6: the correction can be ignored where the sampling fraction does not
exceed 5 %. Olofsson et al. (2014) leave it out altogether.
"""

_HALVINGS = 16  # of an interval of 0 to 1; a straight line over the rest is good to 8 digits


@dataclass(frozen=True, eq=False)
class Estimates:
    """Estimates of one kind, such as the user's accuracies of all classes; NaN where unknown.

    Attributes:
        value: float64 `[..., r]`.
        se: float64 `[..., r]`: standard errors; NaN also where a stratum has a single unit.
        low: float64 `[..., r]`: lower end of the 95 % interval.
        high: float64 `[..., r]`: upper end.
    """

    value: NDArray[np.float64]
    se: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def scaled(self, factor: float) -> Estimates:
        """Multiply all by a known number."""
        return Estimates(
            self.value * factor, self.se * factor, self.low * factor, self.high * factor
        )


@dataclass(frozen=True, eq=False)
class _Sample:
    """Cells as shares of their stratum, `[..., h, r, m]` with `m` = reference state by map state.

    Attributes:
        shares: Of the stratum's units.
        down: How far a share may be too high: to the lower end of its Wilson interval.
        up: How far it may be too low.
        pull: Roots of the odds; the correlation of two shares of a multinomial is minus their
            product.
        units: `[..., h, 1, 1]`.
        kept: `[..., h, 1, 1]`: share of the variance that drawing without replacement leaves.
        weights: `[..., h, 1]`.
    """

    shares: NDArray[np.float64]
    down: NDArray[np.float64]
    up: NDArray[np.float64]
    pull: NDArray[np.float64]
    units: NDArray[np.float64]
    kept: NDArray[np.float64]
    weights: NDArray[np.float64]


def estimate_ratio(
    cells: NDArray[np.integer],
    *,
    weights: NDArray[Any],
    pixels: NDArray[Any],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    nested: bool = True,
) -> Estimates:
    """Estimate the ratio of two totals, such as right pixels of a class to pixels of it.

    A share of the whole is the ratio to a total that is known: `x` is one everywhere.

    Args:
        cells: `[..., h, r, s, t]`: units of stratum h, for ratio r, by reference state s and map
            state t, such as "is forest" and "is mapped as forest". Every stratum has a unit.
        weights: `[h]`: size of the strata, in pixels or in m².
        pixels: `[h]`: pixels of the strata, of which the units are a part.
        y: `[s, t]`: what a unit of a cell adds to the upper total.
        x: `[s, t]`: what it adds to the lower total; 0 or more, and y at most.
        nested: A stratum has no map state but those of its units, as where it is a class of the
            map; else any unit might have had any.

    Returns:
        Estimates `[..., r]` of 0 to 1; NaN where no unit adds to the lower total. The interval has
        no width only where every pixel was drawn.

    References:
        Stehman (2014), doi:10.1080/01431161.2014.930207: equations 2 and 27 are the estimators, 25
        and 28 their variances; with map classes as strata these are equations 1 to 11 of Olofsson
        et al. (2014), doi:10.1016/j.rse.2014.02.015.
        The interval departs from 1.96 standard errors, which miss the truth far too often where
        errors are few and has no width where there is none. Wilson (1927) gives one for the
        share of each cell in each stratum, and squares of the distances to their ends are added
        (Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I; Zou
        and Donner 2008, doi:10.1002/sim.3095), those of one stratum with the correlation of a
        multinomial. A ratio's ends are where the difference y - ratio x of the totals may just
        still be none (Fieller 1954).
    """
    sample = _describe(cells, weights, pixels, nested=nested)
    flat_y, flat_x = np.ravel(y).astype(np.float64), np.ravel(x).astype(np.float64)
    upper, lower = _total(sample, flat_y), _total(sample, flat_x)
    value = np.divide(upper, lower, out=np.full(upper.shape, np.nan), where=lower > 0)
    difference = flat_y - value[..., None] * flat_x
    known = ~np.isnan(value)
    low = _search(sample, flat_y, flat_x, value, side=-1)
    high = _search(sample, flat_y, flat_x, value, side=1)
    return Estimates(
        value,
        np.where(known, _error(sample, difference) / np.where(known, lower, 1), np.nan),
        np.where(known, np.minimum(low, value), np.nan),
        np.where(known, np.maximum(high, value), np.nan),
    )


def _describe(
    cells: NDArray[np.integer], weights: NDArray[Any], pixels: NDArray[Any], *, nested: bool
) -> _Sample:
    counts = np.asarray(cells, dtype=np.float64)
    met = (counts.sum(axis=-2, keepdims=True) > 0) | (not nested)
    reachable = np.broadcast_to(met, counts.shape)
    reachable = reachable.reshape(*counts.shape[:-2], -1)
    counts = counts.reshape(*counts.shape[:-2], -1)
    units = counts.sum(axis=-1, keepdims=True)
    assert np.all(units > 0), "every stratum has a unit"
    drawn = units / np.asarray(pixels, dtype=np.float64)[:, None, None]
    kept = np.where(drawn > MUCH, 1 - drawn, 1.0)
    shares = counts / units
    with np.errstate(divide="ignore"):
        low, high = find_wilson(shares, units / kept)
    return _Sample(
        shares=shares,
        down=np.where(reachable, shares - low, 0),
        up=np.where(reachable, high - shares, 0),
        pull=_find_pull(counts, reachable),
        units=units,
        kept=kept,
        weights=np.asarray(weights, dtype=np.float64)[:, None],
    )


def find_wilson(
    shares: NDArray[np.float64], units: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find the interval of a share of independent units, never without width.

    References:
        Wilson (1927), Journal of the American Statistical Association 22, 209-212.
    """
    spread = Z**2 / units
    centre = (shares + spread / 2) / (1 + spread)
    reach = np.sqrt(spread * shares * (1 - shares) + spread**2 / 4) / (1 + spread)
    return np.maximum(centre - reach, 0), np.minimum(centre + reach, 1)


def _find_pull(counts: NDArray[np.float64], reachable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Find the roots of odds; half a unit more in every cell keeps them defined."""
    filled = np.where(reachable, counts + 0.5, 0)
    shares = filled / filled.sum(axis=-1, keepdims=True)
    odds = np.divide(shares, 1 - shares, out=np.zeros_like(shares), where=shares < 1)
    return np.asarray(np.sqrt(odds))


def _total(sample: _Sample, values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((sample.weights * (sample.shares @ values)).sum(axis=-2))


def _total_each(sample: _Sample, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Total values `[..., r, m]` that differ between ratios."""
    of_stratum = (sample.shares * values[..., None, :, :]).sum(axis=-1)
    return np.asarray((sample.weights * of_stratum).sum(axis=-2))


def _error(sample: _Sample, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Estimate the standard error of a total of `values` `[..., r, m]`."""
    each = values[..., None, :, :]
    mean = (sample.shares * each).sum(axis=-1, keepdims=True)
    spread = (sample.shares * (each - mean) ** 2).sum(axis=-1)
    units, kept = sample.units[..., 0], sample.kept[..., 0]
    of_mean = np.divide(
        spread * kept, units - 1, out=np.full(spread.shape, np.nan), where=units > 1
    )
    of_mean = np.where((units == 1) & (kept == 0), 0, of_mean)
    return np.asarray(np.sqrt((sample.weights**2 * of_mean).sum(axis=-2)))


def _search(
    sample: _Sample,
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    value: NDArray[np.float64],
    *,
    side: int,
) -> NDArray[np.float64]:
    """Find where, on the way from an estimate to 0 or 1, totals cannot be in that ratio any more.

    The way is halved often, and what is left taken for a straight line.
    """

    def exceed(ratio: NDArray[np.float64]) -> NDArray[np.float64]:
        difference = y - ratio[..., None] * x
        return np.abs(_total_each(sample, difference)) - _reach(sample, difference, side=side)

    inner = np.nan_to_num(value)
    outer = np.full(inner.shape, (1.0 + side) / 2)
    inside, outside = exceed(inner), exceed(outer)
    for _ in range(_HALVINGS):
        middle = (inner + outer) / 2
        found = exceed(middle)
        possible = found <= 0
        inner, outer = np.where(possible, middle, inner), np.where(possible, outer, middle)
        inside, outside = np.where(possible, found, inside), np.where(possible, outside, found)
    rise = outside - inside
    part = np.divide(-inside, rise, out=np.zeros_like(rise), where=rise > 0)
    return np.asarray(inner + (outer - inner) * np.clip(part, 0, 1))


def _reach(sample: _Sample, values: NDArray[np.float64], *, side: int) -> NDArray[np.float64]:
    """Say how far the total of `values` may be wrong: too high below an estimate, else too low."""
    each = values[..., None, :, :]
    rises = each * side > 0
    offsets = each * np.where(rises, sample.up, sample.down)
    squared = (offsets**2 * (1 + sample.pull**2)).sum(-1) - (offsets * sample.pull).sum(-1) ** 2
    return np.asarray(np.sqrt((sample.weights**2 * np.maximum(squared, 0)).sum(axis=-2)))
