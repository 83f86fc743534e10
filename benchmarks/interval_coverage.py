"""How often the intervals of a random sample hold the truth, over draws from maps that are known.

    python benchmarks/interval_coverage.py --draws 2000

Three maps of known errors are sampled without replacement, thousands of times. A 95 % interval
should hold the truth in 95 % of the draws. Beside each, in brackets: 1.96 standard errors.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.accuracy.area import estimate_accuracy
from landvisor.accuracy.confusion import compute_rates
from landvisor.accuracy.ratio import Z

# Pixels by map class (rows) and reference class (columns).
MAPS = {
    "even": 1000 * np.array(
        [[85, 5, 5, 5], [16, 160, 12, 12], [12, 18, 255, 15], [20, 20, 40, 320]]
    ),
    "demo": 400 * np.array(
        [[98, 0, 1, 1, 0], [2, 243, 16, 9, 0], [1, 8, 85, 6, 0], [1, 15, 35, 439, 10],
         [2, 0, 3, 10, 45]]
    ),
    # the estimated matrix of Olofsson et al. (2014), table 9, taken for the truth
    "change": np.array(
        [[176_000, 0, 13_333, 10_667], [0, 110_000, 16_000, 24_000],
         [19_394, 0, 2_967_273, 213_333], [39_692, 19_846, 178_615, 6_211_847]]
    ),
}  # fmt: skip
RATES = ("oa", "ua", "pa", "f1", "share")
UNITS = (10, 25, 50, 100, 200)


def draw(table: NDArray[Any], units: int, *, design: str, draws: int, seed: int) -> NDArray[Any]:
    """Return counts `[draws, stratum, reference, map]`; `units` of each stratum on average."""
    generator = np.random.default_rng(seed)
    size = len(table)
    if design == "simple":
        flat = generator.multivariate_hypergeometric(
            table.T.ravel(), units * size, size=draws, method="marginals"
        )
        return np.asarray(flat.reshape(draws, 1, size, size))
    counts = np.zeros((draws, size, size, size), dtype=np.int64)
    for k, row in enumerate(table):
        counts[:, k, :, k] = generator.multivariate_hypergeometric(
            row, units, size=draws, method="marginals"
        )
    return counts


def cover(table: NDArray[Any], units: int, *, design: str, draws: int) -> list[str]:
    """Return a cell per rate: lowest and highest coverage over the classes."""
    simple = design == "simple"
    pixels = np.array([table.sum()]) if simple else table.sum(axis=1)
    counts = draw(table, units, design=design, draws=draws, seed=units)
    found = estimate_accuracy(counts, pixels, nested=not simple)
    plain = compute_rates(table.T)
    truths = {name: np.atleast_1d(getattr(plain, name)) for name in RATES[:-1]}
    truths["share"] = table.sum(axis=0) / table.sum()
    cells = []
    for name, truth in truths.items():
        e = getattr(found, name)
        known = ~np.isnan(e.value)
        held = _share((e.low <= truth) & (truth <= e.high), known)
        plainly = _share(np.abs(e.value - truth) <= Z * e.se, known)
        cells.append(f"{_span(held)} ({_span(plainly)})")
    return cells


def _share(hits: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.asarray((hits & known).sum(axis=0) / known.sum(axis=0))


def _span(values: NDArray[np.float64]) -> str:
    low, high = f"{100 * values.min():.0f}", f"{100 * values.max():.0f}"
    return low if low == high else f"{low}–{high}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=2000)
    draws = parser.parse_args().draws
    print("| map | design | units a stratum | OA | UA | PA | F1 | area |")
    print("|---|---|--:|---|---|---|---|---|")
    for name, table in MAPS.items():
        for design in ("stratified", "simple"):
            for units in UNITS:
                cells = cover(table, units, design=design, draws=draws)
                print(f"| {name} | {design} | {units} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
