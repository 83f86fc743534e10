"""A model fitted once: what a killed run has fitted, the next one with the same command finds."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

import numpy as np

from landvisor.accuracy.assessment import Assessment
from landvisor.files import write_json
from landvisor.geo.collection import CollectionSource, as_collection
from landvisor.geo.identify import identify_imagery
from landvisor.journal import Journal
from landvisor.labels.material import Material
from landvisor.learn.job import Learner
from landvisor.learn.model import Model
from landvisor.learn.model_file import load_model, save_model
from landvisor.learn.outer import cross_validate, plan_outer
from landvisor.learn.receptive import find_sight
from landvisor.learn.train import fit_material
from landvisor.options import Options
from landvisor.recipe import Recipe
from landvisor.record import find_versions

log = logging.getLogger(__name__)

_MODEL, _STATED = "model.safetensors", "assessment.json"


def fit_once(
    learner: Learner,
    material: Material,
    recipe: Recipe,
    *,
    scenes: CollectionSource,
    options: Options,
    work: Path,
) -> tuple[Model, Assessment | None]:
    """Cross-validate and fit, or take both from an earlier attempt that got as far as that.

    Args:
        learner: Of `landvisor.learn.prepare.prepare`, as are `material` and `recipe`.
        material: What is learned from.
        recipe: Settled.
        scenes: Where the material comes from.
        options: What surrounds the run.
        work: A folder that this process holds; see `landvisor.files.work_folder`.

    Returns:
        The model, and how good it is; None where the recipe asks for no folds.
    """
    journal = Journal(
        work / "fit",
        {
            "the imagery": identify_imagery(
                as_collection(scenes), material.scenes, options.reading
            ),
            "the labels": _identify_places(material),
            "the recipe": [recipe.model_dump(mode="json"), options.val_split],
            "the software": find_versions(),
        },
    )
    model_file, stated_file = journal.folder / _MODEL, journal.folder / _STATED
    if journal.holds(_MODEL) and journal.holds(_STATED):
        log.info("the model of an earlier attempt is used: nothing that it follows from changed")
        known = json.loads(stated_file.read_text(encoding="utf-8"))
        return load_model(model_file), None if known is None else Assessment.from_dict(known)
    try:
        if recipe.assess.folds:
            plan_outer(
                material, recipe
            )  # refuses what cannot be held out before anything is fitted
        model = fit_material(learner, material, recipe, val_split=options.val_split)
        stated = _state(learner, material, recipe, model) if recipe.assess.folds else None
    except BaseException:
        journal.drop_if_empty()
        raise
    save_model(model, model_file)
    write_json(stated_file, None if stated is None else stated.to_dict())
    for file in (stated_file, model_file):
        journal.note(file)
    return model, stated


def _state(learner: Learner, material: Material, recipe: Recipe, model: Model) -> Assessment:
    """Cross-validate, with folds as far apart as the labels and the fitted model ask for."""
    sight = find_sight(model, material.scenes, material.places, seed=recipe.seed)
    return cross_validate(learner, material, recipe, sight=sight)


def _identify_places(material: Material) -> str:
    """Return the SHA-256 of all labelled places."""
    places, digest = material.places, hashlib.sha256()
    for part in (places.scene, places.coords, places.label, places.weight, places.source):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()
