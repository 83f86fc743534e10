"""What a training step lowers: the loss at places, and what teachers say of all other pixels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from landvisor.learn.audit import Verdict, describe_accepted, describe_agreed
from landvisor.learn.augment import Batch
from landvisor.learn.average import WeightAverage
from landvisor.learn.checkpoint import State, copy_state
from landvisor.learn.consistency import Trust, consistency_loss
from landvisor.learn.device import run_network, run_stages
from landvisor.learn.loss_inputs import divide
from landvisor.learn.losses import PlaceLoss, sample_logits
from landvisor.learn.mixing import Box, draw_boxes, mix_maps, mix_places
from landvisor.learn.nets import Network, Stage
from landvisor.learn.pairwise import pairwise_loss, weigh_pairs
from landvisor.learn.task import Task, Total, Totals, Turn, Word
from landvisor.recipe import FitSpec, TeacherSpec

_RAMP = 5.0
_SIDES = 0.4  # of supervised stages beside the network's own logits, as Zhao et al. 2017 weigh one
_NEAR = 3.0  # cells: the deviation of the pairwise term's window
_MIX = 7  # a stream of random numbers of its own


def _alone(tensor: Tensor) -> Tensor:
    return tensor


@dataclass(frozen=True)
class Asked:
    """A batch that teachers were asked about, before anything is decided.

    Attributes:
        batch: As the network sees it, what was pasted included.
        turn: Which step it is.
        known: `[b, h, w]`: share of data in each cell; None where nobody teaches.
        told: `[b, class, h, w]`: what the averaged weights say; None where they have no say.
        rise: Their say, 0 to 1.
    """

    batch: Batch
    turn: Turn
    known: Tensor | None = None
    told: Tensor | None = None
    rise: float = 0.0


class Objective:
    """The loss of a batch, and the averaged weights that follow the network.

    One forward pass of the network serves all terms. The loss at places and the term of the
    teachers have denominators of their own: labelled weight and cells with data, of the whole
    batch. So a step is `ask`, `settle`, and then `terms` of the task or, one after the other, of
    its parts; what several processes find is added up.

    Args:
        network: What learns, on its device.
        loss: Over places.
        fit: How it is trained.
        teacher: What unlabelled pixels teach.
        names: Of the classes.
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
        names: Sequence[str],
        deviation: float,
        seed: int,
        bf16: bool,
    ) -> None:
        self.stride = network.stride
        self.loss = loss
        self.fit = fit
        self.teacher = teacher
        self.deviation = deviation
        self.seed = seed
        self.bf16 = bf16
        self.average = WeightAverage(network, decay=fit.average) if fit.average else None
        self.names = names
        self.trust = Trust(
            len(names),
            threshold=teacher.threshold,
            adaptive=teacher.adaptive,
            balance=teacher.balance,
        )
        self._sums: dict[str, float] = defaultdict(float)
        self._steps = 0

    def ask(self, batch: Batch, turn: Turn, *, parts: Sequence[slice] = ()) -> Asked:
        """Mix the chips of a batch, and ask the averaged weights what they show.

        Args:
            batch: On the network's device.
            turn: Which step it is.
            parts: Chips that are computed at once; all where empty.
        """
        if not self.teacher.teaches:
            return Asked(batch, turn)
        boxes = self._draw_boxes(batch, turn)
        mixed = mix_places(batch, boxes)._replace(
            image=mix_maps(batch.image, boxes), valid=mix_maps(batch.valid, boxes), plain=None
        )
        if batch.guide is not None:
            mixed = mixed._replace(guide=mix_maps(batch.guide, boxes, stride=self.stride))
        rise = ramp(turn.share, self.teacher.ramp) if self.teacher.averages else 0.0
        told = None
        if rise > 0:
            whole = [slice(0, len(batch.image))]
            seen = torch.cat([self._ask_average(batch, chips) for chips in parts or whole])
            told = mix_maps(seen, boxes, stride=self.stride)
        return Asked(mixed, turn, cell_shares(mixed.valid, stride=self.stride), told, rise)

    def settle(self, asked: Asked, *, total: Total = _alone) -> Task:
        """Decide what is believed, and what terms are divided by.

        Args:
            asked: What `ask` returned.
            total: Adds up over all processes that share the batch.
        """
        batch, known, weight = asked.batch, asked.known, asked.batch.weight
        pairs = self._weigh_pairs(batch) if self.fit.pairwise else weight.new_zeros(())
        cells = weight.new_zeros(()) if known is None else known.sum()
        totals = Totals(*total(torch.stack([weight.sum(), cells, pairs])).unbind())
        task = Task(batch, asked.turn, totals, known)
        if known is None:
            return task
        words = []
        if self.teacher.instructs:
            assert batch.guide is not None, "chips carry the guide"
            say = 1 - asked.rise / 2 if self.teacher.averages else 1.0
            say *= 1 - self.teacher.fade * fall(asked.turn.share)
            sure = batch.guide.amax(dim=1) * known
            words.append(Word(batch.guide, sure, "soft_ce", say))
        if asked.told is not None:
            weight = self.trust.weigh(asked.told, known, total=total)
            say = asked.rise / 2 if self.teacher.instructs else asked.rise
            words.append(Word(asked.told, weight, self.teacher.consistency, say))
        return replace(task, words=tuple(words))

    def terms(self, network: Network, task: Task) -> dict[str, Tensor]:
        """Return the terms of the loss, of which the sum is lowered, by name."""
        stages = run_stages(network, task.batch.image, bf16=self.bf16)
        logits = stages[0].logits
        terms = {"places": self._at_places(stages, task)}
        if task.known is not None:
            terms["teacher"] = self.teacher.factor * _heed(logits, task, task.known)
        if self.fit.pairwise:
            terms["pairwise"] = self._compare(logits, task)
        if "teacher" in terms and "gradient_ratio" not in self._sums:
            first, second = terms["places"], terms["teacher"]
            if first > 0 and second > 0:  # the epoch's first step that has both
                self._sums["gradient_ratio"] = _gradient_ratio(network, first, second)
        return terms

    def note(self, terms: Mapping[str, Tensor]) -> None:
        """Remember the terms of a step for the next report."""
        for name, term in terms.items():
            self._sums[f"loss_{name}"] += float(term.detach())
        self._steps += 1

    def follow(self, network: Network) -> None:
        """Let the averaged weights take a step towards the network's."""
        if self.average is not None:
            self.average.update(network)

    def judged(self, network: Network) -> Network:
        """Return the network that validation scores and the model keeps."""
        return network if self.average is None else self.average.network

    def report(self, verdict: Verdict | None = None, *, total: Total = _alone) -> dict[str, float]:
        """Return means over the steps since the last report, and whom to believe.

        Args:
            verdict: What validation says of the averaged weights; None where nothing is validated.
            total: Adds up over all processes.
        """
        steps = max(self._steps, 1)
        ratio = self._sums.pop("gradient_ratio", None)
        sums = torch.tensor(list(self._sums.values()), dtype=torch.float64)
        found = dict(zip(self._sums, (total(sums) / steps).tolist(), strict=True))
        self._sums.clear()
        self._steps = 0
        if ratio is not None:
            found["gradient_ratio"] = ratio
        return found | self._audit(verdict)

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

    def _audit(self, verdict: Verdict | None) -> dict[str, float]:
        """Say how far the averaged weights were believed, and were right, where they teach."""
        if not (self.teacher.teaches and self.teacher.averages):
            return {}
        tally, thresholds = self.trust.take_tally(), self.trust.thresholds()
        seen, believed = tally.sum(dim=1).tolist()
        found = {"believed": believed / max(seen, 1), **describe_accepted(tally, self.names)}
        if self.teacher.adaptive:
            pairs = zip(self.names, thresholds.tolist(), strict=True)
            found |= {f"threshold.{name}": value for name, value in pairs}
        if verdict is not None:
            found |= describe_agreed(verdict, thresholds, self.names)
        return found

    def _at_places(self, stages: tuple[Stage, ...], task: Task) -> Tensor:
        """Return the network's own loss, and the mean of its supervised stages' beside it."""
        batch, losses = task.batch, []
        for stage in stages:
            chosen = sample_logits(stage.logits, batch.coords, batch.batch, size=stage.size)
            losses.append(self.loss(chosen, batch.label, batch.weight, total=task.totals.places))
        own, *sides = losses
        return own + _SIDES * torch.stack(sides).mean() if sides else own

    def _compare(self, logits: Tensor, task: Task) -> Tensor:
        batch = task.batch
        found = pairwise_loss(
            logits,
            batch.image,
            valid=batch.valid,
            stride=self.stride,
            sigma_colour=self.fit.pairwise_colour * self.deviation,
            sigma_position=_NEAR,
        )
        share = divide(self._weigh_pairs(batch), task.totals.pairs)
        return self.fit.pairwise * share * found

    def _weigh_pairs(self, batch: Batch) -> Tensor:
        return weigh_pairs(batch.valid, stride=self.stride, sigma_position=_NEAR)

    def _draw_boxes(self, batch: Batch, turn: Turn) -> list[Box]:
        generator = np.random.default_rng([self.seed, turn.epoch, turn.step, _MIX])
        count, size = len(batch.image), (batch.image.shape[-2], batch.image.shape[-1])
        whole = count if turn.whole is None else turn.whole
        boxes = draw_boxes(generator, whole, size=size, share=self.teacher.cutmix)
        return boxes[turn.first : turn.first + count]

    @torch.no_grad()
    def _ask_average(self, batch: Batch, chips: slice) -> Tensor:
        assert self.average is not None, "an average teaches"
        assert batch.plain is not None, "chips carry what it sees"
        logits = run_network(self.average.network, batch.plain[chips], bf16=self.bf16)
        return torch.softmax(logits.float(), dim=1)


def _heed(logits: Tensor, task: Task, known: Tensor) -> Tensor:
    """Compare logits with the words of all teachers."""
    terms = [
        word.say
        * consistency_loss(
            logits,
            word.told,
            word.weight,
            kind=word.kind,
            valid=known,
            total=task.totals.cells,
        )
        for word in task.words
    ]
    return torch.stack(terms).sum() if terms else logits.sum() * 0


def ramp(share: float, length: float) -> float:
    """Return exp(-5 (1 - t)²), t = share / length: the say of a teacher that learns.

    References:
        Laine & Aila 2017, arXiv:1610.02242, section 2.1.
    """
    t = min(share / length, 1.0) if length else 1.0
    return float(np.exp(-_RAMP * (1 - t) ** 2))


def fall(share: float) -> float:
    """Return how far a half cosine has come down: 0 at the start of a training, 1 at its end."""
    return float(1 - np.cos(np.pi * min(share, 1.0))) / 2


def cell_shares(valid: Tensor, *, stride: int) -> Tensor:
    """Return `[b, h, w]`: the share of pixels with data in each cell of `stride` pixels."""
    rows, cols = (-length % stride for length in valid.shape[-2:])
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
