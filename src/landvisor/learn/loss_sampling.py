"""What a map of logits says at sub-pixel places, and how the gradient goes back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from landvisor.learn.loss_inputs import check_integers, shape_error, to_float

_NUMPY = {torch.float32: np.float32, torch.float64: np.float64}


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
    corners = gather_pixels(
        logits,
        batch.long(),
        row=row.repeat_interleave(2, dim=0),
        col=col.repeat(2, 1),
    )
    corners = torch.where(share > 0, to_float(corners), 0.0)
    return (corners * share.to(corners.dtype)).sum(0)


def gather_pixels(logits: Tensor, batch: Tensor, *, row: Tensor, col: Tensor) -> Tensor:
    """Read `[..., classes]` of whole pixels from `logits[b, classes, h, w]`.

    The indices have one shape; the gradient costs what the pixels do, not the map.
    """
    apply: Any = _Pick.apply  # untyped in torch
    picked: Tensor = apply(logits, batch, row, col)
    return picked


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


def _find_neighbours(position: Tensor, pixels: int, *, cells: int) -> tuple[Tensor, Tensor]:
    """Return `[2, n]` cells and `[2, n]` shares of places at `position` on an axis."""
    position = position if position.is_floating_point() else position.float()
    inner = ((position + 0.5) * (cells / pixels) - 0.5).clamp(0, cells - 1)
    first = inner.floor()
    share = inner - first
    cell = torch.stack([first, first + 1]).long().clamp(max=cells - 1)
    return cell, torch.stack([1 - share, share])


def _check_map(logits: Tensor, coords: Tensor, batch: Tensor) -> None:
    if logits.ndim != 4 or coords.ndim != 2 or coords.shape[1] != 2:
        raise shape_error("logits[b, classes, h, w] and coords[n, 2]", logits, coords)
    if batch.shape != coords.shape[:1]:
        raise shape_error("coords[n, 2] and batch[n]", coords, batch)
    check_integers("batch", batch, limit=logits.shape[0])
