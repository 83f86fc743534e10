"""A network and an instant model as one: they err differently, and validation weighs them."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from landvisor.geo.places import Places, concatenate
from landvisor.learn.ensemble import Ensemble, join_models
from landvisor.learn.job import Job
from landvisor.learn.model import Model
from landvisor.learn.network import NetworkLearner, score
from landvisor.learn.stacking import fit_weights

log = logging.getLogger(__name__)

NAMES = ("network", "instant")


class PairLearner:
    """Fits a network and an instant model; see `landvisor.learn.job.Learner`.

    The instant model is the one that may teach the network as well: trees and a perceptron, unless
    `instant.classifier` names one. It learns from `train` while weights are fitted on `val`, and
    thereafter from both (`instant.refit`); so does the network with `fit.refit`.

    Args:
        job: Its recipe names a network.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._network = NetworkLearner(job)

    def fit(self, train: Places, val: Places | None, *, seed: int) -> Model:
        """Fit both; without validation they count alike.

        Raises:
            PointsError: If no place has a class to learn.
            ModelError: If the encoder or its weights cannot be had.
        """
        choice = self._network.choose(train, val, seed=seed)
        network = choice.model
        instant = self._network.instant.fit(train, None, seed=seed)
        if val is None or not len(val):
            return join_models([network, instant], names=NAMES)
        told = self._ask([network, instant], val)
        own = self._job.legend.to_index(val.label)
        weights = fit_weights(told[:, np.arange(len(val)), own], val.weight)
        log.info("network and instant model count %.2f and %.2f", *weights)
        if self._job.recipe.instant.refit:
            instant = self._network.instant.fit(concatenate([train, val]), None, seed=seed)
        network = self._network.refit(choice, train, val, seed=seed)
        joined = join_models([network, instant], weights=weights, names=NAMES)
        mixed = np.einsum("m,mnc->nc", weights, told)
        return _with_results(joined, network, score(mixed, val.label, ids=self._job.legend.ids))

    def predict(self, model: Model, places: Places) -> NDArray[np.float32]:
        """Return `[n, classes]`: probabilities at places, each from its most interior window."""
        assert isinstance(model.predictor, Ensemble), "a model of this learner"
        told = self._ask(list(model.predictor.members), places)
        return np.asarray(np.einsum("m,mnc->nc", model.predictor.weights, told), dtype=np.float32)

    def _ask(self, members: list[Model], places: Places) -> NDArray[np.float32]:
        network, instant = members
        return np.stack(
            [
                self._network.predict(network, places),
                self._network.instant.predict(instant, places),
            ]
        )


def _with_results(joined: Model, network: Model, scores: dict[str, float]) -> Model:
    validation = {**network.card.validation, **scores}
    return Model(
        joined.card.model_copy(
            update={"training": network.card.training, "validation": validation}
        ),
        joined.predictor,
    )
