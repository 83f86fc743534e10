"""What each part of learning from points adds, from a pixel forest to dense masks.

    python benchmarks/ladder.py --data ../shared/data --weights ../shared/weights --only dunes

A rung is a recipe, and how its model predicts. Points are drawn once per seed from the masks of
train and val, so many per class and image, and carried to the size of the run (see `tiles.py`).
Training sees the train split and chooses its epoch and weights on points of val drawn alike, not on
masks; `dense` learns from masks and chooses on masks. No rung learns from a place of val, not even
trees, which would do so by default. Rungs are compared on the masks of val;
`--split test` reports those that were chosen. Models are kept by the hash of what they follow
from, and scores by the hash of the models: what is finished is not run again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import shutil
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from landvisor import workflow
from landvisor.geo.collection import Collection, open_collection, write_collection
from landvisor.geo.importing import Splitting, import_collection
from landvisor.geo.rasters import Reading
from landvisor.labels.clean import clean_collection
from landvisor.learn.ensemble import list_members
from landvisor.learn.model import Model
from landvisor.learn.model_file import load_model, save_model
from landvisor.options import Options
from landvisor.recipe import Recipe
from measured import Run, keep_run, read_runs
from tiles import ALONE, ENCODER, READING, draw_points, resize_collection, spread

Settings = dict[str, Any]

ERA = 3  # counts changes of defaults and of training, which make older models others
SIZES = {"dunes": 256, "roads": 256}
MARS_EVERY = 8  # its 1,816 training images would take hours
LASTING: Settings = {"fit.patience": 0}
BARE: Settings = {
    "labels.class_weights": "none", "fit.flips": False, "fit.scale": [1, 1], "fit.colour": 0,
    "fit.average": 0, **LASTING,
}  # fmt: skip
TRAINED = "WEIGHTS"  # stands for the file of encoder weights


def without(*names: str) -> Settings:
    """Return the bare recipe less the choices that a rung has already climbed."""
    return {name: value for name, value in BARE.items() if name not in names}


WEIGHED = ("labels.class_weights",)
VARIED = (*WEIGHED, "fit.flips", "fit.scale", "fit.colour")
AVERAGED = (*VARIED, "fit.average")
UNET: Settings = {"net.model": "unet", "net.encoder_weights": TRAINED}
PAIR: Settings = {**UNET, "net.partner": "instant"}
LOCAL: Settings = {"predict.local_prior": 0.5}
FLIPS: Settings = {"predict.tta": "flips"}
MEAN: Settings = {**UNET, **LASTING, "teacher.source": "average"}
TAUGHT: Settings = {**PAIR, "teacher.source": "instant", "teacher.weight": 10}
FADING: Settings = {**TAUGHT, **LASTING, "teacher.fade": 0.9}
GONE: Settings = {**FADING, "teacher.fade": 1}
MORE: dict[str, Settings] = {
    "up to three rounds": {"teacher.rounds": 3},
    "pairwise": {"fit.pairwise": 3},
    "self-training": {"teacher.self_training": True},
    "grown labels": {"grow.method": "region"},
}
MASKS: Settings = {**PAIR, **LASTING}
LONGER: Settings = {**UNET, **LASTING, "fit.epochs": 120}
EARLIER: Settings = {"fit.patience": 15, "teacher.fade": 0}  # unless a rung says otherwise


@dataclass(frozen=True)
class Rung:
    """A recipe and how its models are asked.

    Attributes:
        settings: Dotted paths of a recipe.
        part: Of a network with a partner: both together (None), or the network alone (0).
        predict: Settings of prediction.
        members: Models of as many seeds, averaged.
        dense: Learn from masks.
    """

    settings: Settings
    part: int | None = None
    predict: Settings = field(default_factory=dict)
    members: int = 1
    dense: bool = False


RUNGS: dict[str, Rung] = {
    "forest": Rung({"net.model": "forest"}),
    "bank": Rung({"net.model": "bank"}),
    "instant": Rung({"net.model": "instant", "net.encoder_weights": TRAINED}),
    "scratch": Rung({**UNET, "net.encoder_weights": "none", **BARE}),
    "+ pretrained": Rung({**UNET, **BARE}),
    "+ class weights": Rung({**UNET, **without(*WEIGHED)}),
    "+ augmentation": Rung({**UNET, **without(*VARIED)}),
    "+ averaged weights": Rung(PAIR, part=0),
    "+ consistency, one threshold": Rung(
        {**MEAN, "teacher.adaptive": False, "teacher.balance": False}
    ),
    "+ consistency, per class": Rung(MEAN),
    "+ instant teacher": Rung(TAUGHT, part=0),
    "+ both teachers": Rung({**MEAN, "teacher.source": "both"}),
    "+ instant teacher, flips": Rung(TAUGHT, part=0, predict=FLIPS),
    "+ instant teacher, local prior": Rung(TAUGHT, part=0, predict=LOCAL),
    "+ fading teacher": Rung(FADING, part=0),
    "+ fading teacher, local prior": Rung(FADING, part=0, predict=LOCAL),
    "averaged weights, with trees": Rung(PAIR),
    "averaged weights, with trees, local prior": Rung(PAIR, predict=LOCAL),
    "instant teacher, with trees": Rung(TAUGHT),
    "instant teacher, with trees, flips": Rung(TAUGHT, predict=FLIPS),
    "instant teacher, with trees, local prior": Rung(TAUGHT, predict=LOCAL),
    "fading teacher to the end, with trees, local prior": Rung(GONE, predict=LOCAL),
    "fading teacher to the end, local prior": Rung(GONE, part=0, predict=LOCAL),
    "fading teacher, sideways, with trees, local prior": Rung(
        {**GONE, "fit.flips": "sideways"}, predict=LOCAL
    ),
    "plain, local prior": Rung(PAIR, part=0, predict=LOCAL),
    "fast": Rung({"net.model": "instant", "net.encoder_weights": TRAINED}, predict=LOCAL),
    "default": Rung(FADING, predict=LOCAL),
    **{f"default, {name}": Rung({**FADING, **more}, predict=LOCAL) for name, more in MORE.items()},
    **{
        f"its network alone, {name}": Rung({**FADING, **more}, part=0, predict=LOCAL)
        for name, more in MORE.items()
    },
    "default, flips": Rung(FADING, predict={**LOCAL, **FLIPS}),
    "best": Rung(FADING, members=3, predict={**LOCAL, **FLIPS}),
    "dense": Rung(MASKS, part=0, dense=True),
    "dense, local prior": Rung(MASKS, part=0, dense=True, predict=LOCAL),
    "dense, local prior, flips": Rung(MASKS, part=0, dense=True, predict={**LOCAL, **FLIPS}),
    "dense, with trees": Rung(MASKS, dense=True),
    "dense, with trees, local prior": Rung(MASKS, dense=True, predict=LOCAL),
    "dense, twice as long": Rung(LONGER, dense=True),
    "dense, twice as long, local prior": Rung(LONGER, dense=True, predict=LOCAL),
}


@dataclass(frozen=True)
class Bench:
    """Where things lie, and what is drawn."""

    name: str
    data: Path
    weights: Path
    out: Path
    n: int

    @property
    def how(self) -> Reading:
        """How the original images are read."""
        return READING.get(self.name, Reading())

    @property
    def folder(self) -> Path:
        """The collection at the size of the run, its points and its results."""
        return self.out / (f"{self.name}-{SIZES[self.name]}" if self.name in SIZES else self.name)

    def collection(self) -> Collection:
        """Return the collection of the run, made when it is first asked for."""
        table = self.folder / "collection.csv"
        if not table.exists() and self.name in SIZES:
            source = self.data / self.name / "collection.csv"
            resize_collection(source, self.folder, size=SIZES[self.name], reading=self.how)
        elif not table.exists():
            _import_mars(self.data / "mars", self.folder)
        return open_collection(table)

    def points(self, seed: int) -> Path:
        """Return the points of a seed, drawn when they are first asked for."""
        path = self.folder / f"points-{self.n}-{seed}.gpkg"
        if not path.exists():
            small = self.collection()
            resized = self.name in SIZES
            source = (self.data / self.name if resized else self.folder) / "collection.csv"
            draw_points(source, small, path, n=self.n, seed=seed, how=self.how)
        return path


def _import_mars(source: Path, folder: Path) -> None:
    """Import mars less what `clean` removes, and every so many of its training images."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = [str(source / f"mars_{split}.npz") for split in ("train", "test")]
    whole = import_collection(
        sources, folder / "all", masks=(), legend=source / "legend.toml",
        splitting=Splitting(("train", "test"), 0.2, 0),
    ).collection  # fmt: skip
    learned = clean_collection(whole.select("train,val")).kept.items[::MARS_EVERY]
    kept = Collection((*learned, *whole.select("test").items))
    shutil.copy(folder / "all" / "legend.toml", folder / "legend.toml")
    write_collection(kept, folder / "collection.csv")


def make_recipe(rung: Rung, bench: Bench, seed: int, extra: Settings) -> Recipe:
    """Return the recipe of a rung, with the weights that are at hand."""
    file = str(bench.weights / f"{ENCODER}.safetensors")
    values = {
        "net.encoder": ENCODER, "seed": seed, "predict.window": 256, "predict.overlap": 64,
        "instant.refit": False, **EARLIER, **ALONE, **rung.settings, **extra,
    }  # fmt: skip
    return Recipe().with_values({k: file if v == TRAINED else v for k, v in values.items()})


def count_points(rung: Rung, bench: Bench) -> int:
    """Return the points per class and image that a rung learns from; 0 where it has masks."""
    return 0 if rung.dense else bench.n


def name_model(rung: Rung, bench: Bench, seed: int, draw: int, extra: Settings) -> Path:
    """Return the file of a model: it is named by all that the model follows from."""
    chosen = {**rung.settings, **extra, "dense": rung.dense}
    key = json.dumps([ERA, chosen, count_points(rung, bench), draw, seed], sort_keys=True)
    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    return bench.folder / "ladder" / f"{name}.safetensors"


def fit_model(rung: Rung, bench: Bench, seed: int, draw: int, extra: Settings) -> Path:
    """Fit a model to the points of a draw, or find it, and return its file."""
    file = name_model(rung, bench, seed, draw, extra)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        recipe = make_recipe(rung, bench, seed, extra)
        bench.collection()
        points = None if rung.dense else bench.points(draw)
        options = Options(split="train", val_split="val")
        started = time.monotonic()
        model = workflow.fit(
            bench.folder / "collection.csv", points, recipe=recipe, options=options
        )
        about = {"seconds": round(time.monotonic() - started, 1), "settings": rung.settings | extra}
        about |= {"n": count_points(rung, bench), "draw": draw, "seed": seed, "dense": rung.dense}
        about |= {"recipe": recipe.model_dump(mode="json")}
        file.with_suffix(".json").write_text(json.dumps(about, indent=1))
        aside = file.with_suffix(".tmp")
        save_model(model, aside)
        aside.replace(file)
    return file


def score(rung: Rung, files: list[Path], bench: Bench, split: str) -> dict[str, Any]:
    """Map a split and hold it against its masks, or find the result."""
    asked = {**ALONE, **rung.predict}
    asked = {name: value for name, value in asked.items() if name.startswith("predict.")}
    key = json.dumps([[file.stem for file in files], rung.part, asked, split])
    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    path = bench.folder / "ladder" / f"score-{name}.json"
    if not path.exists():
        models = [_part(load_model(file), rung.part) for file in files]
        recipe = models[0].card.recipe.with_values(asked)
        maps = bench.folder / "ladder" / f"maps-{name}"
        shutil.rmtree(maps, ignore_errors=True)
        table = bench.folder / "collection.csv"
        options = Options(split=split)
        started = time.monotonic()
        workflow.predict(models, table, out=maps, recipe=recipe, options=options)
        seconds = round(time.monotonic() - started, 1)
        rates = {
            f"border {border}": workflow.assess(
                maps, table, border=border, options=options
            ).to_dict()["rates"]
            for border in (0, 1)
        }
        shutil.rmtree(maps)
        path.write_text(json.dumps({"predict_s": seconds, **rates}, indent=1))
    result: dict[str, Any] = json.loads(path.read_text())
    return result


def _part(model: Model, part: int | None) -> Model:
    return model if part is None else list_members(model)[part]


def _seeds(rung: Rung, seed: int) -> list[int]:
    return [seed + 100 * member for member in range(rung.members)]


def run_rung(name: str, bench: Bench, seed: int, args: argparse.Namespace) -> Run:
    """Fit and score one rung for one draw of points."""
    rung = RUNGS[name]
    files = [fit_model(rung, bench, s, seed, args.settings) for s in _seeds(rung, seed)]
    found = score(rung, files, bench, args.split)
    spent = [json.loads(file.with_suffix(".json").read_text())["seconds"] for file in files]
    whole, inner = found["border 0"], found["border 1"]
    run = Run(
        bench.name, name, count_points(rung, bench), seed, args.split,
        **{metric: round(whole[metric], 4) for metric in ("mean_iou", "mean_f1", "oa")},
        inner_mean_iou=round(inner["mean_iou"], 4), fit_s=round(sum(spent), 1),
        predict_s=found["predict_s"],
    )  # fmt: skip
    if not args.settings:
        keep_run(run)
    return run


def run_seeds(name: str, bench: Bench, args: argparse.Namespace) -> list[Run]:
    """Fit and score one rung for each seed; with `args.known` those that have been measured."""
    seeds = [int(seed) for seed in args.seeds.split(",")]
    if not args.known:
        return [run_rung(name, bench, seed, args) for seed in seeds]
    points = count_points(RUNGS[name], bench)
    keys = [(bench.name, name, points, seed, args.split) for seed in seeds]
    runs = read_runs()
    return [runs[key] for key in keys if key in runs]


def make_parser(summary: str, *, only: str) -> argparse.ArgumentParser:
    """Make what reads the arguments of all scripts that run rungs.

    Args:
        summary: What the script does.
        only: Data sets that are taken by default, by comma.
    """
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--weights", type=Path, default=Path("../shared/weights"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out"))
    parser.add_argument("--only", default=only, help="data sets, by comma")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--split", default="val", choices=["val", "test"])
    parser.add_argument("--known", action="store_true", help="lay out what is known, run nothing")
    parser.set_defaults(settings={})
    return parser


def tabulate(runs: list[Run]) -> str:
    """Lay results out as a Markdown table: mean and spread over seeds."""
    lines = [
        "| rung | seeds | mean IoU | mean F1 | OA | mean IoU, borders out | fit, s | predict, s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(run.rung for run in runs):
        same = [run for run in runs if run.rung == name]
        metrics = ("mean_iou", "mean_f1", "oa", "inner_mean_iou")
        cells = [spread([getattr(run, metric) for run in same]) for metric in metrics]
        cells += [
            str(round(statistics.mean(getattr(run, cost) for run in same)))
            for cost in ("fit_s", "predict_s")
        ]
        lines.append(f"| {name} | {len(same)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _pair(text: str) -> tuple[str, Any]:
    name, value = text.split("=", 1)
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def main() -> None:
    parser = make_parser(__doc__.splitlines()[0], only="dunes")
    parser.add_argument("--rungs", default=";".join(RUNGS), help="by semicolon")
    parser.add_argument("--n", type=int, default=10, help="points per class and image")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    args.settings = dict(_pair(text) for text in args.set)
    for data in args.only.split(","):
        bench = Bench(data, args.data, args.weights, args.out, args.n)
        runs = []
        for name in args.rungs.split(";"):
            for run in run_seeds(name, bench, args):
                runs.append(run)
                said = f"{run.mean_iou:.4f} {run.fit_s} s"
                print(data, args.n, name, run.seed, args.split, said, flush=True)
        print(f"\n{data}, {args.n} points, {args.split}\n\n{tabulate(runs)}\n")


if __name__ == "__main__":
    main()
