"""What comes after a map, against the same done on the whole raster in memory.

    python benchmarks/after.py --size 10000

A map of six classes is made by smoothing noise. Each task runs in a process of its own, so that
its peak memory is its own; the ways in turn, so that a busy machine slows both. `whole` is the
ordinary way, with rasterio and GeoPandas: read the raster, call `rasterio.features.shapes` or
`sieve`, write what comes back.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import rasterio.features
import shapely
from affine import Affine
from scipy import ndimage

from landvisor.geo.areas import measure_areas
from landvisor.geo.legend import legend_from_ids
from landvisor.geo.sieve import majority, sieve
from landvisor.geo.styles import LEGEND_TAG, legend_tag
from landvisor.geo.vectorize import vectorize

CLASSES = 6
LEAST = 30


def make_map(path: Path, *, size: int, sigma: float, seed: int = 0) -> None:
    """Write the class whose smoothed noise is highest, as a tiled GeoTIFF."""
    rng = np.random.default_rng(seed)
    best, codes = np.full((size, size), -np.inf, np.float32), np.zeros((size, size), np.uint8)
    for code in range(1, CLASSES + 1):
        noise = rng.standard_normal((size, size), dtype=np.float32)
        noise = ndimage.gaussian_filter(noise, sigma, truncate=3)
        codes[noise > best] = code
        np.maximum(best, noise, out=best)
    with rasterio.open(path, "w", **_profile(size)) as raster:
        raster.write(codes, 1)
        raster.update_tags(**{LEGEND_TAG: legend_tag(legend_from_ids(range(1, CLASSES + 1)))})


def _profile(size: int) -> dict[str, Any]:
    place = {"crs": "EPSG:32633", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate"}
    return {"driver": "GTiff", "height": size, "width": size, "count": 1, "dtype": "uint8",
            "nodata": 0, **place, **tiles}  # fmt: skip


def vectorize_whole(path: Path, out: Path) -> None:
    with rasterio.open(path) as raster:
        codes, affine, crs = raster.read(1), raster.transform, raster.crs
    found = list(rasterio.features.shapes(codes, mask=codes != 0, transform=affine))
    frame = gpd.GeoDataFrame(
        {"class_id": [int(code) for _, code in found]},
        geometry=[shapely.geometry.shape(shape) for shape, _ in found],
        crs=crs,
    )
    frame.to_file(out, driver="GPKG", engine="pyogrio", use_arrow=True)


def shapes_whole(path: Path, out: Path) -> None:
    """Find the shapes and write nothing: what GDAL and the way into Python alone take."""
    with rasterio.open(path) as raster:
        codes = raster.read(1)
    out.write_text(str(sum(1 for _ in rasterio.features.shapes(codes, mask=codes != 0))))


def sieve_whole(path: Path, out: Path) -> None:
    with rasterio.open(path) as raster:
        codes, profile = raster.read(1), raster.profile
    with rasterio.open(out, "w", **profile) as raster:
        raster.write(rasterio.features.sieve(codes, LEAST, mask=codes != 0), 1)


TASKS = {
    "vectorize": lambda path, folder: vectorize(path, folder / "a.gpkg", overwrite=True),
    "vectorize whole": lambda path, folder: vectorize_whole(path, folder / "b.gpkg"),
    "shapes whole": lambda path, folder: shapes_whole(path, folder / "c.txt"),
    "sieve": lambda path, folder: sieve(path, folder / "a.tif", min_pixels=LEAST, overwrite=True),
    "sieve whole": lambda path, folder: sieve_whole(path, folder / "b.tif"),
    "majority 5": lambda path, folder: majority(path, folder / "m.tif", size=5, overwrite=True),
    "areas": lambda path, _: measure_areas(path),
}


def run_task(name: str, path: Path) -> dict[str, float]:
    """Run one task here; times leave imports out, memory does not."""
    started, before = time.perf_counter(), time.process_time()
    TASKS[name](path, path.parent)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds, cpu = time.perf_counter() - started, time.process_time() - before
    return {"seconds": seconds, "cpu": cpu, "peak_mb": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out/after"))
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--sigma", type=float, default=6.0)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--task", help=argparse.SUPPRESS)
    args = parser.parse_args()
    path = args.out / f"map-{args.size}-{args.sigma:g}.tif"
    if args.task == "make":
        make_map(path, size=args.size, sigma=args.sigma)
        return
    if args.task:
        print(json.dumps(run_task(args.task, path)))
        return
    args.out.mkdir(parents=True, exist_ok=True)
    # a child begins with its parent's peak of memory, so that the parent must stay small
    again = [sys.executable, __file__, *sys.argv[1:], "--task"]
    if not path.exists():
        subprocess.run([*again, "make"], check=True)
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in args.tasks.split(",")}
    for _ in range(args.repeats):
        for name, found in runs.items():
            done = subprocess.run([*again, name], check=True, capture_output=True, text=True)
            found.append(json.loads(done.stdout.splitlines()[-1]))
            print(name, found[-1], file=sys.stderr, flush=True)
    print("| task | seconds | processor seconds | peak memory, MB |\n|---|--:|--:|--:|")
    for name, found in runs.items():
        least = [min(run[key] for run in found) for key in ("seconds", "cpu", "peak_mb")]
        print("| {} | {:.1f} | {:.1f} | {:.0f} |".format(name, *least))


if __name__ == "__main__":
    main()
