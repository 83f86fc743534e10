"""Models whose predictions can be worked out by hand."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from scipy import ndimage

from landvisor.card import Card, card_classes
from landvisor.geo.legend import Legend, legend_from_ids
from landvisor.learn.model import Model
from landvisor.recipe import Recipe


def softmax(logits, axis):
    powers = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return (powers / powers.sum(axis=axis, keepdims=True)).astype(np.float32)


@dataclass
class Toy:
    """Softmax of each pixel's value against class centres, after a blur of `reach` pixels."""

    centres: np.ndarray
    reach: int = 0
    batches: list[int] = field(default_factory=list)

    def predict(self, data, valid):
        self.batches.append(len(data))
        values = np.where(valid[:, None], data, 0).astype(np.float64).mean(axis=1)
        if self.reach:
            width = 2 * self.reach + 1
            values = ndimage.uniform_filter(values, (0, width, width), mode="reflect")
        return softmax(-np.abs(values[:, None] - self.centres[None, :, None, None]), axis=1)

    def tensors(self):
        return {"centres": self.centres}


@dataclass
class Constant:
    """The same shares everywhere."""

    shares: np.ndarray

    def predict(self, data, valid):
        shape = (len(data), len(self.shares), *data.shape[2:])
        return np.broadcast_to(self.shares[:, None, None], shape).astype(np.float32)

    def tensors(self):
        return {"shares": self.shares}


@pytest.fixture
def make_model() -> Callable[..., Model]:
    """Wrap a predictor, by default `Toy` for classes 1 to 3, with a card of `bands` bands."""

    def make(predictor=None, *, bands=1, legend: Legend | None = None, reach=0) -> Model:
        found = legend or legend_from_ids([1, 2, 3])
        card = Card(
            kind="instant",
            classes=card_classes(found),
            bands=tuple(f"band {i + 1}" for i in range(bands)),
            dtype="float32",
            mean=(0.0,) * bands,
            std=(1.0,) * bands,
            recipe=Recipe(),
        )
        return Model(card, predictor or Toy(np.arange(len(found.ids)) * 3.0, reach=reach))

    return make


@pytest.fixture
def make_constant() -> Callable[..., Constant]:
    """Make the predictor that gives the same shares everywhere."""
    return lambda *shares: Constant(np.array(shares))
