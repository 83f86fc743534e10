"""Rectangles pasted between the chips of a batch, with all that belongs to them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from landvisor.learn.augment import Batch

Box = tuple[int, int, int, int]
"""First row, first column, row and column after the last, in pixels of a chip."""

_GRAIN = 8  # rectangles end between the cells of any decoder
_AREA = 0.1, 0.5
_SHAPE = 0.5, 2.0


def draw_boxes(
    generator: np.random.Generator, count: int, *, size: tuple[int, int], share: float
) -> list[Box]:
    """Draw a rectangle for each of `count` chips; all but a share of them are empty.

    Rectangles cover 0.1 to 0.5 of a chip of `size` (rows, cols), with sides of 1:2 to 2:1, and
    begin and end at multiples of 8 pixels.
    """
    return [
        _draw_box(generator, size) if generator.random() < share else (0, 0, 0, 0)
        for _ in range(count)
    ]


def mix_maps(maps: Tensor, boxes: Sequence[Box], *, stride: int = 1) -> Tensor:
    """Paste rectangles of the next chip into each, as a new tensor.

    Args:
        maps: `[b, ..., row, col]`: images, masks or probabilities of `b` chips.
        boxes: One for each chip, in pixels.
        stride: Pixels of a row or column of `maps`.
    """
    mixed, partners = maps.clone(), maps.roll(-1, dims=0)
    for own, other, box in zip(mixed, partners, boxes, strict=True):
        top, left, bottom, right = (-(-edge // stride) for edge in box)
        own[..., top:bottom, left:right] = other[..., top:bottom, left:right]
    return mixed


def mix_places(batch: Batch, boxes: Sequence[Box]) -> Batch:
    """Move the places of each rectangle along with its pixels; those pasted over are gone.

    Of the chips' pixels nothing is changed; see `mix_maps`. A chip's partner is the next one, and
    the first for the last.
    """
    count = len(boxes)
    edges = torch.as_tensor(boxes, dtype=batch.coords.dtype, device=batch.coords.device)
    taker = (batch.batch - 1) % count
    kept = torch.nonzero(~_inside(batch.coords, edges[batch.batch])).flatten()
    pasted = torch.nonzero(_inside(batch.coords, edges[taker])).flatten()
    chosen = torch.cat([kept, pasted])
    return batch._replace(
        coords=batch.coords[chosen],
        batch=torch.cat([batch.batch[kept], taker[pasted]]),
        label=batch.label[chosen],
        weight=batch.weight[chosen],
    )


def _inside(coords: Tensor, edges: Tensor) -> Tensor:
    # a box ends at the edge of a pixel, half a pixel before its centre
    first, last = edges[:, :2] - 0.5, edges[:, 2:] - 0.5
    return ((coords >= first) & (coords < last)).all(dim=1)


def _draw_box(generator: np.random.Generator, size: tuple[int, int]) -> Box:
    area = generator.uniform(*_AREA)
    shape = np.exp(generator.uniform(*np.log(_SHAPE)))
    sides = np.sqrt(area * shape), np.sqrt(area / shape)
    edges = [_draw_side(generator, *pair) for pair in zip(size, sides, strict=True)]
    (top, bottom), (left, right) = edges
    return top, left, bottom, right


def _draw_side(generator: np.random.Generator, length: int, share: float) -> tuple[int, int]:
    cells = max(1, length // _GRAIN)
    wide = min(cells, max(1, round(cells * min(share, 1.0))))
    first = int(generator.integers(cells - wide, endpoint=True))
    return first * _GRAIN, (first + wide) * _GRAIN
