"""Which pixels a trained network is sure of, as labels for it to be trained on once more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from landvisor.geo.legend import Legend
from landvisor.geo.places import Places, concatenate, make_places, no_places
from landvisor.geo.scene import Pixels
from landvisor.geo.tiling import Window
from landvisor.labels.grow_claims import Claims, settle_claims
from landvisor.labels.grown import thin_pixels
from landvisor.labels.pixels import SURE, LabelledPixels, leave_known, make_pixels
from landvisor.learn.model import Predictor
from landvisor.learn.regions import Region, RegionCache
from landvisor.recipe import Recipe, TeacherSpec

_MOST = (SURE - 1) / SURE  # no pixel is as sure as a person
_NOWHERE = -1  # group and row of a place that came from no feature


class _Said(NamedTuple):
    """What a network says of a region: class and its probability `[row, col]`, 0 without data."""

    label: NDArray[np.uint8]
    sure: NDArray[np.float32]


def label_sure(
    predictor: Predictor,
    regions: Sequence[Region],
    *,
    cache: RegionCache,
    known: Places,
    legend: Legend,
    recipe: Recipe,
) -> Places:
    """Label the pixels of regions that a network is sure of.

    A pixel is labelled where the probability of its class reaches the class's threshold: that of
    the recipe or, if `teacher.adaptive`, the mean probability of the pixels that get the class,
    where that is lower. The probability becomes the weight, below 1. Where regions overlap and
    disagree, nothing is said; nor within one pixel of a known place.

    Args:
        predictor: The network; the area prior is not applied.
        regions: Parts of scenes.
        cache: Where pixels come from.
        known: Labels that are never overruled.
        legend: Its active classes are what the predictor tells apart.
        recipe: Its `teacher` and `labels.max_grown`, the most pixels per class and scene, evenly
            spaced in scan order.
    """
    ids = np.asarray(legend.ids)
    said = [_ask(predictor, cache.read(region)) for region in regions]
    least = find_thresholds(said, classes=len(ids), teacher=recipe.teacher)
    parts = [no_places()]
    for scene in sorted({region.scene for region in regions}):
        shape = cache.scenes[scene].shape
        claims = settle_claims(
            [
                _claim(told, region.window, least=least, cols=shape[1])
                for region, told in zip(regions, said, strict=True)
                if region.scene == scene
            ],
            np.arange(len(ids)),
        )
        weight = np.minimum(claims.confidence, _MOST)
        pixels = make_pixels(
            shape, claims.position, label=ids[claims.seed], source="pseudo", weight=weight
        )
        free = leave_known(pixels, known.on_scene(scene))
        parts.append(_place(thin_pixels(free, recipe.labels.max_grown), scene))
    return concatenate(parts)


def find_thresholds(
    said: Sequence[_Said], *, classes: int, teacher: TeacherSpec
) -> NDArray[np.float32]:
    """Return the probability from which each class is believed, `[class]`."""
    total, count = np.zeros(classes), np.zeros(classes)
    for label, sure in said:
        known = sure > 0
        total += np.bincount(label[known], weights=sure[known], minlength=classes)
        count += np.bincount(label[known], minlength=classes)
    if not teacher.adaptive:
        return np.full(classes, teacher.threshold, dtype=np.float32)
    return np.minimum(total / np.maximum(count, 1), teacher.threshold).astype(np.float32)


def _ask(predictor: Predictor, pixels: Pixels) -> _Said:
    data, valid = np.asarray(pixels.data), np.asarray(pixels.valid)
    told = predictor.predict(data[None], valid[None])[0]
    return _Said(told.argmax(axis=0).astype(np.uint8), np.where(valid, told.max(axis=0), 0))


def _claim(said: _Said, window: Window, *, least: NDArray[np.float32], cols: int) -> Claims:
    believed = (said.sure > 0) & (said.sure >= least[said.label])
    row, col = np.nonzero(believed)
    position = (row + window.row) * cols + col + window.col
    return Claims(position, said.label[believed].astype(np.int64), said.sure[believed])


def _place(pixels: LabelledPixels, scene: int) -> Places:
    nowhere = np.full(len(pixels), _NOWHERE)
    found = make_places(
        pixels.coords().astype(np.float64), pixels.label.astype(np.int64), scene=scene,
        source="pseudo", group=nowhere,
    )  # fmt: skip
    weight = (pixels.weight / np.float32(SURE)).astype(np.float32)
    return replace(found, weight=weight, index=nowhere)
