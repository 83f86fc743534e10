"""How pure linked and grown labels are, how far they reach, and whether a forest gains by them.

    python benchmarks/grown_labels.py --data ../shared/data --only dunes,dunes-inner,roads,mars

Points are drawn from the masks of the train and val splits, so many per class and image. Each
method labels more pixels from them; these are held against the masks. Then the same forest on
pixel values learns from the points of the train split alone, and from the points with the labels
made from them; both are scored on pixels of the val masks, drawn once. The test split is read by
`--score test` alone, to report what was chosen before. Finished runs are not run again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from landvisor.accuracy.assess import find_borders
from landvisor.accuracy.confusion import count_confusion
from landvisor.geo.collection import Collection, open_collection
from landvisor.geo.importing import Splitting, import_collection
from landvisor.geo.legend import Legend
from landvisor.geo.places import Places, concatenate
from landvisor.geo.radiometry import measure_radiometry, robust_scale
from landvisor.geo.rasters import Reading
from landvisor.geo.scene import ArraySource, Scene
from landvisor.labels.extend import Making, extend_places
from landvisor.labels.grown import thin_pixels
from landvisor.labels.pixels import pixels_to_places
from landvisor.labels.purity import check_against_mask
from landvisor.labels.simulate import simulate_places
from landvisor.learn.job import Job
from landvisor.learn.train import make_learner
from landvisor.recipe import Recipe
from panels import dress, finish, make_panels
from tiles import spread

READING = {"dunes": Reading(nodata=0, nodata_tolerance=6)}
INNER = "-inner"  # the same data without what lies within 2 pixels of a class border
BORDER = 2
RIM = 4  # pixels beside no-data where the masks of dunes are not to be trusted; see tiles.py
EVERY = {"mars": 6, "dunes": 3}  # every so many images, so that all runs end within an hour
NUMBERS = (1, 5, 20, 100)
LEARNED = (5, 20)  # points per class and image that the forest learns from
GROWN = 100  # most labels per class and image that the forest learns besides
SCORED = 5000  # pixels of each scored mask

METHODS: dict[str, dict[str, Any]] = {
    "plain disc, 3 px": {"grow.method": "disc", "grow.radius": 3.0},
    "plain disc, 5 px": {"grow.method": "disc", "grow.radius": 5.0},
    "plain disc, 8 px": {"grow.method": "disc", "grow.radius": 8.0},
    "link segment": {"link.area": "segment"},
    "link disk": {"link.area": "disk"},
    "link hull": {"link.area": "hull"},
    "link segment, 30 px": {"link.area": "segment", "link.distance": 30.0},
    "link hull, 30 px": {"link.area": "hull", "link.distance": 30.0},
    "grow superpixel": {"grow.method": "superpixel"},
    "grow walker": {"grow.method": "walker"},
    "grow region": {"grow.method": "region"},
    "grow region, bank": {
        "grow.method": "region", "grow.features": "bank", "grow.tolerance": 0.1,
    },
}  # fmt: skip
SWEEPS: dict[str, tuple[dict[str, Any], str, tuple[float, ...]]] = {
    "link segment": ({"link.area": "segment"}, "link.distance", (5.0, 15.0, 30.0, 60.0)),
    "grow superpixel": ({"grow.method": "superpixel"}, "grow.segment", (10, 25, 60, 150)),
    "grow walker": ({"grow.method": "walker"}, "grow.threshold", (0.4, 0.6, 0.8, 0.9)),
    "grow region": ({"grow.method": "region"}, "grow.tolerance", (0.1, 0.2, 0.4, 0.8)),
    "grow region, bank": (
        {"grow.method": "region", "grow.features": "bank"}, "grow.tolerance", (0.05, 0.1, 0.2, 0.4),
    ),
}  # fmt: skip


LOOKS = {
    "plain disc, 3 px": ("#9aa1a9", "-s"),
    "plain disc, 5 px": ("#5f6770", "-s"),
    "plain disc, 8 px": ("#22262b", "-s"),
    "link segment": ("#7fb069", "-^"),
    "link segment, 30 px": ("#3c7d4a", "-^"),
    "link hull, 30 px": ("#1f6b3a", "-v"),
    "grow superpixel": ("#e0a030", "-o"),
    "grow walker": ("#c4412f", "-o"),
    "grow region": ("#2f6fb0", "-o"),
    "grow region, bank": ("#7d5ba6", "-o"),
}


class Ground(NamedTuple):
    """Scenes in memory with their true classes and split."""

    scenes: tuple[Scene, ...]
    truths: tuple[np.ndarray, ...]
    splits: tuple[str | None, ...]
    legend: Legend


def load(name: str, data: Path, splits: str) -> Ground:
    """Read the images and masks of some splits whole."""
    folder = name.removesuffix(INNER)
    collection = find_collection(folder, data).select(splits)
    items = collection.items[:: EVERY.get(folder, 1)]
    legend = collection.legend
    assert legend is not None, "the benchmark's collections have legends"
    scenes, truths = [], []
    for item in items:
        scene = item.open(READING.get(folder))
        pixels = scene.read()
        truth = legend.resolve(item.read_mask(scene))
        truth[~ndimage.binary_erosion(pixels.valid, iterations=RIM, border_value=1)] = -1
        if name.endswith(INNER):
            truth[find_borders(truth, BORDER)] = -1
        source = ArraySource(pixels.data, pixels.valid)
        scenes.append(Scene(scene.name, scene.grid, scene.bands, scene.dtype, source))
        truths.append(truth)
    return Ground(tuple(scenes), tuple(truths), tuple(i.split for i in items), legend)


def find_collection(name: str, data: Path) -> Collection:
    if name != "mars":
        return open_collection(data / name / "collection.csv")
    folder = Path(tempfile.gettempdir()) / "landvisor-mars"
    if not folder.exists():
        import_collection(
            [str(data / "mars" / "mars_train.npz")], folder, masks=(),
            legend=data / "mars" / "legend.toml", splitting=Splitting((), 0.2, 0),
        )  # fmt: skip
    return open_collection(folder / "collection.csv")


def draw(ground: Ground, n: int, seed: int) -> list[Places]:
    return [
        simulate_places(
            np.where(truth < 0, 255, truth), legend=ground.legend, strategy="per_class", n=n,
            seed=seed, name=scene.name,
        )
        for scene, truth in zip(ground.scenes, ground.truths, strict=True)
    ]  # fmt: skip


def measure_purity(ground: Ground, settings: dict[str, Any], n: int, seed: int) -> dict[str, Any]:
    """Label more pixels of every scene and count how many of them are right."""
    making = make_making(settings, seed)
    scale = robust_scale(measure_radiometry(ground.scenes, seed=0))
    checked, right, points, truth_pixels = 0, 0, 0, 0
    started = time.monotonic()
    for scene, truth, places in zip(
        ground.scenes, ground.truths, draw(ground, n, seed), strict=True
    ):
        pixels, _ = extend_places(places, scene, making, scale=scale)
        found, true = check_against_mask(pixels, truth)
        checked, right = checked + int(found.sum()), right + int(true.sum())
        points, truth_pixels = points + len(places), truth_pixels + int((truth >= 0).sum())
    return {
        "points": points, "checked": checked, "right": right, "labelled": truth_pixels,
        "seconds": round(time.monotonic() - started, 1),
    }  # fmt: skip


def make_making(settings: dict[str, Any], seed: int) -> Making:
    """Turn settings into what labels are made by; a plain disc is what any method must beat."""
    recipe = Recipe().with_values(settings)
    return Making(link=recipe.link, grow=recipe.grow, seed=seed)


def make_learned(ground: Ground, places: Places, making: Making) -> Places:
    """Return the places with labels made from them, a limited number per class and image."""
    scale = robust_scale(measure_radiometry(ground.scenes, seed=0))
    parts = [places]
    for position in np.unique(places.scene).tolist():
        here = places.on_scene(position)
        pixels, _ = extend_places(here, ground.scenes[position], making, scale=scale)
        new = thin_pixels(pixels.take(pixels.made), GROWN)
        parts.append(pixels_to_places(new, here, scene=position))
    return concatenate(parts)


def measure_model(
    ground: Ground, settings: dict[str, Any], n: int, seed: int, *, model: str
) -> dict[str, Any]:
    """Fit a model on the train split's points, with or without labels made from them."""
    recipe = Recipe().with_values({"net.model": model, "instant.classifier": "trees", "seed": seed})
    is_train = np.array([split == "train" for split in ground.splits])
    drawn = draw(ground, n, seed)
    places = concatenate([_at(p, i) for i, p in enumerate(drawn) if is_train[i]])
    with tempfile.TemporaryDirectory() as folder:
        radiometry = measure_radiometry(ground.scenes, seed=0)
        job = Job(ground.scenes, ground.legend, radiometry, recipe, Path(folder))
        learner = make_learner(job)
        learned = make_learned(ground, places, make_making(settings, seed)) if settings else places
        started = time.monotonic()
        fit = learner.fit(learned, None, seed=seed)
        fitted = time.monotonic() - started
        scored = draw_scored(ground, ~is_train)
        predicted = learner.predict(fit, scored).argmax(axis=1)
    ids = np.asarray(ground.legend.ids)
    confusion = count_confusion(scored.label, ids[predicted], ids=ground.legend.ids)
    rates = confusion.metrics()
    return {
        "points": len(places), "learned": len(learned), "fit_s": round(fitted, 1),
        **{name: rates[name] for name in ("oa", "mean_iou", "mean_f1")},
    }  # fmt: skip


def draw_scored(ground: Ground, chosen: np.ndarray) -> Places:
    """Draw pixels of the masks to score on, the same for every run."""
    parts = []
    for position in np.flatnonzero(chosen):
        scene, truth = ground.scenes[position], ground.truths[position]
        places = simulate_places(
            np.where(truth < 0, 255, truth), legend=ground.legend, strategy="random", n=SCORED,
            seed=1_000, name=scene.name,
        )  # fmt: skip
        parts.append(_at(places, int(position)))
    return concatenate(parts)


def _at(places: Places, position: int) -> Places:
    arrays = dict(vars(places))
    return Places(**{**arrays, "scene": np.full(len(places), position)})


def plan(args: argparse.Namespace) -> Iterator[tuple[str, str, str, dict[str, Any], int, int]]:
    """List the runs as (kind, data, method, settings, points per class and image, seed)."""
    for data in args.only.split(","):
        for n in NUMBERS:
            for seed in range(args.seeds):
                for method, settings in METHODS.items():
                    yield "purity", data, method, settings, n, seed
        for method, (fixed, knob, values) in SWEEPS.items():
            for value in values:
                for n in (5, 20):
                    yield "sweep", data, f"{method}, {value:g}", {**fixed, knob: value}, n, 0
        for n in LEARNED:
            for seed in range(args.seeds):
                for method, settings in {"points alone": {}, **METHODS}.items():
                    yield args.model, data, method, settings, n, seed


def run_all(args: argparse.Namespace) -> list[dict[str, Any]]:
    results, grounds = [], {}
    args.out.mkdir(parents=True, exist_ok=True)
    for kind, data, method, settings, n, seed in plan(args):
        if kind not in [*args.kinds.split(","), args.model] or method in args.skip.split(";"):
            continue
        test = "-test" if args.score == "test" else ""
        stem = f"{kind}-{data}-{method}-{n}-{seed}{test}".replace(" ", "_").replace(",", "")
        path = args.out / f"{stem}.json"
        if not path.exists() and not args.tables:
            splits = "train,test" if args.score == "test" else "train,val"
            if data not in grounds:
                grounds = {data: load(data, args.data, splits)}
            if kind == args.model:
                found = measure_model(grounds[data], settings, n, seed, model=kind)
            else:
                found = measure_purity(grounds[data], settings, n, seed)
            named = {"kind": kind, "data": data, "method": method, "n": n, "seed": seed}
            path.write_text(json.dumps({**named, "settings": settings, **found}))
            print(path.stem, found, flush=True)
        if path.exists():
            results.append(json.loads(path.read_text()))
    return results


def tabulate(results: list[dict[str, Any]], data: str, model: str) -> str:
    """Lay out purity and coverage, and what the forest makes of the labels, in Markdown."""
    purity = [r for r in results if r["data"] == data and r["kind"] == "purity"]
    lines = [f"**{data}**", "", "| method | " + " | ".join(f"{n} points" for n in NUMBERS) + " |",
             "|---|" + "---|" * len(NUMBERS)]  # fmt: skip
    for method in METHODS:
        cells = [_purity_cell([r for r in purity if (r["method"], r["n"]) == (method, n)])
                 for n in NUMBERS]  # fmt: skip
        lines.append(f"| {method} | {' | '.join(cells)} |")
    forest = [r for r in results if r["data"] == data and r["kind"] == model]
    lines += ["", f"| {model} learns from | " + " | ".join(f"{n} points" for n in LEARNED) + " |",
              "|---|" + "---|" * len(LEARNED)]  # fmt: skip
    for method in ("points alone", *METHODS):
        cells = [_forest_cell(forest, method, n) for n in LEARNED]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def tabulate_knobs(results: list[dict[str, Any]], names: list[str], n: int) -> str:
    """Lay out purity and coverage as one option of each method changes, in Markdown."""
    lines = [f"| {n} points | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for method, (_, knob, values) in SWEEPS.items():
        for value in values:
            named = f"{method}, {value:g}"
            cells = [_purity_cell([r for r in results if r["kind"] == "sweep"
                     and (r["data"], r["method"], r["n"]) == (data, named, n)])
                     for data in names]  # fmt: skip
            lines.append(f"| {method}, `{knob}` {value:g} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _purity_cell(runs: list[dict[str, Any]]) -> str:
    if not runs:
        return ""
    if not sum(r["checked"] for r in runs):
        return "nothing new"
    coverage, purity = _shares(runs)
    return f"{100 * purity:.1f} % · {100 * coverage:.2f} %"


def _forest_cell(runs: list[dict[str, Any]], method: str, n: int) -> str:
    """Mean IoU and spread over seeds, and the gain over the points alone, paired by seed."""
    mine = {r["seed"]: r["mean_iou"] for r in runs if (r["method"], r["n"]) == (method, n)}
    base = {r["seed"]: r["mean_iou"] for r in runs if (r["method"], r["n"]) == ("points alone", n)}
    if not mine:
        return ""
    said = spread(list(mine.values()))
    gains = [mine[s] - base[s] for s in mine if s in base]
    return said if method == "points alone" or not gains else (
        f"{said} ({statistics.mean(gains):+.3f}, {sum(g > 0 for g in gains)} of {len(gains)})"
    )  # fmt: skip


def draw_figure(results: list[dict[str, Any]], names: list[str]) -> bytes:
    """Plot purity against coverage, a panel per data set and a line per method over `NUMBERS`."""
    figure, panels = make_panels(len(names), margin=1.9)
    for axes, data in zip(panels, names, strict=True):
        for method, (color, mark) in LOOKS.items():
            found = [[r for r in results if r["kind"] == "purity" and r["data"] == data
                      and (r["method"], r["n"]) == (method, n)] for n in NUMBERS]  # fmt: skip
            shares = [_shares(runs) for runs in found if sum(r["checked"] for r in runs)]
            coverage, purity = zip(*shares, strict=True) if shares else ((), ())
            axes.plot(100 * np.array(coverage), 100 * np.array(purity), mark, color=color,
                      label=method, ms=4, lw=1.2)  # fmt: skip
        dress(axes, title=data, xlabel="labelled pixels in %")
    return finish(figure, panels, ylabel="purity of new labels in %")


def _shares(runs: list[dict[str, Any]]) -> tuple[float, float]:
    checked, labelled = (sum(r[name] for r in runs) for name in ("checked", "labelled"))
    points, right = (sum(r[name] for r in runs) for name in ("points", "right"))
    return (checked + points) / labelled, right / checked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", default="dunes,dunes-inner,roads,mars")
    parser.add_argument("--kinds", default="purity,sweep")
    parser.add_argument("--model", default="forest", help="what learns from points and labels")
    parser.add_argument("--skip", default="", help="methods to leave out, joined by semicolons")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--score", choices=["val", "test"], default="val")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out/grown"))
    parser.add_argument("--tables", action="store_true", help="lay out what has been run")
    parser.add_argument("--figure", type=Path, help="PNG of purity against coverage to write")
    args = parser.parse_args()
    warnings.filterwarnings("ignore", module="rasterio")
    results = run_all(args)
    if args.figure:
        args.figure.write_bytes(draw_figure(results, args.only.split(",")))
    names = args.only.split(",")
    print("\n\n".join([*(tabulate(results, data, args.model) for data in names),
                       *(tabulate_knobs(results, names, n) for n in (5, 20))]))  # fmt: skip


if __name__ == "__main__":
    main()
