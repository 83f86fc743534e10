"""What training is told besides its material."""

from __future__ import annotations

from dataclasses import dataclass

from landvisor.learn.checkpoint import Journal
from landvisor.learn.curves import Curves
from landvisor.ranks import ALONE, Ranks
from landvisor.recipe import FitSpec


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
        curves: Where the figures of every epoch go besides the journal.
        ranks: Which of the processes that train together this one is.
    """

    spec: FitSpec
    seed: int
    encoder_factor: float
    bf16: bool
    journal: Journal
    progress: bool = False
    course: Course | None = None
    curves: Curves | None = None
    ranks: Ranks = ALONE

    @property
    def epochs(self) -> int:
        """The last epoch, unless training ends before."""
        return self.spec.epochs if self.course is None else self.course.epochs
