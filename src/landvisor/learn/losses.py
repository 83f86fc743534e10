"""How wrong a network is at labelled places, and at them alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from landvisor.errors import RecipeError
from landvisor.learn.loss_inputs import check_options, shape_error, to_float
from landvisor.learn.loss_places import partial_binary, partial_cross_entropy, partial_focal
from landvisor.learn.loss_sampling import gather_pixels, sample_logits
from landvisor.learn.loss_sets import partial_dice, partial_jaccard, partial_lovasz
from landvisor.loss_sum import parse_loss
from landvisor.recipe import FitSpec

__all__ = [
    "LOSSES",
    "LossFunction",
    "PartialFocalLoss",
    "PlaceLoss",
    "make_loss",
    "partial_binary",
    "partial_cross_entropy",
    "partial_dice",
    "partial_focal",
    "partial_jaccard",
    "partial_lovasz",
    "sample_logits",
]

LossFunction = Callable[..., Tensor]
"""Called as `partial_focal` is: `(logits, labels, *, gamma, alpha, weight, total, smoothing)`."""


class PlaceLoss(Protocol):
    """A loss over places with its options filled in, as `make_loss` returns it."""

    def __call__(
        self,
        logits: Tensor,
        labels: Tensor,
        weight: Tensor | None = None,
        *,
        total: float | Tensor | None = None,
    ) -> Tensor:
        """Return the loss of `logits[n, classes]`; see `partial_focal` for all arguments."""
        ...


def _without(function: LossFunction, *options: str) -> LossFunction:
    """Let a loss be called with options that mean nothing to it, as all others are."""

    @wraps(function)
    def loss(logits: Tensor, labels: Tensor, **given: Any) -> Tensor:
        kept = {name: value for name, value in given.items() if name not in options}
        return function(logits, labels, **kept)

    return loss


def _sum(terms: Sequence[tuple[float, LossFunction]]) -> LossFunction:
    def loss(logits: Tensor, labels: Tensor, **given: Any) -> Tensor:
        return torch.stack([f * term(logits, labels, **given) for f, term in terms]).sum()

    return loss


_CE = _without(partial_cross_entropy, "gamma")
_BCE = _without(partial_binary, "gamma")
_DICE = _without(partial_dice, "gamma", "smoothing")

LOSSES: dict[str, LossFunction] = {
    "focal": partial_focal,
    "ce": _CE,
    "bce": _BCE,
    "bce_dice_focal": _sum([(1.0, _BCE), (1.0, _DICE), (1.0, partial_focal)]),
    "dice": _DICE,
    "jaccard": _without(partial_jaccard, "gamma", "smoothing"),
    "lovasz": _without(partial_lovasz, "gamma", "smoothing"),
}


def make_loss(
    spec: FitSpec,
    weights: Tensor | Sequence[float] | None = None,
    *,
    adjustment: Tensor | None = None,
    loss: LossFunction | None = None,
) -> PlaceLoss:
    """Fill in the options of a loss over places.

    Args:
        spec: Names the loss, or a sum of them, and its options. With `normalise_alpha` a scalar
            alpha is divided out again, since it would do nothing but rescale the loss.
        weights: `[classes]`, already of mean 1 over the labelled places; None weighs all alike.
        adjustment: `[classes]`, added to the logits of every place; None adds nothing. See
            `landvisor.learn.prior.make_adjustment`.
        loss: A function called as `partial_focal` is, in place of those that `spec` names.
    """
    function = loss or _sum([(factor, LOSSES[name]) for factor, name in parse_loss(spec.loss)])
    alpha = _merge_alpha(spec, weights)

    def place_loss(
        logits: Tensor,
        labels: Tensor,
        weight: Tensor | None = None,
        *,
        total: float | Tensor | None = None,
    ) -> Tensor:
        shifted = logits if adjustment is None else to_float(logits) + adjustment.to(logits.device)
        return function(
            shifted,
            labels,
            gamma=spec.gamma,
            alpha=alpha,
            weight=weight,
            total=total,
            smoothing=spec.label_smoothing,
        )

    return place_loss


class PartialFocalLoss(nn.Module):
    """The partial focal loss of dense maps: Σ(focal·MASK) / ΣMASK over labelled pixels.

    Args:
        gamma: Focusing, 0 or more; 0 is partial cross-entropy.
        alpha: None, a scalar factor, or `[classes]` (kept as a buffer).
        ignore_index: Value of `target` that means unlabelled.

    Raises:
        RecipeError: If an option has a value it cannot take.
    """

    alpha: Tensor | float | None

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: float | Tensor | Sequence[float] | None = None,
        ignore_index: int = 255,
    ) -> None:
        super().__init__()
        if isinstance(ignore_index, bool) or not isinstance(ignore_index, int):
            raise RecipeError(
                f"ignore_index {ignore_index!r} found; it needs a whole number: give the value "
                "of unlabelled pixels, such as 255"
            )
        self.gamma = gamma
        self.ignore_index = ignore_index
        if alpha is None or isinstance(alpha, (int, float)):
            self.alpha = alpha
        else:
            self.register_buffer("alpha", torch.as_tensor(alpha, dtype=torch.float32))
        check_options(gamma, self.alpha)

    def forward(self, logits: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the loss over labelled pixels; an exact 0 with a graph where there is none.

        Args:
            logits: `[b, classes, h, w]`.
            target: `[b, h, w]`, integers 0..classes-1 and `ignore_index`.
            mask: `[b, h, w]`, weight of each pixel, boolean or number; pixels at 0 are
                unlabelled whatever their target is. Pixels at `ignore_index` always are.

        Raises:
            PointsError: If shapes disagree or a labelled target is not a class.
        """
        _check_dense(logits, target, mask)
        # In uint8 an ignore_index of -100 would silently compare as 156.
        labelled = target.long() != self.ignore_index
        if mask is not None:
            labelled = labelled & (mask > 0)
        batch, row, col = labelled.nonzero(as_tuple=True)
        return partial_focal(
            gather_pixels(logits, batch, row=row, col=col),
            target[batch, row, col],
            gamma=self.gamma,
            alpha=self.alpha,
            weight=None if mask is None else mask[batch, row, col],
        )

    def extra_repr(self) -> str:
        """Show the options when the module is printed."""
        return f"gamma={self.gamma}, alpha={self.alpha}, ignore_index={self.ignore_index}"


def _merge_alpha(spec: FitSpec, weights: Tensor | Sequence[float] | None) -> float | Tensor | None:
    scalar = None if spec.normalise_alpha else spec.alpha
    if weights is None:
        return scalar
    per_class = torch.as_tensor(weights, dtype=torch.float32)
    return per_class if scalar is None else scalar * per_class


def _check_dense(logits: Tensor, target: Tensor, mask: Tensor | None) -> None:
    if logits.ndim != 4 or target.shape != (logits.shape[0], *logits.shape[2:]):
        raise shape_error("logits[b, classes, h, w] and target[b, h, w]", logits, target)
    if mask is not None and mask.shape != target.shape:
        raise shape_error("target[b, h, w] and mask[b, h, w]", target, mask)
