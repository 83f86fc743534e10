"""What a training run needs to go on exactly where it was killed."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import pickle
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from landvisor.geo.places import Places

log = logging.getLogger(__name__)

_STARTED = time.time()  # what this process writes tells a user nothing new

State = dict[str, Tensor]


@dataclass
class Progress:
    """Where a run stands after some whole epochs.

    Attributes:
        epochs: Epochs that are done.
        network: Weights after the last of them.
        optimizer: The optimiser's state then.
        objective: What the loss remembers then: averaged weights, whom it trusts.
        best: Weights of the best epoch; of the last where nothing is validated.
        best_epoch: Counted from 1; 0 before any.
        scores: Of the best epoch, by name; empty where nothing is validated.
        recent: Criterion of the latest epochs, oldest first.
        peak: Highest mean of `recent` so far.
        drops: Epochs after which the rate fell, where it waits for gains.
        parts: In how many parts a batch is computed, so that it fits into memory.
        history: Loss and scores of every epoch, by name; NaN is unknown.
        seconds: Time spent so far, over all sittings.
        done: Nothing is left to do.
    """

    epochs: int = 0
    network: State = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    objective: State = field(default_factory=dict)
    best: State = field(default_factory=dict)
    best_epoch: int = 0
    scores: dict[str, float] = field(default_factory=dict)
    recent: list[float] = field(default_factory=list)
    peak: float = -math.inf
    drops: list[int] = field(default_factory=list)
    parts: int = 1
    history: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0
    done: bool = False


@dataclass(frozen=True)
class Journal:
    """The files of one run in a folder that many runs may share.

    Args:
        folder: Holds `fit-<digest>.pt` of each run and `metrics.jsonl` of all.
        digest: Names everything that the run's result depends on.
    """

    folder: Path
    digest: str

    @property
    def path(self) -> Path:
        """The checkpoint of this run."""
        return self.folder / f"fit-{self.digest}.pt"

    def restore(self) -> Progress:
        """Return how far this run had come; nothing done if it is new or its file is damaged."""
        if not self.path.exists():
            found = self.folder.glob("fit-*.pt")
            earlier = sum(path.stat().st_mtime < _STARTED for path in found)
            if earlier:
                log.info("training starts anew; %d checkpoints here are of other runs", earlier)
            return Progress()
        try:
            progress = Progress(**torch.load(self.path, map_location="cpu", weights_only=True))
        except (OSError, RuntimeError, EOFError, TypeError, pickle.UnpicklingError) as error:
            log.warning("training starts anew: checkpoint %s is damaged (%s)", self.path, error)
            return Progress()
        log.info("training goes on after epoch %d", progress.epochs)
        return progress

    def save(self, progress: Progress) -> None:
        """Replace the checkpoint in one step, so that a kill leaves the old or the new one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        aside = self.path.with_suffix(".tmp")
        torch.save(vars(progress), aside)
        aside.replace(self.path)

    def write_metrics(self, record: dict[str, float]) -> None:
        """Append a line to `metrics.jsonl`, marked with the run it is of."""
        with self._metrics.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"fit": self.digest, **record}) + "\n")

    def records(self) -> list[dict[str, Any]]:
        """Return this run's lines of `metrics.jsonl`, an epoch each."""
        if not self._metrics.exists():
            return []
        lines = self._metrics.read_text(encoding="utf-8").splitlines()
        return [record for record in map(_read_line, lines) if record.get("fit") == self.digest]

    def forget_after(self, epochs: int) -> None:
        """Drop this run's lines beyond the epochs that its checkpoint holds."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._metrics.exists():
            return
        lines = self._metrics.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not self._is_later(line, epochs)]
        aside = self._metrics.with_suffix(".tmp")
        aside.write_text("".join(kept), encoding="utf-8")
        aside.replace(self._metrics)

    def _is_later(self, line: str, epochs: int) -> bool:
        record = _read_line(line)
        if not record:
            return True
        return bool(record.get("fit") == self.digest and record["epoch"] > epochs)

    @property
    def _metrics(self) -> Path:
        return self.folder / "metrics.jsonl"


def _read_line(line: str) -> dict[str, Any]:
    try:
        return dict(json.loads(line))
    except json.JSONDecodeError:  # the line that a kill cut off
        return {}


def digest_run(network: nn.Module, *, places: list[Places], choices: dict[str, Any]) -> str:
    """Name a run by all that its result depends on.

    Args:
        network: As it starts.
        places: All places that it learns from or is validated on.
        choices: Everything else, as JSON can hold it.
    """
    content = hashlib.sha256(json.dumps(choices, sort_keys=True).encode())
    for part in places:
        for array in vars(part).values():
            content.update(np.ascontiguousarray(array).tobytes())
        content.update(b"|")
    for name, tensor in network.state_dict().items():
        content.update(name.encode())
        content.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return content.hexdigest()[:16]


def copy_state(network: nn.Module) -> State:
    """Copy a network's weights to memory that training does not change."""
    return {name: t.detach().cpu().clone() for name, t in network.state_dict().items()}
