"""How strongly classes that are frequent in a window should be favoured.

    python benchmarks/local_prior.py --data ../shared/data --weights ../shared/weights

Takes models of `ladder.py`, fitted if they are not there yet, and asks them once for each tile of
val, which is one window. `window` is what `predict.local_prior` does. `scene` favours classes by
the shares of all tiles together, `em` goes on until these shares stand still (Saerens et al. 2002).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ladder import RUNGS, Bench, fit_model
from landvisor.accuracy.confusion import count_confusion
from landvisor.learn.local_prior import favour_frequent
from landvisor.learn.model import Model
from landvisor.learn.model_file import load_model

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
STEPS = 200

Told = list[NDArray[np.float32]]
"""Of each tile, probabilities `[class, pixel]`."""


def ask(model: Model, bench: Bench) -> tuple[Told, list[NDArray[np.int64]]]:
    """Return what a model says of the labelled pixels of val, and their classes by position."""
    told, truth = [], []
    for item in bench.collection().select("val").items:
        scene = item.open()
        data, valid = scene.read()
        label = model.card.legend.to_index(item.read_mask(scene).astype(np.int64))
        told.append(model.predict(data[None], valid[None])[0][:, valid])
        truth.append(label[valid])
    return told, truth


def favour_windows(told: Told, shares: tuple[float, ...], strength: float) -> Told:
    """Favour what is frequent in each tile."""
    means = [part.mean(axis=1, dtype=np.float64, keepdims=True) for part in told]
    return [
        favour_frequent(part, mean, shares=shares, strength=strength)
        for part, mean in zip(told, means, strict=True)
    ]


def favour_scene(told: Told, shares: tuple[float, ...], strength: float) -> Told:
    """Favour what is frequent over all tiles."""
    mean = np.concatenate(told, axis=1).mean(axis=1, dtype=np.float64, keepdims=True)
    return [favour_frequent(part, mean, shares=shares, strength=strength) for part in told]


def favour_until_still(told: Told, shares: tuple[float, ...], strength: float) -> Told:
    """Favour by the shares to which expectation maximisation over all tiles leads."""
    every = np.concatenate(told, axis=1)[:, ::7].astype(np.float64)
    presumed = np.asarray(shares)[:, None]
    found = presumed
    for _ in range(STEPS):
        moved = every * (found / presumed)
        found = (moved / moved.sum(axis=0)).mean(axis=1, keepdims=True)
    return [favour_frequent(part, found, shares=shares, strength=strength) for part in told]


WAYS: dict[str, Callable[[Told, tuple[float, ...], float], Told]] = {
    "window": favour_windows,
    "scene": favour_scene,
    "em": favour_until_still,
}


def score(told: Told, truth: list[NDArray[np.int64]]) -> tuple[float, float]:
    """Return mean IoU and overall accuracy, pooled over tiles."""
    classes = range(len(told[0]))
    label = np.concatenate(truth)
    chosen = np.concatenate([part.argmax(axis=0) for part in told])
    rates = count_confusion(label[label >= 0], chosen[label >= 0], ids=tuple(classes)).metrics()
    return rates["mean_iou"], rates["oa"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out"))
    parser.add_argument("--only", default="dunes,roads", help="data sets, by comma")
    parser.add_argument("--rungs", default="fast;default;dense", help="of the ladder, by semicolon")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--n", type=int, default=10, help="points per class and image")
    args = parser.parse_args()
    print(f"| set | model | seed | shares of | {' | '.join(map(str, STRENGTHS))} |")
    print("|---" * (len(STRENGTHS) + 4) + "|")
    for data in args.only.split(","):
        bench = Bench(data, args.data, args.weights, args.out, args.n)
        for name in args.rungs.split(";"):
            for seed in map(int, args.seeds.split(",")):
                model = load_model(fit_model(RUNGS[name], bench, seed, seed, {}))
                told, truth = ask(model, bench)
                for way, favour in WAYS.items():
                    found = [score(favour(told, model.card.shares, s), truth) for s in STRENGTHS]
                    cells = " | ".join(f"{iou:.3f}, {oa:.3f}" for iou, oa in found)
                    print(f"| {data} | {name} | {seed} | {way} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
