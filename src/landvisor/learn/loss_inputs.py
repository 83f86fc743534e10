"""What losses over places are given: checked, in float32, without what has no weight."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from landvisor.errors import PointsError, RecipeError


@dataclass(frozen=True)
class LossPlaces:
    """Labelled places as losses compute with them.

    Attributes:
        logits: `[n, classes]` in float32 at least; 0 where a place has no weight.
        labels: `[n]`, int64.
        weight: `[n]`, in the type of `logits`.
        total: What sums over places are divided by.
    """

    logits: Tensor
    labels: Tensor
    weight: Tensor
    total: Tensor

    @property
    def target(self) -> Tensor:
        """`[n, classes]`: 1 at the label of each place."""
        chosen = torch.zeros_like(self.logits)
        return chosen.scatter(1, self.labels[:, None], 1.0)


def read_places(
    logits: Tensor, labels: Tensor, *, weight: Tensor | None, total: float | Tensor | None
) -> LossPlaces:
    """Check places and bring them to what losses compute with; see `partial_focal`.

    Raises:
        PointsError: If shapes disagree or a label is not a class.
    """
    _check_places(logits, labels, weight)
    filled = _fill_weight(logits, weight)
    # A row of weight 0 is replaced before the softmax: 0 · NaN is NaN, in the gradient too.
    rows = torch.where(filled[:, None] > 0, to_float(logits), 0.0)
    whole = filled.sum() if total is None else total
    divisor = torch.as_tensor(whole, dtype=rows.dtype, device=rows.device)
    return LossPlaces(rows, labels.long(), filled, divisor)


def to_float(values: Tensor) -> Tensor:
    """Return values in float32, or in float64 where they are so already."""
    return values if values.dtype == torch.float64 else values.float()


def divide(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Divide, with 1 in place of a denominator of 0."""
    return numerator / torch.where(denominator > 0, denominator, 1.0)


def expand_alpha(alpha: float | Tensor | None, *, like: Tensor) -> Tensor:
    """Return the factor `[classes]` of every class for `like[n, classes]`."""
    factor = torch.as_tensor(1.0 if alpha is None else alpha, dtype=like.dtype, device=like.device)
    return factor.expand(like.shape[1])


def check_options(
    gamma: float, alpha: float | Tensor | None, *, classes: int | None = None
) -> None:
    """Refuse a gamma or alpha that no loss can have.

    Raises:
        RecipeError: If `gamma` is negative or `alpha` has another length than the classes.
    """
    if not 0 <= gamma < float("inf"):
        raise RecipeError(f"gamma {gamma!r} found; it needs to be finite and 0 or more: give 2.0")
    if not isinstance(alpha, Tensor) or alpha.ndim == 0:
        return
    if alpha.ndim != 1 or (classes is not None and len(alpha) != classes):
        raise RecipeError(
            f"alpha of shape {tuple(alpha.shape)} found; it needs one factor for each of "
            f"{classes or 'the'} classes: give [classes] or a number"
        )


def check_smoothing(smoothing: float) -> None:
    """Refuse what is no share to spread.

    Raises:
        RecipeError: If `smoothing` is not from 0 to below 1.
    """
    if not 0 <= smoothing < 1:
        raise RecipeError(f"smoothing {smoothing!r} found; it is a share from 0 to below 1")


def check_integers(name: str, values: Tensor, *, limit: int) -> None:
    """Refuse values that are no integers 0..limit-1.

    Raises:
        PointsError: Naming what was found.
    """
    if values.is_floating_point() or values.is_complex() or values.dtype == torch.bool:
        raise PointsError(f"{name} of {values.dtype} found; it needs integers: use int64")
    if values.numel() == 0:
        return
    low, high = (int(end) for end in values.aminmax())
    if low < 0 or high >= limit:
        raise PointsError(
            f"{name} from {low} to {high} found; values 0 to {limit - 1} are needed: drop "
            "unlabelled places first, and count classes from 0"
        )


def shape_error(needed: str, first: Tensor, second: Tensor) -> PointsError:
    """Say which two shapes do not fit each other."""
    return PointsError(
        f"shapes {tuple(first.shape)} and {tuple(second.shape)} found; {needed} are needed: "
        "make their axes agree"
    )


def _fill_weight(logits: Tensor, weight: Tensor | None) -> Tensor:
    dtype = torch.promote_types(logits.dtype, torch.float32)
    if weight is None:
        return torch.ones(len(logits), dtype=dtype, device=logits.device)
    return weight.to(dtype=dtype, device=logits.device)


def _check_places(logits: Tensor, labels: Tensor, weight: Tensor | None) -> None:
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise shape_error("logits[n, classes] and labels[n]", logits, labels)
    if weight is not None and weight.shape != labels.shape:
        raise shape_error("labels[n] and weight[n]", labels, weight)
    check_integers("labels", labels, limit=logits.shape[1])
