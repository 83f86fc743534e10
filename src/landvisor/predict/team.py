"""Who predicts the blocks of a map: this process, or workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from landvisor.geo.damage import DamagedBlock
from landvisor.geo.tiling import Window
from landvisor.learn.ensemble import has_members
from landvisor.learn.model import Model
from landvisor.parallel import work_ahead
from landvisor.predict.backends import Backend, apply_backend
from landvisor.predict.blocks import cut_blocks, find_area, pack
from landvisor.predict.picture import Picture
from landvisor.predict.temper import temper_rows
from landvisor.recipe import PredictSpec


@dataclass(frozen=True)
class Task:
    """A run of blocks that lie below each other.

    Attributes:
        position: Of the picture.
        picture: What is predicted.
        run: From the first row on.
    """

    position: int
    picture: Picture
    run: tuple[Window, ...]


@dataclass(frozen=True)
class Packed:
    """A finished block.

    Attributes:
        position: Of the picture.
        block: Where it lies.
        content: As `landvisor.predict.blocks.pack` made it.
        damaged: What was found damaged of the picture's files so far.
    """

    position: int
    block: Window
    content: bytes
    damaged: tuple[DamagedBlock, ...] = ()


@dataclass(frozen=True)
class Computed:
    """A model and what computes it.

    Attributes:
        model: As it was fitted.
        backend: Chosen for it.
        folder: Where the backend's files lie.
    """

    model: Model
    backend: Backend
    folder: Path

    def load(self) -> Model:
        """Return the model as it predicts."""
        return apply_backend(self.model, self.backend, folder=self.folder)


class Team(Protocol):
    """Whoever predicts tasks."""

    def longest_run(self, blocks: int) -> int | None:
        """Return how many blocks a run may have where so many are missing; None is any number."""

    def predict(
        self, computed: Computed, spec: PredictSpec, tasks: Iterable[Task]
    ) -> Iterator[Packed]:
        """Yield all blocks of tasks, in any order."""


class Alone:
    """This process."""

    def longest_run(self, blocks: int) -> None:
        """Let windows across two blocks be predicted once."""

    def predict(
        self, computed: Computed, spec: PredictSpec, tasks: Iterable[Task]
    ) -> Iterator[Packed]:
        """Yield the blocks in the order of the tasks, while the next one is being predicted."""
        model = computed.load()
        for task in tasks:
            with closing(work_ahead(predict_task(model, spec, task), most=1)) as blocks:
                yield from blocks


def predict_task(model: Model, spec: PredictSpec, task: Task) -> Iterator[Packed]:
    """Predict a run of blocks, and yield each once it is finished."""
    parts = task.picture.predict(model, spec, area=find_area(task.run))
    if spec.calibrate:
        parts = temper_rows(parts, model.card.temperature)
    legend, several = model.card.legend, has_members(model)
    for block, planes in cut_blocks(parts, task.run, legend=legend, disagreement=several):
        yield Packed(task.position, block, pack(planes), task.picture.list_damage())
