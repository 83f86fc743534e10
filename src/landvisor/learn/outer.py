"""How right a map is at labelled places: on outer folds that no choice has seen."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from landvisor.accuracy.assess import Assessment, assess_places
from landvisor.accuracy.buffer import Separation, Sight, plan_separation
from landvisor.accuracy.calibration import Calibration, measure_calibration
from landvisor.accuracy.folds import Folds, assign_folds
from landvisor.accuracy.temperature import apply_temperature
from landvisor.accuracy.uncertainty import measure_all, measure_disagreement
from landvisor.accuracy.variogram import Dependence, find_dependence
from landvisor.architectures import NETWORKS
from landvisor.geo.places import SOURCES, Places
from landvisor.geo.planes import lay_out
from landvisor.labels.material import Material
from landvisor.learn.ensemble import Ensemble, mean_shares, mean_temperature
from landvisor.learn.job import Learner
from landvisor.learn.local_prior import favour_frequent, find_shares
from landvisor.learn.model import Model
from landvisor.learn.train import fit_member, member_seeds
from landvisor.recipe import PredictSpec, Recipe

log = logging.getLogger(__name__)

_OBSERVED = max(SOURCES["human"], SOURCES["simulated"])
_MOST = 1500  # features whose imagery a variogram looks at
_UNSEEN = Sight(0.0, "not measured")


def cross_validate(
    learner: Learner, material: Material, recipe: Recipe, *, sight: Sight = _UNSEEN
) -> Assessment:
    """Estimate how right the map is at labelled places, on folds that no choice has seen.

    Everything inside a fold (validation, early stopping, choice of classifier, temperature) happens
    on its training part, of which places within the buffer of a held-out place are left out.
    Labels made from labels are never scored.

    Args:
        learner: Fits models.
        material: What is learned from.
        recipe: Settled.
        sight: How far the model looks; the buffer is no smaller.

    Raises:
        AssessmentError: If the places do not make enough spatial units.
    """
    places = material.places
    split, separation, distances = plan_outer(material, recipe, sight=sight)
    if recipe.net.model in NETWORKS:
        log.info("accuracy: the network is trained %d times more, once a fold; --preset fast takes "
                 "seconds, --folds 0 states no accuracy", split.count)  # fmt: skip
    log.info("accuracy: %s", describe_separation(separation))
    answers = _Answers.of(len(places), len(material.legend.ids))
    for fold in range(split.count):
        inside = split.fold == fold
        learned = ~inside & (distances[fold] >= separation.taken)
        log.info("accuracy: fold %d of %d, %d places to learn from, %d to test", fold + 1,
                 split.count, learned.sum(), inside.sum())  # fmt: skip
        members = [
            fit_member(
                learner, material, recipe, within=learned, held=None, seed=seed, checked=False
            ).model
            for seed in member_seeds(recipe)
        ]
        answers.fill(inside, learner, members, material, spec=recipe.predict)
    return _conclude(answers, material, recipe, split=split, separation=separation)


def plan_outer(
    material: Material, recipe: Recipe, *, sight: Sight = _UNSEEN
) -> tuple[Folds, Separation, NDArray[np.float64]]:
    """Deal the places to outer folds and choose the buffer between them.

    Returns:
        The folds, how far they are apart, and `[fold, n]`: the distance of each place to the
        nearest one that the fold holds out, in pixels.

    Raises:
        AssessmentError: If the places do not make enough units, or the buffer leaves none.
    """
    laid = lay_out(material.places, [scene.grid for scene in material.scenes])
    dependence = measure_dependence(material, laid, seed=recipe.seed)
    split = assign_folds(
        material.places,
        shapes=material.shapes,
        folds=None if recipe.assess.folds == "auto" else recipe.assess.folds,
        seed=recipe.seed,
        scene_groups=material.groups,
        hold_out=recipe.assess.hold_out,
        distance=max(dependence.distance, sight.distance),
    )
    asked = recipe.assess.buffer
    separation, distances = plan_separation(
        laid, split, dependence=dependence, sight=sight, asked=asked
    )
    return split, separation, distances


def measure_dependence(material: Material, laid: Places, *, seed: int) -> Dependence:
    """Estimate how far places resemble each other, from their classes and the imagery there.

    Args:
        material: Of the places.
        laid: The same places on planes.
        seed: Of the choice of features where there are many.
    """
    features = np.unique(laid.group)
    chosen = np.random.default_rng(seed).permutation(features)[:_MOST]
    here = np.isin(laid.group, chosen)
    places = material.places.take(here)
    values = np.full((len(places), len(material.scenes[0].bands)), np.nan)
    for scene in np.unique(places.scene):
        of_scene = places.scene == scene
        read = material.scenes[scene].sample(places.pixels()[of_scene])
        values[of_scene] = np.where(read.valid, read.data.astype(np.float64), np.nan).T
    return find_dependence(laid.take(here), values, seed=seed)


@dataclass(frozen=True, eq=False)
class _Answers:
    """What models said of places that they had not seen: arrays over all places.

    Attributes:
        told: `[n, class]`: probabilities, as in the map but for its temperature.
        shown: `[n, class]`: the same with it.
        disagreement: `[n]`: NaN where one model was asked.
        temperature: `[n]`.
    """

    told: NDArray[np.float64]
    shown: NDArray[np.float64]
    disagreement: NDArray[np.float64]
    temperature: NDArray[np.float64]

    @staticmethod
    def of(places: int, classes: int) -> _Answers:
        shape = places, classes
        return _Answers(np.zeros(shape), np.zeros(shape), np.full(places, np.nan), np.ones(places))

    def fill(
        self,
        inside: NDArray[np.bool_],
        learner: Learner,
        members: Sequence[Model],
        material: Material,
        *,
        spec: PredictSpec,
    ) -> None:
        """Ask the models of one fold about the places that it holds out."""
        places = material.places.take(inside)
        asked = [learner.ask(model, places) for model in members]
        weights = np.concatenate([_weigh(model) for model in members]) / len(members)
        parts = np.concatenate(asked)
        told = np.tensordot(weights, parts.astype(np.float64), axes=1)
        self.told[inside] = _favour(told, members, material, places, spec)
        heat = mean_temperature(members, [1.0] * len(members)) if spec.calibrate else 1.0
        self.shown[inside] = apply_temperature(self.told[inside], heat)
        self.temperature[inside] = heat
        if len(parts) > 1:
            self.disagreement[inside] = measure_disagreement(parts, weights.tolist())


def _weigh(model: Model) -> NDArray[np.float64]:
    predictor = model.predictor
    return np.asarray(predictor.weights if isinstance(predictor, Ensemble) else (1.0,))


def _favour(
    told: NDArray[np.float64],
    members: Sequence[Model],
    material: Material,
    places: Places,
    spec: PredictSpec,
) -> NDArray[np.float64]:
    """Favour classes as the map of all members would."""
    shares = mean_shares(members, [1.0] * len(members))
    if not (spec.local_prior and shares):
        return told
    parts = [find_shares(model, material.scenes, places, spec) for model in members]
    here = np.mean(parts, axis=0)
    moved = favour_frequent(told.T, here.T, shares=shares, strength=spec.local_prior).T
    return moved.astype(np.float64)


def _conclude(
    answers: _Answers, material: Material, recipe: Recipe, *, split: Folds, separation: Separation
) -> Assessment:
    places, ids = material.places, np.asarray(material.legend.ids)
    scored = places.source <= _OBSERVED
    kind = "random" if split.kind == "random" else "spatial"
    stated = assess_places(
        places.label[scored],
        ids[answers.told[scored].argmax(axis=1)],
        legend=material.legend,
        block=split.block[scored],
        resamples=recipe.assess.bootstrap,
        seed=recipe.seed,
        statement=f"at labelled places, {split.count} outer {kind} folds",
        notes=note_folds(
            material, split, separation=separation, background=recipe.labels.background > 0
        ),
    )
    calibration = _calibrate(answers, material, scored, seed=recipe.seed)
    return replace(stated, separation=separation, calibration=calibration)


def _calibrate(
    answers: _Answers, material: Material, scored: NDArray[np.bool_], *, seed: int
) -> Calibration:
    position = material.legend.to_index(material.places.label)
    used = scored & (position >= 0)
    shown = answers.shown[used]
    spread = answers.disagreement[used]
    uncertainty = measure_all(shown, spread if np.isfinite(spread).all() else None)
    heat = float(np.exp(np.log(answers.temperature[used]).mean()))
    return measure_calibration(
        shown, position[used], uncertainty=uncertainty, temperature=heat, seed=seed
    )


def note_folds(
    material: Material, split: Folds, *, separation: Separation, background: bool
) -> tuple[str, ...]:
    """Say how places were held out, and what the figures cannot tell for that reason."""
    places, folds = material.places, split.count
    few, unlearned = [], []
    for c in material.legend.active:
        here = places.label == c.id
        features = len(np.unique(places.group[here]))
        few += [f"{c.name} {features}"] if 0 < features < folds else []
        unlearned += [c.name] if len(np.unique(split.fold[here])) == 1 else []
    assumed = int((places.index < 0).sum()) if background else 0
    said = (
        (split.kind == "random", "WARNING: places were held out at random, next to those learned "
         "from: such figures flatter a map (Ploton et al. 2020); hold out blocks to state its "
         "accuracy"),
        (True, f"spatial units: {split.rule}; each place was classified by a model that was fitted "
         "in the same way without its fold"),
        (True, describe_separation(separation)),
        (few, f"fewer features than folds, so their rates tell little: {', '.join(few)}"),
        (unlearned, f"in one fold only, so no model could learn them: {', '.join(unlearned)}"),
        (assumed, f"{assumed} of the {len(places)} places are background that was drawn at random: "
         "assumed, not observed"),
    )  # fmt: skip
    return tuple(text for occurs, text in said if occurs)


def describe_separation(separation: Separation) -> str:
    """Say in one line how far held-out places are from those learned from."""
    known, sight = separation.dependence, separation.sight
    least = "" if known.bounded else "at least "
    wanted = (
        f"places resemble each other up to {least}{known.distance:.0f} pixels ({known.method} of "
        f"{known.features} features) and the model looks {sight.distance:.0f} pixels far "
        f"({sight.method})"
    )
    if not separation.taken:
        why = "" if separation.wanted == 0 else ": a wider one would leave too little to learn from"
        return f"buffer: none{why}; {wanted}"
    if separation.capped:
        cap = (
            f", less than the {separation.wanted:.0f} wanted, so that enough is left to learn from:"
            f" {100 * separation.overlap:.0f} % of the held-out places have a place learned from"
            f" within {separation.wanted:.0f} pixels"
        )
    else:
        cap = ""
    return (
        f"buffer: {separation.taken:.0f} pixels around held-out places{cap}; it removes "
        f"{100 * separation.dropped:.0f} % of a fold's training places; {wanted}"
    )
