"""How a model says what shares of the area, not of the labelled places, make likely."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.card import Card
from landvisor.errors import RecipeError
from landvisor.geo.legend import Legend
from landvisor.geo.places import Places
from landvisor.labels.balance import class_weights, prior_factors, resolve_area
from landvisor.recipe import Recipe

_NOTES = {
    "none": "class probabilities are moved from the shares of the labelled places to those of the "
    "area",
    "prior": "training adjusted class probabilities to the shares of the area",
    "frequency": "training made class probabilities those of equal shares; they are moved to the "
    "shares of the area",
}


def make_adjustment(recipe: Recipe, legend: Legend, places: Places) -> NDArray[np.float64] | None:
    """Find what `fit.logit_adjustment` adds to the logits of each class in training.

    It is log(π/ω), with π the shares of the classes among the places, each counted by its
    confidence times its class weight, so that weights and adjustment do not correct the same
    twice; and ω the shares that are wanted: those of the area (`prior`) or equal ones
    (`frequency`). The logits without it, as predictions use them, are then those of ω.

    Args:
        recipe: Its `fit.logit_adjustment` and `labels` are used.
        legend: The classes.
        places: All that is learned from.

    Returns:
        float64 `[k]` in legend order; None where nothing is adjusted. A class without a place
        or a share has the largest of all, so that training does not favour it.

    Raises:
        RecipeError: If the prior is needed and missing, or does not fit the legend.

    References:
        Menon et al. 2021, Long-tail learning via logit adjustment, eq. 10, arXiv:2007.07314,
        at temperature 1, with weighted shares, and with those of the area as a second aim.
    """
    kind = recipe.fit.logit_adjustment
    if kind == "none":
        return None
    check_adjustment(recipe)
    size = len(legend.ids)
    area = recipe.labels.area_prior
    wanted = resolve_area(area, legend) if kind == "prior" else np.full(size, 1 / size)
    factors = _find_factors(recipe, legend, places, area=wanted)
    known = factors > 0
    adjustment = np.zeros(size)
    adjustment[known] = -np.log(factors[known])
    adjustment[~known] = adjustment[known].max()
    return adjustment


def check_adjustment(recipe: Recipe) -> None:
    """Refuse an adjustment to shares that nobody gave.

    Raises:
        RecipeError: If `fit.logit_adjustment` needs `labels.area_prior` and it is empty.
    """
    if recipe.fit.logit_adjustment == "prior" and not recipe.labels.area_prior:
        raise RecipeError(
            "fit.logit_adjustment 'prior' found without labels.area_prior; give the share of the "
            "area of every class, or adjust by 'frequency'"
        )


def note_prior(card: Card, places: Places) -> Card:
    """Complete a card with the shares that its probabilities presume.

    Every learner counts a place by its confidence times its class weight, so these make the
    shares that it learned. With a focal loss (`fit.gamma` above 0), label smoothing or a loss of
    sets probabilities are not quite these shares, and what follows is only an approximation.

    The recipe's area prior, where there is one, asks for factors that lead from these shares to
    those of the area. A network may have met the prior in training already
    (`fit.logit_adjustment`). After `prior` only classes that cannot be predicted have a factor, 0;
    after `frequency` the factors start from equal shares in place of those of the places. So the
    prior never acts twice.

    Args:
        card: Of a model without factors.
        places: All that it learned from.

    Raises:
        RecipeError: If the prior does not fit the card's legend.
    """
    recipe, legend = card.recipe, card.legend
    adjusted = recipe.fit.logit_adjustment if card.kind == "network" else "none"
    if not recipe.labels.area_prior:
        equal = np.full(len(legend.ids), 1 / len(legend.ids))
        shares = equal if adjusted == "frequency" else _find_shares(recipe, legend, places)
        return card.model_copy(update={"shares": tuple(shares.tolist())})
    area = resolve_area(recipe.labels.area_prior, legend)
    factors = _find_factors(recipe, legend, places, area=area)
    lost = [n for n, f, s in zip(legend.names, factors, area, strict=True) if s > 0 and f == 0]
    left = {
        "none": factors,
        "prior": np.where(factors > 0, 1.0, 0.0),
        "frequency": np.where(factors > 0, area * len(area), 0.0),
    }[adjusted]
    note = _NOTES[adjusted]
    said = f"{note}; never predicted, for want of places: {', '.join(lost)}" if lost else note
    updates = {
        "prior_factors": tuple(left.tolist()),
        "shares": tuple(area.tolist()),
        "notes": (*card.notes, said),
    }
    return card.model_copy(update=updates)


def apply_prior(
    probabilities: NDArray[np.float32], factors: tuple[float, ...], *, axis: int
) -> NDArray[np.float32]:
    """Multiply class probabilities by their factors and make them sum to one again.

    Where all that is left is 0, or nothing was known (NaN), they stay as they were.

    Args:
        probabilities: Any shape, classes along `axis`.
        factors: One per class; none at all changes nothing.
        axis: Where the classes are.
    """
    if not factors:
        return probabilities
    shape = [1] * probabilities.ndim
    shape[axis] = -1
    moved: NDArray[Any] = probabilities * np.asarray(factors, dtype=np.float32).reshape(shape)
    total = moved.sum(axis=axis, keepdims=True)
    adjusted = probabilities.copy()
    np.divide(moved, total, out=adjusted, where=total > 0)
    return adjusted


def _find_shares(recipe: Recipe, legend: Legend, places: Places) -> NDArray[np.float64]:
    index, weights = _weigh_places(recipe, legend, places)
    counts = np.bincount(index[index >= 0], weights[index >= 0], minlength=len(legend.ids))
    return np.asarray(counts / counts.sum())


def _weigh_places(
    recipe: Recipe, legend: Legend, places: Places
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the class of each place, and how much it counts in training."""
    spec = recipe.labels
    kind, cap = spec.class_weights, spec.weight_cap
    balance = class_weights(places.label, legend.ids, kind=kind, cap=cap, images=places.scene)
    index = legend.to_index(places.label)
    return index, np.where(index >= 0, places.weight * balance[index], 0.0)


def _find_factors(
    recipe: Recipe, legend: Legend, places: Places, *, area: NDArray[np.float64]
) -> NDArray[np.float64]:
    weights = _weigh_places(recipe, legend, places)[1]
    return prior_factors(places.label, legend.ids, area=area, weights=weights)
