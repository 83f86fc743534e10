"""Time maps beside the ordinary way, and measure memory, seams and workers.

    python benchmarks/predict.py --data ../shared/data --model MODEL --parts rate,trees,seams
    python benchmarks/predict.py --data ../shared/data --model MODEL --parts workers
    python benchmarks/predict.py --data ../shared/data --model MODEL --parts memory

MODEL is a file of `landvisor fit` or `map` for red, green and blue, with a network and trees. The
scene is made of tiles of dunes side by side; that of `memory` is mostly empty, that of `seams` a
Sentinel-2 image. The
ordinary way is what segmentation code does as a rule: the same network with the same weights in
float32, windows of 512 with half of them shared, sums in memory, then a GeoTIFF of classes. Ways
take turns, and a ratio is the median over rounds of what two ways took in the same one: a busy
machine slows both.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from affine import Affine
from numpy.typing import NDArray

from landvisor.geo.collection import as_collection
from landvisor.geo.rasters import open_scene
from landvisor.geo.scene import Scene, scene_from_array
from landvisor.geo.tiling import Window, cover
from landvisor.learn.ensemble import list_members
from landvisor.learn.model import Model
from landvisor.learn.model_file import load_model, save_model
from landvisor.learn.nets import upsample
from landvisor.options import Options
from landvisor.predict.backends import apply_backend, prepare_backend
from landvisor.predict.compute import start_threads
from landvisor.predict.making import make_maps
from landvisor.predict.stream import predict_rows, predict_scene
from landvisor.recipe import PredictSpec
from panels import dress, finish, make_panels

WINDOW, HALF = 512, 256
PLACE = {"crs": "EPSG:32633", "transform": Affine(1, 0, 500_000, 0, -1, 5_000_000)}
EQUAL = PredictSpec(window=WINDOW, overlap=HALF, tta="none", backend="torch")
USUAL = PredictSpec(tta="none", backend="torch")
WORDS = [word for name in ("window=512", "overlap=192", "tta=none", "backend=torch")
         for word in ("--set", f"predict.{name}")]  # fmt: skip
CLASSES = 11
Way = Callable[[], None]


def make_scene(data: Path, path: Path, *, side: int) -> Scene:
    """Lay tiles of dunes without no-data side by side, and write them as a tiled GeoTIFF."""
    if not path.exists():
        tiles = []
        for file in sorted((data / "dunes" / "images").glob("*.jpg")):
            with rasterio.open(file) as raster:
                pixels = raster.read()
            if (pixels.max(axis=0) > 6).mean() > 0.99:
                tiles.append(np.maximum(pixels, 1))
        per_row = -(-side // tiles[0].shape[1])
        rows = [
            np.concatenate([tiles[(r * per_row + c) % len(tiles)] for c in range(per_row)], axis=2)
            for r in range(per_row)
        ]
        pixels = np.concatenate(rows, axis=1)[:, :side, :side]
        path.parent.mkdir(parents=True, exist_ok=True)
        profile = {"driver": "GTiff", "count": 3, "height": side, "width": side, **PLACE}
        tiled = {"tiled": True, "compress": "deflate", "photometric": "RGB"}
        with rasterio.open(path, "w", dtype="uint8", **profile, **tiled) as raster:
            raster.write(pixels)
    return open_scene(path)


def map_the_ordinary_way(model: Model, scene: Scene, out: Path) -> None:
    """Predict windows one by one in float32, sum them up in memory, and write the classes."""
    told: Any = model.predictor
    network, legend = told.network, model.card.legend
    sums = np.zeros((len(legend.ids), *scene.shape), dtype=np.float32)
    counts = np.zeros(scene.shape, dtype=np.float32)
    with rasterio.open(scene.path) as raster, torch.inference_mode():
        for window in cover(scene.shape, size=WINDOW, overlap=HALF):
            rows, cols = window.slices
            pixels = raster.read(window=(rows.indices(10**9)[:2], cols.indices(10**9)[:2]))
            valid = np.ones((1, *window.shape), dtype=bool)
            image = torch.from_numpy(told.scaling.apply(pixels[None], valid))
            logits = upsample(network(image), stride=network.stride, size=window.shape)
            sums[:, rows, cols] += torch.softmax(logits, dim=1)[0].numpy()
            counts[rows, cols] += 1
    classes = np.asarray(legend.ids, dtype=np.uint8)[(sums / counts).argmax(axis=0)]
    shape = dict(zip(("height", "width"), scene.shape, strict=True))
    with rasterio.open(
        out, "w", driver="GTiff", dtype="uint8", count=1, compress="deflate", **shape, **PLACE
    ) as raster:
        raster.write(classes, 1)


class Usual(torch.nn.Module):
    """The network as other programs want one: shares of all pixels of images as they are scaled."""

    def __init__(self, told: Any) -> None:
        super().__init__()
        self.network = told.network.float().to(memory_format=torch.contiguous_format)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return shares `[b, class, row, col]` of scaled images."""
        size = image.shape[2], image.shape[3]
        return torch.softmax(
            upsample(self.network(image), stride=self.network.stride, size=size), 1
        )


def map_by_geoai(model: Model, scene: Scene, out: Path) -> None:
    """Predict with `geoai.inference.predict_geotiff`, its blending by default."""
    from geoai.inference import predict_geotiff

    told: Any = model.predictor
    valid = np.ones((1, WINDOW, WINDOW), dtype=bool)
    predict_geotiff(
        Usual(told), str(scene.path), str(out), tile_size=WINDOW, overlap=HALF, device="cpu",
        num_classes=len(model.card.legend.ids), output_dtype="uint8", output_nodata=0,
        preprocess_fn=lambda pixels: told.scaling.apply(pixels[None], valid)[0],
        postprocess_fn=lambda shares: shares.argmax(axis=0) + 1, verbose=False,
    )  # fmt: skip


def map_by_torchgeo(model: Model, scene: Scene, out: Path) -> None:
    """Predict chips of TorchGeo's `GridGeoSampler`, later ones over earlier ones."""
    from torch.utils.data import DataLoader
    from torchgeo.datasets import RasterDataset, stack_samples
    from torchgeo.samplers import GridGeoSampler

    told: Any = model.predictor
    usual, classes = Usual(told).eval(), np.zeros(scene.shape, dtype=np.uint8)
    chips = RasterDataset(str(scene.path))
    sampler = GridGeoSampler(chips, size=WINDOW, stride=HALF)
    valid = np.ones((4, WINDOW, WINDOW), dtype=bool)
    with torch.inference_mode():
        for batch in DataLoader(chips, batch_size=4, sampler=sampler, collate_fn=stack_samples):
            pixels = batch["image"].numpy()
            image = torch.from_numpy(told.scaling.apply(pixels, valid[: len(pixels)]))
            found = usual(image).argmax(1).numpy() + 1
            for bounds, chip in zip(batch["bounds"], found, strict=True):
                col, row = ~scene.grid.affine @ (_left(bounds), _top(bounds))
                here = classes[round(row) : round(row) + WINDOW, round(col) : round(col) + WINDOW]
                here[:] = chip[: here.shape[0], : here.shape[1]]
    shape = dict(zip(("height", "width"), scene.shape, strict=True))
    with rasterio.open(
        out, "w", driver="GTiff", dtype="uint8", count=1, **shape, **PLACE
    ) as raster:
        raster.write(classes, 1)


def _left(bounds: Any) -> float:
    return float(bounds[0].start if isinstance(bounds[0], slice) else bounds[0])


def _top(bounds: Any) -> float:
    return float(bounds[1].stop if isinstance(bounds[1], slice) else bounds[3])


def measure_peers(args: argparse.Namespace) -> None:
    """Compare with TorchGeo's and geoai's own way, as far as they are installed."""
    scene = make_scene(args.data, args.out / f"scene-{args.side}.tif", side=args.side)
    fresh = list_members(load_model(args.model))[0]
    network = list_members(load_model(args.model))[0]
    ways: dict[str, Way] = {}
    if importlib.util.find_spec("torchgeo"):
        ways["TorchGeo"] = lambda: map_by_torchgeo(fresh, scene, args.out / "torchgeo.tif")
    if importlib.util.find_spec("geoai"):
        ways["geoai"] = lambda: map_by_geoai(fresh, scene, args.out / "geoai.tif")
    fast = _prepare(network, scene, "openvino-fp32", args)
    work = args.out / "work"
    ways["landvisor, torch, finished files"] = lambda: map_by_landvisor(network, scene, work, EQUAL)
    ways["landvisor, openvino-fp32, finished files"] = lambda: map_by_landvisor(
        fast, scene, work, EQUAL
    )
    print(f"\n{args.side} x {args.side}, windows of 512 that share 256, {_describe_machine()}\n")
    tell_ratios(compare(ways, args.rounds), args.side**2 / 1e6)


def map_by_landvisor(model: Model, scene: Scene, work: Path, spec: PredictSpec, **how: Any) -> None:
    """Make all files of a map: classes, probabilities, uncertainty, as verified COGs."""
    shutil.rmtree(work, ignore_errors=True)
    make_maps(model, as_collection(scene), work=work, spec=spec, options=Options(**how))


def run_forward(model: Model, scene: Scene, spec: PredictSpec) -> None:
    """Compute the network's logits of all windows, read before, and do nothing with them."""
    told: Any = model.predictor

    def compute(_: Window) -> None:
        with torch.inference_mode():
            told._run(_PIXELS[:1], _VALID[:1])

    with start_threads() as threads:
        for _ in threads.map(compute, cover(scene.shape, size=spec.window, overlap=spec.shared)):
            pass


_PIXELS = np.random.default_rng(0).integers(1, 255, (8, 3, WINDOW, WINDOW), dtype=np.uint8)
_VALID = np.ones((8, WINDOW, WINDOW), dtype=bool)


def compare(ways: dict[str, Way], rounds: int, *, seed: int = 0) -> dict[str, list[float]]:
    """Let ways take turns, in an order drawn anew each round; return seconds by way."""
    rng = np.random.default_rng(seed)
    names = list(ways)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    ways[names[-1]]()  # the first one pays for compiling and for memory
    for _ in range(rounds):
        for name in rng.permutation(names).tolist():
            started = time.perf_counter()
            ways[name]()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def tell_ratios(seconds: dict[str, list[float]], megapixels: float) -> None:
    """Print each way's rate, and how many times as fast as the first it is."""
    base = next(iter(seconds.values()))
    print("| way | s, median | megapixels/s | times the first | range |\n|---|---|---|---|---|")
    for name, values in seconds.items():
        ratios = sorted(b / v for b, v in zip(base, values, strict=True))
        middle = statistics.median(values)
        print(
            f"| {name} | {middle:.1f} | {megapixels / middle:.2f} | "
            f"{statistics.median(ratios):.2f} | {ratios[0]:.2f} to {ratios[-1]:.2f} |",
            flush=True,
        )


def measure_rate(args: argparse.Namespace) -> None:
    """Compare with the ordinary way and with the network alone, at equal window and overlap."""
    scene = make_scene(args.data, args.out / f"scene-{args.side}.tif", side=args.side)
    network = list_members(load_model(args.model))[0]
    work = args.out / "work"
    models = {name: _prepare(network, scene, name, args) for name in args.backends.split(",")}
    ways: dict[str, Way] = {
        "ordinary: float32, sums in memory": lambda: map_the_ordinary_way(
            network, scene, args.out / "ordinary.tif"
        ),
    }
    for name, model in models.items():
        ways[f"landvisor, {name}, rows"] = lambda model=model: _exhaust(model, scene, EQUAL)
        ways[f"landvisor, {name}, finished files"] = lambda model=model: map_by_landvisor(
            model, scene, work, EQUAL
        )
    ways["the network's forward passes alone"] = lambda: run_forward(network, scene, EQUAL)
    print(f"\n{args.side} x {args.side}, windows of 512 that share 256, {_describe_machine()}\n")
    tell_ratios(compare(ways, args.rounds), args.side**2 / 1e6)


def _prepare(network: Model, scene: Scene, name: str, args: argparse.Namespace) -> Model:
    """Return the network on a backend, and tell how long that took and how well it agrees."""
    folder = args.out / "backend" / name
    folder.mkdir(parents=True, exist_ok=True)
    spec = EQUAL.model_copy(update={"backend": name})
    started = time.perf_counter()
    backend = prepare_backend(network, [scene], spec, folder=folder)
    seconds = time.perf_counter() - started
    print(f"{name}: prepared in {seconds:.1f} s, agreement {backend.agreement}", flush=True)
    return apply_backend(network, backend, folder=folder)


def _exhaust(model: Model, scene: Scene, spec: PredictSpec) -> None:
    for _ in predict_rows(model, scene, spec):
        pass


def measure_trees(args: argparse.Namespace) -> None:
    """Time a network with its trees, at landvisor's own window and overlap, by stride."""
    scene = make_scene(args.data, args.out / "scene-1024.tif", side=1024)
    model = load_model(args.model)
    ways: dict[str, Way] = {
        f"with trees, stride {stride}": lambda stride=stride: _exhaust(
            model, scene, USUAL.model_copy(update={"stride": stride})
        )
        for stride in (1, 2, 4)
    }
    ways["network alone"] = lambda: _exhaust(list_members(model)[0], scene, USUAL)
    print("\n1024 x 1024, windows of 512 that share 192\n")
    tell_ratios(compare(ways, args.rounds), 1024**2 / 1e6)


def measure_seams(args: argparse.Namespace) -> None:
    """Compare steps of probability across window borders with steps elsewhere."""
    with rasterio.open(next((args.data / "sentinel2").glob("*.tif"))) as raster:
        scene = scene_from_array(raster.read([4, 3, 2])[:, :2048, :2048])  # no tiles, no edges
    network = list_members(load_model(args.model))[0]
    print("\n| overlap | local prior | step across borders over step elsewhere |\n|---|---|---|")
    for overlap in (0, 32, 64, 128, 192, 256):
        for prior in (0.0, 0.5):
            spec = USUAL.model_copy(update={"overlap": overlap, "local_prior": prior})
            told = predict_scene(network, scene, spec).probabilities
            print(f"| {overlap} | {prior} | {find_seam_ratio(told, spec):.3f} |", flush=True)


def find_seam_ratio(probabilities: NDArray[np.float32], spec: PredictSpec) -> float:
    """Return the mean absolute step at borders of windows over that at all other neighbours."""
    shape = probabilities.shape[1:]
    windows = cover((shape[0], shape[1]), size=spec.window, overlap=spec.shared)
    at, elsewhere = [], []
    for axis, edges in enumerate(_list_borders(windows, (shape[0], shape[1]))):
        steps = np.abs(np.diff(probabilities, axis=axis + 1)).mean(axis=(0, 2 - axis))
        mask = np.zeros(len(steps), dtype=bool)
        mask[[edge - 1 for edge in edges]] = True
        at.append(steps[mask])
        elsewhere.append(steps[~mask])
    return float(np.concatenate(at).mean() / np.concatenate(elsewhere).mean())


def _list_borders(windows: list[Window], shape: tuple[int, int]) -> tuple[list[int], list[int]]:
    rows = {edge for w in windows for edge in (w.row, w.row + w.rows)} - {0, shape[0]}
    cols = {edge for w in windows for edge in (w.col, w.col + w.cols)} - {0, shape[1]}
    return sorted(rows), sorted(cols)


def measure_workers(args: argparse.Namespace) -> None:
    """Compare two workers of one thread with one process of two."""
    scene = make_scene(args.data, args.out / f"scene-{args.side}.tif", side=args.side)
    network = list_members(load_model(args.model))[0]
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as here,
        Client(here) as client,
    ):
        address = client.scheduler.address
        ways = {
            "one process, two threads": lambda: map_by_landvisor(
                network, scene, args.out / "work", USUAL
            ),
            "two workers": lambda: map_by_landvisor(
                network, scene, args.out / "work", USUAL, dask=address
            ),
        }
        print(f"\n{args.side} x {args.side}, windows of 512 that share 192\n")
        tell_ratios(compare(ways, args.rounds), args.side**2 / 1e6)


def measure_memory(args: argparse.Namespace) -> None:
    """Print the peak memory of `landvisor predict` on scenes of several sizes, and draw it."""
    file = args.out / "network.safetensors"
    save_model(list_members(load_model(args.model))[0], file)
    peaks: dict[int, float] = {}
    for side in map(int, args.sides.split(",")):
        scene = make_sparse_scene(args.out / f"sparse-{side}.tif", side=side)
        out = args.out / f"maps-{side}"
        words = [sys.executable, "-m", "landvisor", "predict", file, scene.path,
                 "--out", out, "--overwrite", *WORDS]  # fmt: skip
        started = time.perf_counter()
        child = subprocess.Popen(list(map(str, words)), stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        if status:
            raise SystemExit(f"landvisor predict failed at {side}")
        peaks[side] = used.ru_maxrss / 1024
        seconds = time.perf_counter() - started
        print(f"{side}: {peaks[side]:.0f} MB, {seconds:.0f} s", flush=True)
        shutil.rmtree(out)
    args.figure.write_bytes(draw_memory(peaks))


def draw_memory(peaks: dict[int, float]) -> bytes:
    """Draw the peak memory over the size of a scene, beside what all its probabilities take."""
    figure, panels = make_panels(1, margin=2.4)
    megapixels = [side**2 / 1e6 for side in peaks]
    gigabytes = [peak / 1024 for peak in peaks.values()]
    panels[0].plot(megapixels, gigabytes, "o-", color="#1b8a5a", label="landvisor predict")
    held = [count * 1e6 * CLASSES * 4 / 2**30 for count in megapixels]
    panels[0].plot(megapixels, held, "--", color="#8a8a8a", label="11 float32 of every pixel")
    panels[0].set_ylim(0, 6 * max(gigabytes))
    dress(panels[0], title="", xlabel="megapixels")
    return finish(figure, panels, ylabel="peak memory, GB")


def make_sparse_scene(path: Path, *, side: int) -> Scene:
    """Write a scene of four bands that holds data in its first blocks and here and there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(0)
        profile = {"driver": "GTiff", "count": 3, "height": side, "width": side, "nodata": 0}
        how = {"tiled": True, "compress": "deflate", "SPARSE_OK": True, "BIGTIFF": "YES"}
        patch = rng.integers(1, 255, (3, 1024, 1024), dtype=np.uint8)
        with rasterio.open(path, "w", dtype="uint8", **profile, **how, **PLACE) as raster:
            for row in range(0, side, 1024):
                for col in range(0, side, 1024):
                    if (row < 2048 and col < 4096) or rng.random() < 0.03:
                        rows, cols = min(1024, side - row), min(1024, side - col)
                        area = rasterio.windows.Window(col, row, cols, rows)
                        raster.write(patch[:, :rows, :cols], window=area)
    return open_scene(path)


def _describe_machine() -> str:
    return f"{torch.get_num_threads()} threads of {os.cpu_count()} cores"


PARTS = {
    "rate": measure_rate,
    "peers": measure_peers,
    "trees": measure_trees,
    "seams": measure_seams,
    "workers": measure_workers,
    "memory": measure_memory,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out/predict"))
    parser.add_argument("--parts", default="rate,trees,seams,workers")
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backends", default="torch", help="of `predict.backend`, by comma")
    parser.add_argument("--sides", default="4000,8000,16000,40000")
    parser.add_argument("--figure", type=Path, default=Path("docs/images/memory.png"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for part in args.parts.split(","):
        PARTS[part](args)


if __name__ == "__main__":
    main()
