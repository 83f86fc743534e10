"""How a model becomes a map: overlapping windows in, finished rows out."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import ModelError
from landvisor.geo.legend import Legend
from landvisor.geo.scene import Scene
from landvisor.geo.tiling import Window, cover_area, full_window
from landvisor.learn.ensemble import Ensemble, has_members
from landvisor.learn.instant import set_stride
from landvisor.learn.local_prior import find_window_factors
from landvisor.learn.model import Model
from landvisor.parallel import work_ahead
from landvisor.predict.blend import Strip
from landvisor.predict.compute import count_windows, start_threads
from landvisor.predict.views import find_views, predict_views
from landvisor.recipe import PredictSpec

_AHEAD = 1  # batches that wait between reading and computing
_GAP = 4  # as many times a batch's windows are held at most, where most are empty
_ROWS = 32  # finished rows at a time: few enough to stay in a processor's cache


@dataclass(frozen=True)
class Told:
    """What is known of a window, and what a model says of it.

    Attributes:
        window: Where it lies.
        valid: `[row, col]`.
        data: `[band, row, col]`; dropped once the model has seen it, None where nothing is valid.
        probabilities: float32 `[class, row, col]`.
        factors: One per class, for those that the window favours.
        disagreement: float32 `[1, row, col]`; None where one model is asked.
    """

    window: Window
    valid: NDArray[np.bool_]
    data: NDArray[Any] | None = None
    probabilities: NDArray[np.float32] | None = None
    factors: NDArray[np.float32] | None = None
    disagreement: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class MapRows:
    """Finished rows of a map.

    Attributes:
        window: Where they lie; always the full width of the area.
        probabilities: float32 `[class, row, col]`, summing to one where valid.
        valid: `[row, col]`.
        disagreement: float32 `[row, col]`, 0 to 1: of the models of an ensemble; None of one model.
    """

    window: Window
    probabilities: NDArray[np.float32]
    valid: NDArray[np.bool_]
    disagreement: NDArray[np.float32] | None = None

    def copy(self) -> MapRows:
        """Return the same rows in memory of their own."""
        spread = None if self.disagreement is None else self.disagreement.copy()
        return MapRows(self.window, self.probabilities.copy(), self.valid.copy(), spread)


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


def predict_rows(
    model: Model, scene: Scene, spec: PredictSpec, *, area: Window | None = None
) -> Generator[MapRows]:
    """Predict a scene, or an area of it, and yield its rows from top to bottom, each once.

    Windows are those of the whole scene, so a pixel's prediction does not depend on the area.
    Those without a valid pixel are skipped; invalid pixels become no data. A window is read once,
    whatever the number of views and of models. One thread reads ahead while others compute.

    Args:
        model: What to predict with.
        scene: Any size; one smaller than a window is one window. It is read as it is: see
            `landvisor.predict.adapt.adapt_scenes` for `spec.match_histogram`.
        spec: Window, overlap and batch size in pixels and windows; views.
        area: What is wanted; the whole scene by default.

    Yields:
        Rows whose memory is used again for the next ones: `MapRows.copy` keeps them.

    Raises:
        ModelError: If the scene's bands do not fit the model.
        SceneError: If the file is damaged.
    """
    check_fit(model, scene)
    model = set_stride(model, spec.stride)
    wanted = area or full_window(scene.shape)
    lines = cover_area(scene.shape, wanted, size=spec.window, overlap=spec.shared)
    windows = [window for line in lines for window in line]
    rows = lines[0][0].rows
    strip = Strip(len(model.card.legend.ids), wanted, rows=rows, overlap=spec.shared)
    spread = Strip(1, wanted, rows=rows, overlap=spec.shared) if has_members(model) else None
    ends = {line[-1]: top for line, top in zip(lines, _find_ends(lines, wanted), strict=True)}
    for part in _predict(model, scene, windows, spec):
        strip.mark(part.window, part.valid)
        if part.probabilities is not None:
            strip.add(part.window, part.probabilities, factors=part.factors)
        if spread is not None:
            spread.mark(part.window, part.valid)
            if part.disagreement is not None:
                spread.add(part.window, part.disagreement)
        yield from _finish(strip, spread, ends.get(part.window, 0), wanted)


def _finish(strip: Strip, spread: Strip | None, before: int, area: Window) -> Iterator[MapRows]:
    """Take out the rows above `before`, with how much models disagree there."""
    finished = strip.finish(before, most=_ROWS)
    if spread is None:
        for first, shares, valid in finished:
            yield MapRows(Window(first, area.col, len(valid), area.cols), shares, valid)
        return
    others = spread.finish(before, most=_ROWS)
    for (first, shares, valid), (_, planes, _) in zip(finished, others, strict=True):
        yield MapRows(Window(first, area.col, len(valid), area.cols), shares, valid, planes[0])


def predict_scene(model: Model, scene: Scene, spec: PredictSpec) -> MapRows:
    """Predict a scene that fits into memory at once; see `predict_rows`."""
    parts = [part.copy() for part in predict_rows(model, scene, spec)]
    return MapRows(
        full_window(scene.shape),
        np.concatenate([part.probabilities for part in parts], axis=1),
        np.concatenate([part.valid for part in parts]),
        np.concatenate([p.disagreement for p in parts if p.disagreement is not None])
        if has_members(model)
        else None,
    )


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


def _find_ends(lines: list[list[Window]], area: Window) -> list[int]:
    """Return for each row of windows the first row of the grid that it does not finish."""
    last = area.row + area.rows
    return [*(min(max(line[0].row, area.row), last) for line in lines[1:]), last]


def _predict(
    model: Model, scene: Scene, windows: list[Window], spec: PredictSpec
) -> Generator[Told]:
    """Yield windows as a model sees them, in their order, some of them computed ahead."""
    views, classes = find_views(spec), len(model.card.legend.ids)
    predictor = model.predictor
    ask = predictor.predict_spread if isinstance(predictor, Ensemble) else model.predict

    def tell(batch: list[Told]) -> list[Told]:
        known = [part for part in batch if part.data is not None]
        if not known:
            return batch
        seen = [(part.data, part.valid) for part in known if part.data is not None]
        data, valid = (np.stack(parts) for parts in zip(*seen, strict=True))
        said = iter(predict_views(ask, data, valid, views=views))
        return [part if part.data is None else _favour(part, next(said)) for part in batch]

    def _favour(part: Told, planes: NDArray[np.float32]) -> Told:
        shares, spread = planes[:classes], planes[classes:]
        factors = find_window_factors(
            shares, part.valid, shares=model.card.shares, strength=spec.local_prior
        )
        return Told(
            part.window,
            part.valid,
            probabilities=shares,
            factors=factors,
            disagreement=spread if len(spread) else None,
        )

    batches = work_ahead(_read(scene, windows, count_windows(spec)), most=_AHEAD)
    with start_threads() as threads, closing(threads.map(tell, batches)) as told:
        for batch in told:
            yield from batch


def _read(scene: Scene, windows: list[Window], many: int) -> Iterator[list[Told]]:
    """Read windows; a batch is as many as hold data, with those without that lie between."""
    batch: list[Told] = []
    full = 0
    for window in windows:
        data, valid = scene.read(window)
        known = bool(valid.any())
        batch.append(Told(window, valid, data if known else None))
        full += known
        if full == many or len(batch) == _GAP * many:
            yield batch
            batch, full = [], 0
    if batch:
        yield batch
