"""Which learner a recipe names, how validation is held out, and what becomes the model."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from landvisor.accuracy.folds import split_validation
from landvisor.accuracy.units import make_units
from landvisor.architectures import NETWORKS
from landvisor.errors import RecipeError
from landvisor.geo.places import Places
from landvisor.labels.balance import resolve_area
from landvisor.labels.enrich import choose_learned
from landvisor.labels.material import Material
from landvisor.learn.ensemble import join_models
from landvisor.learn.instant import InstantLearner
from landvisor.learn.job import Job, Learner
from landvisor.learn.model import Model
from landvisor.learn.pair import PairLearner
from landvisor.learn.prior import check_adjustment
from landvisor.learn.rounds import RoundsLearner
from landvisor.learn.separate_fit import SeparateLearner
from landvisor.recipe import INSTANT_MODELS, Recipe

log = logging.getLogger(__name__)

LEARNERS: dict[str, Callable[[Job], Learner]] = {
    **dict.fromkeys(NETWORKS, RoundsLearner),
    **dict.fromkeys(INSTANT_MODELS, InstantLearner),
}
_BLOCKS = "spatial blocks held out of the training places"


def make_learner(job: Job) -> Learner:
    """Prepare the learner that a job's recipe names.

    Raises:
        RecipeError: If the area prior does not fit the legend, or is needed and missing, a
            teacher has nobody to teach or no weights to teach with, or no class can be told from
            all others by a model of its own.
    """
    check_adjustment(job.recipe)
    check_teacher(job.recipe)
    if job.recipe.labels.area_prior:
        resolve_area(job.recipe.labels.area_prior, job.legend)  # before anything is computed
    if job.recipe.net.separate:
        return SeparateLearner(job, make=make_learner)
    if job.recipe.net.partner == "instant":
        return PairLearner(job)
    return LEARNERS[job.recipe.net.model](job)


def check_teacher(recipe: Recipe) -> None:
    """Refuse a teacher that could not do anything.

    Raises:
        RecipeError: If the model is no network, or averaged weights teach that are not kept.
    """
    model, source = recipe.net.model, recipe.teacher.source
    if source not in ("none", "auto") and model not in NETWORKS:
        raise RecipeError(
            f"teacher.source {source!r} was given with net.model {model!r}, which no teacher can "
            "teach; choose a network, such as --model unet"
        )
    if recipe.teacher.averages and not recipe.fit.average:
        raise RecipeError(
            f"teacher.source {source!r} was given with fit.average 0, so no averaged weights "
            "teach; give a decay such as 0.99, or teacher.source 'instant'"
        )


def fit_material(
    learner: Learner, material: Material, recipe: Recipe, *, val_split: str | None = None
) -> Model:
    """Fit on everything but what validation holds out, and complete the model's card.

    Scenes of `val_split` validate where they hold places; else spatial blocks are held out, others
    for each member of `fit.members`.
    """
    places = material.places
    held = material.in_split(val_split) if val_split else np.zeros(len(places), dtype=bool)
    rule = f"scenes of split {val_split!r}" if held.any() else _BLOCKS
    fixed = held if held.any() else None
    if fixed is None and recipe.fit.val_share:  # refuse what cannot be held out by its name
        make_units(places, shapes=material.shapes, folds=2, scene_groups=material.groups,
                   hold_out=recipe.assess.hold_out)  # fmt: skip
    whole = np.ones(len(places), dtype=bool)
    fitted = [
        fit_member(learner, material, recipe, within=whole, held=fixed, seed=seed)
        for seed in member_seeds(recipe)
    ]
    for member in fitted:
        for note in member.notes:
            log.info("%s", note)
        log.info("%s", describe_validation(member.model, rule, member.held))
    notes = (note for member in fitted for note in member.notes)
    return with_card(
        _join([member.model for member in fitted]),
        notes=(*material.notes, *notes),
        validation={"rule": rule},
    )


class Member(NamedTuple):
    """A model, how many places chose it, and sentences on what it learned from."""

    model: Model
    held: int
    notes: tuple[str, ...]


def fit_member(
    learner: Learner,
    material: Material,
    recipe: Recipe,
    *,
    within: NDArray[np.bool_],
    held: NDArray[np.bool_] | None,
    seed: int,
    checked: bool = True,
) -> Member:
    """Fit to the places `within`, of which `held` validate, or blocks that the seed chooses."""
    places = material.places
    if held is None:
        held = np.zeros(len(places), dtype=bool)
        held[within] = hold_out(places.take(within), material, recipe, seed=seed)
    learned, notes = choose_learned(material, within & ~held, recipe, checked=checked)
    model = learner.fit(learned, places.take(held) if held.any() else None, seed=seed)
    return Member(model, int(held.sum()), notes)


def member_seeds(recipe: Recipe) -> range:
    """Return the seed of each model of `fit.members`."""
    members = recipe.fit.members
    return range(recipe.seed, recipe.seed + (1 if members == "auto" else members))


def _join(models: list[Model]) -> Model:
    return join_models(models, names=[f"member {number + 1}" for number in range(len(models))])


def hold_out(places: Places, material: Material, recipe: Recipe, *, seed: int) -> NDArray[np.bool_]:
    """Choose the places that validate: whole units, about `fit.val_share` of the places."""
    if recipe.fit.val_share == 0:
        return np.zeros(len(places), dtype=bool)
    return split_validation(
        places,
        shapes=material.shapes,
        share=recipe.fit.val_share,
        seed=seed,
        scene_groups=material.groups,
        hold_out=recipe.assess.hold_out,
    )


def describe_validation(model: Model, rule: str, count: int) -> str:
    """Say in one line what chose the model: its size and scores."""
    if not count:
        return "validation: none, the places are too few or too close together"
    scores = model.card.validation
    said = ", ".join(
        f"{label} {scores[key]:.3f}"
        for key, label in (("mean_iou", "mean IoU"), ("oa", "overall accuracy"))
        if isinstance(scores.get(key), float)
    )
    return f"validation on {count} places ({rule}): {said or 'no choice was needed'}"


def with_card(model: Model, *, notes: tuple[str, ...] = (), **updates: dict[str, Any]) -> Model:
    """Add notes and entries to a model's card."""
    merged = {key: {**getattr(model.card, key), **value} for key, value in updates.items()}
    together = tuple(dict.fromkeys((*model.card.notes, *notes)))
    return replace(model, card=model.card.model_copy(update={**merged, "notes": together}))
