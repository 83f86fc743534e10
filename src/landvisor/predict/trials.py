"""How fast a model is on windows of scenes, and how often it says what another one says."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from landvisor.geo.scene import Pixels, Scene
from landvisor.geo.tiling import Window, cover
from landvisor.learn.model import Model
from landvisor.predict.compute import count_windows, start_threads
from landvisor.recipe import PredictSpec

Batch = tuple[NDArray[Any], NDArray[np.bool_]]
"""Windows `[b, band, row, col]` and their validity `[b, row, col]`."""
_TRIES = 20  # places that are looked at for each window, where most of a scene holds no data


class Trial(BaseModel):
    """What a trial found.

    Attributes:
        name: Of the backend.
        agreement: Share of valid pixels with the class that the reference gives them.
        megapixels_per_second: Of whole windows, all of the model's members together.
        refused: Why it was not to be chosen; empty where it was good enough.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    agreement: float
    megapixels_per_second: float
    refused: str = ""


@dataclass(frozen=True)
class Ground:
    """Windows, and what the reference says of them.

    Attributes:
        batches: The windows.
        classes: Position of the most probable class, `[b, row, col]` for each batch.
        speed: Of the reference, in megapixels a second.
    """

    batches: list[Batch]
    classes: list[NDArray[np.uint8]]
    speed: float

    @staticmethod
    def measure(model: Model, batches: list[Batch]) -> Ground:
        """Ask the reference."""
        classes, speed = _predict(model, batches)
        return Ground(batches, classes, speed)

    def reference(self, name: str) -> Trial:
        """Return the trial of the reference itself."""
        return Trial(name=name, agreement=1.0, megapixels_per_second=self.speed)


def try_model(model: Model, ground: Ground, *, name: str) -> Trial:
    """Hold a model against the reference, at valid pixels."""
    classes, speed = _predict(model, ground.batches)
    same, total = 0, 0
    for found, wanted, (_, valid) in zip(classes, ground.classes, ground.batches, strict=True):
        same += int((found == wanted)[valid].sum())
        total += int(valid.sum())
    return Trial(name=name, agreement=same / total, megapixels_per_second=speed)


def draw_batches(
    scenes: Sequence[Scene], spec: PredictSpec, *, count: int, seed: int
) -> list[Batch]:
    """Read windows around valid pixels drawn at random, in batches of one shape.

    Args:
        scenes: All of them are drawn from, each pixel as likely as any other.
        spec: Side of a window, and windows of a batch.
        count: Windows; fewer where the scenes hold fewer, or hardly any data.
        seed: Of the places.
    """
    limit = sum(len(cover(s.shape, size=spec.window, overlap=spec.shared)) for s in scenes)
    found = list(_draw(scenes, spec.window, count=min(count, limit), seed=seed))
    found.sort(key=_shape)
    return [
        (np.stack([part.data for part in batch]), np.stack([part.valid for part in batch]))
        for _, group in groupby(found, key=_shape)
        for batch in _cut(list(group), count_windows(spec))
    ]


def _draw(scenes: Sequence[Scene], side: int, *, count: int, seed: int) -> Iterator[Pixels]:
    generator = np.random.default_rng(seed)
    areas = np.array([scene.shape[0] * scene.shape[1] for scene in scenes], dtype=np.float64)
    left = count
    for _ in range(_TRIES * count):
        if not left:
            return
        scene = scenes[generator.choice(len(scenes), p=areas / areas.sum())]
        place = int(generator.integers(scene.shape[0])), int(generator.integers(scene.shape[1]))
        window = _around(place, scene.shape, side)
        pixels = scene.read(window)
        if pixels.valid[place[0] - window.row, place[1] - window.col]:
            left -= 1
            yield pixels


def _around(place: tuple[int, int], shape: tuple[int, int], side: int) -> Window:
    """Return the window with a place in its middle, moved inwards at the edges of a scene."""
    rows, cols = min(side, shape[0]), min(side, shape[1])
    row = min(max(place[0] - rows // 2, 0), shape[0] - rows)
    col = min(max(place[1] - cols // 2, 0), shape[1] - cols)
    return Window(row, col, rows, cols)


def _predict(model: Model, batches: list[Batch]) -> tuple[list[NDArray[np.uint8]], float]:
    """Return the classes, and megapixels a second of all threads together."""
    with start_threads() as threads:
        # the first call of a shape compiles it, and in each thread makes room
        list(threads.map(lambda batch: model.predict(*batch), batches[:1] * threads.count))
        start = time.perf_counter()
        told = list(threads.map(lambda batch: _classify(model, batch), batches))
        seconds = time.perf_counter() - start
    return told, sum(valid.size for _, valid in batches) / 1e6 / seconds


def _classify(model: Model, batch: Batch) -> NDArray[np.uint8]:
    classes: NDArray[np.uint8] = model.predict(*batch).argmax(axis=1).astype(np.uint8)
    return classes


def _shape(pixels: Pixels) -> tuple[int, ...]:
    return pixels.valid.shape


def _cut(parts: list[Pixels], size: int) -> Iterator[list[Pixels]]:
    for first in range(0, len(parts), size):
        yield parts[first : first + size]
