"""How a class gets a model of its own, beside one for all others: `net.separate`."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import PointsError, RecipeError
from landvisor.geo.legend import LandClass, Legend
from landvisor.geo.places import Places
from landvisor.learn.job import Job, Learner
from landvisor.learn.model import Model
from landvisor.learn.network import score
from landvisor.learn.separate import Separated, join_separated, join_told

_ALIKE = ("scenes", "unlabelled_scenes")  # what both models were trained on
_FEWEST = 3  # of two classes one model tells each from the other


class SeparateLearner:
    """Fits one model of a class against all others and one of the others.

    See `landvisor.learn.job.Learner`. Each is fitted and chosen by itself, as the recipe would fit
    a model of these classes alone: the first on all places, the second on those of its classes.

    Args:
        job: Its recipe names the class in `net.separate`.
        make: Prepares the learner of each of the two.

    Raises:
        RecipeError: If the class is none that is learned, fewer than three are, or an area prior
            is given, which neither model knows all classes of.
    """

    def __init__(self, job: Job, *, make: Callable[[Job], Learner]) -> None:
        self._job = job
        self._class = find_separate(job)
        plain = job.recipe.with_values({"net.separate": ""})
        first, second = split_legend(job.legend, self._class)
        self._first = make(replace(job, recipe=plain, legend=first))
        self._second = make(replace(job, recipe=plain, legend=second))

    def fit(self, train: Places, val: Places | None, *, seed: int) -> Model:
        """Fit both; what validation says is of both together.

        Raises:
            PointsError: If the class, or all others, have no place to learn from.
            ModelError: If the encoder or its weights cannot be had.
        """
        self._check(train)
        parts = [None, None] if val is None or not len(val) else [self._merge(val), self._rest(val)]
        first = self._first.fit(self._merge(train), parts[0], seed=seed)
        second = self._second.fit(self._rest(train), parts[1], seed=seed)
        model = join_separated(first, second, legend=self._job.legend, name=self._class.name)
        card = model.card.model_copy(
            update={
                "recipe": self._job.recipe,
                "training": self._describe(train, second),
                "validation": self._validate(model, val),
            }
        )
        return replace(model, card=card)

    def predict(self, model: Model, places: Places) -> NDArray[np.float32]:
        """Return `[n, classes]`: probabilities at places, each from its most interior window."""
        assert isinstance(model.predictor, Separated), "a model of this learner"
        first, second = model.predictor.members
        told = join_told(
            self._first.predict(first, places),
            self._second.predict(second, places),
            position=model.predictor.position,
            axis=1,
        )
        return np.asarray(told, dtype=np.float32)

    def ask(self, model: Model, places: Places) -> NDArray[np.float32]:
        """Return `[1, n, classes]`: what `predict` says; the two models are no two opinions."""
        return self.predict(model, places)[None]

    def _merge(self, places: Places) -> Places:
        """Give all other classes the id under which the first model knows them."""
        active = places.take(self._job.legend.to_index(places.label) >= 0)
        other = split_legend(self._job.legend, self._class)[0].ids[1]
        return replace(
            active, label=np.where(active.label == self._class.id, self._class.id, other)
        )

    def _rest(self, places: Places) -> Places:
        known = self._job.legend.to_index(places.label) >= 0
        return places.take(known & (places.label != self._class.id))

    def _check(self, train: Places) -> None:
        others = len(self._rest(train))
        own = int((train.label == self._class.id).sum())
        if not own or not others:
            raise PointsError(
                f"net.separate {self._class.name!r} has {own} places to learn from and all other "
                f"classes {others}; both need some, so label more or leave net.separate empty"
            )

    def _describe(self, train: Places, second: Model) -> dict[str, Any]:
        told = second.card.training
        kept: dict[str, Any] = {name: told[name] for name in _ALIKE if name in told}
        classes = zip(self._job.legend.names, self._job.legend.ids, strict=True)
        counted = {name: int((train.label == number).sum()) for name, number in classes}
        return {**kept, "places": len(train), "places_per_class": counted}

    def _validate(self, model: Model, val: Places | None) -> dict[str, Any]:
        if val is None or not len(val):
            return {}
        told = self.predict(model, val)
        return {"n": len(val), **score(told, val.label, ids=self._job.legend.ids)}


def find_separate(job: Job) -> LandClass:
    """Find the class that `net.separate` names.

    Raises:
        RecipeError: If it cannot be told from all others; see `SeparateLearner`.
    """
    name, legend = job.recipe.net.separate, job.legend
    found = legend.find(name)
    if found is None or found.id not in legend.ids:
        near = difflib.get_close_matches(name, legend.names, n=1, cutoff=0.0)
        raise RecipeError(
            f"net.separate names {name!r}, which is no class that is learned; "
            f"the nearest one is {near[0]!r}"
        )
    if len(legend.ids) < _FEWEST:
        raise RecipeError(
            f"net.separate {name!r} was given with {len(legend.ids)} classes, which one model "
            "tells apart already; leave it empty"
        )
    if job.recipe.labels.area_prior:
        raise RecipeError(
            "net.separate was given with labels.area_prior, and neither of its two models has all "
            "classes that the prior is about; leave one of both out"
        )
    return found


def split_legend(legend: Legend, one: LandClass) -> tuple[Legend, Legend]:
    """Return the legend of a class and all others as one, and that of the others."""
    rest = tuple(c for c in legend.active if c.id != one.id)
    joined = replace(rest[0], name=f"not {one.name}")
    return Legend((one, joined)), Legend(rest)
