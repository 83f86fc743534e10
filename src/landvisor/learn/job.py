"""What a learner is given, and what it must be able to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from landvisor.geo.legend import Legend
from landvisor.geo.places import Places
from landvisor.geo.radiometry import Radiometry
from landvisor.geo.scene import Scene
from landvisor.learn.curves import Curves
from landvisor.learn.model import Model
from landvisor.ranks import ALONE, Ranks
from landvisor.recipe import Recipe


@dataclass(frozen=True)
class Job:
    """The material of a training run, common to all folds.

    Attributes:
        scenes: The scenes that `Places.scene` counts.
        legend: Its active classes are what is learned.
        radiometry: Band statistics of the scenes' valid pixels.
        recipe: All choices.
        folder: Where caches and checkpoints may be written; kept by the caller.
        progress: Show a progress bar on stderr.
        unlabelled: More scenes with the same bands, which a network's teachers speak of.
        curves: Where the figures of every epoch of a network's training go.
        ranks: Which of the processes that train together this one is; `folder` is its own.
    """

    scenes: tuple[Scene, ...]
    legend: Legend
    radiometry: Radiometry
    recipe: Recipe
    folder: Path
    progress: bool = False
    unlabelled: tuple[Scene, ...] = ()
    curves: Curves | None = None
    ranks: Ranks = ALONE


class Learner(Protocol):
    """Something that is prepared once for a job and then fitted to any part of its places."""

    def fit(self, train: Places, val: Places | None, *, seed: int) -> Model:
        """Fit on `train`; `val` makes every choice (epoch, classifier); None makes none."""
        ...

    def predict(self, model: Model, places: Places) -> NDArray[np.float32]:
        """Return `[n, classes]`: probabilities at places, each from its most interior window."""
        ...

    def ask(self, model: Model, places: Places) -> NDArray[np.float32]:
        """Return `[member, n, classes]`: the same of each model that it averages, or of one."""
        ...
