"""Two models as one: the first tells a class from all others, the second tells these apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.card import card_classes
from landvisor.geo.legend import Legend
from landvisor.learn.ensemble import Ensemble, hash_tensors, number_tensors
from landvisor.learn.model import Model

KIND = "separate"


@dataclass(frozen=True)
class Separated:
    """A model of one class against all others, and a model of the others.

    With p what the first says of its class and q_k what the second says of class k,
    P = [p, (1 - p)·q_k]. It sums to one, as p and q do.

    Attributes:
        members: The first predicts the class and then all others as one; the second the others.
        position: Of the class among all.
    """

    members: tuple[Model, Model]
    position: int

    def predict(self, data: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Predict a batch of windows; see `landvisor.learn.model.Predictor`."""
        first, second = (member.predict(data, valid) for member in self.members)
        return join_told(first, second, position=self.position, axis=1)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of both members, prefixed with their number."""
        return number_tensors(self.members)

    def with_members(self, members: Iterable[Model]) -> Separated:
        """Return the same of two other members."""
        first, second = members
        return replace(self, members=(first, second))


def join_told(
    first: NDArray[Any], second: NDArray[Any], *, position: int, axis: int
) -> NDArray[Any]:
    """Join what the two members of a `Separated` say.

    Args:
        first: Probabilities of the class and of all others, two along `axis`.
        second: Probabilities of the others, as many along `axis` as there are.
        position: Of the class among all.
        axis: Where the classes are.

    Returns:
        Probabilities of all classes along `axis`, in the order of the legend.
    """
    own, rest = np.split(first, 2, axis=axis)
    before, after = np.split(rest * second, [position], axis=axis)
    return np.concatenate([before, own, after], axis=axis)


Joint = Ensemble | Separated
"""Predictors that ask other models, which are their `members`."""


def join_separated(first: Model, second: Model, *, legend: Legend, name: str) -> Model:
    """Make one model of two.

    Args:
        first: Of the class against all others, in this order.
        second: Of the others.
        legend: All classes.
        name: Of the class that the first is of, among the active ones.

    Returns:
        A model with the card of the second, but for its classes and for training and validation,
        of which it says nothing; both cards are in its `extra`.
    """
    position = legend.names.index(name)
    known = [np.asarray(member.card.shares) for member in (first, second)]
    shares: tuple[float, ...] = ()
    if all(map(len, known)):
        shares = tuple(join_told(known[0], known[1], position=position, axis=0).tolist())
    card = second.card.model_copy(
        update={
            "kind": KIND,
            "classes": card_classes(legend),
            "input_mean": (),
            "input_std": (),
            "shares": shares,
            "training": {},
            "validation": {},
            "notes": tuple(dict.fromkeys((*first.card.notes, *second.card.notes))),
            "extra": {
                "position": position,
                "members": [
                    _describe(first, f"{name} or not"),
                    _describe(second, f"all but {name}"),
                ],
            },
        }
    )
    return Model(card, Separated((first, second), position))


def _describe(model: Model, name: str) -> dict[str, Any]:
    tensors = hash_tensors(model.predictor.tensors())
    return {"name": name, "tensors": tensors, "card": model.card.model_dump(mode="json")}
