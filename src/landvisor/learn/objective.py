"""What a training step lowers: the loss at places, and what teachers say of all other pixels."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from landvisor.learn.augment import Batch
from landvisor.learn.average import WeightAverage
from landvisor.learn.checkpoint import State, copy_state
from landvisor.learn.consistency import Trust, consistency_loss
from landvisor.learn.device import run_network, run_stages
from landvisor.learn.losses import PlaceLoss, sample_logits
from landvisor.learn.mixing import Box, draw_boxes, mix_maps, mix_places
from landvisor.learn.nets import Network, Stage
from landvisor.learn.pairwise import pairwise_loss
from landvisor.recipe import FitSpec, TeacherSpec

_RAMP = 5.0
_SIDES = 0.4  # of supervised stages beside the network's own logits, as Zhao et al. 2017 weigh one
_NEAR = 3.0  # cells: the deviation of the pairwise term's window
_MIX = 7  # a stream of random numbers of its own


class Objective:
    """The loss of a batch, and the averaged weights that follow the network.

    One forward pass of the network serves both terms. The loss at places and the term of the
    teachers have denominators of their own: labelled weight and cells with data.

    Args:
        network: What learns, on its device.
        loss: Over places.
        fit: How it is trained.
        teacher: What unlabelled pixels teach.
        classes: Number of classes.
        deviation: Standard deviation of the bands as the network reads them, their mean.
        seed: Of the run.
        bf16: Multiply in bfloat16.
    """

    def __init__(
        self,
        network: Network,
        loss: PlaceLoss,
        *,
        fit: FitSpec,
        teacher: TeacherSpec,
        classes: int,
        deviation: float,
        seed: int,
        bf16: bool,
    ) -> None:
        self.loss = loss
        self.fit = fit
        self.teacher = teacher
        self.deviation = deviation
        self.seed = seed
        self.bf16 = bf16
        self.average = WeightAverage(network, decay=fit.average) if fit.average else None
        self.trust = Trust(
            classes,
            threshold=teacher.threshold,
            adaptive=teacher.adaptive,
            balance=teacher.balance,
        )
        self._sums: dict[str, float] = defaultdict(float)
        self._steps = 0

    def __call__(
        self, network: Network, batch: Batch, *, epoch: int, step: int, share: float
    ) -> Tensor:
        """Return the loss of a batch.

        Args:
            network: What learns.
            batch: On any device.
            epoch: From 0.
            step: Of the epoch, from 0.
            share: Of the whole training that lies behind, 0 to 1.
        """
        guided = self._teaches()
        seen = self._mix(batch, epoch=epoch, step=step) if guided else (batch, None)
        mixed, boxes = seen
        stages = run_stages(network, mixed.image, bf16=self.bf16)
        terms = {"places": self._at_places(stages, mixed)}
        logits = stages[0].logits
        if boxes is not None:
            terms["teacher"] = self._teach(network, logits, batch, mixed.valid, boxes, share=share)
        if self.fit.pairwise:
            terms["pairwise"] = self._compare(network, logits, mixed)
        for name, term in terms.items():
            self._note(f"loss_{name}", term)
        if step == 0 and "teacher" in terms:
            pull = _gradient_ratio(network, terms["places"], terms["teacher"])
            self._sums["gradient_ratio"] = pull
        self._steps += 1
        return torch.stack(list(terms.values())).sum()

    def follow(self, network: Network) -> None:
        """Let the averaged weights take a step towards the network's."""
        if self.average is not None:
            self.average.update(network)

    def judged(self, network: Network) -> Network:
        """Return the network that validation scores and the model keeps."""
        return network if self.average is None else self.average.network

    def report(self) -> dict[str, float]:
        """Return means over the steps since the last report: terms, believed share."""
        steps = max(self._steps, 1)
        ratio = self._sums.pop("gradient_ratio", None)
        found = {name: total / steps for name, total in self._sums.items()}
        self._sums.clear()
        self._steps = 0
        return found if ratio is None else {**found, "gradient_ratio": ratio}

    def state(self) -> State:
        """Return what a later sitting needs besides the network."""
        state = {f"trust.{name}": value for name, value in self.trust.state().items()}
        if self.average is not None:
            weights = copy_state(self.average.network)
            state |= {f"average.{name}": value for name, value in weights.items()}
            state["steps"] = torch.tensor(self.average.steps)
        return state

    def restore(self, state: State) -> None:
        """Go on from what `state` returned."""
        self.trust.restore(_take(state, "trust."))
        if self.average is not None:
            self.average.network.load_state_dict(_take(state, "average."))
            self.average.steps = int(state["steps"])

    def _at_places(self, stages: tuple[Stage, ...], batch: Batch) -> Tensor:
        """Return the network's own loss, and the mean of its supervised stages' beside it."""
        losses = []
        for stage in stages:
            chosen = sample_logits(stage.logits, batch.coords, batch.batch, size=stage.size)
            losses.append(self.loss(chosen, batch.label, batch.weight))
        own, *sides = losses
        return own + _SIDES * torch.stack(sides).mean() if sides else own

    def _compare(self, network: Network, logits: Tensor, batch: Batch) -> Tensor:
        found = pairwise_loss(
            logits,
            batch.image.to(logits.device),
            valid=batch.valid.to(logits.device),
            stride=network.stride,
            sigma_colour=self.fit.pairwise_colour * self.deviation,
            sigma_position=_NEAR,
        )
        return self.fit.pairwise * found

    def _teaches(self) -> bool:
        return self.teacher.source != "none" and self.teacher.weight > 0

    def _mix(self, batch: Batch, *, epoch: int, step: int) -> tuple[Batch, list[Box]]:
        generator = np.random.default_rng([self.seed, epoch, step, _MIX])
        count, size = len(batch.image), (batch.image.shape[-2], batch.image.shape[-1])
        boxes = draw_boxes(generator, count, size=size, share=self.teacher.cutmix)
        mixed = mix_places(batch, boxes)._replace(
            image=mix_maps(batch.image, boxes), valid=mix_maps(batch.valid, boxes)
        )
        return mixed, boxes

    def _teach(
        self,
        network: Network,
        logits: Tensor,
        batch: Batch,
        valid: Tensor,
        boxes: list[Box],
        *,
        share: float,
    ) -> Tensor:
        known = cell_shares(valid.to(logits.device), logits.shape[-2:], stride=network.stride)
        rise = ramp(share, self.teacher.ramp) if self.teacher.averages else 0.0
        terms = []
        if self.teacher.instructs:
            assert batch.guide is not None, "chips carry the guide"
            say = 1 - rise / 2 if self.teacher.averages else 1.0
            guide = mix_maps(batch.guide, boxes, stride=network.stride).to(logits.device)
            sure = guide.amax(dim=1) * known
            terms.append(say * consistency_loss(logits, guide, sure, kind="soft_ce", valid=known))
        if rise > 0:
            assert self.average is not None, "an average teaches"
            assert batch.plain is not None, "chips carry what it sees"
            with torch.no_grad():
                told = run_network(self.average.network, batch.plain, bf16=self.bf16)
                told = mix_maps(torch.softmax(told.float(), dim=1), boxes, stride=network.stride)
            weight = self.trust.weigh(told, known)
            self._note("believed", (weight > 0).float().sum() / known.sum().clamp(min=1))
            say = rise / 2 if self.teacher.instructs else rise
            kind = self.teacher.consistency
            terms.append(say * consistency_loss(logits, told, weight, kind=kind, valid=known))
        if not terms:
            return logits.sum() * 0
        return self.teacher.weight * torch.stack(terms).sum()

    def _note(self, name: str, value: Tensor) -> None:
        self._sums[name] += float(value.detach())


def ramp(share: float, length: float) -> float:
    """Return exp(-5 (1 - t)²), t = share / length: the say of a teacher that learns.

    References:
        Laine & Aila 2017, arXiv:1610.02242, section 2.1.
    """
    t = min(share / length, 1.0) if length else 1.0
    return float(np.exp(-_RAMP * (1 - t) ** 2))


def cell_shares(valid: Tensor, cells: torch.Size | tuple[int, int], *, stride: int) -> Tensor:
    """Return `[b, h, w]`: the share of pixels with data in each cell of `stride` pixels."""
    rows, cols = cells[0] * stride - valid.shape[-2], cells[1] * stride - valid.shape[-1]
    whole = F.pad(valid.float()[:, None], (0, cols, 0, rows))
    return F.avg_pool2d(whole, stride)[:, 0]


def _gradient_ratio(network: Network, first: Tensor, second: Tensor) -> float:
    """Compare how two terms pull at the weights of the head: the ratio of gradients' norms."""
    weights = list(network.head.parameters())
    norms = [
        torch.cat([part.flatten() for part in parts]).float().norm()
        for parts in (torch.autograd.grad(t, weights, retain_graph=True) for t in (first, second))
    ]
    return float(norms[1] / norms[0].clamp(min=1e-12))


def _take(state: State, prefix: str) -> State:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
