"""`landvisor map` on three real scenes, with its stated accuracy over three seeds.

    python benchmarks/real_scenes.py --data ../shared/data --weights ../shared/weights

river: NAIP, 4 bands, 60 points. landsat: 8 bands, int16, 30 polygons. sentinel2: 8 bands, 23
polygons in another CRS. All figures are cross-validated at labelled places, on outer spatial folds
used for no choice; polygons are never parted.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import time
from pathlib import Path
from typing import Any

from landvisor import workflow
from landvisor.geo.rasters import Reading
from landvisor.options import Options
from landvisor.recipe import Recipe
from tiles import ALONE, spread

SCENES = {
    "river": ("river/river_subset.tif", "river/training_data.shp"),
    "landsat": ("landsat/LE70220491999322EDC01_stack.gtif", "landsat/training_data.shp"),
    "sentinel2": ("sentinel2/sentinel2_8band.tif", "sentinel2/rcr_landcover.shp"),
}
# The clipped scene is white outside, and does not say so.
READING = {"sentinel2": Reading(nodata=255)}
MODELS = ("forest", "bank", "instant")


def map_scene(name: str, model: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Run the main job once and return what it states."""
    weights = str(args.weights / "mobilenetv2_100.safetensors")
    recipe = Recipe().with_values(
        {
            **ALONE,
            "net.model": model,
            "net.encoder_weights": weights,
            "seed": seed,
            "predict.window": 256,
            "predict.overlap": 64,
        }
    )
    scene, points = (args.data / file for file in SCENES[name])
    out = args.out / f"map-{name}-{model}-{seed}"
    started = time.monotonic()
    options = Options(overwrite=True, reading=READING.get(name, Reading()))
    result = workflow.map(scene, points, out=out, recipe=recipe, options=options)
    assert result.assessment is not None, "folds are on by default"
    stated = result.assessment.to_dict()
    return {
        "scene": name, "model": model, "seed": seed, "seconds": time.monotonic() - started,
        "rates": stated["rates"], "intervals": stated["intervals"], "notes": stated["notes"],
        "places": stated["reference"]["places"],
    }  # fmt: skip


def tabulate(results: list[dict[str, Any]]) -> str:
    """Lay results out as a Markdown table: mean and spread over seeds."""
    lines = [
        "| scene | model | places | OA | 95 % interval, seed 0 | mean F1 | mean IoU | s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for scene, model in dict.fromkeys((r["scene"], r["model"]) for r in results):
        runs = [r for r in results if (r["scene"], r["model"]) == (scene, model)]
        cells = [spread([r["rates"][k] for r in runs]) for k in ("oa", "mean_f1", "mean_iou")]
        low, high = runs[0]["intervals"]["oa"]
        seconds = round(statistics.median(r["seconds"] for r in runs))
        lines.append(
            f"| {scene} | {model} | {runs[0]['places']} | {cells[0]} | {low:.3f} to {high:.3f} | "
            f"{cells[1]} | {cells[2]} | {seconds} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out"))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--scenes", default=",".join(SCENES))
    parser.add_argument("--models", default=",".join(MODELS))
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    args.out.mkdir(parents=True, exist_ok=True)
    results = []
    for name in args.scenes.split(","):
        for model in args.models.split(","):
            for seed in (int(seed) for seed in args.seeds.split(",")):
                file = args.out / f"run-{name}-{model}-{seed}.json"
                if not file.exists():
                    file.write_text(json.dumps(map_scene(name, model, seed, args), indent=1))
                results.append(json.loads(file.read_text()))
    print(tabulate(results))


if __name__ == "__main__":
    main()
