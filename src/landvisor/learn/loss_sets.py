"""How far the places of each class differ, as a set, from what is taken for them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from landvisor.learn.loss_inputs import (
    LossPlaces,
    check_options,
    divide,
    expand_alpha,
    read_places,
)

Measure = Callable[[Tensor, LossPlaces], Tensor]
"""From probabilities `[n, classes]` and places to a loss of every class `[classes]`."""


def partial_dice(
    logits: Tensor,
    labels: Tensor,
    *,
    alpha: float | Tensor | None = None,
    weight: Tensor | None = None,
    total: float | Tensor | None = None,
) -> Tensor:
    """Average 1 − 2·Σ w·p·y / (Σ w·p + Σ w·y) over the classes that have places.

    For class c, p is its probability at a place and y is 1 where it is the label, else 0; with
    C classes of which a place has a weight the loss is Σ α_c·(1 − Dice_c) / C.

    Args:
        logits: `[n, classes]`, one row per labelled place; computed in float32 at least.
        labels: `[n]`, integers 0..classes-1.
        alpha: None, a scalar factor, or `[classes]`: of the term of each class, not of its
            places. Without it classes count alike, however many places they have.
        weight: `[n]`, confidence of each place, 0 or more; None is 1. It counts as that many
            places; at 0 a place takes no part at all.
        total: A set is no sum over places: parts of a batch do not add up to its Dice. With a
            `total`, the loss of these places is multiplied by Σ w / total, so that parts that
            pass the batch's Σ w add up to the mean of their losses, weighted by their places.

    Returns:
        A scalar; an exact 0 that keeps the graph where no place has a weight.

    Raises:
        PointsError: If shapes disagree or a label is not a class.
        RecipeError: If `alpha` has another length than the classes.

    References:
        Milletari, Navab and Ahmadi 2016, V-Net, section 3, doi:10.1109/3DV.2016.79. Departures:
        plain sums in place of squares in the denominator, as
        segmentation_models_pytorch.losses.DiceLoss has them, and a mean over the classes that
        have places, where the latter divides by all.
    """
    return _compare(_dice, logits, labels, alpha=alpha, weight=weight, total=total)


def partial_jaccard(
    logits: Tensor,
    labels: Tensor,
    *,
    alpha: float | Tensor | None = None,
    weight: Tensor | None = None,
    total: float | Tensor | None = None,
) -> Tensor:
    """Average 1 − Σ w·p·y / Σ w·(p + y − p·y) over the classes that have places.

    Arguments, result and errors are those of `partial_dice`.

    References:
        Rahman and Wang 2016, Optimizing intersection-over-union in deep neural networks for
        image segmentation, section 3, doi:10.1007/978-3-319-50835-1_22; there of one class.
    """
    return _compare(_jaccard, logits, labels, alpha=alpha, weight=weight, total=total)


def partial_lovasz(
    logits: Tensor,
    labels: Tensor,
    *,
    alpha: float | Tensor | None = None,
    weight: Tensor | None = None,
    total: float | Tensor | None = None,
) -> Tensor:
    """Average the Lovász extension of 1 − IoU over the classes that have places.

    The errors of a class are |y − p|. Sorted from the largest, each is multiplied by how much
    1 − IoU grows when this place too is taken wrongly, places counting by their weights.
    Arguments, result and errors are those of `partial_dice`.

    References:
        Berman, Rannen Triki and Blaschko 2018, The Lovász-Softmax loss, eq. 8, 9 and 11,
        doi:10.1109/CVPR.2018.00464. Departure: a weight w counts as w places in the measure of
        a set; with whole weights it is the loss of so many copies.
    """
    return _compare(_lovasz, logits, labels, alpha=alpha, weight=weight, total=total)


def _compare(
    measure: Measure,
    logits: Tensor,
    labels: Tensor,
    *,
    alpha: float | Tensor | None,
    weight: Tensor | None,
    total: float | Tensor | None,
) -> Tensor:
    places = read_places(logits, labels, weight=weight, total=total)
    check_options(0.0, alpha, classes=logits.shape[1])
    with torch.autocast(logits.device.type, enabled=False):
        present = _weigh(places.target, places) > 0
        losses = measure(torch.softmax(places.logits, dim=1), places)
        losses = torch.where(present, losses * expand_alpha(alpha, like=places.logits), 0.0)
        mean = losses.sum() / present.sum().clamp(min=1)
        return mean * divide(places.weight.sum(), places.total)


def _weigh(values: Tensor, places: LossPlaces) -> Tensor:
    return (places.weight[:, None] * values).sum(0)


def _dice(p: Tensor, places: LossPlaces) -> Tensor:
    both = _weigh(p * places.target, places)
    return 1 - divide(2 * both, _weigh(p, places) + _weigh(places.target, places))


def _jaccard(p: Tensor, places: LossPlaces) -> Tensor:
    both = _weigh(p * places.target, places)
    return 1 - divide(both, _weigh(p, places) + _weigh(places.target, places) - both)


def _lovasz(p: Tensor, places: LossPlaces) -> Tensor:
    target = places.target
    errors, order = (target - p).abs().sort(dim=0, descending=True, stable=True)
    weight = places.weight[:, None]
    inside, outside = ((weight * part).gather(0, order) for part in (target, 1 - target))
    whole = inside.sum(0)
    missed = divide((whole - inside.cumsum(0)).clamp(min=0), whole + outside.cumsum(0))
    growth = torch.diff(1 - missed, dim=0, prepend=torch.zeros_like(missed[:1]))
    return (errors * growth).sum(0)
