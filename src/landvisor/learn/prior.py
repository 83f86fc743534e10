"""How a model says what shares of the area, not of the labelled places, make likely."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.card import Card
from landvisor.geo.places import Places
from landvisor.labels.balance import class_weights, prior_factors, resolve_area

_NOTE = "class probabilities are moved from the shares of the labelled places to those of the area"


def note_prior(card: Card, places: Places) -> Card:
    """Complete a card with the factors that its recipe's area prior asks for.

    Every learner counts a place by its confidence times its class weight, so these make the
    shares that it learned. With a focal loss (`fit.gamma` above 0) probabilities are flatter
    than these shares, and the factors only an approximation.

    Args:
        card: Of a model without factors.
        places: All that it learned from.

    Raises:
        RecipeError: If the prior does not fit the card's legend.
    """
    spec, legend = card.recipe.labels, card.legend
    if not spec.area_prior:
        return card
    area = resolve_area(spec.area_prior, legend)
    ids, kind, cap = legend.ids, spec.class_weights, spec.weight_cap
    balance = class_weights(places.label, ids, kind=kind, cap=cap, images=places.scene)
    index = legend.to_index(places.label)
    weights = np.where(index >= 0, places.weight * balance[index], 0.0)
    factors = prior_factors(places.label, ids, area=area, weights=weights)
    lost = [n for n, f, s in zip(legend.names, factors, area, strict=True) if s > 0 and f == 0]
    said = f"{_NOTE}; never predicted, for want of places: {', '.join(lost)}" if lost else _NOTE
    updates = {"prior_factors": tuple(factors.tolist()), "notes": (*card.notes, said)}
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
