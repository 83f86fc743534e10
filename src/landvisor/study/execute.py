"""One run from its choices to its counts: draw, fit, predict, count."""

from __future__ import annotations

import csv
import json
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor import workflow
from landvisor.accuracy.confusion import count_confusion
from landvisor.geo.collection import Collection, Item
from landvisor.geo.legend import UNLABELLED, Legend
from landvisor.geo.points import read_points
from landvisor.geo.scene import Pixels, Scene, Source
from landvisor.geo.tiling import Window
from landvisor.learn.curves import curves_path
from landvisor.learn.device import find_device
from landvisor.learn.model import Model
from landvisor.learn.model_file import load_model
from landvisor.learn.threads import use_threads
from landvisor.options import Options
from landvisor.predict.adapt import adapt_scenes
from landvisor.predict.stream import predict_scene
from landvisor.recipe import PredictSpec, option_paths
from landvisor.record import find_versions
from landvisor.study.choices import Choices, flatten
from landvisor.study.examples import draw_example
from landvisor.study.images import Images, aside, find_legend
from landvisor.study.labels import draw_once
from landvisor.study.locks import hold
from landvisor.study.references import Reference, open_legend
from landvisor.study.spec import MASKS, ScoringSpec

MODEL = "model.safetensors"
_DONE = "fit.json"
_UNPLOTTED = {"fit", "epoch", "seconds"}


@dataclass(frozen=True)
class Job:
    """All that a run follows from; it can be sent to another process.

    Attributes:
        run: Hash of all of it.
        fit: Hash of what the model follows from.
        choices: Recipe with its seed, data and points.
        images: Of its data.
        references: By name, a scoring that counts that way.
        threads: In which it computes.
        home: Folder for what runs share.
        labels: Name of the points file in it.
        examples: Test images whose maps are kept.
    """

    run: str
    fit: str
    choices: Choices
    images: Images
    references: tuple[tuple[str, ScoringSpec], ...]
    threads: int
    home: Path
    labels: str
    examples: tuple[str, ...]

    @property
    def fit_folder(self) -> Path:
        """Where the model lies."""
        return self.home / "fits" / self.fit


@dataclass(frozen=True)
class Counted:
    """Pixels of one image by reference and map.

    Attributes:
        split: `val` or `test`.
        reference: What was counted.
        image: Its name.
        block: Its group, or its name.
        counts: `[class][class + 1]`; the last column is unmapped.
    """

    split: str
    reference: str
    image: str
    block: str
    counts: list[list[int]]


@dataclass(frozen=True)
class Outcome:
    """What came of a run.

    Attributes:
        counts: For each split, reference and image.
        curves: (training, epoch, name, value) of each figure of each epoch.
        facts: Plain values about labels and model.
        versions: Software, device and threads.
        files: Content by name of what is kept.
        fit_seconds: Of the fit, whichever run did it.
        predict_seconds: Of mapping both splits.
    """

    counts: tuple[Counted, ...]
    curves: tuple[tuple[str, int, str, float], ...]
    facts: dict[str, Any]
    versions: dict[str, str | None]
    files: dict[str, bytes] = field(repr=False)
    fit_seconds: float = 0.0
    predict_seconds: float = 0.0


def execute(job: Job) -> Outcome:
    """Do a run.

    Raises:
        LandvisorError: One of its children, where data or recipe are at fault.
    """
    with use_threads(job.threads):
        fitted = _fit_once(job)
        model = load_model(job.fit_folder / MODEL)
        started = time.monotonic()
        counts: list[Counted] = []
        files: dict[str, bytes] = {}
        for role in ("val", "test"):
            for item, scene, ids in _map_split(job, model, role):
                counts += _count(job, role, item, ids)
                if role == "test" and item.name in job.examples:
                    truth = _reference("masks", ScoringSpec(), job.images, item.split).read(item)
                    files |= draw_example(item.name, scene, ids, truth, legend=job.images.legend)
        spent = time.monotonic() - started
        device = find_device()
    facts = {**fitted["facts"], "device": device.type, "parameters": _count_parameters(model)}
    versions = {**find_versions(), "device": str(device), "threads": str(job.threads)}
    versions |= {"machine": platform.machine(), "system": platform.system()}
    curves = tuple(map(tuple, fitted["curves"]))
    return Outcome(
        tuple(counts), curves, facts, versions, files, fitted["seconds"], round(spent, 3)
    )


def _fit_once(job: Job) -> dict[str, Any]:
    """Fit the model of a run, unless another run that shares it has; return what is known of it."""
    folder, done = job.fit_folder, job.fit_folder / _DONE
    with hold(folder.with_name(f"{job.fit}.lock")):
        folder.mkdir(parents=True, exist_ok=True)
        if not done.exists():
            for left in (folder / MODEL, curves_path(folder / MODEL)):
                left.unlink(missing_ok=True)  # a model without its figures is fitted again
            content = json.dumps(_fit(job))
            with aside(done) as part:
                part.write_text(content, encoding="utf-8")
                part.replace(done)
        found: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
        return found


def _fit(job: Job) -> dict[str, Any]:
    data, points = job.choices.data, job.choices.points
    legend = find_legend(job.images.legend, data.ignore)
    learned = [item for item in job.images.used.items if item.name not in job.images.left_out]
    collection = Collection(tuple(learned), legend)
    started = time.monotonic()
    file = None
    if points.strategy != MASKS:
        file = draw_once(
            job.home / "data" / job.labels, job.images, [data.train, data.val], points=points,
            legend=legend, seed=job.choices.recipe.seed,
        )  # fmt: skip
    model = workflow.fit(
        collection,
        file,
        recipe=fit_recipe(job.choices).model_copy(update={"seed": job.choices.recipe.seed}),
        out=job.fit_folder / MODEL,
        options=Options(reading=job.images.reading_used, split=data.train, val_split=data.val),
    )
    seconds = round(time.monotonic() - started, 3)
    curves = _read_curves(curves_path(job.fit_folder / MODEL))
    facts = {**_describe(model, curves), "labels": _count_labels(file, job, legend)}
    facts["settled"] = _list_settled(job.choices, model)
    return {"seconds": seconds, "curves": curves, "facts": facts}


def _count_labels(file: Path | None, job: Job, legend: Legend) -> dict[str, Any]:
    """Count the points of train and val, and those of train by class; masks are not counted."""
    if file is None:
        return {"strategy": MASKS}
    frame, data = read_points(file, legend=legend).frame, job.choices.data
    split = {item.name: item.split for item in job.images.used.items}
    learned = frame[frame["scene"].map(split) == data.train]
    per_class = learned["class_name"].value_counts()
    return {
        "strategy": job.choices.points.strategy,
        "train": len(learned),
        "val": len(frame) - len(learned),
        "per_class": {name: int(per_class.get(name, 0)) for name in legend.names},
    }


def fit_recipe(choices: Choices) -> Any:
    """Return the recipe less what prediction alone depends on, so that runs share models."""
    usual, asked = PredictSpec(), choices.recipe.predict
    update = {"scales": usual.scales, "local_prior": usual.local_prior}
    update |= {"match_histogram": usual.match_histogram, "tta": "auto"}
    return choices.recipe.model_copy(update={"predict": asked.model_copy(update=update)})


def _list_settled(choices: Choices, model: Model) -> dict[str, Any]:
    """Return by path what `auto` became in a fit; what only prediction follows is as asked."""
    asked = flatten(fit_recipe(choices).model_dump(mode="json"), known=option_paths())
    became = flatten(model.card.recipe.model_dump(mode="json"), known=option_paths())
    return {path: became[path] for path, value in asked.items() if value == "auto" != became[path]}


def _asked(spec: PredictSpec, model: Model) -> PredictSpec:
    """Return how a model is to be asked; what is `auto` is as the fit settled it."""
    if spec.tta != "auto":
        return spec
    return spec.model_copy(update={"tta": model.card.recipe.predict.tta})


def _describe(model: Model, curves: list[list[Any]]) -> dict[str, Any]:
    """Return what a reader wants to know of a model, without what takes time to tell apart."""
    training = {
        key: value
        for key, value in model.card.training.items()
        if key not in ("history", "seconds", "scenes", "unlabelled_scenes")
    }
    return {
        "model": model.card.recipe.net.model,
        "kind": model.card.kind,
        "training": training,
        "validation": model.card.validation,
        "epochs": max((row[1] for row in curves), default=0),
        "notes": list(model.card.notes),
    }


def _count_parameters(model: Model) -> int:
    return sum(int(np.asarray(part).size) for part in model.predictor.tensors().values())


def _read_curves(path: Path) -> list[list[Any]]:
    """Read the figures of each epoch as (training, epoch, name, value); none without a table."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    order = {
        name: str(number) for number, name in enumerate(dict.fromkeys(r["fit"] for r in rows), 1)
    }
    return [
        [order[row["fit"]], int(row["epoch"]), name, float(value)]
        for row in rows
        for name, value in row.items()
        if name not in _UNPLOTTED and value and _is_number(value)
    ]


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _map_split(
    job: Job, model: Model, role: str
) -> Iterator[tuple[Item, Scene, NDArray[np.int64]]]:
    """Map the images of a split; yields each with the scene that was seen and class ids."""
    data = job.choices.data
    split = {"val": data.val, "test": data.test}[role]
    items = [item for item in job.images.used.items if item.split == split]
    scenes: Sequence[Scene] = [item.open(job.images.reading_used) for item in items]
    if role == "test" and (data.test_gain, data.test_offset) != (1.0, 0.0):
        scenes = [_relight(scene, data.test_gain, data.test_offset) for scene in scenes]
    spec = _asked(job.choices.recipe.predict, model)
    known = np.asarray(model.card.legend.ids)
    for item, scene, seen in zip(items, scenes, adapt_scenes(model, scenes, spec), strict=True):
        rows = predict_scene(model, seen, spec)
        ids = np.where(rows.valid, known[rows.probabilities.argmax(axis=0)], UNLABELLED)
        yield item, scene, ids


def _count(job: Job, role: str, item: Item, ids: NDArray[np.int64]) -> Iterator[Counted]:
    legend = open_legend(job.images.legend)
    for name, scoring in job.references:
        labels = _reference(name, scoring, job.images, item.split).read(item)
        found = count_confusion(labels, ids, ids=legend.ids, names=legend.names)
        counts = np.column_stack([found.counts, found.unmapped]).tolist()
        yield Counted(role, name, item.name, item.group or item.name, counts)


@lru_cache(maxsize=16)
def _reference(name: str, scoring: ScoringSpec, images: Images, split: str) -> Reference:  # noqa: ARG001 the name tells them apart
    return Reference(scoring, images, split)


@dataclass(frozen=True)
class _Relit:
    """A source whose values are changed as another light would."""

    source: Source
    gain: float
    offset: float

    def read(self, window: Window) -> Pixels:
        """Read a window; whole numbers are rounded, and clipped to what their type holds."""
        data, valid = self.source.read(window)
        changed = data.astype(np.float64) * self.gain + self.offset
        if data.dtype.kind in "iu":
            limits = np.iinfo(data.dtype)
            changed = np.clip(np.rint(changed), limits.min, limits.max)
        return Pixels(changed.astype(data.dtype), valid)


def _relight(scene: Scene, gain: float, offset: float) -> Scene:
    return replace(scene, source=_Relit(scene.source, gain, offset))


def count_classes(legend: Legend) -> list[Mapping[str, Any]]:
    """Describe the classes in the order of the counts; `scored` ones enter means by default."""
    active = set(legend.ids)
    known = {c.id: c for c in legend.classes}
    return [
        {"id": i, "name": known[i].name, "color": known[i].color, "ignore": known[i].ignore,
         "scored": i in active}
        for i in open_legend(legend).ids
    ]  # fmt: skip
