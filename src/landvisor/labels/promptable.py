"""Growing by a segmenter of the caller that takes points as prompts, such as SAM."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import ModelError
from landvisor.labels.growth import NOBODY, Block, Grower, Grown
from landvisor.recipe import GrowSpec

Segmenter = Callable[[NDArray[Any], NDArray[np.int64]], NDArray[np.bool_]]
"""`(image, points) -> masks`: image `[band, row, col]` in native units and dtype, points `[n, 2]`
as (row, col), masks `[n, row, col]` boolean, one for each point. Calls for one block follow each
other with the same object as image, so that a segmenter can keep what it has computed for it."""

_BATCH = 64


def promptable(segmenter: Segmenter) -> Grower:
    """Make a method of growing out of a segmenter that takes points as prompts.

    Each point is one prompt; at most 64 go into one call, which bounds the memory of the masks.
    Where masks of two classes overlap, pixels stay unlabelled; among points of one class the
    nearest counts. The confidence is 1. The segmenter is called by one thread at a time.

    Args:
        segmenter: Any callable `(image, points) -> masks`; no-data pixels hold their file's value.

    Raises:
        ModelError: While growing, if what it returns are not boolean masks, one for each point.
    """
    lock = Lock()

    def grow(block: Block, spec: GrowSpec) -> Grown:  # noqa: ARG001 a segmenter has no options
        with lock:
            return _grow(segmenter, block)

    return grow


def _grow(segmenter: Segmenter, block: Block) -> Grown:
    point = np.full(block.valid.shape, NOBODY, dtype=np.int64)
    contested = np.zeros(block.valid.shape, dtype=bool)
    for first in range(0, len(block.points), _BATCH):
        masks = _ask(segmenter, block, slice(first, first + _BATCH))
        for index, mask in enumerate(masks, start=first):
            _claim(block, point, contested, index=index, mask=mask)
    point[contested] = NOBODY
    return Grown(point, np.ones(point.shape, dtype=np.float32))


def _ask(segmenter: Segmenter, block: Block, part: slice) -> NDArray[np.bool_]:
    points = block.points[part]
    masks = np.asarray(segmenter(block.data, points))
    wanted = (len(points), *block.valid.shape)
    if masks.shape != wanted or masks.dtype != np.bool_:
        raise ModelError(
            f"the segmenter returned {masks.dtype} {masks.shape}; need bool {wanted}, one mask "
            "[row, col] for each point: compare scores with a threshold first"
        )
    return masks


def _claim(
    block: Block,
    point: NDArray[np.int64],
    contested: NDArray[np.bool_],
    *,
    index: int,
    mask: NDArray[np.bool_],
) -> None:
    """Let a point have the pixels of its mask that are free or farther from their owner."""
    rows, cols = np.nonzero(mask)
    owner = point[rows, cols]
    taken = owner != NOBODY
    contested[rows, cols] |= taken & (block.label[owner] != block.label[index])
    pixels = np.column_stack([rows, cols])
    old = np.square(pixels - block.points[owner]).sum(axis=1)
    new = np.square(pixels - block.points[index]).sum(axis=1)
    won = ~taken | (new < old)
    point[rows[won], cols[won]] = index
