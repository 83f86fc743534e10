"""Does the training loss rank arms as a metric does? A description, never a comparison."""

from __future__ import annotations

from itertools import permutations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from landvisor.study.measured import Measured, Table
from landvisor.study.metrics import title_metric
from landvisor.study.results import LossRanking, RankedArm
from landvisor.study.spec import LOSS
from landvisor.study.store import Store

_EXACT = 7  # arms: 5,040 permutations
_DRAWS = 10_000
_FEWEST = 3


def read_losses(store: Store, table: Table) -> NDArray[np.float64]:
    """Return `[arm, seed]`: the loss of the last epoch, NaN where a model has none."""
    key = ("train", "training", LOSS)
    return np.array([
        [_number(store.metrics(table.runs[arm, seed]).get(key)) for seed in table.seeds]
        for arm in table.arms
    ])  # fmt: skip


def rank_by_loss(measured: Measured, losses: NDArray[np.float64]) -> LossRanking:
    """Hold the order of the arms by their final training loss against that by a metric.

    Args:
        measured: The metric; higher is better.
        losses: `[arm, seed]`; arms without a loss are left out.

    References:
        Spearman (1904), doi:10.2307/1412159; p by permutation of the arms.
    """
    known = np.flatnonzero(np.isfinite(losses + measured.values).all(axis=1))
    names = [measured.table.arms[k] for k in known.tolist()]
    loss, value = losses[known].mean(axis=1), measured.values[known].mean(axis=1)
    ranks = stats.rankdata(loss), stats.rankdata(-value)
    rows = [
        RankedArm(name, float(loss[k]), float(ranks[0][k]), float(value[k]), float(ranks[1][k]))
        for k, name in enumerate(names)
    ]
    rho = _correlate(-loss, value)
    within = [
        found
        for s in range(losses.shape[1])
        if (found := _correlate(-losses[known][:, s], measured.values[known][:, s])) is not None
    ]
    p = None if rho is None else _permute(-loss, value, rho)
    return LossRanking(
        measure=measured.measure,
        arms=tuple(sorted(rows, key=lambda row: row.loss_rank)),
        rho=rho,
        p=p,
        rho_within=float(np.mean(within)) if within else None,
        sentence=_say(title_metric(measured.measure.metric), rows, rho, p),
    )


def _correlate(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    if len(first) < _FEWEST or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    ranks = stats.rankdata(first), stats.rankdata(second)
    return float(np.corrcoef(*ranks)[0, 1])


def _permute(first: NDArray[np.float64], second: NDArray[np.float64], rho: float) -> float:
    """Return how often chance alone gives a correlation this far from 0."""
    ranks = stats.rankdata(first), stats.rankdata(second)
    if len(first) <= _EXACT:
        orders = np.array(list(permutations(range(len(first)))))
    else:
        generator = np.random.default_rng(0)
        orders = np.argsort(generator.random((_DRAWS, len(first))), axis=1)
    centred = [rank - rank.mean() for rank in ranks]
    size = np.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum())
    drawn = centred[1][orders] @ centred[0] / size
    return float((np.abs(drawn) >= abs(rho) - 1e-9).mean())


def _say(metric: str, rows: list[RankedArm], rho: float | None, p: float | None) -> str:
    if rho is None:
        return f"{len(rows)} arms with a loss are too few, or too alike, to rank"
    lowest = min(rows, key=lambda row: row.loss_rank)
    best = min(rows, key=lambda row: row.value_rank)
    said = (
        f"the lowest loss is that of {lowest.arm!r}, which is number {lowest.value_rank:g} of "
        f"{len(rows)} by {metric}; the best by {metric} is {best.arm!r}, number "
        f"{best.loss_rank:g} by loss; Spearman's correlation of low loss with high {metric} is "
        f"{rho:.2f} (p {p:.2f})"
    )
    return f"{said}; values of losses in different units were ranked, which is what is examined"


def _number(value: float | None) -> float:
    return np.nan if value is None else value
