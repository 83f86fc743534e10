"""How a model sees a window from several sides and at several zooms, and what it says on average.

References:
    The eight symmetries of the square, the dihedral group D4, at test time: Simonyan and Zisserman
    (2015), Very deep convolutional networks, section 3.2 (flips), arXiv:1409.1556; averaged
    probabilities and zooms as in Chen et al. (2018), DeepLab, section 4.1.2,
    doi:10.1109/TPAMI.2017.2699184 (which takes the largest score; here it is the mean).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from landvisor.geo.tiling import Shape
from landvisor.recipe import PredictSpec

Predict = Callable[[NDArray[Any], NDArray[np.bool_]], NDArray[np.float32]]
"""What `landvisor.learn.model.Model.predict` is."""

_TURNS = {
    "auto": ((0, False),),
    "none": ((0, False),),
    "flips": ((0, False), (0, True), (2, False), (2, True)),
    "d4": tuple((turns, mirror) for mirror in (False, True) for turns in range(4)),
}


@dataclass(frozen=True)
class View:
    """One way to look at a window.

    Attributes:
        turns: Quarter turns, counterclockwise, after mirroring.
        mirror: Columns run backwards.
        zoom: How many times as large the window is seen.
    """

    turns: int = 0
    mirror: bool = False
    zoom: float = 1.0

    def look(
        self, data: NDArray[Any], valid: NDArray[np.bool_]
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Turn and zoom a batch `[batch, band, row, col]` with its validity `[batch, row, col]`."""
        if self.zoom != 1:
            data, valid = zoom_pixels(data, valid, zoom=self.zoom)
        return self._turn(data), self._turn(valid)

    def turn_back(self, planes: NDArray[np.float32], *, shape: Shape) -> NDArray[np.float32]:
        """Bring what was seen, `[batch, class, row, col]`, to the window of `(rows, cols)`."""
        turned = np.rot90(planes, -self.turns, axes=(-2, -1))
        found = np.ascontiguousarray(turned[..., ::-1] if self.mirror else turned)
        return found if self.zoom == 1 else resize(found, shape)

    def _turn(self, planes: NDArray[Any]) -> NDArray[Any]:
        mirrored = planes[..., ::-1] if self.mirror else planes
        return np.ascontiguousarray(np.rot90(mirrored, self.turns, axes=(-2, -1)))


def find_views(spec: PredictSpec) -> tuple[View, ...]:
    """List the views that a spec asks for, each zoom from each side."""
    return tuple(View(*side, zoom) for zoom in spec.scales for side in _TURNS[spec.tta])


def predict_views(
    predict: Predict,
    data: NDArray[Any],
    valid: NDArray[np.bool_],
    *,
    views: tuple[View, ...],
) -> NDArray[np.float32]:
    """Predict a batch in each view and return the mean of what is seen.

    One view is held at a time, and the sum. A single view that changes nothing is `predict` itself.

    Args:
        predict: Of a model.
        data: `[batch, band, row, col]` in native units and dtype.
        valid: `[batch, row, col]`.
        views: At least one.

    Returns:
        float32 `[batch, class, row, col]`.
    """
    if views == (View(),):
        return predict(data, valid)
    shape = valid.shape[1], valid.shape[2]
    seen = (view.turn_back(predict(*view.look(data, valid)), shape=shape) for view in views)
    total = next(seen).astype(np.float32)  # a copy, which may be added to
    for planes in seen:
        total += planes
    return total / np.float32(len(views))


def zoom_pixels(
    data: NDArray[Any], valid: NDArray[np.bool_], *, zoom: float
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Resize imagery in its own data type, without what is not valid.

    Values are means over valid neighbours alone; a pixel is valid if at least half of what it shows
    is.

    Args:
        data: `[batch, band, row, col]`.
        valid: `[batch, row, col]`.
        zoom: Above 1 is larger; both sides are rounded to whole pixels.
    """
    work = np.result_type(data.dtype, np.float32)  # float64 where float32 would lose digits
    rows, cols = (max(1, round(side * zoom)) for side in valid.shape[1:])
    known = valid[:, None]
    weight = resize(known.astype(work), (rows, cols))
    total = resize(np.where(known, data, 0).astype(work), (rows, cols))
    means = total / np.maximum(weight, np.finfo(np.float32).eps)
    if data.dtype.kind != "f":
        limits = np.iinfo(data.dtype)
        means = np.clip(np.rint(means), limits.min, limits.max)
    return means.astype(data.dtype), weight[:, 0] >= 0.5


def resize(planes: NDArray[Any], shape: Shape) -> NDArray[Any]:
    """Resize float planes `[batch, channel, row, col]` bilinearly, smoothed where they shrink.

    A pixel's centre is an integer: row r becomes (r + 0.5) · s − 0.5; beyond the border the nearest
    pixel is repeated.
    """
    shrinks = shape[0] < planes.shape[2] or shape[1] < planes.shape[3]
    resized = F.interpolate(
        torch.from_numpy(planes),
        size=shape,
        mode="bilinear",
        align_corners=False,
        antialias=shrinks,
    )
    return np.asarray(resized.numpy())
