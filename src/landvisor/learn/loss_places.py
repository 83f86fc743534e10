"""How wrong class probabilities are, place by place: sums over labelled places."""

from __future__ import annotations

import torch
from torch import Tensor

from landvisor.learn.loss_inputs import (
    LossPlaces,
    check_options,
    check_smoothing,
    divide,
    expand_alpha,
    read_places,
)

# Smallest 1-p that is raised to gamma. In float32 -log(p) is either 0 or above 5e-8, so this
# moves no value; it only keeps the slope of x^gamma finite at x = 0 where 0 < gamma < 1.
MISS_FLOOR = 1e-8


def partial_focal(
    logits: Tensor,
    labels: Tensor,
    *,
    gamma: float = 2.0,
    alpha: float | Tensor | None = None,
    weight: Tensor | None = None,
    total: float | Tensor | None = None,
    smoothing: float = 0.0,
) -> Tensor:
    """Average the focal cross-entropy over labelled places: Σ w·α·(1−p)^γ·(−log p) / Σ w.

    Args:
        logits: `[n, classes]`, one row per labelled place; computed in float32 at least.
        labels: `[n]`, integers 0..classes-1.
        gamma: Focusing, 0 or more; 0 is partial cross-entropy.
        alpha: None, a scalar factor, or `[classes]`; that of a place's label counts.
        weight: `[n]`, confidence of each place, 0 or more; None is 1. Places at 0 take no part
            at all.
        total: Denominator in place of Σ w. A rank that sees a part of a global batch passes
            the global Σ w, so that the ranks' losses add up to the batch's loss; where R ranks
            and A accumulation steps are averaged instead, it passes Σ w / (R·A).
        smoothing: Share ε of a place that is spread over all classes: with f(p) the focal
            cross-entropy of probability p, a place has (1−ε)·f(p_y) + ε·mean of f(p_c).

    Returns:
        A scalar; an exact 0 that keeps the graph where no place has a weight.

    Raises:
        PointsError: If shapes disagree or a label is not a class.
        RecipeError: If `gamma` is negative, `smoothing` is no share, or `alpha` has another
            length than the classes.

    References:
        Lin et al. 2017, Focal Loss for Dense Object Detection, eq. 5,
        doi:10.1109/ICCV.2017.324, with a softmax in place of the sigmoid and normalised by the
        weights of labelled places in place of the number of anchors. Szegedy et al. 2016,
        Rethinking the Inception architecture, section 7 (label smoothing, there of
        cross-entropy), doi:10.1109/CVPR.2016.308.
    """
    places = read_places(logits, labels, weight=weight, total=total)
    check_options(gamma, alpha, classes=logits.shape[1])
    check_smoothing(smoothing)
    with torch.autocast(logits.device.type, enabled=False):
        log_p = torch.log_softmax(places.logits, dim=1)
        losses = _focal(log_p.gather(1, places.labels[:, None])[:, 0], gamma)
        if smoothing:
            losses = (1 - smoothing) * losses + smoothing * _focal(log_p, gamma).mean(1)
        return _average(losses, places, alpha=alpha)


def partial_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    *,
    alpha: float | Tensor | None = None,
    weight: Tensor | None = None,
    total: float | Tensor | None = None,
    smoothing: float = 0.0,
) -> Tensor:
    """Average the cross-entropy over labelled places: `partial_focal` with gamma 0."""
    return partial_focal(
        logits,
        labels,
        gamma=0.0,
        alpha=alpha,
        weight=weight,
        total=total,
        smoothing=smoothing,
    )


def partial_binary(
    logits: Tensor,
    labels: Tensor,
    *,
    alpha: float | Tensor | None = None,
    weight: Tensor | None = None,
    total: float | Tensor | None = None,
    smoothing: float = 0.0,
) -> Tensor:
    """Average the binary cross-entropy of each class against the rest over labelled places.

    A place has −(1/K)·Σ_c [q_c·log p_c + (1−q_c)·log(1−p_c)] over K classes, q being 1 at its
    label and 0 elsewhere, smoothed (1−ε)·q + ε/K; the loss is Σ w·α_y·(that of a place) / Σ w. The
    probabilities p are the softmax's, as on the map, and not one sigmoid per class.

    Args:
        logits: `[n, classes]`, as in `partial_focal`, like all that follows.
        labels: `[n]`.
        alpha: None, a scalar factor, or `[classes]`; that of a place's label counts.
        weight: `[n]` or None.
        total: Denominator in place of Σ w.
        smoothing: Share ε that is spread over all classes.

    Returns:
        A scalar; an exact 0 that keeps the graph where no place has a weight.

    Raises:
        PointsError: If shapes disagree or a label is not a class.
        RecipeError: If `smoothing` is no share or `alpha` has another length than the classes.

    References:
        Bishop 2006, Pattern Recognition and Machine Learning, eq. 4.90 (cross-entropy of two
        classes), here summed over one class against the rest.
    """
    places = read_places(logits, labels, weight=weight, total=total)
    check_options(0.0, alpha, classes=logits.shape[1])
    check_smoothing(smoothing)
    with torch.autocast(logits.device.type, enabled=False):
        log_p = torch.log_softmax(places.logits, dim=1)
        target, classes = places.target, logits.shape[1]
        is_class = (1 - smoothing) * target + smoothing / classes
        is_other = (1 - smoothing) * (1 - target) + smoothing * (classes - 1) / classes
        losses = -(is_class * log_p + is_other * _log_rest(log_p)).mean(1)
        return _average(losses, places, alpha=alpha)


def _focal(log_p: Tensor, gamma: float) -> Tensor:
    if gamma == 0:
        return -log_p
    miss = (-torch.expm1(log_p)).clamp(min=MISS_FLOOR)
    return miss**gamma * -log_p


def _log_rest(log_p: Tensor) -> Tensor:
    """Return log(1−p) `[n, classes]`; of the likeliest class it is what the others sum to."""
    likeliest = log_p.argmax(1, keepdim=True)
    top = torch.zeros_like(log_p, dtype=torch.bool).scatter(1, likeliest, True)
    # a finite floor: with one class alone nothing is left, and −∞ would make a gradient NaN
    others = log_p.masked_fill(top, torch.finfo(log_p.dtype).min)
    low = torch.log1p(-log_p.exp().masked_fill(top, 0.0))
    return torch.where(top, torch.logsumexp(others, 1, keepdim=True), low)


def _average(losses: Tensor, places: LossPlaces, *, alpha: float | Tensor | None) -> Tensor:
    if alpha is not None:
        losses = losses * expand_alpha(alpha, like=places.logits)[places.labels]
    return divide((places.weight * losses).sum(), places.total)
