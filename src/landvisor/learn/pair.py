"""A network and an instant model as one: they err differently, and validation weighs them."""

from __future__ import annotations

import logging
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from landvisor.geo.places import Places, concatenate
from landvisor.labels.thin import thin_places
from landvisor.learn.calibrate import calibrate
from landvisor.learn.ensemble import Ensemble, join_models
from landvisor.learn.instant import MOST_PLACES, InstantLearner
from landvisor.learn.job import Job
from landvisor.learn.model import Model
from landvisor.learn.network import Choice, score
from landvisor.learn.rounds import RoundsLearner
from landvisor.learn.stacking import fit_weights

log = logging.getLogger(__name__)

NAMES = ("network", "instant")
_CRITERION = "mean_iou"


class _Offer(NamedTuple):
    """An instant model as partner of a network: whose, at which weights, how good, what is said."""

    learner: InstantLearner
    instant: Model
    weights: tuple[float, ...]
    scores: dict[str, float]
    told: NDArray[np.floating]


class PairLearner:
    """Fits a network and an instant model; see `landvisor.learn.job.Learner`.

    The instant model is the one that may teach the network as well. It learns from `train` while
    weights are fitted on `val`, and thereafter from both (`instant.refit`); so does the network
    with `fit.refit`. After several rounds two have taught, on the pretrained encoder and on a tuned
    one: validation chooses.

    Args:
        job: Its recipe names a network.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._network = RoundsLearner(job)

    def fit(self, train: Places, val: Places | None, *, seed: int) -> Model:
        """Fit both; without validation they count alike.

        Raises:
            PointsError: If no place has a class to learn.
            ModelError: If the encoder or its weights cannot be had.
        """
        choice = self._network.choose(train, val, seed=seed)
        if val is None or not len(val):
            alone = self._network.instant.fit(train, None, seed=seed)
            return join_models([choice.model, alone], names=NAMES)
        partners = [self._network.instant, *filter(None, [choice.support.instant])]
        judges = thin_places(val, MOST_PLACES, seed=seed)
        offers = [self._try(choice, partner, train, judges, seed=seed) for partner in partners]
        offer = max(offers, key=lambda offer: offer.scores[_CRITERION])  # of equals the first
        log.info("network and instant model count %.2f and %.2f", *offer.weights)
        instant = offer.instant
        if self._job.recipe.instant.refit:
            instant = offer.learner.fit(concatenate([train, val]), None, seed=seed)
        network = self._network.refit(choice, train, val, seed=seed)
        joined = join_models([network, instant], weights=offer.weights, names=NAMES)
        return calibrate(_with_results(joined, network, offer.scores), offer.told, judges)

    def predict(self, model: Model, places: Places) -> NDArray[np.float32]:
        """Return `[n, classes]`: probabilities at places, each from its most interior window."""
        assert isinstance(model.predictor, Ensemble), "a model of this learner"
        told = self.ask(model, places)
        return np.asarray(np.einsum("m,mnc->nc", model.predictor.weights, told), dtype=np.float32)

    def ask(self, model: Model, places: Places) -> NDArray[np.float32]:
        """Return `[2, n, classes]`: what network and instant model say."""
        assert isinstance(model.predictor, Ensemble), "a model of this learner"
        return self._ask(list(model.predictor.members), places)

    def _try(
        self, choice: Choice, partner: InstantLearner, train: Places, val: Places, *, seed: int
    ) -> _Offer:
        instant = partner.fit(train, None, seed=seed)
        told = self._ask([choice.model, instant], val)
        own = self._job.legend.to_index(val.label)
        weights = fit_weights(told[:, np.arange(len(val)), own], val.weight)
        mixed = np.einsum("m,mnc->nc", weights, told)
        scores = score(mixed, val.label, ids=self._job.legend.ids)
        return _Offer(partner, instant, weights, scores, mixed)

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
