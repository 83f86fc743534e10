"""How near `default` comes to dense masks, and how far above the plain ways it is.

    python benchmarks/targets.py --data ../shared/data --weights ../shared/weights --split test

Takes rungs of `ladder.py`; what that has fitted and scored is not run again, and with `--known`
nothing at all is. Every figure is a mean over seeds with its lowest and highest.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ladder import Bench, make_parser, run_seeds

NUMBERS = (5, 10, 20)  # points per class and image
OTHERS = {
    "partial cross-entropy alone": "+ pretrained",
    "the same with class weights, augmentation and averaged weights": "+ averaged weights",
    "forest": "forest",
}
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

    def __call__(self, name: str, n: int) -> Values:
        """Return a score per seed; with `--known` of those seeds that have been measured."""
        return [run.mean_iou for run in run_seeds(name, replace(self.bench, n=n), self.args)]


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
    """Lay shares of dense masks and scores out, a line per number of points where it is known."""
    lines = [f"| | points | {' | '.join(sets)} |", "|---|--:|" + "---|" * len(sets)]
    for label, (name, bound) in PAIRS.items():
        for n in NUMBERS:
            cells = [share(scores(name, n), scores(bound, n)) for scores in sets.values()]
            lines += _line(f"{label}, %", n, cells)
    for label, name in {**OTHERS, "`default`": "default"}.items():
        for n in NUMBERS:
            lines += _line(
                f"{label}, mean IoU", n, [say(scores(name, n)) for scores in sets.values()]
            )
    return "\n".join(lines)


def _line(label: str, n: int, cells: list[str]) -> list[str]:
    return [f"| {label} | {n} | {' | '.join(cells)} |"] if any(cells) else []


def compare(sets: dict[str, Scores], label: str, other: str, n: int) -> str | None:
    """Say what `default` adds to another rung, over all sets, and where ranges part."""
    gains, apart = [], []
    for data, scores in sets.items():
        mine, theirs = scores("default", n), scores(other, n)
        if len(mine) and len(theirs):
            gains.append(float(np.mean(mine) - np.mean(theirs)))
            apart += [data] if min(mine) > max(theirs) else []
    if not gains:
        return None
    each, where = ", ".join(f"{gain:+.3f}" for gain in gains), ", ".join(apart) or "no set"
    what = f"{n} points, `default` less {label}"
    return f"- {what}: {np.mean(gains):+.3f} ({each}); ranges apart on {where}"


def main() -> None:
    parser = make_parser(__doc__.splitlines()[0], only="dunes,roads,mars")
    args = parser.parse_args()
    sets = {
        data: Scores(Bench(data, args.data, args.weights, args.out, n=10), args)
        for data in args.only.split(",")
    }
    print(f"{args.split}, mean over seeds (lowest to highest; seeds)\n\n{lay_out(sets)}\n")
    said = [compare(sets, label, other, n) for label, other in OTHERS.items() for n in NUMBERS]
    print("\n".join(filter(None, said)))


if __name__ == "__main__":
    main()
