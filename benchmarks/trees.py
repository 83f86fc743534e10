"""Time trees against scikit-learn's `predict_proba` on the same trees, and compare the classes.

    python benchmarks/tiles.py --data ../shared/data/dunes --weights ../shared/weights --seeds 0
    python benchmarks/trees.py --data benchmarks/out/dunes-256 --weights ../shared/weights

Needs the tiles and points of the first command, and reads no test tile. Trees grow on the points
of train and val, once on all features of `instant` and once on the filter bank and the encoder's
strides up to 8. Then a tile of val is classified whole; both ways take turns, each turn gives one
ratio, and the median is told. Every further tile says where the time of `instant` goes.
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
from sklearn.ensemble import ExtraTreesClassifier

from landvisor import workflow
from landvisor.geo.collection import open_collection
from landvisor.labels.material import gather
from landvisor.learn.pixel_features import FeatureReader, FeatureTable
from landvisor.learn.trees import Trees, flatten_trees
from landvisor.options import Options
from landvisor.recipe import Recipe

Timed = Callable[[], Any]
HEAD = """\
| features | min_leaf | threads | theirs, Mpx/s | ours, Mpx/s | times faster | rows | shuffled \
| classes that differ | probabilities differ by |
|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"""
OPTIONS = Options(split="train", val_split="val")


def make_reader(data: Path, points: Path, weights: Path) -> tuple[FeatureReader, Recipe]:
    encoder = "mobilenetv2_100"
    settings = {
        "net.model": "instant", "net.encoder": encoder, "instant.classifier": "trees",
        "net.encoder_weights": str(weights / f"{encoder}.safetensors"), "instant.trees": 1,
        "predict.window": 256, "predict.overlap": 64,
    }  # fmt: skip
    recipe = Recipe().with_values(settings)
    model = workflow.fit(data / "collection.csv", points, recipe=recipe, options=OPTIONS)
    return model.predictor.reader, recipe


def read_labelled(
    data: Path, points: Path, reader: FeatureReader, recipe: Recipe
) -> tuple[np.ndarray, np.ndarray]:
    collection = open_collection(data / "collection.csv").for_learning("train", "val")
    material = gather(collection, points, spec=recipe.labels, options=OPTIONS, seed=0)
    rows = FeatureTable(material.scenes, reader, recipe.predict).rows(material.places)
    return rows, material.legend.to_index(material.places.label)


def choose_columns(
    reader: FeatureReader, bands: tuple[str, ...], *, most: int | None
) -> np.ndarray:
    """Return which features to use: all, or the bank and strides up to `most`."""
    names = reader.names(bands)
    strides = [int(name.split()[3]) if name.startswith("encoder") else 0 for name in names]
    return np.flatnonzero([most is None or stride <= most for stride in strides])


def grow(rows: np.ndarray, label: np.ndarray, *, min_leaf: int) -> ExtraTreesClassifier:
    tried = max(int(rows.shape[1] ** 0.5), rows.shape[1] // 10)  # as `fit_trees`
    grower = ExtraTreesClassifier(
        200, max_features=tried, min_samples_leaf=min_leaf, random_state=0, n_jobs=2
    )
    return grower.fit(rows, label)


def compare(grower: ExtraTreesClassifier, image: np.ndarray, *, repeats: int) -> None:
    """Print a row for one and for two threads."""
    trees = flatten_trees(grower, classes=len(grower.classes_))
    flat = image.reshape(-1, image.shape[-1])
    shuffled = flat[np.random.default_rng(0).permutation(len(flat))]
    told = check(trees, grower, image)
    for threads in (1, 2):
        grower.set_params(n_jobs=threads)
        ask = partial(trees.predict, workers=threads)
        ways = [
            partial(grower.predict_proba, flat),
            *(partial(ask, x) for x in (image, flat, shuffled)),
        ]
        times = take_turns(ways, repeats)
        rate = len(flat) / 1e6 / np.median(times, axis=0)
        ratio = np.median(times[:, :1] / times, axis=0)
        cells = [f"{rate[0]:.3f}", f"{rate[1]:.3f}", *(f"{r:.1f}" for r in ratio[1:])]
        leaf = grower.min_samples_leaf
        print(
            f"| {flat.shape[1]} | {leaf} | {threads} | {' | '.join(cells)} | {told} |", flush=True
        )


def take_turns(ways: list[Timed], repeats: int) -> np.ndarray:
    for way in ways:
        way()
    return np.array([[measure(way) for way in ways] for _ in range(repeats)])


def measure(way: Timed) -> float:
    started = time.perf_counter()
    way()
    return time.perf_counter() - started


def check(trees: Trees, grower: ExtraTreesClassifier, image: np.ndarray) -> str:
    theirs = grower.predict_proba(image.reshape(-1, image.shape[-1]))
    ours = trees.predict(image).reshape(theirs.shape)
    apart = int((ours.argmax(axis=1) != theirs.argmax(axis=1)).sum())
    return f"{apart} of {len(ours):,} | {abs(ours - theirs).max():.0e}"


def print_parts(data: Path, reader: FeatureReader, trees: Trees, *, tiles: int) -> None:
    """Say where the time of a map by `instant` goes, by tile."""
    parts = []
    for item in open_collection(data / "collection.csv").select("val").items[1 : 1 + tiles]:
        pixels, valid = item.open().read()
        started = time.perf_counter()
        features = reader.describe(pixels, valid)
        described = time.perf_counter()
        spread = predicted = 0.0
        begun = described
        for rows in features.strips():
            spread += time.perf_counter() - begun
            image = rows.reshape(-1, valid.shape[1], features.count)
            predicted += measure(partial(trees.predict, image))
            begun = time.perf_counter()
        parts.append([described - started, spread, predicted])
    describe, spread, predict = (statistics.median(part) for part in zip(*parts, strict=True))
    whole = describe + spread + predict
    print(
        f"| {valid.size / 1e6 / whole:.3f} | {describe / whole:.0%} | {spread / whole:.0%} "
        f"| {predict / whole:.0%} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--points", default="points-10-0.gpkg")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    points = args.data / args.points
    reader, recipe = make_reader(args.data, points, args.weights)
    rows, label = read_labelled(args.data, points, reader, recipe)
    scene = open_collection(args.data / "collection.csv").select("val").items[0].open()
    features = reader.describe(*scene.read())
    image = np.concatenate(list(features.strips())).reshape(*scene.shape, -1)
    print(HEAD, flush=True)
    for most, min_leaf in ((8, 1), (None, 1), (None, 5)):
        columns = choose_columns(reader, scene.bands, most=most)
        grower = grow(rows[:, columns], label, min_leaf=min_leaf)
        compare(grower, np.ascontiguousarray(image[..., columns]), repeats=args.repeats)
        if most is None and min_leaf == 1:
            whole = flatten_trees(grower, classes=len(grower.classes_))
    print("\n| instant, Mpx/s | describing | spreading | trees |\n|--:|--:|--:|--:|")
    print_parts(args.data, reader, whole, tiles=7)


if __name__ == "__main__":
    main()
