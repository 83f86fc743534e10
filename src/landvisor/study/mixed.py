"""How sure is a contrast by a mixed model: images, seeds and runs as random effects."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import StudyError
from landvisor.study.measured import Measured

_MOST = 30  # units of images: the model's time grows with their cube
_FEWEST = 3


@dataclass(frozen=True)
class Mixed:
    """What a mixed model says of a contrast.

    Attributes:
        estimate: The contrast of the metric within units, which is not that of pooled counts.
        se: Its standard error.
        df: Degrees of freedom.
        units: Images, or groups of them, that were a random effect.
        variances: By random effect, and of what is left.
        notes: What a reader must know.
    """

    estimate: float | None
    se: float | None
    df: float | None
    units: int
    variances: dict[str, float]
    notes: tuple[str, ...]


def fit_mixed(measured: Measured, vector: NDArray[np.float64]) -> Mixed:
    """Fit the metric within units by arm; unit, seed and their products with arm are random.

    y = arm + unit + seed + (arm × seed) + (arm × unit) + rest, by restricted maximum likelihood.
    Seeds and units are common to all arms, so that both pair; (arm × seed) is the chance of
    training, (arm × unit) that of other images. The standard error is that of the contrast's fixed
    effects; degrees of freedom are the smaller of those that each of the two has, (A − 1)(S − 1)
    and (A − 1)(U − 1).

    Args:
        measured: What was measured.
        vector: `[arm]`: weights of the contrast; only arms with a weight enter the model.

    Raises:
        StudyError: If statsmodels is not installed.

    References:
        Pinheiro & Bates (2000): Mixed-Effects Models in S and S-PLUS, sections 2.4 and 5.
    """
    used = vector != 0
    values = measured.by_unit(most=_MOST)[used]
    known = ~np.isnan(values).any(axis=(0, 1))
    values = values[:, :, known]
    arms, seeds, units = values.shape
    if seeds < 2 or units < _FEWEST:
        note = f"{seeds} seeds and {units} images are too few for a mixed model"
        return Mixed(None, None, None, units, {}, (note,))
    notes = ["the mixed model is of the metric within images, not of pooled counts"]
    if measured.units[0].max() + 1 > _MOST:
        notes.append(f"images were pooled to {_MOST} units for it")
    found, said = _fit(values)
    weights = vector[used]
    se = float(np.sqrt(weights @ np.asarray(found.cov_params())[:arms, :arms] @ weights))
    df = float((arms - 1) * (min(seeds, units) - 1))
    variances = dict(zip(_TERMS, np.asarray(found.vcomp).tolist(), strict=True))
    variances["rest"] = float(found.scale)
    estimate = float(weights @ np.asarray(found.fe_params))
    return Mixed(estimate, se, df, units, variances, (*notes, *said))


_TERMS = ("unit", "seed", "run", "unit_arm")


def _fit(values: NDArray[np.float64]) -> tuple[Any, tuple[str, ...]]:
    """Fit `[arm, seed, unit]`; returns statsmodels' result, and sentences."""
    try:
        from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec  # optional, and slow
    except ImportError as error:
        raise StudyError(
            "test 'mixed' needs statsmodels, which is not installed; run "
            "pip install 'landvisor[study]', or choose test 'seeds_and_images'"
        ) from error
    arm, seed, unit = (index.ravel() for index in np.indices(values.shape))
    arms, seeds, units = values.shape
    codes = {"unit": unit, "seed": seed, "run": arm * seeds + seed, "unit_arm": arm * units + unit}
    parts = [[np.eye(int(code.max()) + 1)[code]] for code in codes.values()]
    names = [[[f"{term}{k}" for k in range(part[0].shape[1])]]
             for term, part in zip(codes, parts, strict=True)]  # fmt: skip
    spec = VCSpec(list(codes), names, parts)
    mean, size = float(values.mean()), float(values.std()) or 1.0
    scaled = (values.ravel() - mean) / size  # the optimiser wants numbers near one
    model = MixedLM(scaled, np.eye(arms)[arm], groups=np.zeros(scaled.size), exog_vc=spec)
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        found = model.fit(reml=True, method=["lbfgs", "powell"])
    said = () if found.converged else ("the mixed model did not converge; take it as a hint",)
    del raised  # mostly that a variance is at 0, which is no fault
    return _Rescaled(found, mean, size), said


class _Rescaled:
    """A result in the metric's own units."""

    def __init__(self, found: Any, mean: float, size: float) -> None:
        self.fe_params = np.asarray(found.fe_params) * size + mean
        self.vcomp = np.asarray(found.vcomp) * size**2
        self.scale = float(found.scale) * size**2
        count = len(self.fe_params)
        self._covariance = np.asarray(found.cov_params())[:count, :count] * size**2

    def cov_params(self) -> NDArray[np.float64]:
        """Return the covariance of the fixed effects."""
        return self._covariance
