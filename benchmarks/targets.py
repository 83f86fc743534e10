"""How near `default` comes to dense masks, and how far above the plain ways it is.

    python benchmarks/targets.py --data ../shared/data --weights ../shared/weights --split test

Takes rungs of `ladder.py`; what that has fitted and scored is not run again, and with `--known`
nothing at all is. Every figure is a mean over seeds with its lowest and highest.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ladder import Bench, find_rung, run_rung

DRAWN = 10  # points per class and image where nothing else is said
FEW, MANY = 5, 20
PLAINS = {
    "partial cross-entropy alone": "+ pretrained",
    "the same with class weights, augmentation and averaged weights": "+ averaged weights",
}
FOREST = "forest"
PAIRS = {
    "`default`, of dense masks": ("default", "dense"),
    "`default`, of dense masks with the local prior": ("default", "dense, local prior"),
    "its network alone, of the same on dense masks": (
        "+ fading teacher, local prior",
        "dense, local prior",
    ),
    "`default`, of dense masks with trees and the local prior": (
        "default",
        "dense, with trees, local prior",
    ),
}

Values = Sequence[float]


class Scores:
    """Mean IoU of rungs on one data set, by points and seed; models are fitted when asked for."""

    def __init__(self, bench: Bench, args: argparse.Namespace) -> None:
        self.bench = bench
        self.args = args

    def __call__(self, name: str, n: int = DRAWN) -> Values:
        """Return a score per seed; with `--known` of those seeds that have been run."""
        bench = replace(self.bench, n=n)
        seeds = [int(seed) for seed in self.args.seeds.split(",")]
        if self.args.known:
            seeds = [seed for seed in seeds if find_rung(name, bench, seed, self.args)]
        return [run_rung(name, bench, s, self.args)["border 0"]["mean_iou"] for s in seeds]


def say(values: Values, digits: int = 3) -> str:
    """Say a mean with its range and the number of seeds; nothing of no values."""
    if not len(values):
        return ""
    span = f"{min(values):.{digits}f} to {max(values):.{digits}f}"
    return f"{np.mean(values):.{digits}f} ({span}; {len(values)})"


def share(values: Values, bounds: Values) -> str:
    """Say what share of a bound is reached: of its mean, in percent."""
    return say(100 * np.array(values) / np.mean(bounds), 1) if len(values) and len(bounds) else ""


def lay_out(sets: dict[str, Scores]) -> str:
    """Lay the shares of dense masks out, a line per pair of models and number of points."""
    lines = [f"| | points | {' | '.join(sets)} |", "|---|--:|" + "---|" * len(sets)]
    for label, (name, bound) in PAIRS.items():
        for n in (FEW, DRAWN, MANY):
            cells = [share(scores(name, n), scores(bound)) for scores in sets.values()]
            lines.append(f"| {label}, % | {n} | {' | '.join(cells)} |")
    for label, other in {**PLAINS, FOREST: FOREST, "`default`": "default"}.items():
        cells = [say(scores(other)) for scores in sets.values()]
        lines.append(f"| {label}, mean IoU | {DRAWN} | {' | '.join(cells)} |")
    return "\n".join(lines)


def compare(sets: dict[str, Scores], label: str, other: str) -> str:
    """Say what `default` adds to another rung, over all sets, and where ranges part."""
    gains, apart = [], []
    for data, scores in sets.items():
        mine, theirs = scores("default"), scores(other)
        if len(mine) and len(theirs):
            gains.append(float(np.mean(mine) - np.mean(theirs)))
            apart += [data] if min(mine) > max(theirs) else []
    each = ", ".join(f"{gain:+.3f}" for gain in gains) or "not run"
    mean = np.mean(gains) if gains else np.nan
    return f"`default` less {label}: {mean:+.3f} ({each}); ranges apart on {', '.join(apart)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out"))
    parser.add_argument("--only", default="dunes,roads,mars", help="data sets, by comma")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--split", default="val", choices=["val", "test"])
    parser.add_argument("--known", action="store_true", help="lay out what has been run, run none")
    args = parser.parse_args()
    args.settings = {}
    sets = {
        data: Scores(Bench(data, args.data, args.weights, args.out, DRAWN), args)
        for data in args.only.split(",")
    }
    print(f"{args.split}, mean over seeds (lowest to highest; seeds)\n\n{lay_out(sets)}\n")
    for label, other in {**PLAINS, FOREST: FOREST}.items():
        print(compare(sets, label, other))


if __name__ == "__main__":
    main()
