"""How a model is kept: weights and card in one safetensors file, never a pickle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from landvisor.card import CARD_KEY, Card, read_card
from landvisor.errors import ModelError
from landvisor.learn.instant import InstantPredictor
from landvisor.learn.model import Model, Predictor
from landvisor.learn.network import NetworkPredictor

Tensors = dict[str, NDArray[Any]]

PREDICTORS: dict[str, Callable[[Card, Tensors], Predictor]] = {
    "network": NetworkPredictor.from_tensors,
    "instant": InstantPredictor.from_tensors,
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
