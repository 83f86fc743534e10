"""How often a network is taught: by trees on what its own encoder learned, and by itself."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from torch import nn

from landvisor.architectures import PLAIN_NETWORKS
from landvisor.errors import RecipeError
from landvisor.geo.places import Places, concatenate
from landvisor.learn.guide import ENCODER_KEYS, instant_job
from landvisor.learn.instant import InstantLearner, build_frozen
from landvisor.learn.job import Job
from landvisor.learn.model import Model
from landvisor.learn.network import Choice, NetworkLearner, NetworkPredictor, Support
from landvisor.learn.pseudo import label_sure
from landvisor.learn.sampling import gather_material
from landvisor.recipe import NetSpec, Recipe

log = logging.getLogger(__name__)


class RoundsLearner:
    """Fits a network as often as its recipe says; see `landvisor.learn.job.Learner`.

    In the first round the instant model of the recipe teaches it, if any does. In each further
    one (`teacher.rounds`) trees teach that read the features of the encoder as the round before
    left it; the network itself starts anew as ever. With `teacher.self_training` it is trained
    once more, on the pixels that it is sure of beside all places. Each of these is kept only if
    validation gains by the criterion that chooses epochs, and rounds end with the first that is
    not; without validation all are run and the last is kept.

    Args:
        job: Its recipe names a network.

    Raises:
        RecipeError: If rounds are asked for and the network has no encoder that trees could read.
    """

    def __init__(self, job: Job) -> None:
        _check(job.recipe)
        self._job = job
        self._network = NetworkLearner(job)

    def fit(self, train: Places, val: Places | None, *, seed: int) -> Model:
        """Fit all rounds, and once more on all places if the recipe asks for it.

        Raises:
            PointsError: If no place has a class to learn.
            ModelError: If the encoder or its weights cannot be had.
        """
        return self.refit(self.choose(train, val, seed=seed), train, val, seed=seed)

    def choose(self, train: Places, val: Places | None, *, seed: int) -> Choice:
        """Fit on `train` alone, as `fit` does before a refit."""
        teacher = self._job.recipe.teacher
        first = self._network.choose(train, val, seed=seed)
        contest = _Contest(first, validated=val is not None and len(val) > 0)
        contest.note("round 1", first, kept=True)
        for number in range(2, teacher.rounds + 1):
            support = Support(instant=make_tuned(self._job, contest.kept.model))
            again = self._network.choose(train, val, seed=seed, support=support)
            if not contest.enter(f"round {number}", again):
                break
        if teacher.self_training:
            support = self._add_sure(contest.kept, train, val)
            again = self._network.choose(train, val, seed=seed, support=support)
            contest.enter("self-training", again)
        return contest.kept if len(contest.records) == 1 else contest.tell()

    def refit(self, choice: Choice, train: Places, val: Places | None, *, seed: int) -> Model:
        """Train anew on all places, taught as the kept round was; see `NetworkLearner.refit`."""
        return self._network.refit(choice, train, val, seed=seed)

    def predict(self, model: Model, places: Places) -> NDArray[np.float32]:
        """Return `[n, classes]`: probabilities at places, each from its most interior window."""
        return self._network.predict(model, places)

    def ask(self, model: Model, places: Places) -> NDArray[np.float32]:
        """Return `[1, n, classes]`: what `predict` says, as a member of its own."""
        return self.predict(model, places)[None]

    @property
    def instant(self) -> InstantLearner:
        """The instant model that teaches in the first round."""
        return self._network.instant

    def _add_sure(self, choice: Choice, train: Places, val: Places | None) -> Support:
        job = self._job
        known = train if val is None else concatenate([train, val])
        shapes = [scene.shape for scene in job.scenes]
        chip = job.recipe.fit.chip
        found = label_sure(
            choice.model.predictor,
            gather_material(train, shapes, legend=job.legend, chip=chip).regions,
            cache=self._network.cache,
            known=known,
            legend=job.legend,
            recipe=job.recipe,
        )
        log.info("the network labels %d pixels that it is sure of", len(found))
        return replace(choice.support, pseudo=found)


@dataclass
class _Contest:
    """Which of several trainings is kept, and what the card says of all."""

    kept: Choice
    validated: bool
    records: list[dict[str, Any]] = field(default_factory=list)

    def enter(self, name: str, choice: Choice) -> bool:
        """Keep a training if it gains, or if nothing can tell."""
        gains = not self.validated or choice.progress.peak > self.kept.progress.peak
        self.note(name, choice, kept=gains)
        if gains:
            self.kept = choice
        log.info("%s is %s", name, "kept" if gains else "not kept: validation does not gain")
        return gains

    def note(self, name: str, choice: Choice, *, kept: bool) -> None:
        """Add a line to what the card says."""
        level = choice.progress.peak
        self.records.append({
            "name": name,
            "mean_iou": round(level, 5) if isfinite(level) else None,
            "epochs": choice.progress.epochs,
            "seconds": choice.model.card.training["seconds"],
            "pseudo_labels": len(choice.support.pseudo),
            "kept": kept,
        })  # fmt: skip

    def tell(self) -> Choice:
        """Return what was kept, its card telling of all trainings."""
        model = self.kept.model
        seconds = round(sum(record["seconds"] for record in self.records), 1)
        training = {**model.card.training, "seconds": seconds, "rounds": self.records}
        card = model.card.model_copy(update={"training": training})
        return replace(self.kept, model=replace(model, card=card))


def make_tuned(job: Job, model: Model) -> InstantLearner:
    """Prepare an instant model on the features of an encoder as a network's training left it.

    Args:
        job: The network's.
        model: The network, whose encoder is copied and frozen.
    """
    assert isinstance(model.predictor, NetworkPredictor), "a network"
    network, scaling = model.predictor.network, model.predictor.scaling
    kept = {name: getattr(job.recipe.net, name) for name in ENCODER_KEYS}
    taught = instant_job(job)
    net = NetSpec(model="instant", **kept)
    taught = replace(taught, recipe=taught.recipe.model_copy(update={"net": net}))
    frozen = build_frozen(taught.recipe, job.scenes[0].bands, scaling=scaling)
    body = cast("nn.Module", network.encoder.model)
    frozen.load({name: tensor.cpu().numpy() for name, tensor in body.state_dict().items()})
    return InstantLearner(taught, frozen)


def _check(recipe: Recipe) -> None:
    if recipe.teacher.rounds > 1 and recipe.net.model in PLAIN_NETWORKS:
        raise RecipeError(
            f"teacher.rounds {recipe.teacher.rounds} were asked for, but a {recipe.net.model} has "
            "no encoder that trees could read; leave it at 1, or choose a unet"
        )
