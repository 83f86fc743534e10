"""What the losses of one step are computed from, the whole batch or a part of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from landvisor.learn.augment import Batch
from landvisor.learn.consistency import Consistency

Total = Callable[[Tensor], Tensor]
"""Adds up a tensor over all processes that share a batch."""


class Turn(NamedTuple):
    """Which step it is, and which chips of its batch this process has.

    Attributes:
        epoch: From 0.
        step: Of the epoch, from 0.
        share: Of the whole training that lies behind, 0 to 1.
        first: Position of this process's first chip in the batch of all.
        whole: Chips of that batch; None where this process has them all.
    """

    epoch: int
    step: int
    share: float
    first: int = 0
    whole: int | None = None


class Totals(NamedTuple):
    """What terms are divided by: sums over the whole batch, on whatever process its chips are.

    Attributes:
        places: Labelled weight.
        cells: Cells with data.
        pairs: Pairs of near cells, as `weigh_pairs` counts them.
    """

    places: Tensor
    cells: Tensor
    pairs: Tensor


@dataclass(frozen=True)
class Word:
    """What a teacher says of a batch.

    Attributes:
        told: `[b, class, h, w]`: probabilities.
        weight: `[b, h, w]`: how far it is believed.
        kind: How a network is compared with it.
        say: Its factor.
    """

    told: Tensor
    weight: Tensor
    kind: Consistency
    say: float


@dataclass(frozen=True)
class Task:
    """A step's batch with all that its losses need besides the network.

    Attributes:
        batch: As the network sees it, what was pasted included.
        turn: Which step it is.
        totals: Denominators.
        known: `[b, h, w]`: share of data in each cell; None where nobody teaches.
        words: What teachers say.
    """

    batch: Batch
    turn: Turn
    totals: Totals
    known: Tensor | None = None
    words: tuple[Word, ...] = ()

    def part(self, chips: slice) -> Task:
        """Return the task of some chips alone; the parts' losses add up to that of the whole."""
        if chips == slice(0, len(self.batch.image)):
            return self
        words = (replace(w, told=w.told[chips], weight=w.weight[chips]) for w in self.words)
        return replace(
            self,
            batch=take_chips(self.batch, chips),
            known=None if self.known is None else self.known[chips],
            words=tuple(words),
        )


def take_chips(batch: Batch, chips: slice) -> Batch:
    """Return some chips of a batch with their places."""
    inside = torch.nonzero((batch.batch >= chips.start) & (batch.batch < chips.stop)).flatten()
    return batch._replace(
        image=batch.image[chips],
        valid=batch.valid[chips],
        plain=None if batch.plain is None else batch.plain[chips],
        guide=None if batch.guide is None else batch.guide[chips],
        coords=batch.coords[inside],
        batch=batch.batch[inside] - chips.start,
        label=batch.label[inside],
        weight=batch.weight[inside],
    )
