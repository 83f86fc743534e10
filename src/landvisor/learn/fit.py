"""How a network learns from chips, exactly repeatable from any epoch on."""

from __future__ import annotations

import logging
import math
import signal
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as lightning
import numpy as np
import torch
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning.pytorch.utilities.warnings import PossibleUserWarning
from rich.console import Console
from rich.progress import Progress as Bar
from torch import Tensor
from torch.utils import deterministic
from torch.utils.data import DataLoader

from landvisor.learn.augment import Batch, collate
from landvisor.learn.checkpoint import Journal, Progress, copy_state
from landvisor.learn.chips import ChipDataset
from landvisor.learn.device import find_device, place_network
from landvisor.learn.nets import Network
from landvisor.learn.objective import Objective
from landvisor.learn.optimise import (
    fallen_rate,
    has_stalled,
    make_optimiser,
    rate_at,
    set_rate,
)
from landvisor.recipe import FitSpec

log = logging.getLogger(__name__)

CRITERION = "mean_iou"
# Scores at a few hundred places jump from epoch to epoch; their mean over the latest few tells
# progress from luck.
_SMOOTH = 5

Evaluate = Callable[[Network], dict[str, float]]
MakeObjective = Callable[[Network], Objective]


@dataclass(frozen=True)
class Course:
    """What an earlier fit found out about how to train, for another to repeat.

    Attributes:
        epochs: How many were best. Rates are those of the whole schedule, of which this is a part.
        drops: Epochs after which the rate fell, where it waits for gains.
    """

    epochs: int
    drops: tuple[int, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What training is told besides its material.

    Attributes:
        spec: The recipe's part.
        seed: All randomness follows from it, the epoch and the sample.
        encoder_factor: Rate of the encoder relative to the rest.
        bf16: Multiply in bfloat16.
        journal: Where checkpoints and metrics go.
        progress: Show a bar on stderr.
        course: What to repeat; None follows the recipe.
    """

    spec: FitSpec
    seed: int
    encoder_factor: float
    bf16: bool
    journal: Journal
    progress: bool = False
    course: Course | None = None

    @property
    def epochs(self) -> int:
        """The last epoch, unless training ends before."""
        return self.spec.epochs if self.course is None else self.course.epochs


def train_network(
    network: Network,
    chips: ChipDataset,
    *,
    objective: MakeObjective,
    evaluate: Evaluate | None,
    plan: Plan,
) -> Progress:
    """Train a network, or go on with it where a checkpoint of the same run exists.

    Args:
        network: Changed in place; afterwards it holds the weights of the best epoch.
        chips: Where batches come from.
        objective: Makes what is lowered, for the network on its device.
        evaluate: Scores the network after each epoch; the one that ends the five best by mean
            `CRITERION` is kept. None keeps the last.
        plan: All else.
    """
    progress = plan.journal.restore()
    if not progress.done:
        plan.journal.forget_after(progress.epochs)
        place_network(network, find_device())
        if progress.epochs:
            network.load_state_dict(progress.network)
        lowered = objective(network)
        if progress.epochs:
            lowered.restore(progress.objective)
        keeper = _Keeper(chips, progress, plan=plan, evaluate=evaluate)
        _run(_Module(network, lowered, keeper=keeper), keeper)
    network.load_state_dict(progress.best)
    return progress


class _Module(lightning.LightningModule):  # type: ignore[misc]  # lightning is not typed for us
    """One training step, and the optimiser."""

    def __init__(self, network: Network, objective: Objective, *, keeper: _Keeper) -> None:
        super().__init__()
        self.network = network
        self.objective = objective
        self.keeper = keeper
        self.plan = keeper.plan

    def training_step(self, batch: Batch, index: int) -> Tensor:
        return self.objective(
            self.network,
            batch,
            epoch=self.keeper.progress.epochs,
            step=index,
            share=self.keeper.share(index),
        )

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return make_optimiser(self.network, self.plan.spec, encoder_factor=self.plan.encoder_factor)


class _Keeper(lightning.Callback):  # type: ignore[misc]  # lightning is not typed for us
    """Sets what each epoch and step depends on, and keeps what the next sitting needs."""

    def __init__(
        self, chips: ChipDataset, progress: Progress, *, plan: Plan, evaluate: Evaluate | None
    ) -> None:
        self.chips = chips
        self.progress = progress
        self.plan = plan
        self.evaluate = evaluate
        self.schedule = _choose_schedule(plan, validated=evaluate is not None)
        if plan.course is not None:
            progress.drops = list(plan.course.drops)
        self.steps = len(chips) // plan.spec.batch_size
        self.losses: list[Tensor] = []
        self.started = time.monotonic()
        self.bar = Bar(console=Console(stderr=True), disable=not plan.progress, transient=True)
        self.task = self.bar.add_task("fit", total=plan.epochs, completed=progress.epochs)

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

    def on_train_start(self, trainer: Any, _: _Module) -> None:
        if self.progress.optimizer:
            trainer.optimizers[0].load_state_dict(self.progress.optimizer)

    def on_train_epoch_start(self, *_: Any) -> None:
        self.chips.epoch = self.progress.epochs
        self.losses = []
        self.started = time.monotonic()

    def on_train_batch_start(self, trainer: Any, _: _Module, __: Batch, index: int) -> None:
        set_rate(trainer.optimizers[0], self.rate(index))
        # dropout draws from the global generator, which only a seed per step makes repeatable
        entropy = [self.plan.seed, self.progress.epochs, index]
        state = np.random.SeedSequence(entropy).generate_state(1)
        torch.manual_seed(int(state[0]))

    def on_train_batch_end(
        self, _: Any, module: _Module, outputs: dict[str, Tensor], *__: Any
    ) -> None:
        module.objective.follow(module.network)
        self.losses.append(outputs["loss"].detach())
        self.bar.advance(self.task, 1 / self.steps)

    def on_train_epoch_end(self, trainer: Any, module: _Module) -> None:
        judged = module.objective.judged(module.network)
        scores = _evaluate(judged, self.evaluate)
        self._record(module, judged, scores, optimizer=trainer.optimizers[0])
        trainer.should_stop = self.progress.done
        loss = float(torch.stack(self.losses).mean())
        for name, value in {"loss": loss, **scores}.items():
            self.progress.history.setdefault(name, []).append(value)
        record = {
            "epoch": self.progress.epochs,
            "loss": loss,
            "lr": max(group["lr"] for group in trainer.optimizers[0].param_groups),
            "seconds": time.monotonic() - self.started,
            **scores,
            **module.objective.report(),
        }
        self.plan.journal.write_metrics(record)
        self.plan.journal.save(self.progress)
        log.debug("%s", record)

    def _record(
        self,
        module: _Module,
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
        if progress.done:  # a finished run is only ever read for its best weights
            progress.network, progress.optimizer, progress.objective = {}, {}, {}


def _run(module: _Module, keeper: _Keeper) -> None:
    plan = module.plan
    loader = DataLoader(
        keeper.chips,
        batch_size=plan.spec.batch_size,
        collate_fn=collate,
        generator=torch.Generator().manual_seed(0),  # else it draws from the global one
    )
    with _quiet(), _exact(), torch.random.fork_rng(), keeper.bar:
        trainer = lightning.Trainer(
            max_epochs=plan.epochs - keeper.progress.epochs,
            accelerator="gpu" if find_device().type == "cuda" else "cpu",
            devices=1,
            gradient_clip_val=plan.spec.clip or None,
            callbacks=[keeper],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            # else a job's variables on a cluster would be taken for a plan of our processes
            plugins=[LightningEnvironment()],
        )
        with _interruptible():
            trainer.fit(module, loader)


def _choose_schedule(plan: Plan, *, validated: bool) -> str:
    schedule = plan.spec.schedule
    if schedule != "plateau" or validated or plan.course is not None:
        return schedule
    log.warning(
        "fit.schedule plateau waits for scores and nothing is validated: the rate falls by cosine"
    )
    return "cosine"


def _evaluate(network: Network, evaluate: Evaluate | None) -> dict[str, float]:
    if evaluate is None:
        return {}
    learning = network.training
    network.eval()
    try:
        return evaluate(network)
    finally:
        network.train(learning)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM through as what they are.

    Lightning turns the first into an exit and then ignores it for good, and the second into an
    exit that reports success.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        signal.signal(signal.SIGINT, handler)
        if isinstance(error, SIGTERMException):
            raise SystemExit(128 + signal.SIGTERM) from error
        raise KeyboardInterrupt from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep lightning's talk about hardware, tips and workers from our users."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # chips come from memory maps: a worker would copy more than it computes
        warnings.simplefilter("ignore", PossibleUserWarning)
        # what lightning itself calls of newer torch is nothing that our users could mend
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"lightning\.")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextmanager
def _exact() -> Iterator[None]:
    """Make sums come in one order: scattered gradients are otherwise added as threads finish."""
    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fill = deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    # an accelerator lacks exact kernels for some operations: there it is as exact as it can be
    torch.use_deterministic_algorithms(True, warn_only=True)
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
