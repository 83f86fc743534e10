"""How wrong a network is at labelled places, and at them alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from landvisor.errors import PointsError, RecipeError
from landvisor.recipe import FitSpec

# Smallest 1-p that is raised to gamma. In float32 -log(p) is either 0 or above 5e-8, so this
# moves no value; it only keeps the slope of x^gamma finite at x = 0 where 0 < gamma < 1.
MISS_FLOOR = 1e-8
_NUMPY = {torch.float32: np.float32, torch.float64: np.float64}


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


def partial_focal(
    logits: Tensor,
    labels: Tensor,
    *,
    gamma: float = 2.0,
    alpha: float | Tensor | None = None,
    weight: Tensor | None = None,
    total: float | Tensor | None = None,
) -> Tensor:
    """Average the focal cross-entropy over labelled places: Σ w·α·(1−p)^γ·(−log p) / Σ w.

    Args:
        logits: `[n, classes]`, one row per labelled place; computed in float32 at least.
        labels: `[n]`, integers 0..classes-1.
        gamma: Focusing, 0 or more; 0 is partial cross-entropy.
        alpha: None, a scalar factor, or `[classes]`.
        weight: `[n]`, confidence of each place, 0 or more; None is 1. Places at 0 take no part
            at all.
        total: Denominator in place of Σ w. A rank that sees a part of a global batch passes
            the global Σ w, so that the ranks' losses add up to the batch's loss; where R ranks
            and A accumulation steps are averaged instead, it passes Σ w / (R·A).

    Returns:
        A scalar; an exact 0 that keeps the graph where no place has a weight.

    Raises:
        PointsError: If shapes disagree or a label is not a class.
        RecipeError: If `gamma` is negative or `alpha` has another length than the classes.

    References:
        Lin et al. 2017, Focal Loss for Dense Object Detection, eq. 5,
        doi:10.1109/ICCV.2017.324, with a softmax in place of the sigmoid and normalised by the
        weights of labelled places in place of the number of anchors.
    """
    _check_places(logits, labels, weight)
    _check_options(gamma, alpha, classes=logits.shape[1])
    weight = _fill_weight(logits, weight)
    with torch.autocast(logits.device.type, enabled=False):
        # A row of weight 0 is replaced before the softmax: 0 · NaN is NaN, in the gradient too.
        rows = torch.where(weight[:, None] > 0, _to_float(logits), 0.0)
        losses = _focal(rows, labels.long(), gamma=gamma)
        if alpha is not None:
            losses = losses * _pick_alpha(alpha, labels.long(), like=losses)
        return _divide((weight * losses).sum(), weight.sum() if total is None else total)


def partial_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    *,
    gamma: float = 0.0,  # noqa: ARG001 - the registry calls every loss alike
    alpha: float | Tensor | None = None,
    weight: Tensor | None = None,
    total: float | Tensor | None = None,
) -> Tensor:
    """Average the cross-entropy over labelled places: `partial_focal` with gamma 0."""
    return partial_focal(logits, labels, gamma=0.0, alpha=alpha, weight=weight, total=total)


LossFunction = Callable[..., Tensor]
"""Called as `partial_focal` is: `(logits, labels, *, gamma, alpha, weight, total)`."""

LOSSES: dict[str, LossFunction] = {"focal": partial_focal, "ce": partial_cross_entropy}


def make_loss(
    spec: FitSpec,
    weights: Tensor | Sequence[float] | None = None,
    *,
    loss: LossFunction | None = None,
) -> PlaceLoss:
    """Fill in the options of a loss over places.

    Args:
        spec: Names the loss and its options. With `normalise_alpha` a scalar alpha is divided
            out again, since it would do nothing but rescale the loss.
        weights: `[classes]`, already of mean 1 over the labelled places; None weighs all alike.
        loss: A function called as `partial_focal` is, in place of the one that `spec` names.
    """
    function = LOSSES[spec.loss] if loss is None else loss
    alpha = _merge_alpha(spec, weights)

    def place_loss(
        logits: Tensor,
        labels: Tensor,
        weight: Tensor | None = None,
        *,
        total: float | Tensor | None = None,
    ) -> Tensor:
        return function(logits, labels, gamma=spec.gamma, alpha=alpha, weight=weight, total=total)

    return place_loss


def sample_logits(
    logits: Tensor, coords: Tensor, batch: Tensor, *, size: tuple[int, int]
) -> Tensor:
    """Read a map of logits at sub-pixel places, bilinearly, whatever its stride.

    Only the four neighbours of each place are touched, and those of weight 0 are dropped, so
    that a NaN elsewhere reaches neither the values nor the gradient.

    Args:
        logits: `[b, classes, h, w]`.
        coords: `[n, 2]`, (row, col) in pixels of the chip; an integer is a pixel's centre.
            Places beyond the outermost centres read the border.
        batch: `[n]`, integers: the image of each place, 0..b-1.
        size: `(rows, cols)` of the chip whose pixels `coords` count; its ratio to (h, w) is
            the stride.

    Returns:
        `[n, classes]` in float32 at least; equal to indexing for whole pixels at stride 1.

    Raises:
        PointsError: If shapes disagree or a place is in an image that the batch lacks.
    """
    _check_map(logits, coords, batch)
    row, row_share = _find_neighbours(coords[:, 0], size[0], cells=logits.shape[2])
    col, col_share = _find_neighbours(coords[:, 1], size[1], cells=logits.shape[3])
    share = (row_share[:, None] * col_share[None, :]).flatten(0, 1)[..., None]
    # One gather for all four: the gradient of each gather is a whole map of zeros.
    corners = _gather(
        logits,
        batch.long(),
        row=row.repeat_interleave(2, dim=0),
        col=col.repeat(2, 1),
    )
    corners = torch.where(share > 0, _to_float(corners), 0.0)
    return (corners * share.to(corners.dtype)).sum(0)


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
        _check_options(gamma, self.alpha)

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
            _gather(logits, batch, row=row, col=col),
            target[batch, row, col],
            gamma=self.gamma,
            alpha=self.alpha,
            weight=None if mask is None else mask[batch, row, col],
        )

    def extra_repr(self) -> str:
        """Show the options when the module is printed."""
        return f"gamma={self.gamma}, alpha={self.alpha}, ignore_index={self.ignore_index}"


def _focal(logits: Tensor, labels: Tensor, *, gamma: float) -> Tensor:
    log_p = torch.log_softmax(logits, dim=1).gather(1, labels[:, None])[:, 0]
    if gamma == 0:
        return -log_p
    miss = (-torch.expm1(log_p)).clamp(min=MISS_FLOOR)
    return miss**gamma * -log_p


def _divide(numerator: Tensor, total: float | Tensor) -> Tensor:
    denominator = torch.as_tensor(total, dtype=numerator.dtype, device=numerator.device)
    return numerator / torch.where(denominator > 0, denominator, 1.0)


class _Pick(torch.autograd.Function):
    """Indexing whose gradient begins as memory that the system hands out already zeroed.

    The gradient of an indexed map is a map of zeros with few numbers in it. Writing these zeros
    takes far longer than all else that a loss over few places does; fresh pages are zero anyway.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, batch: Tensor, row: Tensor, col: Tensor) -> Tensor:
        ctx.save_for_backward(batch, row, col)
        ctx.shape = logits.shape
        # Indexing moves [..., classes] to the end for the picked pixels only; permuting first
        # would copy the whole map.
        return logits[batch, :, row, col]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        batch, row, col = ctx.saved_tensors
        whole = _blank(ctx.shape, like=grad)
        whole.permute(0, 2, 3, 1).index_put_((batch, row, col), grad, accumulate=True)
        return whole, None, None, None


def _blank(shape: torch.Size, *, like: Tensor) -> Tensor:
    if like.device.type == "cpu" and like.dtype in _NUMPY:
        return torch.from_numpy(np.zeros(tuple(shape), dtype=_NUMPY[like.dtype]))
    return like.new_zeros(shape)


def _gather(logits: Tensor, batch: Tensor, *, row: Tensor, col: Tensor) -> Tensor:
    apply: Any = _Pick.apply  # untyped in torch
    picked: Tensor = apply(logits, batch, row, col)
    return picked


def _find_neighbours(position: Tensor, pixels: int, *, cells: int) -> tuple[Tensor, Tensor]:
    """Return `[2, n]` cells and `[2, n]` shares of places at `position` on an axis."""
    position = position if position.is_floating_point() else position.float()
    inner = ((position + 0.5) * (cells / pixels) - 0.5).clamp(0, cells - 1)
    first = inner.floor()
    share = inner - first
    cell = torch.stack([first, first + 1]).long().clamp(max=cells - 1)
    return cell, torch.stack([1 - share, share])


def _to_float(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def _fill_weight(logits: Tensor, weight: Tensor | None) -> Tensor:
    dtype = torch.promote_types(logits.dtype, torch.float32)
    if weight is None:
        return torch.ones(len(logits), dtype=dtype, device=logits.device)
    return weight.to(dtype=dtype, device=logits.device)


def _pick_alpha(alpha: float | Tensor, labels: Tensor, *, like: Tensor) -> Tensor:
    factor = torch.as_tensor(alpha, dtype=like.dtype, device=like.device)
    return factor[labels] if factor.ndim else factor


def _merge_alpha(spec: FitSpec, weights: Tensor | Sequence[float] | None) -> float | Tensor | None:
    scalar = None if spec.normalise_alpha else spec.alpha
    if weights is None:
        return scalar
    per_class = torch.as_tensor(weights, dtype=torch.float32)
    return per_class if scalar is None else scalar * per_class


def _check_options(
    gamma: float, alpha: float | Tensor | None, *, classes: int | None = None
) -> None:
    if not 0 <= gamma < float("inf"):
        raise RecipeError(f"gamma {gamma!r} found; it needs to be finite and 0 or more: give 2.0")
    if not isinstance(alpha, Tensor) or alpha.ndim == 0:
        return
    if alpha.ndim != 1 or (classes is not None and len(alpha) != classes):
        raise RecipeError(
            f"alpha of shape {tuple(alpha.shape)} found; it needs one factor for each of "
            f"{classes or 'the'} classes: give [classes] or a number"
        )


def _check_places(logits: Tensor, labels: Tensor, weight: Tensor | None) -> None:
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise _shape_error("logits[n, classes] and labels[n]", logits, labels)
    if weight is not None and weight.shape != labels.shape:
        raise _shape_error("labels[n] and weight[n]", labels, weight)
    _check_integers("labels", labels, limit=logits.shape[1])


def _check_map(logits: Tensor, coords: Tensor, batch: Tensor) -> None:
    if logits.ndim != 4 or coords.ndim != 2 or coords.shape[1] != 2:
        raise _shape_error("logits[b, classes, h, w] and coords[n, 2]", logits, coords)
    if batch.shape != coords.shape[:1]:
        raise _shape_error("coords[n, 2] and batch[n]", coords, batch)
    _check_integers("batch", batch, limit=logits.shape[0])


def _check_dense(logits: Tensor, target: Tensor, mask: Tensor | None) -> None:
    if logits.ndim != 4 or target.shape != (logits.shape[0], *logits.shape[2:]):
        raise _shape_error("logits[b, classes, h, w] and target[b, h, w]", logits, target)
    if mask is not None and mask.shape != target.shape:
        raise _shape_error("target[b, h, w] and mask[b, h, w]", target, mask)


def _check_integers(name: str, values: Tensor, *, limit: int) -> None:
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


def _shape_error(needed: str, first: Tensor, second: Tensor) -> PointsError:
    return PointsError(
        f"shapes {tuple(first.shape)} and {tuple(second.shape)} found; {needed} are needed: "
        "make their axes agree"
    )
