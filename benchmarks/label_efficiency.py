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

import numpy as np

from ladder import Bench, make_parser, run_seeds
from measured import Run
from panels import dress, finish, make_panels
from tiles import spread

NUMBERS = (1, 5, 10, 20, 100)
LINES = {
    "forest": ("#8a8a8a", "o-", "forest"),
    "fast": ("#c98500", "s-", "`fast`: the instant model"),
    "+ pretrained": ("#7a5cc0", "v--", "U-Net, partial cross-entropy alone"),
    "+ averaged weights": ("#2f7fc1", "^-", "U-Net, well trained on points"),
    "default": ("#1b8a5a", "D-", "`default`"),
}
BOUNDS = {"dense": ("#2b2b2b", "--"), "dense, local prior": ("#2b2b2b", ":")}


def collect(bench: Bench, args: argparse.Namespace) -> list[Run]:
    """Run each rung at each number of points, and the bounds, which know no number."""
    runs = []
    for name in (*LINES, *BOUNDS):
        for n in NUMBERS if name in LINES else (bench.n,):
            for run in run_seeds(name, replace(bench, n=n), args):
                runs.append(run)
                print(bench.name, n, name, run.seed, run.mean_iou, flush=True)
    return runs


def tabulate(runs: list[Run]) -> str:
    """Lay mean IoU and its spread out: a line per rung, a column per number of points."""
    lines = [
        f"| points per class and image | {' | '.join(map(str, NUMBERS))} |",
        "|---" * (len(NUMBERS) + 1) + "|",
    ]
    for name, (_, _, label) in LINES.items():
        cells = [_say(runs, name, n) for n in NUMBERS]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    blank = " |" * (len(NUMBERS) - 1)
    lines += [f"| {name} | {_say(runs, name, 0)} |{blank}" for name in BOUNDS]
    return "\n".join(lines)


def _values(runs: list[Run], name: str, n: int) -> list[float]:
    return [run.mean_iou for run in runs if (run.rung, run.points) == (name, n)]


def _say(runs: list[Run], name: str, n: int) -> str:
    values = _values(runs, name, n)
    return spread(values) if values else ""


def draw_figure(found: dict[str, list[Run]]) -> bytes:
    """Plot mean IoU over points, a panel per data set; every seed is a mark."""
    figure, panels = make_panels(len(found), margin=2.1)
    for axes, (data, runs) in zip(panels, found.items(), strict=True):
        for name, (color, mark, label) in LINES.items():
            known = {n: values for n in NUMBERS if (values := _values(runs, name, n))}
            means = [float(np.mean(values)) for values in known.values()]
            axes.plot(list(known), means, mark, color=color, label=label.replace("`", ""), ms=4,
                      lw=1.2)  # fmt: skip
            for n, values in known.items():
                axes.plot([n] * len(values), values, mark[0], color=color, ms=2.5, alpha=0.5)
        for name, (color, dash) in BOUNDS.items():
            if values := _values(runs, name, 0):
                axes.axhline(float(np.mean(values)), ls=dash, color=color, lw=1, label=name)
        dress(axes, title=data, xlabel="points per class and image")
        axes.set_xticks(NUMBERS, [str(n) for n in NUMBERS])
        axes.minorticks_off()
    return finish(figure, panels, ylabel="mean IoU")


def main() -> None:
    parser = make_parser(__doc__.splitlines()[0], only="dunes,roads,mars")
    parser.add_argument("--figure", type=Path, help="PNG to write")
    args = parser.parse_args()
    found = {
        data: collect(Bench(data, args.data, args.weights, args.out, 10), args)
        for data in args.only.split(",")
    }
    for data, runs in found.items():
        print(f"\n{data}, {args.split}\n\n{tabulate(runs)}")
    if args.figure:
        args.figure.write_bytes(draw_figure(found))


if __name__ == "__main__":
    main()
