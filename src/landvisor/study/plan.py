"""Which runs a study consists of, each named by all that its metrics follow from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from landvisor import __version__
from landvisor.errors import StudyError
from landvisor.files import hash_file
from landvisor.geo.legend import Legend
from landvisor.labels.sampling import read_validity
from landvisor.record import find_versions
from landvisor.study.choices import Choices
from landvisor.study.design import Arm
from landvisor.study.execute import Job, count_classes, fit_recipe
from landvisor.study.footprints import count_shared_groups, find_footprints
from landvisor.study.images import Images, aside, find_legend, name_splits, prepare_images
from landvisor.study.metrics import check_metric, name_reference
from landvisor.study.read import Study
from landvisor.study.references import open_legend
from landvisor.study.spec import MASKS, ScoringSpec

ERA = 1  # counts changes of studies that make the results of older runs others
_TRACE = 0.01  # of an image's labelled pixels: fewer of a class do not count
_MATTER = ("torch", "scikit-learn", "numpy", "segmentation-models-pytorch", "timm")


@dataclass(frozen=True)
class Planned:
    """A run in its place in the design."""

    position: int
    arm: Arm
    seed: int
    job: Job


@dataclass(frozen=True)
class Plan:
    """All runs of a study, and what is known of its data.

    Attributes:
        study: What is planned.
        runs: Seed by seed, so that a study that is stopped early has whole replicates.
        facts: Classes, images and labelled pixels by split, as plain values.
    """

    study: Study
    runs: tuple[Planned, ...]
    facts: dict[str, Any]


def make_plan(study: Study, *, base: Path, home: Path) -> Plan:
    """Find the data of each arm and name its runs.

    Args:
        study: What is planned.
        base: Folder that paths of data and weights are relative to.
        home: Where prepared data are kept.

    Raises:
        StudyError: If data do not suffice, or a metric names a class that they lack.
        CollectionError: If a collection does not hold together.
    """
    known: dict[Any, Images] = {}
    images: list[Images] = []
    for arm in study.design.arms:
        data = arm.choices.data
        key = data.model_copy(update={"ignore": None, "test_gain": 1.0, "test_offset": 0.0})
        if key not in known:
            known[key] = prepare_images(key, base=base, home=home)
        find_legend(known[key].legend, data.ignore)
        images.append(known[key])
    _check_classes(study, images[0].legend)
    references = _list_references(study)
    labelled = _read_labelled(images[0], home)
    examples = _choose_examples(study, images[0], labelled)
    runs = [
        Planned(position, arm, seed, _make_job(arm, seed, images[position], study, base, home))
        for seed in study.spec.seeds
        for position, arm in enumerate(study.design.arms)
    ]
    complete = tuple(
        replace(run, job=replace(run.job, references=references, examples=examples)) for run in runs
    )
    named = tuple(replace(run, job=_name(run.job)) for run in complete)
    facts = _describe(study, images[0], labelled)
    return Plan(study, named, {**facts, "examples": list(examples)})


def _make_job(arm: Arm, seed: int, images: Images, study: Study, base: Path, home: Path) -> Job:
    recipe = arm.choices.recipe
    weights = recipe.net.encoder_weights
    update: dict[str, Any] = {"seed": seed}
    if weights.endswith(".safetensors"):
        file = base / weights
        if not file.is_file():
            raise StudyError(
                f"net.encoder_weights names {str(file)!r}, which is no file; see --data"
            )
        update["net"] = recipe.net.model_copy(update={"encoder_weights": str(file)})
    choices = replace(arm.choices, recipe=recipe.model_copy(update=update))
    return Job("", "", choices, images, (), study.spec.threads, home, "", ())


def _name(job: Job) -> Job:
    choices, data = job.choices, job.choices.data
    versions = find_versions()
    shared = {
        "era": [ERA, __version__, {name: versions.get(name) for name in _MATTER}],
        "threads": job.threads,
        "images": job.images.digest,
        "left out": list(job.images.left_out),
        "splits": name_splits(data),
        "ignore": data.ignore,
    }
    drawn = choices.points.model_dump(mode="json")
    labels = _hash([shared["images"], shared["left out"], shared["splits"], data.ignore, drawn,
                    choices.recipe.seed, ERA])  # fmt: skip
    fit = _hash([shared, drawn, describe_recipe(fit_recipe(choices))])
    run = _hash([
        fit, describe_recipe(choices.recipe), data.test_gain, data.test_offset,
        [name for name, _ in job.references],
    ])  # fmt: skip
    file = "" if choices.points.strategy == MASKS else f"points-{labels}.gpkg"
    return replace(job, run=run, fit=fit, labels=file)


def describe_recipe(recipe: Any) -> dict[str, Any]:
    """Return a recipe as plain values, with a file of weights by its content."""
    content: dict[str, Any] = recipe.model_dump(mode="json")
    weights = content["net"]["encoder_weights"]
    if weights.endswith(".safetensors"):
        content["net"]["encoder_weights"] = f"sha256 {_hash_weights(weights)}"
    return content


_KNOWN: dict[tuple[str, int, int], str] = {}


def _hash_weights(path: str) -> str:
    status = Path(path).stat()
    key = (path, status.st_size, status.st_mtime_ns)
    if key not in _KNOWN:
        _KNOWN[key] = hash_file(path)
    return _KNOWN[key]


def describe_choices(job: Job) -> dict[str, Any]:
    """Return what a run was told as plain values, without a path of this machine."""
    choices: Choices = job.choices
    return {
        "recipe": describe_recipe(choices.recipe),
        "data": choices.data.model_dump(mode="json"),
        "points": choices.points.model_dump(mode="json"),
        "references": [name for name, _ in job.references],
        "images": job.images.digest,
        "left_out": list(job.images.left_out),
        "threads": job.threads,
    }


def _list_references(study: Study) -> tuple[tuple[str, ScoringSpec], ...]:
    scorings = [ScoringSpec(), *study.spec.scoring.values()]
    return tuple({name_reference(scoring): scoring for scoring in reversed(scorings)}.items())


def _choose_examples(
    study: Study, images: Images, labelled: Mapping[str, Sequence[int]]
) -> tuple[str, ...]:
    """Return images from all over the test split: well labelled, and of many classes."""
    tested = [item.name for item in images.used.items if item.split == study.spec.data.test]
    usual = sorted(sum(labelled[name]) for name in tested)[len(tested) // 2]
    full = [name for name in tested if sum(labelled[name]) >= usual]
    count = min(study.spec.keep.examples, len(full))
    present = {name: _count_present(labelled[name]) for name in full}
    many = sorted(present.values(), reverse=True)[max(count, len(full) // 4) - 1]
    shown = [name for name in full if present[name] >= many]
    return tuple(shown[(2 * k + 1) * len(shown) // (2 * count)] for k in range(count))


def _count_present(pixels: Sequence[int]) -> int:
    """Count classes that have more than a trace of an image."""
    return sum(each > _TRACE * sum(pixels) for each in pixels)


def _check_classes(study: Study, legend: Legend) -> None:
    names = open_legend(legend).names
    for claim in study.spec.hypothesis:
        check_metric(claim.metric, said=f"hypothesis {claim.name!r}", classes=names)
    for metric in study.spec.analysis.metrics:
        check_metric(metric, said="analysis.metrics", classes=names)
    for name, scoring in study.spec.scoring.items():
        unknown = next((c for c in scoring.classes if c not in names), None)
        if unknown is not None:
            raise StudyError(
                f"scoring {name!r} names class {unknown!r}; the classes are {', '.join(names)}"
            )


def _read_labelled(images: Images, home: Path) -> dict[str, list[int]]:
    """Return by image how many pixels of each class its mask labels; masks are read once."""
    file = home / "data" / f"labelled-{images.digest}.json"
    if not file.exists():
        with aside(file) as part:
            part.write_text(json.dumps(_count_labels(images)), encoding="utf-8")
            part.replace(file)
    labelled: dict[str, list[int]] = json.loads(file.read_text(encoding="utf-8"))
    return labelled


def _describe(
    study: Study, images: Images, labelled: Mapping[str, Sequence[int]]
) -> dict[str, Any]:
    """Describe the data of the first arm."""
    data = study.spec.data
    splits = {}
    for role, split in name_splits(data).items():
        here = [item for item in images.used.items if item.split == split]
        splits[role] = {
            "images": len(here),
            "groups": len({item.group for item in here if item.group}),
            "labelled_pixels": sum(sum(labelled[item.name]) for item in here),
        }
    scene = images.used.items[0].open(images.reading_used)
    return {
        "classes": count_classes(images.legend),
        "splits": splits,
        "image_size": list(scene.shape),
        "bands": list(scene.bands),
        "collection": data.collection or list(data.arrays),
        "shared_groups": count_shared_groups(images.used, name_splits(data)),
        "footprints": find_footprints(images.original, name_splits(data)),
    }


def _count_labels(images: Images) -> dict[str, list[int]]:
    """Count by image the valid pixels of each active class in the original masks."""
    counts = {}
    for item in images.original.items:
        scene = item.open(images.reading)
        index = images.legend.to_index(images.legend.resolve(item.read_mask(scene)))
        known = index[(index >= 0) & read_validity(scene)]
        counts[item.name] = np.bincount(known, minlength=len(images.legend.ids)).tolist()
    return counts


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
