"""What a fit starts from: places, a settled recipe and the learner that it names."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from landvisor.architectures import NETWORKS
from landvisor.errors import RecipeError
from landvisor.geo.collection import CollectionSource, as_collection
from landvisor.geo.points import Points
from landvisor.geo.radiometry import measure_radiometry
from landvisor.labels.material import Material, check_learnable, gather
from landvisor.learn.curves import Curves
from landvisor.learn.job import Job, Learner
from landvisor.learn.settle import settle
from landvisor.learn.train import make_learner
from landvisor.learn.unlabelled import open_unlabelled
from landvisor.options import Options
from landvisor.phrases import say_count
from landvisor.ranks import Ranks
from landvisor.recipe import Recipe

log = logging.getLogger(__name__)


def prepare(
    scenes: CollectionSource,
    points: Path | str | Points | None,
    recipe: Recipe,
    how: Options,
    *,
    folder: Path,
    curves: Curves | None = None,
) -> tuple[Material, Recipe, Learner]:
    """Gather labelled places, settle the model, measure the imagery and make the learner.

    Args:
        scenes: A file, folder, glob, `collection.csv`, array, `Scene` or `Collection`.
        points: A points file or `Points`; None learns from every labelled pixel of the masks.
        recipe: All choices; its model may be `auto`, in what is returned it is not.
        how: What surrounds the run.
        folder: Where caches and checkpoints may be written; kept by the caller.
        curves: Where the figures of a network's epochs go.

    Raises:
        LandvisorError: One of its children, in one line, where input or recipe is at fault.
    """
    collection = as_collection(scenes).for_learning(how.split, how.val_split)
    material = gather(collection, points, spec=recipe.labels, options=how, seed=recipe.seed)
    check_learnable(material)
    settled, notes = settle(
        recipe, material.scenes[0].bands, places=len(material.places), dense=points is None
    )
    _check_ranks(how.ranks, settled)
    material = replace(material, notes=(*material.notes, *notes))
    unlabelled = open_unlabelled(how, material.scenes, recipe=settled)
    if unlabelled:
        said = f"{say_count(len(unlabelled), 'scene')} without labels taught too"
        material = replace(material, notes=(*material.notes, said))
    for note in (*material.notes, material.summary()):
        log.info("%s", note)
    radiometry = measure_radiometry(material.scenes, seed=recipe.seed)
    job = Job(material.scenes, material.legend, radiometry, settled, folder,
              progress=how.progress, unlabelled=unlabelled, curves=curves,
              ranks=how.ranks)  # fmt: skip
    return material, settled, make_learner(job)


def _check_ranks(ranks: Ranks, recipe: Recipe) -> None:
    if ranks.count > 1 and recipe.net.model not in NETWORKS:
        raise RecipeError(
            f"{ranks.count} processes train one network, and model {recipe.net.model!r} is none; "
            f"name one as in --model {NETWORKS[0]}, or leave --devices and --nodes out"
        )
