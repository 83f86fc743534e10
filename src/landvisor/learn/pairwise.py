"""How far a network's classes disagree between near pixels that look alike."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from landvisor.errors import PointsError, RecipeError
from landvisor.learn.loss_inputs import divide, to_float

_View = tuple[EllipsisType, slice, slice]


def pairwise_loss(
    logits: Tensor,
    image: Tensor,
    *,
    valid: Tensor,
    stride: int,
    radius: int = 3,
    dilation: int = 1,
    sigma_colour: float,
    sigma_position: float,
) -> Tensor:
    """Average the disagreement of near pixels that look alike: Σ k_ij·(1 − p_i·p_j) / Σ s_ij.

    The sums run over all pairs of valid cells in each other's window, a cell being the pixels of
    one logit. With d the cells' distance, c their colour over B bands, and p the softmax,
    s_ij = exp(−d² / 2σ_position²) and k_ij = s_ij·exp(−|c_i − c_j|² / (2·B·σ_colour²)).
    So it is 0 where classes are sure and equal, and below 1 everywhere.

    Args:
        logits: `[b, class, h, w]`; computed in float32 at least.
        image: `[b, band, row, col]`, normalised; a cell's colour is the mean of its valid pixels.
            It gets no gradient.
        valid: bool `[b, row, col]`; False is no data. A cell is valid if at least half of its
            pixels are; what lies beyond the image is not. Other cells form no pairs.
        stride: Pixels per logit: (h, w) are (row, col) divided by it, rounded up.
        radius: Cells on each side of a window, before dilation; at least 1.
        dilation: Cells from one neighbour to the next; at least 1.
        sigma_colour: In units of the normalised image, per band, whatever their number.
        sigma_position: In cells.

    Returns:
        A scalar; an exact 0 that keeps the graph where no two cells form a pair.

    Raises:
        PointsError: If shapes disagree.
        RecipeError: If an option has a value it cannot take.

    References:
        Obukhov et al. 2019, Gated CRF loss for weakly supervised semantic image segmentation,
        arXiv:1906.04651 (relaxed Potts model, Gaussian kernels gated by a mask); the kernel is
        the first of Krähenbühl & Koltun 2011, Efficient inference in fully connected CRFs,
        eq. 3. Departures: the sum is divided by Σ s_ij in place of the number of pixels, which
        away from borders is a constant factor and makes the loss comparable between windows;
        |c_i − c_j|² is a mean over bands; only no data is gated, labelled cells are not.
    """
    _check_shapes(logits, image, valid=valid, stride=stride)
    window = _Window(radius, dilation, sigma=sigma_position)
    _check_options(window, sigma_colour)
    with torch.autocast(logits.device.type, enabled=False):
        size = logits.shape[-2], logits.shape[-1]
        seen = image.detach().to(logits.device), valid.to(logits.device)
        colour, gate = _pool(*seen, stride=stride, size=size)
        # replaced before the softmax: 0 · NaN is NaN, in the gradient too
        shares = torch.softmax(torch.where(gate, to_float(logits), 0.0), dim=1).contiguous()
        colour = colour.to(shares.dtype) / (sigma_colour * math.sqrt(2 * image.shape[1]))
        apply: Any = _Disagreement.apply  # untyped in torch
        loss: Tensor = apply(shares, colour, gate.to(shares.dtype), window)
    return loss


def weigh_pairs(
    valid: Tensor, *, stride: int, radius: int = 3, dilation: int = 1, sigma_position: float
) -> Tensor:
    """Return Σ s_ij, the denominator of `pairwise_loss`, to weigh parts of a batch by.

    Arguments are those of `pairwise_loss`.
    """
    size = -(-valid.shape[-2] // stride), -(-valid.shape[-1] // stride)
    _, gate = _pool(valid[:, None].float(), valid, stride=stride, size=size)
    cells = gate.float()
    near = cells.new_zeros(())
    for first, second, far in _Window(radius, dilation, sigma=sigma_position).pairs(size):
        near += (cells[first] * cells[second]).sum() * math.exp(-far)
    return near


@dataclass(frozen=True)
class _Window:
    radius: int
    dilation: int
    sigma: float

    def pairs(self, size: tuple[int, int]) -> Iterator[tuple[_View, _View, float]]:
        """Yield the views of first and second cells, and d² / 2σ², of each half of a window."""
        for row in range(self.radius + 1):
            for col in range(-self.radius if row else 1, self.radius + 1):
                rows = _overlap(size[0], row * self.dilation)
                cols = _overlap(size[1], col * self.dilation)
                distance = self.dilation * math.hypot(row, col)
                yield (
                    (..., rows[0], cols[0]),
                    (..., rows[1], cols[1]),
                    0.5 * (distance / self.sigma) ** 2,
                )


class _Disagreement(torch.autograd.Function):
    """The quadratic form of `pairwise_loss`, and its slope found on the same way.

    Left to autograd, each shift of the window would keep its kernel for the backward pass and
    then write two whole maps of mostly zeros. The slope is −Σ_j k_ij·p_j, of which the value is
    made, so one map is all that is kept. It is a constant there: no second derivatives.
    """

    @staticmethod
    def forward(ctx: Any, shares: Tensor, colour: Tensor, gate: Tensor, window: _Window) -> Tensor:
        pull = torch.zeros_like(shares)
        alike, near = shares.new_zeros(()), shares.new_zeros(())
        for first, second, far in window.pairs((shares.shape[-2], shares.shape[-1])):
            both = gate[first] * gate[second]
            unlike = (colour[first] - colour[second]).square_().sum(1, keepdim=True)
            kernel = unlike.add_(far).neg_().exp_().mul_(both)
            pull[first].addcmul_(kernel, shares[second])
            pull[second].addcmul_(kernel, shares[first])
            alike += kernel.sum()
            near += both.sum() * math.exp(-far)
        # each pair is in pull twice
        value = divide(alike - 0.5 * (shares * pull).sum(), near)
        ctx.save_for_backward(pull, near)
        return value

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        pull, near = ctx.saved_tensors
        return pull * divide(-grad, near), None, None, None


def _overlap(count: int, shift: int) -> tuple[slice, slice]:
    """Return where cells lie that have another one `shift` further on, and where those lie."""
    inside = max(count - abs(shift), 0)
    low, high = slice(0, inside), slice(count - inside, count)
    return (low, high) if shift >= 0 else (high, low)


def _pool(
    image: Tensor, valid: Tensor, *, stride: int, size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Return each cell's mean colour `[b, band, h, w]` and its validity `[b, 1, h, w]`."""
    gate = valid[:, None]
    known = torch.where(gate, to_float(image), 0.0)
    share = gate.to(known.dtype)
    if stride > 1:
        beyond = (0, size[1] * stride - image.shape[3], 0, size[0] * stride - image.shape[2])
        known, share = (F.avg_pool2d(F.pad(part, beyond), stride) for part in (known, share))
    return divide(known, share), share >= 0.5


def _check_shapes(logits: Tensor, image: Tensor, *, valid: Tensor, stride: int) -> None:
    if stride < 1:
        raise RecipeError(f"stride {stride!r} found; pixels per logit are needed: give 1 or more")
    fits = logits.ndim == 4 and image.ndim == 4 and logits.shape[0] == image.shape[0]
    fits = fits and valid.shape == (image.shape[0], *image.shape[2:])
    if not fits or logits.shape[2:] != tuple(-(-n // stride) for n in image.shape[2:]):
        raise PointsError(
            f"logits {tuple(logits.shape)}, image {tuple(image.shape)} and valid "
            f"{tuple(valid.shape)} found; [b, class, h, w], [b, band, row, col] and "
            f"[b, row, col] with {stride} pixels per logit are needed: make their axes agree"
        )


def _check_options(window: _Window, sigma_colour: float) -> None:
    for name, count in (("radius", window.radius), ("dilation", window.dilation)):
        if count < 1:
            raise RecipeError(f"{name} {count!r} found; cells are needed: give 1 or more")
    for name, sigma in (("sigma_colour", sigma_colour), ("sigma_position", window.sigma)):
        if not 0 < sigma < math.inf:
            raise RecipeError(f"{name} {sigma!r} found; a finite number above 0 is needed")
