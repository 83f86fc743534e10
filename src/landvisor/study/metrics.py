"""What a run is scored by: rates of counts, and which pixels and classes they count."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.accuracy.confusion import CLASS_RATES, compute_rates
from landvisor.errors import StudyError
from landvisor.study.choices import raise_unknown
from landvisor.study.spec import LOSS, ScoringSpec

STANDARD = "standard"
"""The scoring of every study: all labelled pixels of the masks, counts pooled over images."""
METRICS = {
    "oa": "overall accuracy",
    "mean_iou": "mean IoU",
    "mean_f1": "mean F1",
    "mean_ua": "mean user's accuracy",
    "mean_pa": "mean producer's accuracy",
    "iou": "IoU of {}",
    "f1": "F1 of {}",
    "ua": "user's accuracy of {}",
    "pa": "producer's accuracy of {}",
}
"""Titles by name; those with a gap are of one class, as in `iou.road`."""
_LOSSES = {LOSS, "total_loss", "train_loss", "training_loss", "val_loss", "test_loss"}
_ABSENT = {"left_out": np.nan, "one": 1.0, "zero": 0.0}


def check_metric(name: str, *, said: str, classes: Sequence[str] = ()) -> None:
    """Refuse a metric that does not exist, or a loss.

    Args:
        name: As in `mean_iou` or `iou.road`.
        said: Where it was named.
        classes: Names of the classes; any class is taken where empty.

    Raises:
        StudyError: Naming the nearest valid one, or why a loss is no metric.
    """
    rate, _, of = name.partition(".")
    if name.replace(".", "_") in _LOSSES or rate == LOSS:
        raise StudyError(
            f"{said} compares values of a loss ({name!r}): another loss, alpha or gamma is another "
            "unit, so the lower value says nothing; compare a metric of validation or test such "
            "as mean_iou, and let analysis.loss_ranking = 'describe' show what the loss ranks"
        )
    if rate not in CLASS_RATES or not of:
        known = [key for key in METRICS if key not in CLASS_RATES]
        if name not in known:
            listed = [*known, *(f"{key}.{c}" for key in CLASS_RATES for c in classes or ["CLASS"])]
            raise_unknown(f"metric in {said}:", name, listed)
    elif classes and of not in classes:
        raise_unknown(f"class of a metric in {said}:", of, classes)


def title_metric(name: str) -> str:
    """Say a metric in words, as in `IoU of road`."""
    rate, _, of = name.partition(".")
    return METRICS[rate].format(of)


def name_reference(scoring: ScoringSpec) -> str:
    """Name what a scoring counts: scorings of one name share their counts."""
    name: str = scoring.reference
    if scoring.reference != "masks":
        drawn: dict[str, Any] = {"points": scoring.points.model_dump(mode="json")}
        if scoring.reference == "linked":
            drawn["link"] = scoring.link.model_dump(mode="json")
        digest = hashlib.sha256(json.dumps(drawn, sort_keys=True).encode()).hexdigest()
        name = f"{name} {digest[:8]}"
    return f"{name}, border {scoring.border} left out" if scoring.border else name


def score(
    counts: NDArray[Any], scoring: ScoringSpec, *, classes: Sequence[str], scored: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """Compute all metrics of counts.

    Args:
        counts: `[..., image, class, class + 1]` as `[..., image, reference, map]`; the last
            column is unmapped and enters no rate. May be weighted, and so not whole.
        scoring: Which pixels and classes count.
        classes: Names of the classes, in the order of the counts.
        scored: Of them, those that count unless `scoring.classes` says otherwise.

    Returns:
        Values `[...]` by name of the metric, as `mean_iou` or `iou.road`; NaN where nothing was
        counted. A class that only the map has is left out of means, as `landvisor assess` does.
    """
    chosen = _choose(scoring, classes, scored)
    table = _reduce(counts, [classes.index(name) for name in chosen], scoring.count_others)
    if not scoring.per_image:
        return _rate(table.sum(axis=-3), chosen, absent=scoring.absent)
    each = _rate(table, chosen, absent=scoring.absent)
    return {name: _mean(values) for name, values in each.items()}


def score_weighted(
    counts: NDArray[Any],
    weights: NDArray[np.float64],
    *,
    metric: str,
    scoring: ScoringSpec,
    classes: Sequence[str],
    scored: Sequence[str],
) -> NDArray[np.float64]:
    """Compute a metric for many draws of images.

    Args:
        counts: `[image, class, class + 1]`; see `score`.
        weights: `[draw, image]`: how often each image was drawn.
        metric: As `mean_iou` or `iou.road`.
        scoring: See `score`, as for the rest.
        classes: See `score`.
        scored: See `score`.

    Returns:
        `[draw]`.
    """
    if not scoring.per_image:
        pooled = np.tensordot(weights, counts.astype(np.float64), axes=1)
        return score(pooled[:, None], scoring, classes=classes, scored=scored)[metric]
    alone = score(counts[:, None], scoring, classes=classes, scored=scored)[metric]
    known = ~np.isnan(alone)
    whole = weights[:, known].sum(axis=1)
    shares = np.full(len(weights), np.nan)
    part = weights[:, known] @ alone[known]
    return np.asarray(np.divide(part, whole, out=shares, where=whole > 0))


def _choose(scoring: ScoringSpec, classes: Sequence[str], scored: Sequence[str]) -> list[str]:
    for name in scoring.classes:
        if name not in classes:
            raise_unknown("class of a scoring", name, classes)
    return [name for name in classes if name in (scoring.classes or scored)]


def _reduce(counts: NDArray[Any], chosen: list[int], count_others: bool) -> NDArray[Any]:
    """Keep the chosen classes, and join all others to one more row and column."""
    mapped = counts[..., :-1]
    size, all_classes = len(chosen), mapped.shape[-1]
    others = [position for position in range(all_classes) if position not in chosen]
    table = np.zeros((*mapped.shape[:-2], size + 1, size + 1), dtype=mapped.dtype)
    rows = mapped[..., chosen, :]
    table[..., :size, :size] = rows[..., chosen]
    table[..., :size, size] = rows[..., others].sum(axis=-1)
    if count_others:
        table[..., size, :size] = mapped[..., others, :][..., chosen].sum(axis=-2)
    return table


def _rate(table: NDArray[Any], chosen: list[str], *, absent: str) -> dict[str, NDArray[np.float64]]:
    rates = compute_rates(table)
    size, fill = len(chosen), _ABSENT[absent]
    present = rates.present[..., :size] | (not np.isnan(fill))
    values: dict[str, NDArray[np.float64]] = {"oa": rates.oa}
    for rate in CLASS_RATES:
        single = getattr(rates, rate)[..., :size]
        single = np.where(np.isnan(single), fill, single)
        values[f"mean_{rate}"] = _mean(np.where(present, single, np.nan))
        values |= {f"{rate}.{name}": single[..., k] for k, name in enumerate(chosen)}
    return values


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    known = ~np.isnan(values)
    count = known.sum(axis=-1)
    total = np.where(known, values, 0).sum(axis=-1)
    return np.asarray(
        np.divide(total, count, out=np.full(np.shape(count), np.nan), where=count > 0)
    )
