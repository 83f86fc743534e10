"""Time the making of labels against the plain ways to write it.

    python benchmarks/labels.py points
    python benchmarks/labels.py masks
    python benchmarks/labels.py grow
    python benchmarks/labels.py sample

Each command prints Markdown tables. `points` links 10² to 10⁵ points in one image, ours and the
plain way in one run, and checks that both label the same pixels alike. The plain way asks a tree
of the other classes once for each pair, in the middle of it, which is all that is needed; asking
it at every pixel would only be slower. `masks` links a collection of sparse masks from files to
files. `grow` grows from 500 points on one scene of 2048 x 2048, each method in a process of its
own, whose peak memory beyond that of the scene is told. `sample` draws points from the masks of a
collection of pictures and writes them. Classes lie in coherent patches, so that points of one
class have neighbours.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rasterio
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from landvisor.geo.collection import Collection, Item
from landvisor.geo.legend import LandClass, Legend
from landvisor.geo.places import Places, make_places
from landvisor.geo.radiometry import measure_radiometry, robust_scale
from landvisor.geo.scene import Scene, scene_from_array
from landvisor.geo.styles import pixel_space_allowed
from landvisor.labels.extend import Making
from landvisor.labels.grow import grow_places
from landvisor.labels.link import LinkFacts, link_places
from landvisor.labels.make import link_points
from landvisor.labels.sampling import sample_collection, write_sample
from landvisor.recipe import GrowSpec, LinkSpec

CLASSES = 6
SIDE = 2048  # of the image with the most points
POINTS = (100, 500, 1_000, 10_000, 100_000)
UNLABELLED = 255
FREE, CLASH = -1, -2
MAPS = 12  # smooth maps of classes that masks are drawn from, each rolled at random
PATCH = 12.0  # pixels: deviation of the filter that makes classes hang together


class Case(NamedTuple):
    """Labelled places on an image, and how they are linked."""

    places: Places
    scene: Scene
    spec: LinkSpec
    scale: np.ndarray


def make_truth(side: int, generator: np.random.Generator) -> np.ndarray:
    """Return class ids `[row, col]` in patches that go on beyond the edges."""
    noise = generator.normal(size=(CLASSES, side, side)).astype(np.float32)
    return np.stack([gaussian_filter(n, PATCH, mode="wrap") for n in noise]).argmax(axis=0)


def make_case(points: int, side: int, *, distance: float, tolerance: float, seed: int = 0) -> Case:
    generator = np.random.default_rng(seed)
    truth = make_truth(side, generator)
    position = generator.choice(truth.size, points, replace=False)
    coords = np.stack(np.divmod(position, side), axis=1).astype(np.float64)
    image = 40 * truth[None] + generator.normal(0, 8, (3, side, side))
    scene = scene_from_array(np.clip(image, 0, 255).astype(np.uint8))
    spec = LinkSpec(area="segment", distance=distance, tolerance=tolerance)
    scale = robust_scale(measure_radiometry([scene]))
    return Case(make_places(coords, truth.ravel()[position]), scene, spec, scale)


def link_ours(case: Case) -> tuple[np.ndarray, LinkFacts]:
    linked = link_places(case.places, scene=case.scene, spec=case.spec, scale=case.scale)
    labels = np.full(case.scene.shape, FREE, dtype=np.int16)
    labels.ravel()[linked.pixels.position] = linked.pixels.label
    return labels, linked.facts


def link_plainly(case: Case) -> tuple[np.ndarray, LinkFacts]:
    """Link pair by pair and pixel by pixel."""
    data, valid = case.scene.read()
    labels = np.full(case.scene.shape, FREE, dtype=np.int16)
    pixels, limit = case.places.pixels(), case.spec.tolerance * case.scale
    pairs = linked = near_other = off_colour = no_data = 0
    for label in np.unique(case.places.label):
        own = np.flatnonzero(case.places.label == label)
        coords = case.places.coords[own]
        others = cKDTree(case.places.coords[case.places.label != label])
        for a, b in cKDTree(coords).query_pairs(case.spec.distance):
            pairs += 1
            middle, half = (coords[a] + coords[b]) / 2, np.linalg.norm(coords[a] - coords[b]) / 2
            if others.n and others.query(middle)[0] <= half:
                near_other += 1
                continue
            start, end = tuple(pixels[own[a]].tolist()), tuple(pixels[own[b]].tolist())
            ends = np.stack([data[:, *start], data[:, *end]]).astype(float)
            low, high = ends.min(axis=0) - limit, ends.max(axis=0) + limit
            path = list_line(start, end)
            off = lost = False
            for pixel in (start, *path, end):
                value = data[:, *pixel]
                lost = lost or not valid[pixel]
                off = off or bool(((value < low) | (value > high)).any())
            if case.spec.tolerance and (lost or off):
                no_data, off_colour = no_data + lost, off_colour + (off and not lost)
                continue
            linked += 1
            for pixel in path:
                labels[pixel] = label if labels[pixel] in (FREE, label) else CLASH
    labels[tuple(pixels.T)] = FREE
    labels[~valid | (labels == CLASH)] = FREE
    return labels, LinkFacts(pairs, linked, near_other, off_colour, no_data)


def list_line(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    """List the pixels strictly between two."""
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
    found: list[tuple[int, int]] = []
    for step in range(1, steps):
        rows = round_share(start[0], end[0] - start[0], step, steps)
        cols = round_share(start[1], end[1] - start[1], step, steps)
        found += product(rows, cols)
    return found


def round_share(start: int, across: int, step: int, steps: int) -> tuple[int, ...]:
    """Go `step / steps` of a way; halves go to the nearer end, in the very middle to both."""
    whole, rest = divmod(across * step, steps)
    low = start + whole
    if 2 * rest != steps:
        return (low + (2 * rest > steps),)
    if 2 * step == steps:
        return low, low + 1
    return (low if (2 * step < steps) == (across > 0) else low + 1,)


def time_once(way: Callable[[Case], Any], case: Case) -> float:
    start = time.perf_counter()
    way(case)
    return time.perf_counter() - start


def print_points(chosen: argparse.Namespace) -> None:
    options = {"distance": chosen.distance, "tolerance": chosen.tolerance}
    link_ours(make_case(100, 64, **options))  # compiled code is loaded once
    print(
        f"{CLASSES} classes, distance {chosen.distance:g}, tolerance {chosen.tolerance:g}, three "
        "bands uint8; medians\n"
    )
    print("| points | image | pairs | linked | ours, ms | µs per point | plain, s | times faster |")
    print("|--:|--:|--:|--:|--:|--:|--:|--:|")
    same_density = [int(SIDE * (n / POINTS[-1]) ** 0.5) for n in POINTS]
    for points, side in dict.fromkeys(
        [*((n, SIDE) for n in POINTS), *zip(POINTS, same_density, strict=True)]
    ):
        print_case(points, make_case(points, side, **options), chosen.repeats)


def print_case(points: int, case: Case, repeats: int) -> None:
    """Time both ways in turn, the plain one less often where it is slow."""
    (ours, facts), (plain, theirs) = link_ours(case), link_plainly(case)
    assert facts == theirs, f"{facts} and {theirs}"
    assert np.array_equal(ours, plain), "both ways label the same pixels"
    fast, slow = [], []
    for _ in range(repeats if points <= 10_000 else 1):
        slow.append(time_once(link_plainly, case))
        fast += [time_once(link_timed, case) for _ in range(3)]
    quick, long = statistics.median(fast), statistics.median(slow)
    print(
        f"| {points:,} | {case.scene.shape[0]}² | {facts.pairs:,} | {facts.linked:,} "
        f"| {1e3 * quick:.2f} | {1e6 * quick / points:.2f} | {long:.3f} | {long / quick:.0f} |",
        flush=True,
    )


def link_timed(case: Case) -> None:
    link_places(case.places, scene=case.scene, spec=case.spec, scale=case.scale)


def draw_masks(count: int, side: int, per_class: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Draw sparse masks `[row, col]` with so many pixels per class where it has them."""
    generator = np.random.default_rng(seed)
    truths = [make_truth(side, generator) for _ in range(min(count, MAPS))]
    for number in range(count):
        shift = generator.integers(0, side, 2)
        truth = np.roll(truths[number % MAPS], shift, axis=(0, 1)).ravel()
        mask = np.full(side * side, UNLABELLED, dtype=np.uint8)
        for label in range(CLASSES):
            own = np.flatnonzero(truth == label)
            mask[generator.choice(own, min(per_class, len(own)), replace=False)] = label
        yield mask.reshape(side, side)


def write_masks(folder: Path, masks: Iterator[np.ndarray], *, pictures: bool = False) -> Collection:
    """Write masks as PNG files, which serve as the images too unless there are pictures."""
    items = []
    for number, mask in enumerate(masks):
        path = image = folder / f"mask_{number:04d}.png"
        write_png(path, mask[None])
        if pictures:
            image = folder / f"image_{number:04d}.png"
            write_png(image, np.stack([mask * 40, 255 - mask * 20, mask + 90]))
        items.append(Item(image.stem, image, path))
    legend = Legend(tuple(LandClass(i, f"class {i}", f"#{40 * i:02x}8080") for i in range(CLASSES)))
    return Collection(tuple(items), legend)


def write_png(path: Path, data: np.ndarray) -> None:
    count, rows, cols = data.shape
    layout = {"driver": "PNG", "dtype": "uint8", "count": count, "height": rows, "width": cols}
    with pixel_space_allowed(), rasterio.open(path, "w", **layout) as raster:
        raster.write(data)


def print_masks(chosen: argparse.Namespace) -> None:
    spec = LinkSpec(area=chosen.area, distance=chosen.distance, tolerance=0)
    drawn = draw_masks(chosen.masks, chosen.side, chosen.per_class)
    with tempfile.TemporaryDirectory() as folder:
        collection = write_masks(Path(folder), drawn)
        alone = statistics.median(time_mask(item, spec) for item in collection.items[:20])
        start, busy = time.perf_counter(), time.process_time()
        made = link_points(
            collection,
            None,
            out=Path(folder) / "linked",
            spec=spec,
            making=Making(workers=chosen.workers),
        )
        taken, busy = time.perf_counter() - start, time.process_time() - busy
    print("| masks | size | points per class | area | all, s | processors, s | linking one, ms |")
    print("|--:|--:|--:|---|--:|--:|--:|")
    print(
        f"| {chosen.masks:,} | {chosen.side}² | {chosen.per_class} | {chosen.area} | {taken:.1f} "
        f"| {busy:.1f} | {1e3 * alone:.2f} |\n"
    )
    print("\n".join(made.lines))


def time_mask(item: Item, spec: LinkSpec) -> float:
    """Time the links of one mask in memory, on one thread."""
    scene = item.open()
    mask = item.read_mask(scene)
    coords = np.argwhere(mask != UNLABELLED).astype(np.float64)
    places = make_places(coords, mask[mask != UNLABELLED].astype(np.int64))
    return time_once(link_timed, Case(places, scene, spec, np.ones(1)))


def print_grow(chosen: argparse.Namespace) -> None:
    print("| method | points | new pixels | s | peak memory, MB |")
    print("|---|--:|--:|--:|--:|")
    for method in chosen.methods.split(","):
        given = (method, chosen.points, chosen.side)
        with get_context("spawn").Pool(1) as pool:  # memory is measured from its start
            taken, pixels, memory = pool.apply(grow_once, given)
        print(
            f"| {method} | {chosen.points} | {pixels:,} | {taken:.1f} | {memory:,.0f} |", flush=True
        )


def grow_once(method: str, points: int, side: int) -> tuple[float, int, float]:
    """Return seconds, new pixels and megabytes beyond those of the scene; compiled before."""
    name, _, features = method.partition(" ")
    spec = GrowSpec.model_validate({"method": name, "features": features or "raw"})
    small = make_case(50, 64, distance=5, tolerance=0.5)
    grow_places(small.places, scene=small.scene, spec=spec, scale=small.scale)
    case = make_case(points, side, distance=5, tolerance=0.5)
    held = [measure_memory()]
    start = time.perf_counter()
    with ThreadPoolExecutor(1) as thread:
        growing = thread.submit(
            grow_places, case.places, scene=case.scene, spec=spec, scale=case.scale
        )
        while not growing.done():
            held.append(measure_memory())
            time.sleep(0.005)
    taken = time.perf_counter() - start
    return taken, len(growing.result()), max(held) - held[0]


def measure_memory() -> float:
    """Return the megabytes that this process holds now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def print_sample(chosen: argparse.Namespace) -> None:
    generator = np.random.default_rng(0)
    truths = [make_truth(chosen.side, generator).astype(np.uint8) for _ in range(MAPS)]
    rolls = (np.roll(truths[i % MAPS], i * 7, axis=0) for i in range(chosen.masks))
    with tempfile.TemporaryDirectory() as folder:
        collection = write_masks(Path(folder), rolls, pictures=True)
        start = time.perf_counter()
        sample = sample_collection(
            collection, strategy="per_class", n=chosen.per_class, workers=chosen.workers
        )
        drawn = time.perf_counter() - start
        write_sample(sample, Path(folder) / "points.gpkg")
        taken = time.perf_counter() - start
    print("| masks | size | points per class | points | drawing, s | with writing, s |")
    print("|--:|--:|--:|--:|--:|--:|")
    print(
        f"| {chosen.masks:,} | {chosen.side}² | {chosen.per_class} | {sample.facts.points:,} "
        f"| {drawn:.1f} | {taken:.1f} |"
    )


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time the making of labels.")
    commands = parser.add_subparsers(required=True)
    points = commands.add_parser("points", help="links of one image, ours and the plain way")
    points.add_argument("--tolerance", type=float, default=0.5)
    points.add_argument("--repeats", type=int, default=5)
    points.set_defaults(run=print_points)
    masks = commands.add_parser("masks", help="links of a collection of sparse masks")
    for name, default in {"masks": 2400, "side": 512, "per-class": 500}.items():
        masks.add_argument(f"--{name}", type=int, default=default)
    masks.add_argument("--area", choices=("segment", "disk", "hull"), default="segment")
    masks.add_argument("--workers", type=int, default=None)
    masks.set_defaults(run=print_masks)
    grow = commands.add_parser("grow", help="growth on one scene, each method")
    grow.add_argument("--methods", default="disc,superpixel,region,region bank,walker")
    grow.add_argument("--points", type=int, default=500)
    grow.add_argument("--side", type=int, default=SIDE)
    grow.set_defaults(run=print_grow)
    sample = commands.add_parser("sample", help="points drawn from a collection of masks")
    for name, default in {"masks": 1000, "side": 512, "per-class": 100}.items():
        sample.add_argument(f"--{name}", type=int, default=default)
    sample.add_argument("--workers", type=int, default=None)
    sample.set_defaults(run=print_sample)
    for command in (points, masks):
        command.add_argument("--distance", type=float, default=5.0)
    return parser.parse_args()


def main() -> None:
    chosen = read_options()
    chosen.run(chosen)


if __name__ == "__main__":
    main()
