"""What each epoch and step of a training depends on, and what the next sitting needs."""

from __future__ import annotations

import logging
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as lightning
import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress as Bar
from torch import Tensor

from landvisor.learn.audit import Verdict
from landvisor.learn.augment import Batch
from landvisor.learn.checkpoint import Progress, copy_state
from landvisor.learn.chips import ChipDataset
from landvisor.learn.nets import Network
from landvisor.learn.optimise import fallen_rate, has_stalled, rate_at, set_rate
from landvisor.learn.plan import Plan
from landvisor.learn.portions import Portions
from landvisor.learn.task import Turn

log = logging.getLogger(__name__)

CRITERION = "mean_iou"
# Scores at a few hundred places jump from epoch to epoch; their mean over the latest few tells
# progress from luck.
_SMOOTH = 5

Evaluate = Callable[[Network], Verdict]


class Keeper(lightning.Callback):  # type: ignore[misc]  # lightning is not typed for us
    """Sets what each epoch and step depends on, and keeps what the next sitting needs."""

    def __init__(
        self, chips: ChipDataset, progress: Progress, *, plan: Plan, evaluate: Evaluate | None
    ) -> None:
        self.chips = chips
        self.progress = progress
        self.plan = plan
        self.evaluate = evaluate
        self.schedule = _choose_schedule(plan, validated=evaluate is not None)
        self.steps = len(chips) // plan.spec.batch_size
        self.portions = Portions(progress.parts)
        self.losses: list[Tensor] = []
        self.started = time.monotonic()
        shown = plan.progress and plan.ranks.leads
        self.bar = Bar(console=Console(stderr=True), disable=not shown, transient=True)
        self.task = self.bar.add_task("fit", total=plan.epochs)

    def setup(self, trainer: Any, module: Any, **_: Any) -> None:
        """Go on from where the first process was."""
        self.progress = trainer.strategy.broadcast(self.progress)
        progress = self.progress
        self.portions = Portions(progress.parts)
        trainer.fit_loop.max_epochs = 0 if progress.done else self.plan.epochs - progress.epochs
        self.bar.update(self.task, completed=progress.epochs)
        if self.plan.course is not None:
            progress.drops = list(self.plan.course.drops)
        if progress.epochs and not progress.done:
            module.network.load_state_dict(progress.network)
            module.objective.restore(progress.objective)

    def turn(self, index: int) -> Turn:
        """Return which step of the training step `index` of this epoch is."""
        batch_size = self.plan.spec.batch_size
        first = self.plan.ranks.share_out(batch_size).start
        return Turn(self.progress.epochs, index, self.share(index), first, batch_size)

    def seed_step(self, turn: Turn) -> None:
        """Make what a step draws repeatable: dropout draws from the global generator."""
        rank = self.plan.ranks.index
        entropy = [self.plan.seed, turn.epoch, turn.step, *([rank] if rank else [])]
        state = np.random.SeedSequence(entropy).generate_state(1)
        torch.manual_seed(int(state[0]))

    def share(self, index: int) -> float:
        """Return the share of all steps that lies behind step `index` of this epoch."""
        return (self.progress.epochs * self.steps + index) / (self.plan.spec.epochs * self.steps)

    def rate(self, index: int) -> float:
        """Return the rate of step `index` of this epoch, relative to its peak."""
        spec = self.plan.spec
        if self.schedule != "plateau":
            return rate_at(self.share(index), self.schedule)
        return fallen_rate(
            self.progress.epochs, drops=self.progress.drops, factor=spec.plateau_factor
        )

    def on_train_start(self, trainer: Any, _: Any) -> None:
        """Give the optimiser back what it remembered."""
        if self.progress.optimizer:
            trainer.optimizers[0].load_state_dict(self.progress.optimizer)

    def on_train_epoch_start(self, *_: Any) -> None:
        """Draw other chips than before."""
        self.chips.epoch = self.progress.epochs
        self.losses = []
        self.started = time.monotonic()

    def on_train_batch_start(self, trainer: Any, _: Any, __: Batch, index: int) -> None:
        """Set the rate."""
        set_rate(trainer.optimizers[0], self.rate(index))

    def on_train_batch_end(self, _: Any, module: Any, outputs: dict[str, Tensor], *__: Any) -> None:
        """Let the average follow the weights."""
        module.objective.follow(module.network)
        self.losses.append(outputs["loss"].detach())
        self.bar.advance(self.task, 1 / self.steps)

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Validate, decide whether to go on, and write down how it went."""
        judged = module.objective.judged(module.network)
        verdict = _evaluate(judged, self.evaluate) if self.plan.ranks.leads else None
        scores = trainer.strategy.broadcast({} if verdict is None else verdict.scores)
        self._record(module, judged, scores, optimizer=trainer.optimizers[0])
        trainer.should_stop = self.progress.done
        loss = float(module.total(torch.stack(self.losses).mean()))
        for name, value in {"loss": loss, **scores}.items():
            self.progress.history.setdefault(name, []).append(value)
        record = {
            "epoch": self.progress.epochs,
            "loss": loss,
            "lr": max(group["lr"] for group in trainer.optimizers[0].param_groups),
            "seconds": time.monotonic() - self.started,
            **scores,
            **module.objective.report(verdict, total=module.total),
        }
        if self.plan.ranks.leads:
            self.plan.journal.write_metrics(record)
            self.plan.journal.save(self.progress)
            if self.plan.curves is not None:
                self.plan.curves.add(record)
        log.debug("%s", record)

    def on_train_end(self, trainer: Any, _: Any) -> None:
        """Give all processes one result: each kept batch statistics of its own."""
        self.progress.best = trainer.strategy.broadcast(self.progress.best)

    def _record(
        self,
        module: Any,
        judged: Network,
        scores: dict[str, float],
        *,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        progress, spec = self.progress, self.plan.spec
        progress.epochs += 1
        progress.seconds += time.monotonic() - self.started
        progress.network = copy_state(module.network)
        progress.objective = module.objective.state()
        progress.optimizer = optimizer.state_dict()
        progress.parts = self.portions.count
        if scores:
            progress.recent = [*progress.recent, scores[CRITERION]][-_SMOOTH:]
        level = statistics.fmean(progress.recent) if scores else math.inf
        if not scores or level > progress.peak:
            progress.best, progress.best_epoch = copy_state(judged), progress.epochs
            progress.scores, progress.peak = scores, level
        if (
            self.schedule == "plateau"
            and scores
            and has_stalled(
                progress.epochs,
                best=progress.best_epoch,
                drops=progress.drops,
                patience=spec.plateau_patience,
            )
        ):
            progress.drops = [*progress.drops, progress.epochs]
        waited = progress.epochs - progress.best_epoch
        progress.done = progress.epochs >= self.plan.epochs or 0 < spec.patience <= waited
        if progress.done and spec.keep == "last" and progress.best_epoch < progress.epochs:
            progress.best, progress.best_epoch = copy_state(judged), progress.epochs
            progress.scores, progress.peak = scores, level
        if progress.done:  # a finished run is only ever read for its best weights
            progress.network, progress.optimizer, progress.objective = {}, {}, {}


def _choose_schedule(plan: Plan, *, validated: bool) -> str:
    schedule = plan.spec.schedule
    if schedule != "plateau" or validated or plan.course is not None:
        return schedule
    log.warning(
        "fit.schedule plateau waits for scores and nothing is validated: the rate falls by cosine"
    )
    return "cosine"


def _evaluate(network: Network, evaluate: Evaluate | None) -> Verdict | None:
    if evaluate is None:
        return None
    learning = network.training
    network.eval()
    try:
        return evaluate(network)
    finally:
        network.train(learning)
