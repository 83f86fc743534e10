"""How a model is kept: weights and card in one safetensors file, never a pickle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from landvisor.card import CARD_KEY, Card, read_card
from landvisor.errors import ModelError
from landvisor.learn.classifier import take_prefixed
from landvisor.learn.ensemble import KIND, Ensemble, join_models
from landvisor.learn.instant import InstantPredictor
from landvisor.learn.model import Model, Predictor
from landvisor.learn.network import NetworkPredictor
from landvisor.learn.separate import KIND as SEPARATE
from landvisor.learn.separate import Separated

Tensors = dict[str, NDArray[Any]]
ModelSource = Model | Path | str | Sequence[Model | Path | str]
"""A model or its file, or several, which are then an ensemble."""


def _read_members(card: Card, tensors: Tensors) -> list[Model]:
    cards = [Card.model_validate(member["card"]) for member in card.extra["members"]]
    return [
        Model(its, PREDICTORS[its.kind](its, take_prefixed(tensors, f"{number}.")))
        for number, its in enumerate(cards)
    ]


def _read_ensemble(card: Card, tensors: Tensors) -> Ensemble:
    weights = tuple(member["weight"] for member in card.extra["members"])
    return Ensemble(tuple(_read_members(card, tensors)), weights)


def _read_separated(card: Card, tensors: Tensors) -> Separated:
    first, second = _read_members(card, tensors)
    return Separated((first, second), card.extra["position"])


PREDICTORS: dict[str, Callable[[Card, Tensors], Predictor]] = {
    "network": NetworkPredictor.from_tensors,
    "instant": InstantPredictor.from_tensors,
    KIND: _read_ensemble,
    SEPARATE: _read_separated,
}


def save_model(model: Model, path: Path) -> None:
    """Write a model; equal models give equal bytes, so a file's hash is the model's identity."""
    tensors = {name: np.ascontiguousarray(t) for name, t in model.predictor.tensors().items()}
    path.write_bytes(save(tensors, {CARD_KEY: model.card.model_dump_json()}))


def load_model(path: Path | str) -> Model:
    """Read a model file.

    Raises:
        ModelError: If it is missing, not ours, damaged, or of an unknown kind.
    """
    card = read_card(path)
    if card.kind not in PREDICTORS:
        raise ModelError(f"{str(path)!r} holds a model of kind {card.kind!r}; update landvisor")
    try:
        tensors = load_file(str(path))
        return Model(card, PREDICTORS[card.kind](card, tensors))
    except (SafetensorError, KeyError) as error:
        raise ModelError(f"{str(path)!r} is damaged ({error}); fit the model again") from error


def list_models(source: ModelSource) -> list[Model | Path | str]:
    """List what a source names: one model or several."""
    return [source] if isinstance(source, Model | Path | str) else list(source)


def load_models(source: ModelSource, *, weights: Sequence[float] | None = None) -> Model:
    """Read what is in files, and join several models to one.

    Args:
        source: Models, files, or both.
        weights: See `landvisor.learn.ensemble.join_models`.

    Raises:
        ModelError: If a file cannot be read, or the models do not go together.
    """
    given = list_models(source)
    models = [part if isinstance(part, Model) else load_model(part) for part in given]
    names = [
        f"model {number + 1}" if isinstance(part, Model) else Path(part).name
        for number, part in enumerate(given)
    ]
    return join_models(models, weights=weights, names=names)
