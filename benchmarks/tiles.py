"""How well models map held-out tiles from a few points per class and image.

    python benchmarks/tiles.py --data ../shared/data/dunes --weights ../shared/weights

Points are drawn once per seed from the masks of the train and val splits, at the masks' own
resolution, and carried as coordinates to the size of the run. Training sees the train split,
every choice is made on the val split (on points drawn alike; on masks for the dense bound), and
the test split is scored once, on every labelled pixel, from pooled confusion counts. Each run
leaves one JSON file named by its choices; finished runs are not run again.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import Resampling
from scipy import ndimage

from landvisor import workflow
from landvisor.geo.collection import Collection, Item, open_collection, write_collection
from landvisor.geo.legend import write_legend
from landvisor.geo.places import Places, concatenate, rescale
from landvisor.geo.points import places_to_points, write_points
from landvisor.geo.rasters import Reading
from landvisor.geo.scene import Scene
from landvisor.labels.simulate import simulate_places
from landvisor.options import Options
from landvisor.recipe import Recipe

# A black collar in lossy JPEG: dark pixels that hang together with the border.
READING = {"dunes": Reading(nodata=0, nodata_tolerance=6), "roads": Reading()}
RIM = 4
ENCODER = "mobilenetv2_100"

# What presets add, and `ladder.py` adds step by step: here each model is on its own.
ALONE: dict[str, Any] = {
    "net.partner": "none", "teacher.source": "none", "fit.members": 1, "predict.tta": "none",
    "predict.local_prior": 0,
}  # fmt: skip

RUNS: dict[str, dict[str, Any]] = {
    "forest": {"net.model": "forest"},
    "bank": {"net.model": "bank"},
    "instant": {"net.model": "instant", "net.encoder_weights": "WEIGHTS"},
    "unet": {"net.model": "unet", "net.encoder_weights": "WEIGHTS"},
    "unet-scratch": {"net.model": "unet", "net.encoder_weights": "none"},
    "unet-dense": {"net.model": "unet", "net.encoder_weights": "WEIGHTS"},
}


def resize_collection(source: Path, folder: Path, *, size: int, reading: Reading) -> Collection:
    """Write a collection of `size` x `size` tiles: images averaged, masks by majority."""
    original = open_collection(source)
    items = [_resize_item(item, folder, size=size, reading=reading) for item in original.items]
    collection = Collection(tuple(items), original.legend)
    assert original.legend is not None, "the benchmark's collections have legends"
    write_legend(original.legend, folder / "legend.toml")
    write_collection(collection, folder / "collection.csv")
    return open_collection(folder / "collection.csv")


def _resize_item(item: Item, folder: Path, *, size: int, reading: Reading) -> Item:
    scene = item.open(reading)
    pixels = scene.read()
    image, mask = folder / "images" / f"{item.name}.png", folder / "masks" / f"{item.name}.png"
    stack = np.concatenate([pixels.data, pixels.valid[None].astype(np.uint8) * 255])
    _write_small(stack, image, size=size, resampling=Resampling.average, cut=True)
    _write_small(
        item.read_mask(scene)[None].astype(np.uint8), mask, size=size, resampling=Resampling.mode
    )
    return Item(item.name, image, mask, item.split, item.group)


def _write_small(
    data: np.ndarray, path: Path, *, size: int, resampling: Resampling, cut: bool = False
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    count, rows, cols = data.shape
    profile = {"driver": "GTiff", "dtype": "uint8", "count": count, "height": rows, "width": cols}
    with rasterio.MemoryFile() as memory:
        with memory.open(**profile) as whole:
            whole.write(data)
        with memory.open() as whole:
            small = whole.read(out_shape=(count, size, size), resampling=resampling)
    if cut:  # a pixel is data where most of what it averages is
        small[-1] = np.where(small[-1] > 127, 255, 0)
    out = {"driver": "PNG", "dtype": "uint8", "count": count, "height": size, "width": size}
    with rasterio.open(path, "w", **out) as dataset:
        dataset.write(small)


def draw_points(
    source: Path, small: Collection, path: Path, *, n: int, seed: int, how: Reading
) -> None:
    """Draw points on the original masks of train and val; write them on the small tiles.

    None is drawn within `RIM` pixels of no-data, where the dunes masks, which come from a lossy
    picture, run through classes that are not there.
    """
    original = open_collection(source).select("train,val")
    legend = original.legend
    assert legend is not None, "the benchmark's collections have legends"
    scenes, parts = [], []
    by_name = {item.name: item for item in small.items}
    for position, item in enumerate(original.items):
        scene = item.open(how)
        places = simulate_places(
            item.read_mask(scene), legend=legend, strategy="per_class", n=n, seed=seed,
            name=item.name, valid=_away_from_nodata(scene.read().valid),
        )  # fmt: skip
        target = by_name[item.name].open()
        parts.append(_carry(places, scene, target, position))
        scenes.append(target)
    write_points(places_to_points(concatenate(parts), scenes, legend), path)


def _away_from_nodata(valid: np.ndarray) -> np.ndarray:
    return ndimage.binary_erosion(valid, iterations=RIM, border_value=1)


def _carry(places: Places, scene: Scene, target: Scene, position: int) -> Places:
    coords = rescale(places.coords, source=scene.shape, target=target.shape)
    return replace(places, scene=np.full(len(places), position), coords=coords)


def run_once(name: str, seed: int, data: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Fit, predict and score one model; returns scores on the test split and the cost."""
    settings = {k: args.weights if v == "WEIGHTS" else v for k, v in RUNS[name].items()}
    settings |= {
        **ALONE,
        "net.encoder": ENCODER,
        "seed": seed,
        "predict.window": args.window,
        "predict.overlap": 64,
    }
    settings |= dict(pair.split("=") for pair in args.set)
    recipe = Recipe().with_values({k: _number(v) for k, v in settings.items()})
    points = None if name == "unet-dense" else data / f"points-{args.n}-{seed}.gpkg"
    options = Options(split="train", val_split="val", progress=args.progress)
    started = time.monotonic()
    model = workflow.fit(data / "collection.csv", points, recipe=recipe, options=options)
    fitted = time.monotonic() - started
    maps = data / f"maps-{name}-{seed}"
    shutil.rmtree(maps, ignore_errors=True)
    started = time.monotonic()
    workflow.predict(model, data / "collection.csv", out=maps, options=Options(split=args.score))
    predicted = time.monotonic() - started
    scores = {}
    for border in (0, args.border):
        found = workflow.assess(
            maps, data / "collection.csv", border=border, options=Options(split=args.score)
        )
        scores[f"border {border}"] = found.to_dict()["rates"]
    return {
        "name": name, "seed": seed, "split": args.score, "fit_s": round(fitted, 1),
        "predict_s": round(predicted, 1), "validation": model.card.validation,
        "recipe": recipe.digest(), "scores": scores,
    }  # fmt: skip


def _number(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except json.JSONDecodeError:
        return value


def tabulate(results: list[dict[str, Any]], border: int) -> str:
    """Lay results out as a Markdown table: mean and spread over seeds."""
    lines = [
        f"| model | seeds | mean IoU | mean F1 | OA | mean IoU, border {border} out | fit, s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(result["name"] for result in results):
        runs = [result for result in results if result["name"] == name]
        cells = [
            spread([r["scores"]["border 0"][key] for r in runs])
            for key in ("mean_iou", "mean_f1", "oa")
        ]
        cells.append(spread([r["scores"][f"border {border}"]["mean_iou"] for r in runs]))
        cost = round(statistics.mean(r["fit_s"] for r in runs))
        lines.append(f"| {name} | {len(runs)} | {' | '.join(cells)} | {cost} |")
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    """Say a mean and, of several values, their standard deviation."""
    around = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{around}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out"))
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--window", type=int, default=256)
    parser.add_argument("--n", type=int, default=10, help="points per class and image")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--models", default=",".join(RUNS))
    parser.add_argument("--score", default="test", choices=["val", "test"])
    parser.add_argument("--border", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--tag", default="", help="names a variant of the recipe")
    parser.add_argument("--progress", action="store_true")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    args.weights = str(args.weights / f"{ENCODER}.safetensors")
    how = READING.get(args.data.name, Reading())
    data = args.out / f"{args.data.name}-{args.size}"
    if not (data / "collection.csv").exists():
        resize_collection(args.data / "collection.csv", data, size=args.size, reading=how)
    seeds = [int(seed) for seed in args.seeds.split(",")]
    small = open_collection(data / "collection.csv")
    for seed in seeds:
        path = data / f"points-{args.n}-{seed}.gpkg"
        if not path.exists():
            draw_points(args.data / "collection.csv", small, path, n=args.n, seed=seed, how=how)
    results = []
    for name in args.models.split(","):
        for seed in seeds:
            label = f"{name}{args.tag}-{args.n}-{seed}-{args.score}"
            file = data / f"run-{label}.json"
            if not file.exists():
                file.write_text(json.dumps(run_once(name, seed, data, args), indent=1))
            results.append({**json.loads(file.read_text()), "name": f"{name}{args.tag}"})
            print(label, json.dumps(results[-1]["scores"]["border 0"]), flush=True)
    print(tabulate(results, args.border))


if __name__ == "__main__":
    main()
