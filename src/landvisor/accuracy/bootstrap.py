"""How far may a rate be from the truth: intervals from resampled blocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from landvisor.accuracy.confusion import CLASS_RATES, compute_rates, find_positions

Interval = tuple[float, float]

_FEWEST = 2  # blocks: one says nothing about the spread between them
_CELLS = 1 << 22  # numbers held at once: 32 MiB of float64


def bootstrap_blocks(
    reference: NDArray[np.integer],
    predicted: NDArray[np.integer],
    *,
    block: NDArray[np.int64],
    ids: tuple[int, ...],
    resamples: int,
    seed: int,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Estimate an interval for every rate by resampling whole blocks of places.

    Places of a block resemble each other; resampling single places would promise too much.

    Args:
        reference: `[n]`: class ids; what is not in `ids` is skipped.
        predicted: `[n]`: class ids; a place with none of `ids` is skipped.
        block: `[n]`: number of the block that a place lies in.
        ids: Class ids in legend order.
        resamples: Draws; 0 gives no interval.
        seed: Of the draws.
        level: Share of the draws inside the interval.

    Returns:
        (low, high) by name of the rate, see `bootstrap_counts`.
    """
    counts = count_blocks(reference, predicted, block=block, ids=ids)
    return bootstrap_counts(counts, ids=ids, resamples=resamples, seed=seed, level=level)


def count_blocks(
    reference: NDArray[np.integer],
    predicted: NDArray[np.integer],
    *,
    block: NDArray[np.int64],
    ids: tuple[int, ...],
) -> NDArray[np.int64]:
    """Count `[block, reference, map]` over the blocks that hold a labelled and mapped place."""
    rows, cols = find_positions(reference, ids), find_positions(predicted, ids)
    counted = (rows >= 0) & (cols >= 0)
    found, position = np.unique(np.asarray(block)[counted], return_inverse=True)
    size = len(ids)
    codes = (position * size + rows[counted]) * size + cols[counted]
    return np.bincount(codes, minlength=found.size * size**2).reshape(-1, size, size)


def bootstrap_counts(
    counts: NDArray[np.int64],
    *,
    ids: tuple[int, ...],
    resamples: int,
    seed: int,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Estimate an interval for every rate from counts `[block, reference, map]`.

    Returns:
        (low, high) by name of the rate (`oa`, `mean_f1`, `f1.3`, ...). Both are NaN where fewer
        than two blocks inform the rate: one block says nothing about the spread between blocks.

    References:
        Efron, B. & Tibshirani, R. (1993): An Introduction to the Bootstrap, section 13.3, the
        percentile interval. Draws that lack a class say nothing about its rates and are left out.
        Clopper, C. & Pearson, E. (1934), doi:10.1093/biomet/26.4.404: where all draws are 0 or
        all are 1, their exact bound with blocks as trials takes the place of an interval
        without width.
    """
    informed = _count_informing(counts, ids)
    if resamples < 1 or informed["oa"] < _FEWEST:
        return dict.fromkeys(informed, (np.nan, np.nan))
    draws = _draw_rates(counts, ids=ids, resamples=resamples, seed=seed)
    tail = (1 - level) / 2
    return {name: _cut_tails(values, tail, blocks=informed[name]) for name, values in draws.items()}


def _count_informing(counts: NDArray[np.int64], ids: tuple[int, ...]) -> dict[str, int]:
    """Count by rate the blocks that hold what it is a share of."""
    reference = (counts.sum(axis=2) > 0).sum(axis=0)
    mapped = (counts.sum(axis=1) > 0).sum(axis=0)
    names = ["oa", *(f"mean_{rate}" for rate in CLASS_RATES)]
    informing = dict.fromkeys(names, int((counts.sum(axis=(1, 2)) > 0).sum()))
    for rate in CLASS_RATES:
        held = mapped if rate == "ua" else reference
        informing |= {f"{rate}.{label}": int(held[k]) for k, label in enumerate(ids)}
    return informing


def _draw_rates(
    counts: NDArray[np.int64], *, ids: tuple[int, ...], resamples: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    """Return `[resamples]` values of every rate."""
    generator = np.random.default_rng(seed)
    blocks, size = len(counts), len(ids)
    flat = counts.reshape(blocks, size**2).astype(np.float64)
    step = max(1, _CELLS // max(blocks, size**2))
    parts = []
    for start in range(0, resamples, step):
        # how often each block is drawn is multinomial; the counts of a draw are then a product
        times = generator.multinomial(
            blocks, np.full(blocks, 1 / blocks), size=min(step, resamples - start)
        )
        parts.append(compute_rates((times @ flat).reshape(-1, size, size)).named(ids))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _cut_tails(values: NDArray[np.float64], tail: float, *, blocks: int) -> Interval:
    known = values[~np.isnan(values)]
    if not known.size or blocks < _FEWEST:
        return np.nan, np.nan
    low, high = np.quantile(known, [tail, 1 - tail])
    if low == high == 1:  # nothing but right places: no draw can show how far that may be off
        return float(tail ** (1 / blocks)), 1.0
    if low == high == 0:
        return 0.0, float(1 - tail ** (1 / blocks))
    return float(low), float(high)
