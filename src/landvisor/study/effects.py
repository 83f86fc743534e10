"""How large is a difference between arms, and how far may it be from the truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from landvisor.study.measured import Measured
from landvisor.study.mixed import fit_mixed
from landvisor.study.results import Effect, Measure

_POWER = 0.8


@dataclass(frozen=True)
class Spread:
    """How sure an effect is, and its estimate where a test has one of its own."""

    se: float | None
    df: float | None
    units: int = 0
    notes: tuple[str, ...] = ()
    estimate: float | None = None


@dataclass(frozen=True)
class Asked:
    """A contrast as tests need it.

    Attributes:
        measured: What was measured.
        vector: `[arm]`: weights.
        per_seed: `[seed]`: the contrast of each seed.
    """

    measured: Measured
    vector: NDArray[np.float64]
    per_seed: NDArray[np.float64]


def estimate_effect(
    measured: Measured,
    weights: Mapping[str, float],
    *,
    title: str,
    test: str,
    confidence: float,
) -> Effect:
    """Estimate a contrast of arms with its interval.

    Four tests tell how sure it is. With c_s the contrast of seed s, S seeds and G units of images:

    - `seeds`: paired by seed on these images: sd(c_s) / √S with S − 1 degrees of freedom. What it
      says holds for other seeds on the same images.
    - `images`: the bootstrap's standard error over units, the same draws for all arms, of the mean
      over these seeds; G − 1 degrees of freedom. Holds for other images and the same seeds.
    - `seeds_and_images`: the variances of both added, with degrees of freedom after Satterthwaite.
      Holds for other seeds and images. The part of the variance that both see is counted twice,
      which makes the interval a little wide, never narrow.
    - `mixed`: a mixed model of the metric within units, whose estimate is of their mean and not
      of pooled counts; see `landvisor.study.mixed.fit_mixed`.

    Args:
        measured: What was measured.
        weights: Weight of each arm, summing to 0; arms that are not there make the effect NaN.
        title: What is compared.
        test: One of the four.
        confidence: Of the interval.

    References:
        Efron & Tibshirani (1993): An Introduction to the Bootstrap, chapter 6.
        Satterthwaite (1946), doi:10.2307/3002019: degrees of freedom of a sum of variances.
        Owen (2007), doi:10.1214/07-AOAS122: rows and columns that are both random.
    """
    vector = np.array([weights.get(arm, 0.0) for arm in measured.table.arms])
    per_seed = vector @ np.where(vector[:, None] != 0, measured.values, 0.0)
    spread = TESTS[test](Asked(measured, vector, per_seed))
    estimate = float(per_seed.mean()) if spread.estimate is None else spread.estimate
    effect = Effect(
        title=title,
        measure=measured.measure,
        weights={arm: float(w) for arm, w in weights.items() if w},
        estimate=estimate,
        se=spread.se,
        df=spread.df,
        low=None,
        high=None,
        p=None,
        p_corrected=None,
        test=test,
        seeds=measured.table.seeds,
        per_seed=tuple(per_seed.tolist()),
        units=spread.units,
        notes=spread.notes,
    )
    return _with_interval(effect, confidence)


def leave_out(
    title: str, measure: Measure, weights: Mapping[str, float], *, test: str, note: str
) -> Effect:
    """Return an effect of which nothing is known, and why."""
    return Effect(
        title=title,
        measure=measure,
        weights=dict(weights),
        estimate=math.nan,
        se=None,
        df=None,
        low=None,
        high=None,
        p=None,
        p_corrected=None,
        test=test,
        seeds=(),
        per_seed=(),
        units=0,
        notes=(note,),
    )


def _with_interval(effect: Effect, confidence: float) -> Effect:
    se, df = effect.se, effect.df
    if se is None or df is None or not math.isfinite(effect.estimate):
        return effect
    if se == 0:
        note = "the values do not vary at all, so that the interval has no width"
        p = 1.0 if effect.estimate == 0 else 0.0
        same = replace(effect, low=effect.estimate, high=effect.estimate, p=p)
        return replace(same, notes=(*effect.notes, note))
    reach = float(stats.t.ppf((1 + confidence) / 2, df)) * se
    return replace(
        effect,
        low=effect.estimate - reach,
        high=effect.estimate + reach,
        p=float(2 * stats.t.sf(abs(effect.estimate) / se, df)),
    )


def correct_holm(effects: Sequence[Effect]) -> tuple[Effect, ...]:
    """Correct p-values for the number of comparisons in a table; intervals stay as they are.

    References:
        Holm (1979): A simple sequentially rejective multiple test procedure, Scandinavian
        Journal of Statistics 6, 65-70.
    """
    known = [k for k, effect in enumerate(effects) if effect.p is not None]
    corrected = list(effects)
    least = 0.0
    for rank, k in enumerate(sorted(known, key=lambda k: effects[k].p or 0.0)):
        least = max(least, min(1.0, (len(known) - rank) * (effects[k].p or 0.0)))
        corrected[k] = replace(effects[k], p_corrected=least)
    return tuple(corrected)


def find_detectable(effect: Effect, *, confidence: float) -> float | None:
    """Return the smallest effect that a test with this standard error finds 8 times in 10.

    References:
        Bloom (1995), doi:10.1177/0193841X9501900504: (t of the test + t of the power) · SE.
    """
    if effect.se is None or effect.df is None:
        return None
    reach = stats.t.ppf((1 + confidence) / 2, effect.df) + stats.t.ppf(_POWER, effect.df)
    return float(reach * effect.se)


def find_interval(
    values: NDArray[np.float64] | Sequence[float], *, confidence: float
) -> tuple[float | None, float | None]:
    """Return the t interval of a mean; None where there are fewer than two values."""
    known = np.asarray(values, dtype=np.float64)
    if known.size < 2 or np.isnan(known).any():
        return None, None
    reach = stats.t.ppf((1 + confidence) / 2, known.size - 1) * stats.sem(known)
    return float(known.mean() - reach), float(known.mean() + reach)


def _by_seeds(asked: Asked) -> Spread:
    count = len(asked.per_seed)
    if count < 2:
        return Spread(None, None, notes=("one seed shows no spread between seeds",))
    return Spread(float(asked.per_seed.std(ddof=1) / math.sqrt(count)), count - 1.0)


def _by_images(asked: Asked) -> Spread:
    unit, what = asked.measured.units
    count = int(unit.max()) + 1
    if count < 2:
        return Spread(None, None, units=count, notes=("one image shows no spread between images",))
    used = asked.vector != 0
    drawn = np.tensordot(asked.vector[used], asked.measured.drawn[used], axes=1).mean(axis=0)
    known = drawn[~np.isnan(drawn)]
    # the bootstrap divides by G where a variance divides by G - 1
    se = float(known.std(ddof=1) * math.sqrt(count / (count - 1)))
    notes = () if what in ("images", "groups of images") else (f"{what} were resampled one by one",)
    return Spread(se, count - 1.0, units=count, notes=notes)


def _by_both(asked: Asked) -> Spread:
    seeds, images = _by_seeds(asked), _by_images(asked)
    notes = (*seeds.notes, *images.notes)
    if seeds.se is None or images.se is None or seeds.df is None or images.df is None:
        return Spread(None, None, images.units, notes)
    parts = [(seeds.se**2, seeds.df), (images.se**2, images.df)]
    total = sum(variance for variance, _ in parts)
    below = sum(variance**2 / df for variance, df in parts)
    return Spread(math.sqrt(total), total**2 / below if below else seeds.df, images.units, notes)


def _by_mixed(asked: Asked) -> Spread:
    found = fit_mixed(asked.measured, asked.vector)
    return Spread(found.se, found.df, found.units, found.notes, found.estimate)


TESTS: dict[str, Callable[[Asked], Spread]] = {
    "seeds": _by_seeds,
    "images": _by_images,
    "seeds_and_images": _by_both,
    "mixed": _by_mixed,
}
"""Who says how sure an effect is, by the word of a study file."""
