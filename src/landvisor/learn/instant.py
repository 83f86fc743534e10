"""Models that are fitted in seconds: frozen features of pixels and a classifier on them.

`forest` is a random forest on the values of the bands, the baseline of most GIS tools; `bank`
adds what a filter bank sees around a pixel; `instant` adds a frozen encoder's features.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.card import Card, card_classes
from landvisor.errors import PointsError, RecipeError
from landvisor.geo.places import SOURCES, Places, concatenate
from landvisor.labels.thin import thin_places
from landvisor.learn.calibrate import calibrate
from landvisor.learn.classifier import (
    Classifier,
    LabelledRows,
    fit_classifier,
    read_classifier,
    take_prefixed,
)
from landvisor.learn.encoder_features import FrozenEncoder
from landvisor.learn.encoders import load_encoder
from landvisor.learn.job import Job
from landvisor.learn.model import Model
from landvisor.learn.nodes import fill_between
from landvisor.learn.pixel_features import FeatureReader, FeatureTable
from landvisor.learn.prior import note_prior
from landvisor.learn.scaling import Scaling, make_scaling, scaling_of_card
from landvisor.learn.separate import Joint
from landvisor.recipe import INSTANT_MODELS, Recipe

log = logging.getLogger(__name__)

MOST_PLACES = 50_000
"""Places that a classifier learns from or is judged by: whole masks have millions."""

_Tensors = dict[str, NDArray[Any]]

_TUNED = "the features that trees read are those of an encoder that a network has fine-tuned"


class InstantLearner:
    """Fits a classifier to the features of labelled places.

    Features are computed once for a place, so further folds cost no more than the classifier.

    Args:
        job: `recipe.net.model` is `instant`, `bank` or `forest`.
        encoder: What `instant` reads in place of the recipe's pretrained encoder.

    Raises:
        RecipeError: If `instant` is asked for without pretrained encoder weights.
        ModelError: If the encoder does not exist or its weights do not fit.
    """

    def __init__(self, job: Job, encoder: FrozenEncoder | None = None) -> None:
        assert job.recipe.net.model in INSTANT_MODELS, "`auto` was settled before"
        self._job = job
        loaded, self._notes = _load_frozen(job) if encoder is None else (encoder, (_TUNED,))
        reader = FeatureReader(_sigmas(job.recipe), loaded)
        self._table = FeatureTable(job.scenes, reader, job.recipe.predict)

    def fit(self, train: Places, val: Places | None, *, seed: int) -> Model:
        """Fit on `train`, judge on `val`, and fit again on both together.

        Of many places, as whole masks give them, a part of `MOST_PLACES` is drawn, and a note of
        the card says so. Scores leave out the area prior; `instant.refit` turns the second fit
        off.
        """
        part = thin_places(train, MOST_PLACES, seed=seed)
        judges = None if val is None else thin_places(val, MOST_PLACES, seed=seed)
        classifier, validation, told = fit_classifier(
            self._rows(part),
            None if judges is None else self._rows(judges),
            recipe=self._job.recipe,
            seed=seed,
        )
        refit = self._job.recipe.instant.refit
        together = part if judges is None or not refit else concatenate([part, judges])
        log.debug("fitted %s to %d places", validation["classifier"], len(together))
        reader = self._table.reader
        notes = (*self._notes, *_note_part(part, train))
        card = _make_card(self._job, together, reader, validation, notes)
        made = Model(note_prior(card, together), InstantPredictor(reader, classifier))
        if judges is None or told is None:
            return made
        return calibrate(made, made.adjust(told, axis=1), judges)

    def predict(self, model: Model, places: Places) -> NDArray[np.float32]:
        """Return `[n, classes]`: probabilities at places, each from its most interior window.

        Models of learners with another encoder may be asked as well; their features are not kept.
        """
        assert isinstance(model.predictor, InstantPredictor), "an instant model"
        reader, table = model.predictor.reader, self._table
        if reader is not table.reader:
            table = FeatureTable(self._job.scenes, reader, self._job.recipe.predict)
        return model.adjust(model.predictor.classifier.predict(table.rows(places)), axis=1)

    def ask(self, model: Model, places: Places) -> NDArray[np.float32]:
        """Return `[1, n, classes]`: what `predict` says, as a member of its own."""
        return self.predict(model, places)[None]

    def prepare(self, places: Places) -> None:
        """Compute the features of places that several fits will need, in one pass."""
        self._table.rows(places)

    def _rows(self, places: Places) -> LabelledRows:
        label = self._job.legend.to_index(places.label)
        if not len(label) or (label < 0).any():
            raise PointsError(
                f"{(label < 0).sum()} of {len(label)} places have no active class of the legend; "
                "give at least one place, and only of active classes"
            )
        classes = len(self._job.legend.ids)
        rows = self._table.rows(places)
        return LabelledRows(rows, label, places.weight, places.scene, classes)


@dataclass(frozen=True)
class InstantPredictor:
    """Describes pixels and asks a classifier.

    Attributes:
        reader: How windows are described.
        classifier: Trees or a perceptron.
        stride: Pixels between those that are classified, where an encoder is read.
    """

    reader: FeatureReader
    classifier: Classifier
    stride: int = 1

    def predict(self, data: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Predict a batch of windows; see `Predictor.predict`.

        Windows go one by one, and a window strip by strip of its rows: besides the feature maps
        of one window no more than `STRIP_BYTES` of features is held.
        """
        pairs = zip(data, valid, strict=True)
        return np.stack([self._predict_window(pixels, known) for pixels, known in pairs])

    def tensors(self) -> _Tensors:
        """Return the classifier's arrays and the encoder's weights, prefixed."""
        stored = {f"classifier.{name}": a for name, a in self.classifier.tensors().items()}
        if self.reader.encoder is not None:
            weights = self.reader.encoder.tensors()
            stored |= {f"encoder.{name}": array for name, array in weights.items()}
        return stored

    @staticmethod
    def from_tensors(card: Card, tensors: _Tensors) -> InstantPredictor:
        """Build a predictor from a model file's content; needs no other file and no hub.

        Raises:
            ModelError: If the card names an encoder that this timm lacks.
            KeyError: If a tensor is missing.
        """
        encoder = None
        if card.recipe.net.model == "instant":
            encoder = build_frozen(card.recipe, card.bands, scaling=scaling_of_card(card))
            encoder.load(take_prefixed(tensors, "encoder."))
        classifier = read_classifier(
            card.extra["classifier"], take_prefixed(tensors, "classifier.")
        )
        return InstantPredictor(FeatureReader(_sigmas(card.recipe), encoder), classifier)

    def _predict_window(self, data: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        features = self.reader.describe(data, valid)
        stride = self.stride if self.reader.encoder is not None else 1
        known = valid[::stride, ::stride]
        shape = -1, known.shape[1], features.count  # trees ask neighbours together
        strips = features.strips(stride)
        shares = np.concatenate([self.classifier.predict(rows.reshape(shape)) for rows in strips])
        if stride > 1:
            shares, reached = fill_between(shares, known, shape=valid.shape, stride=stride)
            rest = np.argwhere(valid & ~reached)
            if len(rest):
                shares[tuple(rest.T)] = self.classifier.predict(features.sample(rest.astype(float)))
        return np.moveaxis(shares, -1, 0)


def set_stride(model: Model, stride: int) -> Model:
    """Return a model whose instant models classify every so many pixels; see `PredictSpec`."""
    told = model.predictor
    if isinstance(told, Joint):
        members = (set_stride(member, stride) for member in told.members)
        return replace(model, predictor=told.with_members(members))
    if isinstance(told, InstantPredictor):
        return replace(model, predictor=replace(told, stride=stride))
    return model


def _sigmas(recipe: Recipe) -> tuple[float, ...]:
    return () if recipe.net.model == "forest" else recipe.instant.sigmas


def _load_frozen(job: Job) -> tuple[FrozenEncoder | None, tuple[str, ...]]:
    net = job.recipe.net
    if net.model != "instant":
        return None, ()
    if net.encoder_weights == "none":
        raise RecipeError(
            "net.model 'instant' was asked for with encoder_weights 'none', but features of random "
            "weights say nothing; give weights, or choose net.model 'bank'"
        )
    bands, dtype = job.scenes[0].bands, job.scenes[0].dtype
    loaded = load_encoder(net, bands)
    if not loaded.pretrained:
        raise RecipeError(
            f"no weights of {net.encoder!r} are at hand for net.model 'instant'; give "
            "encoder_weights a safetensors file, or choose net.model 'bank'"
        )
    scaling = make_scaling(job.radiometry, dtype=str(dtype), mean=loaded.mean, std=loaded.std)
    zooms = job.recipe.instant.scales
    frozen = FrozenEncoder(loaded.module, loaded.strides, loaded.channels, scaling, zooms)
    return frozen, loaded.notes


def build_frozen(recipe: Recipe, bands: tuple[str, ...], *, scaling: Scaling) -> FrozenEncoder:
    """Build the encoder of a recipe, for weights that are loaded thereafter.

    Args:
        recipe: Names the encoder, and the zooms at which it reads.
        bands: Names of the bands, in order.
        scaling: From native units to what the encoder reads.

    Raises:
        ModelError: If timm lacks the encoder.
    """
    bare = {"encoder_weights": "none", "encoder_mean": None, "encoder_std": None}
    empty = load_encoder(recipe.net.model_copy(update=bare), bands)
    zooms = recipe.instant.scales
    return FrozenEncoder(empty.module, empty.strides, empty.channels, scaling, zooms)


def _note_part(part: Places, places: Places) -> tuple[str, ...]:
    if len(part) == len(places):
        return ()
    kept = f"{len(part):,} of {len(places):,} places of training"
    return (f"classifiers learn from {kept}, drawn at random in each class",)


def _make_card(
    job: Job,
    places: Places,
    reader: FeatureReader,
    validation: dict[str, Any],
    notes: tuple[str, ...],
) -> Card:
    scaling = reader.encoder.scaling if reader.encoder else None
    return Card(
        kind="instant",
        classes=card_classes(job.legend),
        bands=job.scenes[0].bands,
        dtype=str(job.scenes[0].dtype),
        mean=job.radiometry.mean,
        std=job.radiometry.std,
        histogram=job.radiometry.quantiles,
        input_mean=scaling.mean if scaling else (),
        input_std=scaling.std if scaling else (),
        recipe=job.recipe,
        training=_describe_places(job, places),
        validation=validation,
        notes=notes,
        extra={"classifier": validation["classifier"]},
    )


def _describe_places(job: Job, places: Places) -> dict[str, Any]:
    classes = zip(job.legend.names, job.legend.ids, strict=True)
    return {
        "places": len(places),
        "places_per_class": {name: int((places.label == i).sum()) for name, i in classes},
        "places_per_source": {
            name: int((places.source == code).sum()) for name, code in SOURCES.items()
        },
        "scenes": [scene.name for scene in job.scenes],
    }
