"""A running average of a network's weights."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from landvisor.learn.nets import Network


class WeightAverage:
    """Weights averaged along training, steadier than any of them, and a teacher to them.

    After step t = 0, 1, … the average becomes d·average + (1 - d)·weights with
    d = min(decay, (1 + t) / (10 + t)), so that it leaves the random start behind in few steps.
    What normalisation layers count is averaged too; whole numbers are copied.

    Args:
        network: Where the average starts; it is copied, not changed.
        decay: 0 and more, below 1.

    References:
        Tarvainen & Valpola 2017, arXiv:1703.01780 (mean teacher).
    """

    def __init__(self, network: Network, *, decay: float) -> None:
        assert 0 <= decay < 1, "a decay is below 1"
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._mine = _list_tensors(self.network)
        self.decay = decay
        self.steps = 0

    @torch.no_grad()
    def update(self, network: Network) -> None:
        """Take a step towards a network's weights."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        smooth: tuple[list[Tensor], list[Tensor]] = ([], [])
        for mine, theirs in zip(self._mine, _list_tensors(network), strict=True):
            if mine.is_floating_point():
                smooth[0].append(mine)
                smooth[1].append(theirs)
            else:
                mine.copy_(theirs)
        torch._foreach_lerp_(*smooth, 1 - decay)


def _list_tensors(network: Network) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]
