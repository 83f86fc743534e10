"""What an instant model says of every pixel around places, for a network to learn from."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from landvisor.architectures import PLAIN_NETWORKS
from landvisor.geo.places import Places, rescale
from landvisor.geo.scene import Pixels
from landvisor.geo.tiling import Shape
from landvisor.labels.thin import thin_places
from landvisor.learn.classifier import Classifier
from landvisor.learn.encoders import load_encoder
from landvisor.learn.instant import MOST_PLACES, InstantLearner, InstantPredictor
from landvisor.learn.job import Job
from landvisor.learn.pixel_features import FeatureReader, WindowFeatures
from landvisor.learn.regions import Region, RegionCache
from landvisor.recipe import NetSpec

log = logging.getLogger(__name__)

STRIDE = 2
FOLDS = 5
_ROWS = 16_384

ENCODER_KEYS = ("encoder", "encoder_weights", "encoder_args", "encoder_mean", "encoder_std")

Guide = dict[Region, NDArray[np.float16]]
"""Probabilities `[class, row, col]` of each region, two pixels a cell; 0 where there is no data."""


def instant_job(job: Job) -> Job:
    """Return the job of the instant model that teaches: the filter bank alone without weights."""
    net = job.recipe.net
    plain = net.model in PLAIN_NETWORKS
    pretrained = not plain and load_encoder(net, job.scenes[0].bands).pretrained
    kept = {name: getattr(net, name) for name in ENCODER_KEYS} if pretrained else {}
    spec = NetSpec(model="instant" if pretrained else "bank", **kept)
    return replace(job, recipe=job.recipe.model_copy(update={"net": spec}))


def make_guide(
    learner: InstantLearner,
    train: Places,
    regions: Sequence[Region],
    *,
    cache: RegionCache,
    folder: Path,
    seed: int,
) -> Guide:
    """Ask instant models what regions show, none of them next to its own places.

    Trees know the places that they learned from by heart, and the pixels around them. So five
    models learn from four fifths of the places each, a feature's places staying together, and a
    cell is asked of the one model that has not seen the place nearest to it.

    Args:
        learner: Fits the models.
        train: What they learn from; never validation. Of many a part is taken.
        regions: Where their word is wanted.
        cache: Where pixels come from.
        folder: Where a file for each region goes; older ones are replaced.
        seed: Of the folds and the models.
    """
    train = thin_places(train, MOST_PLACES, seed=seed)
    learner.prepare(train)
    fold = _assign(train, seed=seed)
    parts = np.unique(fold)
    if len(parts) == 1:  # nothing to hold out
        models = [learner.fit(train, None, seed=seed)]
    else:
        models = [learner.fit(train.take(fold != part), None, seed=seed) for part in parts]
    predictors = [model.predictor for model in models]
    assert all(isinstance(predictor, InstantPredictor) for predictor in predictors)
    classifiers = [p.classifier for p in predictors if isinstance(p, InstantPredictor)]
    reader = predictors[0].reader if isinstance(predictors[0], InstantPredictor) else None
    assert reader is not None
    folder.mkdir(parents=True, exist_ok=True)
    guide: Guide = {}
    for number, region in enumerate(regions):
        found = _predict_region(
            reader, classifiers, cache.read(region), owners=_owners(region, train, fold, number)
        )
        path = folder / f"{number}.npy"
        np.save(path, found)
        guide[region] = np.load(path, mmap_mode="r")
    return guide


class _Owners:
    """Which model may speak of a cell: the one that never saw the nearest place."""

    def __init__(self, coords: NDArray[np.float64], fold: NDArray[np.int64], spare: int) -> None:
        self.tree = cKDTree(coords) if len(coords) else None
        self.fold = fold
        self.spare = spare

    def at(self, coords: NDArray[np.float64]) -> NDArray[np.int64]:
        if self.tree is None:
            return np.full(len(coords), self.spare)
        return np.asarray(self.fold[self.tree.query(coords)[1]])


def _owners(region: Region, train: Places, fold: NDArray[np.int64], number: int) -> _Owners:
    here = train.scene == region.scene
    first = np.array([region.window.row, region.window.col])
    return _Owners(train.coords[here] - first, fold[here], number % (int(fold.max()) + 1))


def _assign(places: Places, *, seed: int) -> NDArray[np.int64]:
    """Part features into folds at random, `[n]`; fewer folds than features."""
    features, owner = np.unique(
        np.column_stack([places.scene, places.group]), axis=0, return_inverse=True
    )
    folds = min(FOLDS, len(features))
    order = np.random.default_rng([seed, 3]).permutation(len(features))
    return np.asarray((order % folds)[owner.ravel()])


def _predict_region(
    reader: FeatureReader, classifiers: list[Classifier], pixels: Pixels, *, owners: _Owners
) -> NDArray[np.float16]:
    shape = pixels.valid.shape
    cells = cell_shape(shape)
    grid = np.indices(cells).reshape(2, -1).T.astype(np.float64)
    coords = rescale(grid, source=cells, target=shape)
    known = np.flatnonzero(_at(pixels.valid, coords))
    features = reader.describe(np.asarray(pixels.data), np.asarray(pixels.valid))
    rows = [
        _ask(features, classifiers, coords[part], owners=owners)
        for part in np.array_split(known, max(1, -(-len(known) // _ROWS)))
        if len(part)
    ]
    classes = rows[0].shape[1] if rows else 1
    found = np.zeros((len(grid), classes), dtype=np.float16)
    if rows:
        found[known] = np.concatenate(rows)
    return np.ascontiguousarray(found.T.reshape(classes, *cells))


def cell_shape(shape: Shape) -> Shape:
    """Return the (rows, cols) of a guide on a region of `shape` pixels."""
    return -(-shape[0] // STRIDE), -(-shape[1] // STRIDE)


def _at(valid: NDArray[np.bool_], coords: NDArray[np.float64]) -> NDArray[np.bool_]:
    row, col = np.floor(coords + 0.5).astype(np.int64).clip(0, np.array(valid.shape) - 1).T
    return np.asarray(valid[row, col])


def _ask(
    features: WindowFeatures,
    classifiers: list[Classifier],
    coords: NDArray[np.float64],
    *,
    owners: _Owners,
) -> NDArray[np.float32]:
    rows = features.sample(coords)
    owner = owners.at(coords) if len(classifiers) > 1 else np.zeros(len(rows), dtype=np.int64)
    found = [(np.flatnonzero(owner == k), c) for k, c in enumerate(classifiers)]
    told = [(at, c.predict(rows[at])) for at, c in found if len(at)]
    result = np.empty((len(rows), told[0][1].shape[1]), dtype=np.float32)
    for at, probabilities in told:
        result[at] = probabilities
    return result
