"""Do probabilities mean what they say, and does uncertainty find the errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from landvisor.accuracy.ratio import find_wilson
from landvisor.accuracy.temperature import LEAST_SHARE

BINS = 10
"""Bins of the reliability diagram (Naeini et al. 2015)."""

GROUPS = 5
_DRAWS, _FEWEST = 400, 50
_NUMBERS = 20_000_000  # drawn in all, whatever the number of places
_LEVEL = 0.95


@dataclass(frozen=True)
class Bin:
    """Places whose most probable class is about equally probable.

    Attributes:
        low: Least probability of the bin.
        high: Largest.
        count: Places in it.
        confidence: Mean probability of the class that was told; None without places.
        accuracy: Share of them that are right; None without places.
        interval: 95 % of the share (Wilson 1927); None without places.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Calibration:
    """What is known of probabilities at places whose class is known.

    Attributes:
        places: How many.
        bins: Of equal width, from 0 to 1.
        ece: Expected calibration error over them.
        ece_equal_mass: The same over as many bins of equally many places.
        ece_chance: What 95 % of draws stay below if the probabilities are exactly right.
        confidence: Mean probability of the class that was told.
        accuracy: Share of places that are right.
        log_loss: Mean of -log p of the true class, natural logarithm, p at least 0.0001.
        brier: Mean squared difference of probabilities and truth, summed over classes.
        temperature: By which probabilities were softened or sharpened; 1 is not at all. The
            geometric mean over folds.
        auroc: By measure of uncertainty: chance that an error is less sure than a right place;
            None where all are right or all wrong.
        error_rates: By measure of uncertainty: share of errors among fifths of the places, the
            surest first.
    """

    places: int
    bins: tuple[Bin, ...]
    ece: float
    ece_equal_mass: float
    ece_chance: float
    confidence: float
    accuracy: float
    log_loss: float
    brier: float
    temperature: float
    auroc: dict[str, float | None]
    error_rates: dict[str, list[float]]

    def summary(self) -> str:
        """Say it in one line."""
        found = [f"{area:.3f} by {name}" for name, area in self.auroc.items() if area is not None]
        return (
            f"probabilities at {self.places} places: {self.confidence:.3f} told, "
            f"{self.accuracy:.3f} right; expected calibration error {self.ece:.3f} (chance alone "
            f"reaches {self.ece_chance:.3f})"
            + (f"; errors found, AUROC: {', '.join(found)}" if found else "")
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(content: dict[str, Any]) -> Calibration:
        """Read what `to_dict` returned."""
        known = {field.name: content[field.name] for field in fields(Calibration)}
        bins = []
        for one in content["bins"]:
            interval = None if one["interval"] is None else tuple(one["interval"])
            bins.append(Bin(**{**one, "interval": interval}))
        return Calibration(**{**known, "bins": tuple(bins)})


def measure_calibration(
    shares: NDArray[np.floating],
    position: NDArray[np.int64],
    *,
    uncertainty: Mapping[str, NDArray[np.floating]],
    temperature: float = 1.0,
    seed: int = 0,
) -> Calibration:
    """Compare probabilities with known classes.

    Args:
        shares: `[n, class]`, summing to one, n at least 1.
        position: `[n]`: the true class of each place as a position among the classes.
        uncertainty: Measures `[n]` by name, larger where less is sure.
        temperature: That was applied to the probabilities, for the record.
        seed: Of the draws of `ece_chance`.

    References:
        Naeini, Cooper and Hauskrecht 2015, Obtaining well calibrated probabilities using Bayesian
        binning, section 4, doi:10.1609/aaai.v29i1.9602. Guo et al. 2017, On calibration of modern
        neural networks, eq. 3, arXiv:1706.04599. Nixon et al. 2019, Measuring calibration in deep
        learning, arXiv:1904.01685: bins of equal mass. Bröcker and Smith 2007, Increasing the
        reliability of reliability diagrams, doi:10.1175/WAF993.1: what chance alone makes of it.
    """
    plain = shares.astype(np.float64)
    confidence, right = plain.max(axis=1), plain.argmax(axis=1) == position
    truth = np.arange(plain.shape[1]) == position[:, None]
    own = np.maximum(plain[np.arange(len(plain)), position], LEAST_SHARE)
    wrong = ~right
    return Calibration(
        places=len(plain),
        bins=bin_places(confidence, right),
        ece=expected_error(confidence, right),
        ece_equal_mass=expected_error(confidence, right, equal_mass=True),
        ece_chance=_chance_error(confidence, seed=seed),
        confidence=float(confidence.mean()),
        accuracy=float(right.mean()),
        log_loss=float(-np.log(own).mean()),
        brier=float(((plain - truth) ** 2).sum(axis=1).mean()),
        temperature=temperature,
        auroc={name: detect_errors(values, wrong) for name, values in uncertainty.items()},
        error_rates={name: rate_groups(values, wrong) for name, values in uncertainty.items()},
    )


def expected_error(
    confidence: NDArray[np.floating],
    right: NDArray[np.bool_],
    *,
    bins: int = BINS,
    equal_mass: bool = False,
) -> float:
    """Return the expected calibration error: |accuracy - confidence|, mean over bins.

    Bins count by their places.

    Args:
        confidence: `[n]`: probability of the class that was told, 0 to 1.
        right: `[n]`: whether it is the true one.
        bins: How many; those of equal width are (0, 0.1], (0.1, 0.2] and so on.
        equal_mass: Put equally many places into each bin, as far as they can be parted, in the
            order of their confidence.
    """
    if equal_mass:
        order = np.argsort(confidence, kind="stable")
        number = np.empty(len(order), dtype=np.int64)
        number[order] = np.arange(len(order)) * bins // max(len(order), 1)
    else:
        number = _number_bins(confidence, bins)
    gaps = np.bincount(number, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))


def bin_places(
    confidence: NDArray[np.floating], right: NDArray[np.bool_], *, bins: int = BINS
) -> tuple[Bin, ...]:
    """Gather places into bins of equal width for a reliability diagram."""
    number, made = _number_bins(confidence, bins), []
    for k in range(bins):
        here = number == k
        count, edges = int(here.sum()), (k / bins, (k + 1) / bins)
        if not count:
            made.append(Bin(*edges, 0, None, None, None))
            continue
        share = float(right[here].mean())
        low, high = (float(end) for end in find_wilson(np.array(share), np.array(float(count))))
        made.append(Bin(*edges, count, float(confidence[here].mean()), share, (low, high)))
    return tuple(made)


def detect_errors(uncertainty: NDArray[np.floating], wrong: NDArray[np.bool_]) -> float | None:
    """Return the area under the ROC curve of finding errors by uncertainty; ties count half.

    Args:
        uncertainty: `[n]`, larger where less is sure.
        wrong: `[n]`.

    Returns:
        None where all or none are wrong.

    References:
        Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747: it is the Mann-Whitney
        statistic, the chance that an error has the larger uncertainty.
    """
    errors, others = int(wrong.sum()), int((~wrong).sum())
    if not errors or not others:
        return None
    ranks = rankdata(uncertainty)[wrong].sum()
    return float((ranks - errors * (errors + 1) / 2) / (errors * others))


def rate_groups(
    uncertainty: NDArray[np.floating], wrong: NDArray[np.bool_], *, groups: int = GROUPS
) -> list[float]:
    """Return the share of errors in groups of equally many places, the surest first."""
    order = np.argsort(uncertainty, kind="stable")
    parts = np.array_split(wrong[order], min(groups, len(order)))
    return [float(part.mean()) for part in parts]


def _number_bins(confidence: NDArray[np.floating], bins: int) -> NDArray[np.int64]:
    """Return the bin of each place; an edge belongs to the bin below it."""
    return np.asarray(np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1))


def _chance_error(confidence: NDArray[np.float64], *, seed: int) -> float:
    """Return what the expected calibration error stays below if places are as sure as they say."""
    generator = np.random.default_rng(seed)
    draws = int(np.clip(_NUMBERS // len(confidence), _FEWEST, _DRAWS))
    errors = [
        expected_error(confidence, generator.random(len(confidence)) < confidence)
        for _ in range(draws)
    ]
    return float(np.quantile(errors, _LEVEL))
