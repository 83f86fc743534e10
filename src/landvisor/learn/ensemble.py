"""Several models as one: the weighted mean of what they say, in one file with one card."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.card import Card
from landvisor.errors import ModelError
from landvisor.geo.coding import measure_spread
from landvisor.learn.model import Model

KIND = "ensemble"


@dataclass(frozen=True)
class Ensemble:
    """Models that see the same pixels, each scaling them in its own way.

    Attributes:
        members: Any kinds; their classes are those of the first, in the same order.
        weights: One per member, above 0, of sum 1.
    """

    members: tuple[Model, ...]
    weights: tuple[float, ...]

    def predict(self, data: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Predict a batch of windows; see `landvisor.learn.model.Predictor`.

        Members are asked one after the other; what one says is held beside the sum.
        """
        parts = zip(self.members, self.weights, strict=True)
        seen = (model.predict(data, valid) * np.float32(weight) for model, weight in parts)
        total = next(seen)
        for part in seen:
            total += part
        return total

    def predict_spread(self, data: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Predict a batch of windows, and say how much the models that it is made of disagree.

        Returns:
            float32 `[batch, class + 1, row, col]`: what `predict` returns and, last, the mutual
            information of class and model; see `landvisor.accuracy.uncertainty`.
        """
        parts, weights = zip(*self.list_parts(), strict=True)
        share = np.asarray(weights, dtype=np.float32)
        told = np.stack([part.predict(data, valid) for part in parts])
        planes = np.zeros((len(data), told.shape[2] + 1, *valid.shape[1:]), dtype=np.float32)
        for said, count in zip(told, share, strict=True):
            planes[:, :-1] += said * count
        for number, window in enumerate(planes):
            measure_spread(np.ascontiguousarray(told[:, number]), share, window[-1])
        return planes

    def list_parts(self) -> Iterator[tuple[Model, float]]:
        """Yield the models that members are made of in the end, with weights of sum 1."""
        for member, weight in zip(self.members, self.weights, strict=True):
            if isinstance(member.predictor, Ensemble):
                for part, share in member.predictor.list_parts():
                    yield part, weight * share
            else:
                yield member, weight

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of all members, prefixed with their number."""
        return number_tensors(self.members)

    def with_members(self, members: Iterable[Model]) -> Ensemble:
        """Return an ensemble of other members, as many as there are."""
        return replace(self, members=tuple(members))


def number_tensors(members: Sequence[Model]) -> dict[str, NDArray[Any]]:
    """Return the arrays of several models, prefixed with their number."""
    return {
        f"{number}.{name}": array
        for number, model in enumerate(members)
        for name, array in model.predictor.tensors().items()
    }


def has_members(model: Model) -> bool:
    """Tell whether several models say what a pixel is."""
    return isinstance(model.predictor, Ensemble)


def list_members(model: Model) -> tuple[Model, ...]:
    """Return an ensemble's members, or a single model itself."""
    return model.predictor.members if isinstance(model.predictor, Ensemble) else (model,)


def list_names(model: Model) -> tuple[str, ...]:
    """List what an ensemble calls its members."""
    return tuple(member["name"] for member in model.card.extra["members"])


def reweigh(model: Model, weights: Sequence[float]) -> Model:
    """Return an ensemble of the same members with other weights; see `join_models`."""
    return join_models(list_members(model), weights=weights, names=list_names(model))


def join_models(
    models: Sequence[Model],
    *,
    weights: Sequence[float] | None = None,
    names: Sequence[str] | None = None,
) -> Model:
    """Make an ensemble; one model alone is returned as it is.

    Its card is that of the first member, with the members and what became of their weights in
    `extra`, and the notes of all.

    Args:
        models: At least one; they predict the same classes in the same order from the same bands.
        weights: One per model, above 0; equal by default. Only their ratios count.
        names: What the card and messages call the models; "model 1" and so on by default.

    Raises:
        ModelError: If classes or bands differ, or the weights are not those of the models.
    """
    if not models:
        raise ModelError("an ensemble of no models was asked for; give at least one")
    shares = _share(weights, len(models))
    called = tuple(names or (f"model {number + 1}" for number in range(len(models))))
    for model, name in zip(models[1:], called[1:], strict=True):
        _check_alike(models[0].card, model.card, names=(called[0], name))
    if len(models) == 1:
        return models[0]
    card = models[0].card.model_copy(
        update={
            "kind": KIND,
            "input_mean": (),
            "input_std": (),
            "prior_factors": (),  # members apply their own
            "shares": mean_shares(models, shares),
            "temperature": mean_temperature(models, shares),
            "training": {},
            "validation": {},
            "notes": tuple(dict.fromkeys(note for m in models for note in m.card.notes)),
            "extra": {
                "members": [
                    _describe(*member) for member in zip(models, called, shares, strict=True)
                ]
            },
        }
    )
    return Model(card, Ensemble(tuple(models), shares))


def mean_shares(models: Sequence[Model], weights: Sequence[float]) -> tuple[float, ...]:
    """Return the shares that the weighted mean of models presumes; none if one knows none."""
    known = [model.card.shares for model in models]
    return tuple(np.average(known, axis=0, weights=weights).tolist()) if all(known) else ()


def mean_temperature(models: Sequence[Model], weights: Sequence[float]) -> float:
    """Return the weighted geometric mean of the models' temperatures, to four digits.

    A mean of models is less sure than each of them, so this softens rather too much than too little
    (Rahaman and Thiery 2021, arXiv:2007.08792); a temperature of the mean itself is better where
    there are places to fit it on.
    """
    logs = np.log([model.card.temperature for model in models])
    return round(float(np.exp(np.average(logs, weights=weights))), 4)


def _describe(model: Model, name: str, weight: float) -> dict[str, Any]:
    return {
        "name": name,
        "weight": weight,
        "tensors": hash_tensors(model.predictor.tensors()),
        "card": model.card.model_dump(mode="json"),
    }


def hash_tensors(tensors: dict[str, NDArray[Any]]) -> str:
    """Return the SHA-256 of named arrays: equal names, types and values, equal digits."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def identify_model(model: Model) -> str:
    """Return the SHA-256 of all that a model is: its tensors and its card."""
    tensors = hash_tensors(model.predictor.tensors())
    return hashlib.sha256((tensors + model.card.model_dump_json()).encode()).hexdigest()


def _share(weights: Sequence[float] | None, count: int) -> tuple[float, ...]:
    given = tuple(weights) if weights is not None else (1.0,) * count
    if len(given) != count:
        raise ModelError(f"{len(given)} weights were given for {count} models; give one for each")
    bad = next((weight for weight in given if not (isfinite(weight) and weight > 0)), None)
    if bad is not None:
        raise ModelError(
            f"weight {bad:g} was given; a model's weight is above 0, or it is left out"
        )
    return tuple(weight / sum(given) for weight in given)


def _check_alike(first: Card, other: Card, *, names: tuple[str, str]) -> None:
    classes, theirs = (dict(zip(c.legend.ids, c.legend.names, strict=True)) for c in (first, other))
    if list(classes.items()) != list(theirs.items()):
        raise ModelError(
            f"{names[1]!r} predicts the classes {_list(theirs)} but {names[0]!r} {_list(classes)}; "
            "an ensemble needs the same ids and names in the same order"
        )
    if first.bands != other.bands:
        raise ModelError(
            f"{names[1]!r} reads the bands {', '.join(other.bands)} but {names[0]!r} "
            f"{', '.join(first.bands)}; an ensemble needs the same"
        )


def _list(classes: dict[int, str]) -> str:
    return ", ".join(f"{number} {name}" for number, name in classes.items())
