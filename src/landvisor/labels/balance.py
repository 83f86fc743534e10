"""How much should a place of each class count: class weights from counts of places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import PointsError, RecipeError

_POWERS = {"none": 0.0, "inverse": 1.0, "sqrt_inverse": 0.5}


def class_weights(
    labels: NDArray[np.integer], ids: tuple[int, ...], *, kind: str, cap: float
) -> NDArray[np.float64]:
    """Weigh classes against their frequency, with mean 1 over the labelled places.

    Args:
        labels: `[n]`: class ids of the places; what is not in `ids` is skipped.
        ids: Class ids in legend order.
        kind: `none`, `inverse` of the count, or `sqrt_inverse`.
        cap: Largest ratio of two weights; the weights of rare classes are cut to keep it.

    Returns:
        float64 `[k]` in legend order; 0 for a class without a place, since it weighs nothing.

    Raises:
        PointsError: If no place has a class of `ids`.
        RecipeError: If `kind` is unknown or `cap` is below 1.
    """
    _check(kind, cap)
    counts = (np.asarray(labels)[:, None] == np.array(ids)).sum(axis=0)
    present = counts > 0
    if not present.any():
        raise PointsError("no place has a class of the legend; weights need at least one")
    raw = np.zeros(len(ids))
    raw[present] = counts[present] ** -_POWERS[kind]
    raw = np.minimum(raw, cap * raw[present].min())
    return np.asarray(raw * counts.sum() / (raw * counts).sum())


def _check(kind: str, cap: float) -> None:
    if kind not in _POWERS:
        raise RecipeError(f"class weights {kind!r} asked for; choose one of {', '.join(_POWERS)}")
    if not cap >= 1:
        raise RecipeError(f"a weight cap of {cap!r} found; it is a ratio of at least 1")
