"""How fast and how useful histogram matching is.

    python benchmarks/histogram.py speed
    python benchmarks/histogram.py accuracy --data ../shared/data/dunes --split val
    python benchmarks/histogram.py warnings --data ../shared/data/dunes

Speed is against `skimage.exposure.match_histograms` on the same images, bands first (its faster
layout): ten calls of each in turn, over and over; the ratio is the median of the turns'. An image
is matched to an image, or a scene to the quantiles that a card holds, as prediction does. Accuracy
is that of a model on tiles of one split whose values were changed, as they are and matched to the
training imagery, all together (as prediction does) and each by itself. Warnings are counted on
changed tiles of train and val, against tiles of train that are not among them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from skimage.exposure import match_histograms

from landvisor import workflow
from landvisor.accuracy.confusion import count_confusion
from landvisor.geo.collection import Collection, open_collection
from landvisor.geo.histogram import match_histogram
from landvisor.geo.matching import describe_shift, match_scenes
from landvisor.geo.radiometry import sample_values
from landvisor.geo.scene import Scene, scene_from_array
from landvisor.learn.model import Model
from landvisor.options import Options
from landvisor.predict.adapt import adapt_scenes, find_shift
from landvisor.predict.stream import classify, predict_scene
from landvisor.recipe import PredictSpec, Recipe
from tiles import ENCODER, READING, draw_points, resize_collection, spread

SIDE = 256
MATCHED = PredictSpec(match_histogram=True)
SHIFTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it is": lambda data: data,
    "brighter: + 40": lambda data: data + 40,
    "darker: × 0.6": lambda data: data * 0.6,
    "flatter: half the contrast": lambda data: data * 0.5 + 50,
    "other colours: red × 1.3, blue × 0.7": lambda data: (
        data * np.array([1.3, 1, 0.7])[:, None, None]
    ),
}


def halve(data: np.ndarray) -> np.ndarray:
    return around_mean(data, 0.5)


def double(data: np.ndarray) -> np.ndarray:
    return around_mean(data, 2)


def around_mean(data: np.ndarray, factor: float) -> np.ndarray:
    middle = data.mean(axis=1, keepdims=True)
    return (data - middle) * factor + middle


SIGNS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it is": lambda data: data,
    "brighter: + 51": lambda data: data + 51,
    "darker: - 51": lambda data: data - 51,
    "half the contrast": halve,
    "twice the contrast": double,
    "one band + 51": lambda data: data + np.array([[51], [0], [0]]),
    "one band × 1.3": lambda data: data * np.array([[1.3], [1], [1]]),
    "one band × 0.7": lambda data: data * np.array([[1], [1], [0.7]]),
}


def draw_pair(dtype: str, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw an image of three bands and a reference of other values."""
    generator = np.random.default_rng(0)
    unit = np.iinfo(dtype).max / 255
    middles, deviations = (100, 140), (30, 20)
    pairs = zip(middles, deviations, strict=True)
    image, reference = (
        (generator.normal(m, d, (3, side, side)).clip(0, 255) * unit).astype(dtype)
        for m, d in pairs
    )
    return image, reference


def time_in_a_row(function: Callable[[], Any], *, times: int = 10) -> float:
    """Return the median of several calls in milliseconds.

    The first calls after other work run slower, since the processor first has to speed up.
    """
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        function()
        taken.append(1e3 * (time.perf_counter() - start))
    return statistics.median(taken)


def print_speed(side: int, repeats: int) -> None:
    print("| data | scikit-image, ms | image to image, ms | ratio | scene to card, ms | ratio |")
    print("|---|--:|--:|--:|--:|--:|")
    for dtype in ("uint8", "uint16"):
        image, reference = draw_pair(dtype, side)
        check_equal(image, reference)
        ways = [match_with_scikit_image, match_histogram, match_streamed]
        turns = [
            [time_in_a_row(partial(way, image, reference)) for way in ways] for _ in range(repeats)
        ]
        theirs, ours, streamed = (statistics.median(taken) for taken in zip(*turns, strict=True))
        pair, scene = (statistics.median(turn[0] / turn[at] for turn in turns) for at in (1, 2))
        print(
            f"| {dtype} | {theirs:.1f} | {ours:.1f} | {pair:.1f} | {streamed:.1f} | {scene:.1f} |"
        )


def match_with_scikit_image(image: np.ndarray, reference: np.ndarray) -> np.ndarray:
    return match_histograms(image, reference, channel_axis=0)


def match_streamed(image: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Match to quantiles, as prediction does: a pass to count, a pass to read."""
    known = np.quantile(reference[:, :64, :64], np.linspace(0, 1, 256), axis=(1, 2)).T.tolist()
    (matched,) = match_scenes([scene_from_array(image)], known, dtype=image.dtype)
    return matched.read().data


def check_equal(image: np.ndarray, reference: np.ndarray) -> None:
    found = match_histogram(image, reference)
    for band, ours in enumerate(found):
        assert (ours == np.rint(match_histograms(image[band], reference[band]))).all()


def open_small(args: argparse.Namespace) -> Collection:
    folder = args.out / f"{args.data.name}-{SIDE}"
    if not (folder / "collection.csv").exists():
        source, how = args.data / "collection.csv", READING[args.data.name]
        resize_collection(source, folder, size=SIDE, reading=how)
    return open_collection(folder / "collection.csv")


def print_accuracy(args: argparse.Namespace) -> None:
    how, small = READING[args.data.name], open_small(args)
    folder = args.out / f"{args.data.name}-{SIDE}"
    items = small.select(args.split).items
    tiles = [item.open() for item in items]
    masks = [item.read_mask(tile) for item, tile in zip(items, tiles, strict=True)]
    found: dict[str, list[list[float]]] = {name: [] for name in SHIFTS}
    far = {}
    for seed in map(int, args.seeds.split(",")):
        points = folder / f"points-10-{seed}.gpkg"
        if not points.exists():
            draw_points(args.data / "collection.csv", small, points, n=10, seed=seed, how=how)
        model = fit_model(folder, points, seed=seed, args=args)
        for name, shift in SHIFTS.items():
            moved = [change(tile, shift) for tile in tiles]
            together = adapt_scenes(model, moved, MATCHED)
            alone = [adapt_scenes(model, [tile], MATCHED)[0] for tile in moved]
            found[name].append([score(model, seen, masks) for seen in (moved, together, alone)])
            far[name] = "yes" if find_shift(model, moved) else "no"
    print(f"| {args.split} tiles | plain | matched together | each by itself | pointed out |")
    print("|---|--:|--:|--:|---|")
    for name, rows in found.items():
        cells = [spread(list(values)) for values in zip(*rows, strict=True)]
        print(f"| {name} | {' | '.join(cells)} | {far[name]} |", flush=True)


def print_warnings(args: argparse.Namespace) -> None:
    """Count how often changed tiles are pointed out: all of val, twelve of train, one of each."""
    small = open_small(args)
    train, val = (
        [sample_values([item.open()], seed=0) for item in small.select(split).items]
        for split in ("train", "val")
    )
    orders = [np.random.default_rng(seed).permutation(len(train)) for seed in range(100)]
    parts = [(order[:12], order[12:]) for order in orders]
    ones = [(np.array([k]), np.delete(np.arange(len(train)), k)) for k in range(len(train))]
    print(f"| {args.data.name} | all of val | 12 of train | one of val | one of train |")
    print("|---|---|--:|--:|--:|")
    for name, shift in SIGNS.items():
        whole = is_far(val, train, shift)
        shares = [
            np.mean([is_far(pick(train, some), pick(train, rest), shift) for some, rest in parts]),
            np.mean([is_far([tile], train, shift) for tile in val]),
            np.mean([is_far(pick(train, one), pick(train, rest), shift) for one, rest in ones]),
        ]
        cells = " | ".join(f"{share:.0%}" for share in shares)
        print(f"| {name} | {'yes' if whole else 'no'} | {cells} |", flush=True)


def pick(tiles: list[np.ndarray], which: np.ndarray) -> list[np.ndarray]:
    return [tiles[k] for k in which]


def is_far(
    tiles: list[np.ndarray], train: list[np.ndarray], shift: Callable[[np.ndarray], np.ndarray]
) -> bool:
    """Tell whether tiles `[band, value]`, all changed alike, are pointed out."""
    moved = shift(np.concatenate(tiles, axis=1)).round().clip(1, 255)
    known = np.quantile(np.concatenate(train, axis=1), np.linspace(0, 1, 256), axis=1).T
    return describe_shift(moved, known.tolist(), bands=["red", "green", "blue"]) is not None


def fit_model(folder: Path, points: Path, *, seed: int, args: argparse.Namespace) -> Model:
    """Fit to points of train; those of val choose what there is to choose."""
    settings = {"net.model": args.model, "seed": seed}
    if args.model == "instant":
        weights = str(args.weights / f"{ENCODER}.safetensors")
        settings |= {"net.encoder": ENCODER, "net.encoder_weights": weights}
    recipe, options = Recipe().with_values(settings), Options(split="train", val_split="val")
    return workflow.fit(folder / "collection.csv", points, recipe=recipe, options=options)


def change(scene: Scene, shift: Callable[[np.ndarray], np.ndarray]) -> Scene:
    data, valid = scene.read()
    moved = shift(data.astype(float)).round().clip(1, 255).astype(np.uint8)
    return scene_from_array(np.where(valid, moved, 0), nodata=0, bands=scene.bands)


def score(model: Model, scenes: list[Scene], masks: list[np.ndarray]) -> float:
    """Return mean IoU over all labelled pixels."""
    spec = PredictSpec(window=SIDE, overlap=0, local_prior=0)
    legend = model.card.legend
    told = [predict_scene(model, scene, spec) for scene in scenes]
    maps = [classify(found.probabilities, found.valid, legend) for found in told]
    labels, found = np.concatenate(masks).ravel(), np.concatenate(maps).ravel()
    truth = legend.resolve(labels)
    counted = (truth >= 0) & (found != legend.nodata)
    return count_confusion(truth[counted], found[counted], ids=legend.ids).metrics()["mean_iou"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure histogram matching.")
    parser.add_argument("what", choices=["speed", "accuracy", "warnings"])
    parser.add_argument("--side", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out"))
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--model", default="bank", choices=["forest", "bank", "instant"])
    parser.add_argument("--split", default="val", choices=["val", "test"])
    parser.add_argument("--seeds", default="0,1,2")
    chosen = parser.parse_args()
    if chosen.what == "speed":
        print_speed(chosen.side, chosen.repeats)
    elif chosen.what == "accuracy":
        print_accuracy(chosen)
    else:
        print_warnings(chosen)


if __name__ == "__main__":
    main()
