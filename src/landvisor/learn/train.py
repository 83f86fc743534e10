"""Which learner a recipe names, how validation is held out, and how good a fit is elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from landvisor.accuracy.assess import Assessment, assess_places
from landvisor.accuracy.folds import Folds, assign_folds, split_validation
from landvisor.architectures import NETWORKS
from landvisor.errors import ModelError, RecipeError
from landvisor.geo.places import SOURCES, Places
from landvisor.labels.balance import resolve_area
from landvisor.labels.enrich import choose_learned
from landvisor.labels.material import Material
from landvisor.learn.encoder_weights import find_weights
from landvisor.learn.encoders import match_bands
from landvisor.learn.instant import InstantLearner
from landvisor.learn.job import Job, Learner
from landvisor.learn.model import Model
from landvisor.learn.pair import PairLearner
from landvisor.learn.prior import check_adjustment
from landvisor.learn.rounds import RoundsLearner
from landvisor.recipe import INSTANT_MODELS, NetSpec, Recipe

log = logging.getLogger(__name__)

LEARNERS: dict[str, Callable[[Job], Learner]] = {
    **dict.fromkeys(NETWORKS, RoundsLearner),
    **dict.fromkeys(INSTANT_MODELS, InstantLearner),
}
_USUAL = (3, 4)
_OBSERVED = max(SOURCES["human"], SOURCES["simulated"])


def settle_model(recipe: Recipe, bands: tuple[str, ...]) -> tuple[Recipe, tuple[str, ...]]:
    """Replace model `auto` by the best that this imagery and machine allow, and say which.

    `instant` needs weights and bands that these were trained for: red, green and blue known by
    name, or three or four bands, of which the first three are taken for them.
    """
    if recipe.net.model != "auto":
        return recipe, ()
    named = not match_bands(bands)[1]
    if not named and len(bands) not in _USUAL:
        why = f"none of {len(bands)} bands is named red, green and blue"
    elif not _has_weights(recipe.net):
        why = f"no weights of {recipe.net.encoder!r} are at hand"
    else:
        return recipe.with_values({"net.model": "instant"}), ()
    note = f"model: the filter bank alone, since {why}; --model and --encoder-weights choose others"
    return recipe.with_values({"net.model": "bank"}), (note,)


def _has_weights(spec: NetSpec) -> bool:
    """Tell whether weights can be had; those that were named and are not there are an error."""
    try:
        return find_weights(spec) is not None
    except ModelError:
        if spec.encoder_weights != "auto":
            raise
        return False


def make_learner(job: Job) -> Learner:
    """Prepare the learner that a job's recipe names.

    Raises:
        RecipeError: If the area prior does not fit the legend, or is needed and missing, or a
            teacher has nobody to teach or no weights to teach with.
    """
    check_adjustment(job.recipe)
    check_teacher(job.recipe)
    if job.recipe.labels.area_prior:
        resolve_area(job.recipe.labels.area_prior, job.legend)  # before anything is computed
    if job.recipe.net.partner == "instant":
        return PairLearner(job)
    return LEARNERS[job.recipe.net.model](job)


def check_teacher(recipe: Recipe) -> None:
    """Refuse a teacher that could not do anything.

    Raises:
        RecipeError: If the model is no network, or averaged weights teach that are not kept.
    """
    model, source = recipe.net.model, recipe.teacher.source
    if source != "none" and model not in NETWORKS:
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

    Scenes of `val_split` validate where they hold places; else spatial blocks are held out.
    """
    places = material.places
    held = material.in_split(val_split) if val_split else np.zeros(len(places), dtype=bool)
    rule = f"scenes of split {val_split!r}"
    if not held.any():
        held = hold_out(places, material, recipe)
        rule = "spatial blocks held out of the training places"
    learned, notes = choose_learned(material, ~held, recipe)
    for note in notes:
        log.info("%s", note)
    model = learner.fit(learned, places.take(held) if held.any() else None, seed=recipe.seed)
    log.info("%s", describe_validation(model, rule, int(held.sum())))
    return with_card(model, notes=(*material.notes, *notes), validation={"rule": rule})


def hold_out(places: Places, material: Material, recipe: Recipe) -> np.ndarray[Any, Any]:
    """Choose the places that validate: spatial blocks, about `fit.val_share` of the places."""
    if recipe.fit.val_share == 0:
        return np.zeros(len(places), dtype=bool)
    return split_validation(
        places,
        shapes=material.shapes,
        share=recipe.fit.val_share,
        seed=recipe.seed,
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
    for fold in range(recipe.assess.folds):
        inside = split.fold == fold
        log.info("accuracy: fold %d of %d, %d places to learn from, %d to test", fold + 1,
                 recipe.assess.folds, (~inside).sum(), inside.sum())  # fmt: skip
        held = np.zeros(len(places), dtype=bool)
        held[~inside] = hold_out(places.take(~inside), material, recipe)
        learned, _ = choose_learned(material, ~inside & ~held, recipe, checked=False)
        val = places.take(held) if held.any() else None
        model = learner.fit(learned, val, seed=recipe.seed)
        predicted[inside] = ids[learner.predict(model, places.take(inside)).argmax(axis=1)]
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
