"""What turns feature rows into class probabilities: trees, a perceptron, or both averaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from landvisor.accuracy.confusion import compute_rates
from landvisor.labels.balance import class_weights
from landvisor.learn.perceptron import Perceptron, fit_perceptron
from landvisor.learn.trees import Trees, fit_trees
from landvisor.recipe import Recipe

Kind = Literal["trees", "mlp", "both", "forest"]
Scores = dict[str, float]
_LEAST = 1e-3  # a probability of 0 is taken for this, so that one row cannot decide


class Classifier(Protocol):
    """Something that turns feature rows into class probabilities."""

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return `[..., class]` for `[..., feature]`; of a raster, `[row, col, feature]`."""
        ...

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return all that must be stored, as named arrays."""
        ...


@dataclass(frozen=True)
class LabelledRows:
    """Feature rows whose class is known.

    Attributes:
        features: float32 `[n, feature]`.
        label: int64 `[n]`: position of the class among `classes`.
        weight: float32 `[n]`: confidence in the label.
        scene: int64 `[n]`: the image that each row comes from.
        classes: How many classes there are, with rows or without.
    """

    features: NDArray[np.float32]
    label: NDArray[np.int64]
    weight: NDArray[np.float32]
    scene: NDArray[np.int64]
    classes: int

    def join(self, other: LabelledRows) -> LabelledRows:
        """Append the rows of another set with the same classes."""
        return LabelledRows(
            np.concatenate([self.features, other.features]),
            np.concatenate([self.label, other.label]),
            np.concatenate([self.weight, other.weight]),
            np.concatenate([self.scene, other.scene]),
            self.classes,
        )


@dataclass(frozen=True)
class Blend:
    """Trees and a perceptron, whose probabilities are averaged."""

    trees: Trees
    mlp: Perceptron

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return `[..., class]` for `[..., feature]`; of a raster, `[row, col, feature]`."""
        return (self.trees.predict(features) + self.mlp.predict(features)) / np.float32(2)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of both, prefixed."""
        parts = {"trees": self.trees.tensors(), "mlp": self.mlp.tensors()}
        return {f"{part}.{name}": a for part, held in parts.items() for name, a in held.items()}

    @staticmethod
    def from_tensors(tensors: dict[str, NDArray[Any]]) -> Blend:
        """Build a blend from what `tensors` returned."""
        trees, mlp = (take_prefixed(tensors, part) for part in ("trees.", "mlp."))
        return Blend(Trees.from_tensors(trees), Perceptron.from_tensors(mlp))


@dataclass(frozen=True)
class _Fitted:
    classifier: Classifier
    epochs: int | None = None  # only a perceptron counts them


class Judged(NamedTuple):
    """A classifier and how good it is.

    Attributes:
        classifier: Fitted.
        scores: `classifier`, its kind, and its `mean_f1`, `mean_iou` and `oa` on held-out rows.
        told: `[n, class]`: what was said of the held-out rows before these were learned from; None
            without them.
    """

    classifier: Classifier
    scores: dict[str, Any]
    told: NDArray[np.float32] | None = None


def take_prefixed(tensors: dict[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    """Return the arrays whose name begins with a prefix, without it."""
    found = {name: array for name, array in tensors.items() if name.startswith(prefix)}
    return {name.removeprefix(prefix): array for name, array in found.items()}


def read_classifier(kind: str, tensors: dict[str, NDArray[Any]]) -> Classifier:
    """Build a classifier of a kind from its tensors."""
    if kind == "both":
        return Blend.from_tensors(tensors)
    return (Perceptron if kind == "mlp" else Trees).from_tensors(tensors)


def fit_classifier(
    train: LabelledRows, val: LabelledRows | None, *, recipe: Recipe, seed: int
) -> Judged:
    """Fit to `train`, judge on `val`, and fit again to both (`instant.refit`).

    Args:
        train: Rows to learn from.
        val: Rows that judge, and choose how long a perceptron learns.
        recipe: Its parts `instant`, `labels` and `net` are read.
        seed: Number that all randomness follows from.
    """
    kind: Kind = "forest" if recipe.net.model == "forest" else recipe.instant.classifier
    first = _fit(kind, train, recipe=recipe, seed=seed, val=val)
    if val is None:
        return Judged(first.classifier, {"classifier": kind})
    told = first.classifier.predict(val.features)
    scores = {"classifier": kind, **_score(told, val)}
    if not recipe.instant.refit:
        return Judged(first.classifier, scores, told)
    made = _fit(kind, train.join(val), recipe=recipe, seed=seed, epochs=first.epochs)
    return Judged(made.classifier, scores, told)


def _score(told: NDArray[np.float32], rows: LabelledRows) -> Scores:
    """Return `mean_f1` and `mean_iou` over the classes that have rows, and `oa`."""
    cells = rows.label * rows.classes + told.argmax(axis=1)
    counts = np.bincount(cells, minlength=rows.classes**2).reshape(rows.classes, -1)
    rates = compute_rates(counts)
    return {
        "mean_f1": float(rates.mean("f1")),
        "mean_iou": float(rates.mean("iou")),
        "oa": float(rates.oa),
    }


def _fit(
    kind: Kind,
    rows: LabelledRows,
    *,
    recipe: Recipe,
    seed: int,
    epochs: int | None = None,
    val: LabelledRows | None = None,
) -> _Fitted:
    if kind == "both":
        trees = _fit("trees", rows, recipe=recipe, seed=seed)
        return _blend(trees, _fit("mlp", rows, recipe=recipe, seed=seed, epochs=epochs, val=val))
    weights = _weigh(rows, recipe)
    if kind == "mlp":
        made, took = fit_perceptron(
            rows.features,
            rows.label,
            classes=rows.classes,
            weights=weights,
            hidden=recipe.instant.hidden,
            epochs=epochs,
            loss=None if val is None else lambda made: _log_loss(made, val),
            seed=seed,
        )
        return _Fitted(made, took)
    return _Fitted(_grow(kind, rows, weights, recipe=recipe, seed=seed))


def _grow(
    kind: Kind, rows: LabelledRows, weights: NDArray[np.float64], *, recipe: Recipe, seed: int
) -> Trees:
    return fit_trees(
        rows.features,
        rows.label,
        classes=rows.classes,
        weights=weights,
        trees=recipe.instant.trees,
        min_leaf=recipe.instant.min_leaf,
        seed=seed,
        kind="forest" if kind == "forest" else "extra",
    )


def _blend(trees: _Fitted, mlp: _Fitted) -> _Fitted:
    assert isinstance(trees.classifier, Trees)
    assert isinstance(mlp.classifier, Perceptron)
    return _Fitted(Blend(trees.classifier, mlp.classifier), mlp.epochs)


def _log_loss(classifier: Classifier, rows: LabelledRows) -> float:
    told = classifier.predict(rows.features)[np.arange(len(rows.label)), rows.label]
    return float(-np.log(np.maximum(told, _LEAST)).mean())


def _weigh(rows: LabelledRows, recipe: Recipe) -> NDArray[np.float64]:
    spec = recipe.labels
    positions = tuple(range(rows.classes))
    kind, cap = spec.class_weights, spec.weight_cap
    balance = class_weights(rows.label, positions, kind=kind, cap=cap, images=rows.scene)
    return np.asarray(rows.weight * balance[rows.label])
