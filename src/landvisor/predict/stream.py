"""How a model becomes a map: overlapping windows in, finished rows out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import ModelError
from landvisor.geo.legend import Legend
from landvisor.geo.scene import Scene
from landvisor.geo.tiling import Window, cover
from landvisor.learn.local_prior import favour_window
from landvisor.learn.model import Model
from landvisor.predict.blend import Strip
from landvisor.predict.views import View, find_views, predict_views
from landvisor.recipe import PredictSpec

_Read = tuple[Window, NDArray[Any], NDArray[np.bool_]]


@dataclass(frozen=True)
class MapRows:
    """Finished rows of a map.

    Attributes:
        window: Where they lie; always the full width of the scene.
        classes: uint8 `[row, col]`: class ids, and the legend's nodata code.
        probabilities: float32 `[class, row, col]`, summing to one where valid.
        valid: `[row, col]`.
    """

    window: Window
    classes: NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    valid: NDArray[np.bool_]


def check_fit(model: Model, scene: Scene) -> None:
    """Refuse a scene that a model was not made for.

    Raises:
        ModelError: If the number of bands differs, or the same bands come in another order.
    """
    wanted = model.card.bands
    if scene.bands != wanted and sorted(scene.bands) == sorted(wanted):
        raise ModelError(
            f"the model reads the bands in the order {', '.join(wanted)} but scene {scene.name!r} "
            f"has {', '.join(scene.bands)}; reorder them"
        )
    if len(scene.bands) != len(wanted):
        raise ModelError(
            f"the model reads {len(wanted)} bands ({', '.join(wanted)}) but scene {scene.name!r} "
            f"has {len(scene.bands)} ({', '.join(scene.bands)}); give a scene with the same bands"
        )


def predict_rows(model: Model, scene: Scene, spec: PredictSpec) -> Iterator[MapRows]:
    """Predict a scene and yield its rows from top to bottom, each exactly once.

    Windows without a valid pixel are skipped; invalid pixels become no data. A window is read once,
    whatever the number of views and of models.

    Args:
        model: What to predict with.
        scene: Any size; one smaller than a window is one window. It is read as it is: see
            `landvisor.predict.adapt.adapt_scenes` for `spec.match_histogram`.
        spec: Window, overlap and batch size in pixels and windows; views.

    Raises:
        ModelError: If the scene's bands do not fit the model.
        SceneError: If the file is damaged.
    """
    check_fit(model, scene)
    views = find_views(spec)
    windows = cover(scene.shape, size=spec.window, overlap=spec.shared)
    lines = [list(group) for _, group in groupby(windows, key=lambda window: window.row)]
    strip = Strip(len(model.card.legend.ids), scene.shape[1], overlap=spec.shared)
    tops = [line[0].row for line in lines[1:]] + [scene.shape[0]]
    for line, finished in zip(lines, tops, strict=True):
        strip.reserve(line[0].row + line[0].rows)
        for batch in _read_batches(scene, line, strip, spec.batch_size):
            _predict_batch(model, batch, strip, views, spec.local_prior)
        first, probabilities, valid = strip.finish(finished)
        window = Window(first, 0, finished - first, scene.shape[1])
        classes = classify(probabilities, valid, model.card.legend)
        yield MapRows(window, classes, probabilities, valid)


def classify(
    probabilities: NDArray[np.float32], valid: NDArray[np.bool_], legend: Legend
) -> NDArray[np.uint8]:
    """Give every valid pixel the id of its most probable class.

    Args:
        probabilities: `[class, row, col]` in the order of `legend.ids`.
        valid: `[row, col]`.
        legend: The model's legend.
    """
    ids = np.asarray(legend.ids, dtype=np.uint8)
    return np.where(valid, ids[probabilities.argmax(axis=0)], np.uint8(legend.nodata))


def _read_batches(
    scene: Scene, line: list[Window], strip: Strip, batch_size: int
) -> Iterator[list[_Read]]:
    waiting: list[_Read] = []
    for window in line:
        data, valid = scene.read(window)
        strip.mark(window.row, window.col, valid)
        if valid.any():
            waiting.append((window, data, valid))
        if len(waiting) == batch_size or (waiting and window is line[-1]):
            yield waiting
            waiting = []


def _predict_batch(
    model: Model, batch: list[_Read], strip: Strip, views: tuple[View, ...], local_prior: float
) -> None:
    data, valid = np.stack([part[1] for part in batch]), np.stack([part[2] for part in batch])
    seen = predict_views(model.predict, data, valid, views=views)
    for (window, _, known), probabilities in zip(batch, seen, strict=True):
        favoured = favour_window(
            probabilities, known, shares=model.card.shares, strength=local_prior
        )
        strip.add(window.row, window.col, favoured)
