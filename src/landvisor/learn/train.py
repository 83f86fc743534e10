"""Which learner a recipe names, how validation is held out, and how good a fit is elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from landvisor.accuracy.assess import Assessment, assess_places
from landvisor.accuracy.folds import Folds, assign_folds, split_validation
from landvisor.architectures import NETWORKS
from landvisor.errors import RecipeError
from landvisor.geo.places import SOURCES, Places
from landvisor.labels.balance import resolve_area
from landvisor.labels.enrich import choose_learned
from landvisor.labels.material import Material
from landvisor.learn.ensemble import join_models, mean_shares
from landvisor.learn.instant import InstantLearner
from landvisor.learn.job import Job, Learner
from landvisor.learn.local_prior import favour_frequent, find_shares
from landvisor.learn.model import Model
from landvisor.learn.pair import PairLearner
from landvisor.learn.prior import check_adjustment
from landvisor.learn.rounds import RoundsLearner
from landvisor.learn.separate_fit import SeparateLearner
from landvisor.recipe import INSTANT_MODELS, PredictSpec, Recipe

log = logging.getLogger(__name__)

LEARNERS: dict[str, Callable[[Job], Learner]] = {
    **dict.fromkeys(NETWORKS, RoundsLearner),
    **dict.fromkeys(INSTANT_MODELS, InstantLearner),
}
_BLOCKS = "spatial blocks held out of the training places"
_OBSERVED = max(SOURCES["human"], SOURCES["simulated"])


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
    whole = np.ones(len(places), dtype=bool)
    fitted = [
        _fit_member(learner, material, recipe, within=whole, held=fixed, seed=seed)
        for seed in _seeds(recipe)
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


class _Member(NamedTuple):
    """A model, how many places chose it, and sentences on what it learned from."""

    model: Model
    held: int
    notes: tuple[str, ...]


def _fit_member(
    learner: Learner,
    material: Material,
    recipe: Recipe,
    *,
    within: NDArray[np.bool_],
    held: NDArray[np.bool_] | None,
    seed: int,
    checked: bool = True,
) -> _Member:
    """Fit to the places `within`, of which `held` validate, or blocks that the seed chooses."""
    places = material.places
    if held is None:
        held = np.zeros(len(places), dtype=bool)
        held[within] = hold_out(places.take(within), material, recipe, seed=seed)
    learned, notes = choose_learned(material, within & ~held, recipe, checked=checked)
    model = learner.fit(learned, places.take(held) if held.any() else None, seed=seed)
    return _Member(model, int(held.sum()), notes)


def _seeds(recipe: Recipe) -> range:
    members = recipe.fit.members
    return range(recipe.seed, recipe.seed + (1 if members == "auto" else members))


def _join(models: list[Model]) -> Model:
    return join_models(models, names=[f"member {number + 1}" for number in range(len(models))])


def hold_out(places: Places, material: Material, recipe: Recipe, *, seed: int) -> NDArray[np.bool_]:
    """Choose the places that validate: spatial blocks, about `fit.val_share` of the places."""
    if recipe.fit.val_share == 0:
        return np.zeros(len(places), dtype=bool)
    return split_validation(
        places,
        shapes=material.shapes,
        share=recipe.fit.val_share,
        seed=seed,
        scene_groups=material.groups,
    )


def cross_validate(learner: Learner, material: Material, recipe: Recipe) -> Assessment:
    """Estimate how right the map is at labelled places, on folds that no choice has seen.

    Everything inside a fold (validation, early stopping, choice of classifier) happens on its
    training part. Labels made from labels are never scored.

    Raises:
        AssessmentError: If the places do not make enough spatial units.
    """
    places = material.places
    split = assign_folds(
        places,
        shapes=material.shapes,
        folds=recipe.assess.folds,
        seed=recipe.seed,
        scene_groups=material.groups,
    )
    ids = np.asarray(material.legend.ids)
    predicted = np.full(len(places), -1)
    if recipe.net.model in NETWORKS:
        log.info("accuracy: the network is trained %d times more, once a fold; --preset fast takes "
                 "seconds, --folds 0 states no accuracy", recipe.assess.folds)  # fmt: skip
    for fold in range(recipe.assess.folds):
        inside = split.fold == fold
        log.info("accuracy: fold %d of %d, %d places to learn from, %d to test", fold + 1,
                 recipe.assess.folds, (~inside).sum(), inside.sum())  # fmt: skip
        tested = places.take(inside)
        members = [
            _fit_member(
                learner, material, recipe, within=~inside, held=None, seed=seed, checked=False
            ).model
            for seed in _seeds(recipe)
        ]
        predicted[inside] = ids[_map_places(learner, members, material, tested, recipe.predict)]
    scored = places.source <= _OBSERVED
    return assess_places(
        places.label[scored],
        predicted[scored],
        legend=material.legend,
        block=split.block[scored],
        resamples=recipe.assess.bootstrap,
        seed=recipe.seed,
        statement=f"at labelled places, {recipe.assess.folds} outer spatial folds",
        notes=note_folds(material, split, background=recipe.labels.background > 0),
    )


def _map_places(
    learner: Learner, members: list[Model], material: Material, places: Places, spec: PredictSpec
) -> NDArray[np.int64]:
    """Say as the map of all members would which class each place has, by position."""
    told = np.mean([learner.predict(model, places) for model in members], axis=0)
    shares = mean_shares(members, [1.0] * len(members))
    if spec.local_prior and shares:
        parts = [find_shares(model, material.scenes, places, spec) for model in members]
        here = np.mean(parts, axis=0)
        told = favour_frequent(told.T, here.T, shares=shares, strength=spec.local_prior).T
    return np.asarray(told.argmax(axis=1))


def note_folds(material: Material, split: Folds, *, background: bool) -> tuple[str, ...]:
    """Say how places were held out, and what the figures cannot tell for that reason."""
    places, folds = material.places, int(split.fold.max()) + 1
    few, unlearned = [], []
    for c in material.legend.active:
        here = places.label == c.id
        features = len(np.unique(places.group[here]))
        few += [f"{c.name} {features}"] if 0 < features < folds else []
        unlearned += [c.name] if len(np.unique(split.fold[here])) == 1 else []
    assumed = int((places.index < 0).sum()) if background else 0
    said = (
        (True, f"spatial units: {split.rule}; each place was classified by a model that was fitted "
         "in the same way without its fold"),
        (few, f"fewer features than folds, so their rates tell little: {', '.join(few)}"),
        (unlearned, f"in one fold only, so no model could learn them: {', '.join(unlearned)}"),
        (assumed, f"{assumed} of the {len(places)} places are background that was drawn at random: "
         "assumed, not observed"),
    )  # fmt: skip
    return tuple(text for occurs, text in said if occurs)


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
