"""A small network on feature rows: standardise, one hidden layer, class probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

EPOCHS = 60
_MOST_EPOCHS = 240
_CHECK, _PATIENCE = 10, 3  # epochs between two looks at the held-out loss; looks without gain
_LIMIT = 6.0  # standardised features are clipped here: classified rows are often far outside
# A thousand features of an encoder need strong dropout, and the fifty of a filter bank next to
# none: on dunes' validation mIoU went from 0.34 to 0.42 with one, from 0.17 to 0.23 without.
_INPUT_DROPOUT, _HIDDEN_DROPOUT, _MANY = 0.5, 0.7, 512
_LR, _WEIGHT_DECAY = 2e-3, 1e-2

Loss = Callable[["Perceptron"], float]


@dataclass(frozen=True)
class Perceptron:
    """One hidden layer with rectified units.

    Attributes:
        mean: float32 `[feature]`.
        std: float32 `[feature]`, above 0.
        hidden_weight: float32 `[hidden, feature]`.
        hidden_bias: float32 `[hidden]`.
        out_weight: float32 `[class, hidden]`.
        out_bias: float32 `[class]`; minus infinity for a class without training rows.
    """

    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    hidden_weight: NDArray[np.float32]
    hidden_bias: NDArray[np.float32]
    out_weight: NDArray[np.float32]
    out_bias: NDArray[np.float32]

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return `[..., class]`: probabilities for `[..., feature]`."""
        with torch.inference_mode():
            rows = _standardise(torch.from_numpy(features), *map(_tensor, (self.mean, self.std)))
            hidden = F.linear(rows, *map(_tensor, (self.hidden_weight, self.hidden_bias))).relu_()
            logits = F.linear(hidden, *map(_tensor, (self.out_weight, self.out_bias)))
            return np.asarray(logits.softmax(dim=-1).numpy())

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, as a model file stores them."""
        return {part.name: getattr(self, part.name) for part in fields(self)}

    @staticmethod
    def from_tensors(tensors: dict[str, NDArray[Any]]) -> Perceptron:
        """Build a perceptron from what `tensors` returned."""
        return Perceptron(**tensors)


def fit_perceptron(
    features: NDArray[np.float32],
    label: NDArray[np.int64],
    *,
    classes: int,
    weights: NDArray[np.float64],
    hidden: int = 128,
    epochs: int | None = None,
    loss: Loss | None = None,
    seed: int = 0,
) -> tuple[Perceptron, int]:
    """Train a perceptron on all rows at once.

    Args:
        features: `[n, feature]`.
        label: `[n]`: position of each row's class, below `classes`.
        classes: Columns of the probabilities.
        weights: `[n]`, above 0.
        hidden: Units of the hidden layer.
        epochs: Steps taken; None takes a number that suited, or lets `loss` find it.
        loss: Judges a perceptron on rows held out, lower is better; the best is kept.
        seed: Number that all randomness follows from.

    Returns:
        The perceptron and the epochs it took.
    """
    rows, mean, std = _prepare(features)
    target = torch.from_numpy(label)
    share = _tensor(weights / weights.sum())
    absent = torch.ones(classes, dtype=torch.bool)
    absent[target] = False
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = _make_net(rows.shape[1], hidden, classes)
        steps = _steps(net, rows, target=target, share=share)
        if loss is None:
            wanted = epochs or EPOCHS
            for _ in range(wanted):
                next(steps)
            return _freeze(net, mean, std, absent), wanted
        return _stop_early(steps, lambda: _freeze(net, mean, std, absent), loss)


def _stop_early(
    steps: Iterator[None], freeze: Callable[[], Perceptron], loss: Loss
) -> tuple[Perceptron, int]:
    trials: list[tuple[float, int, Perceptron]] = []
    for epoch, _ in zip(range(1, _MOST_EPOCHS + 1), steps, strict=False):
        if epoch % _CHECK:
            continue
        made = freeze()
        trials.append((loss(made), epoch, made))
        best = min(trials, key=lambda trial: trial[0])
        if epoch - best[1] >= _CHECK * _PATIENCE:
            break
    return best[2], best[1]


def _prepare(features: NDArray[np.float32]) -> tuple[Tensor, Tensor, Tensor]:
    mean = features.mean(axis=0, dtype=np.float64)
    std = features.std(axis=0, dtype=np.float64)
    center, spread = _tensor(mean), _tensor(np.where(std > 0, std, 1))
    return _standardise(torch.from_numpy(features), center, spread), center, spread


def _standardise(features: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return ((features - mean) / std).clamp_(-_LIMIT, _LIMIT)


def _make_net(features: int, hidden: int, classes: int) -> nn.Sequential:
    strength = min(1.0, features / _MANY)
    return nn.Sequential(
        nn.Dropout(_INPUT_DROPOUT * strength),
        nn.Linear(features, hidden),
        nn.ReLU(),
        nn.Dropout(_HIDDEN_DROPOUT * strength),
        nn.Linear(hidden, classes),
    )


def _steps(net: nn.Sequential, rows: Tensor, *, target: Tensor, share: Tensor) -> Iterator[None]:
    """Take an optimiser step on all rows each time the next value is asked for."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=_LR, weight_decay=_WEIGHT_DECAY)
    while True:
        optimizer.zero_grad(set_to_none=True)
        loss = (F.cross_entropy(net(rows), target, reduction="none") * share).sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()
        yield


def _freeze(net: nn.Sequential, mean: Tensor, std: Tensor, absent: Tensor) -> Perceptron:
    first, last = net[1], net[4]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    bias = last.bias.detach().masked_fill(absent, -torch.inf)
    parts = (mean, std, first.weight, first.bias, last.weight, bias)
    return Perceptron(*(part.detach().numpy().copy() for part in parts))


def _tensor(values: NDArray[Any]) -> Tensor:
    return torch.tensor(np.asarray(values, dtype=np.float32))  # a copy: files are read-only
