"""Whether a temperature that validation fitted makes held-out probabilities better, and the buffer.

    python benchmarks/calibration.py --data ../shared/data --weights ../shared/weights

Outer folds of `landvisor map` on three real scenes, and on the val splits of dunes and roads with
ten points per class and image; no test split is touched. Each model is cross-validated as it is,
with `predict.calibrate`, and without the buffer.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import tempfile
import time
from pathlib import Path
from typing import Any

from landvisor.cli.main import main as landvisor
from landvisor.geo.rasters import Reading
from landvisor.learn.outer import cross_validate
from landvisor.learn.prepare import prepare
from landvisor.learn.receptive import find_sight
from landvisor.learn.train import fit_material
from landvisor.options import Options
from landvisor.recipe import Recipe
from tiles import ALONE

SCENES = {
    "river": ("river/river_subset.tif", "river/training_data.shp"),
    "landsat": ("landsat/LE70220491999322EDC01_stack.gtif", "landsat/training_data.shp"),
    "sentinel2": ("sentinel2/sentinel2_8band.tif", "sentinel2/rcr_landcover.shp"),
    "dunes": ("dunes/collection.csv", None),
    "roads": ("roads/collection.csv", None),
}
READING = {"sentinel2": Reading(nodata=255), "landsat": Reading(nodata=-9999)}
WAYS: dict[str, dict[str, Any]] = {
    "temperature": {"predict.calibrate": True},
    "as told": {"predict.calibrate": False},
    "no buffer": {"predict.calibrate": True, "assess.buffer": 0.0},
}


def draw_points(source: Path, folder: Path, seed: int) -> Path:
    """Draw ten points per class and image from the masks of split val."""
    out = folder / "points.gpkg"
    with contextlib.suppress(SystemExit):  # a verb ends its process
        landvisor(["sample", str(source), "--split", "val", "--strategy", "per_class", "--n", "10",
                   "--seed", str(seed), "--out", str(out), "-q"])  # fmt: skip
    return out


def validate(name: str, model: str, seed: int, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Cross-validate one model in all ways."""
    source, points = args.data / SCENES[name][0], SCENES[name][1]
    weights = str(args.weights / "mobilenetv2_100.safetensors")
    recipe = Recipe().with_values(
        {**ALONE, "net.model": model, "net.encoder_weights": weights, "seed": seed,
         "predict.window": 256, "predict.overlap": 64, **dict(args.settings)}
    )  # fmt: skip
    options = Options(reading=READING.get(name, Reading()), split=None if points else "val")
    with tempfile.TemporaryDirectory() as work:
        labels = args.data / points if points else draw_points(source, Path(work), seed)
        material, settled, learner = prepare(source, labels, recipe, options, folder=Path(work))
        fitted = fit_material(learner, material, settled)
        started = time.monotonic()
        sight = find_sight(fitted, material.scenes, material.places, seed=seed)
        looked = time.monotonic() - started
        found = []
        for way, values in ((way, WAYS[way]) for way in args.ways):
            stated = cross_validate(learner, material, settled.with_values(values), sight=sight)
            content = stated.to_dict()
            found.append({"scene": name, "model": model, "seed": seed, "way": way,
                          "looked": looked, **content})  # fmt: skip
    return found


def tabulate(results: list[dict[str, Any]]) -> str:
    """Lay results out as a Markdown table."""
    lines = [
        "| scene | model | seed | way | OA | ECE | by chance | log loss | Brier | T "
        "| AUROC, entropy | range, px | sight, px | buffer, px | dropped |",
        "|" + "---|" * 15,
    ]
    for one in results:
        sure, apart = one["calibration"], one["separation"]
        area = sure["auroc"]["entropy"]
        lines.append(
            f"| {one['scene']} | `{one['model']}` | {one['seed']} | {one['way']} "
            f"| {one['rates']['oa']:.3f} | {sure['ece']:.3f} | {sure['ece_chance']:.3f} "
            f"| {sure['log_loss']:.3f} | {sure['brier']:.3f} | {sure['temperature']:.2f} "
            f"| {'–' if area is None else f'{area:.2f}'} | {apart['dependence']['distance']:.0f} "
            f"| {apart['sight']['distance']:.0f} | {apart['taken']:.0f} | {apart['dropped']:.0%} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run what was asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--scenes", nargs="+", default=list(SCENES), choices=SCENES)
    parser.add_argument("--models", nargs="+", default=["forest", "bank", "instant"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--set", dest="values", nargs="*", default=[], metavar="KEY=JSON")
    parser.add_argument("--out", type=Path, default=Path("calibration.json"))
    args = parser.parse_args()
    args.settings = [(key, json.loads(value)) for key, value in (v.split("=") for v in args.values)]
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    results = []
    for scene in args.scenes:
        for model in args.models:
            for seed in args.seeds:
                results += validate(scene, model, seed, args)
                args.out.write_text(json.dumps(results, indent=1), encoding="utf-8")
    print(tabulate(results))


if __name__ == "__main__":
    main()
