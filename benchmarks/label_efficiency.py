"""How accuracy grows with the number of points, and how near it comes to dense masks.

    python benchmarks/label_efficiency.py --data ../shared/data --weights ../shared/weights \
        --figure docs/images/label-efficiency.png

Takes rungs of `ladder.py` at several numbers of points per class and image; what that has fitted
and scored is not run again, and with `--known` nothing at all is.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ladder import Bench, add_known, make_parser, run_seeds
from panels import dress, finish, make_panels
from tiles import spread

NUMBERS = (1, 5, 10, 20, 100)
LINES = {
    "forest": ("#8a8a8a", "o-", "forest"),
    "fast": ("#c98500", "s-", "`fast`: the instant model"),
    "+ averaged weights": ("#2f7fc1", "^-", "U-Net, points alone"),
    "instant teacher, with trees, local prior": ("#7a5cc0", "v--", "pair, teacher does not fade"),
    "default": ("#1b8a5a", "D-", "`default`"),
}
BOUNDS = {"dense": ("#2b2b2b", "--"), "dense, local prior": ("#2b2b2b", ":")}


def collect(bench: Bench, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a result for each rung, number of points and seed; dense ones have no number."""
    results = []
    for name in (*LINES, *BOUNDS):
        for n in NUMBERS if name in LINES else (bench.n,):
            for found in run_seeds(name, replace(bench, n=n), args):
                results.append({**found, "n": n if name in LINES else None})
                said = f"{found['seed']} {found['border 0']['mean_iou']:.4f}"
                print(bench.name, n, name, said, flush=True)
    return results


def tabulate(results: list[dict[str, Any]]) -> str:
    """Lay mean IoU and its spread out: a line per rung, a column per number of points."""
    lines = [
        f"| points per class and image | {' | '.join(map(str, NUMBERS))} |",
        "|---" * (len(NUMBERS) + 1) + "|",
    ]
    for name, (_, _, label) in LINES.items():
        cells = [_say(results, name, n) for n in NUMBERS]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    blank = " |" * (len(NUMBERS) - 1)
    lines += [f"| {name} | {_say(results, name, None)} |{blank}" for name in BOUNDS]
    return "\n".join(lines)


def _values(results: list[dict[str, Any]], name: str, n: int | None) -> list[float]:
    return [r["border 0"]["mean_iou"] for r in results if (r["rung"], r["n"]) == (name, n)]


def _say(results: list[dict[str, Any]], name: str, n: int | None) -> str:
    values = _values(results, name, n)
    return spread(values) if values else ""


def draw_figure(found: dict[str, list[dict[str, Any]]]) -> bytes:
    """Plot mean IoU over points, a panel per data set; every seed is a mark."""
    figure, panels = make_panels(len(found), margin=2.1)
    for axes, (data, results) in zip(panels, found.items(), strict=True):
        for name, (color, mark, label) in LINES.items():
            known = {n: values for n in NUMBERS if (values := _values(results, name, n))}
            means = [float(np.mean(values)) for values in known.values()]
            axes.plot(list(known), means, mark, color=color, label=label.replace("`", ""), ms=4,
                      lw=1.2)  # fmt: skip
            for n, values in known.items():
                axes.plot([n] * len(values), values, mark[0], color=color, ms=2.5, alpha=0.5)
        for name, (color, dash) in BOUNDS.items():
            if values := _values(results, name, None):
                axes.axhline(float(np.mean(values)), ls=dash, color=color, lw=1, label=name)
        dress(axes, title=data, xlabel="points per class and image")
        axes.set_xticks(NUMBERS, [str(n) for n in NUMBERS])
        axes.minorticks_off()
    return finish(figure, panels, ylabel="mean IoU")


def main() -> None:
    parser = make_parser(__doc__.splitlines()[0], only="dunes,roads,mars")
    add_known(parser)
    parser.add_argument("--figure", type=Path, help="PNG to write")
    args = parser.parse_args()
    found = {
        data: collect(Bench(data, args.data, args.weights, args.out, 10), args)
        for data in args.only.split(",")
    }
    for data, results in found.items():
        print(f"\n{data}, {args.split}\n\n{tabulate(results)}")
    if args.figure:
        args.figure.write_bytes(draw_figure(found))


if __name__ == "__main__":
    main()
