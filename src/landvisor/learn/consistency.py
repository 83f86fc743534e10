"""What a teacher's word on unlabelled pixels is worth: thresholds, weights and the loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from landvisor.learn.loss_inputs import shape_error
from landvisor.learn.losses import partial_focal, sample_logits

Consistency = Literal["pseudo_ce", "soft_ce", "mse"]

_MOMENTUM = 0.9
_CAP = 10.0
_LITTLE = 1e-6  # of a cell


class Trust:
    """Decides at which pixels a teacher is believed, from what it said so far.

    A pixel is believed where the teacher's probability of its class reaches that class's
    threshold: `threshold`, or, if `adaptive`, the running mean of the probabilities of the pixels
    that get this class, where that is lower. One threshold for all starves the classes of
    which a teacher is never sure, which are mostly the rare ones.

    With `balance` believed pixels weigh more in classes that have few of them, by the root of
    the ratio, ten times at most; their weights have a mean of 1.

    Args:
        classes: Number of classes.
        threshold: 0 to 1.
        adaptive: Lower thresholds by class.
        balance: Weigh classes.

    References:
        Zhang et al. 2021, arXiv:2110.08263 (FlexMatch), eq. 7-9: thresholds by class from what
        a class has learned, which is counted there and averaged here.
    """

    def __init__(self, classes: int, *, threshold: float, adaptive: bool, balance: bool) -> None:
        self.threshold = threshold
        self.adaptive = adaptive
        self.balance = balance
        self.confidence = torch.full((classes,), threshold)
        self.counts = torch.zeros(classes)
        self._tally = torch.zeros(2, classes, dtype=torch.float64)

    def thresholds(self) -> Tensor:
        """Return the threshold of each class, `[class]`."""
        if not self.adaptive:
            return torch.full_like(self.confidence, self.threshold)
        return self.confidence.clamp(max=self.threshold)

    def weigh(
        self, teacher: Tensor, valid: Tensor, *, total: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        """Return `[b, h, w]`: the weight of each cell, 0 where the teacher is not believed.

        Args:
            teacher: `[b, class, h, w]`: its probabilities.
            valid: `[b, h, w]`: 1 for data, 0 for none, or a share.
            total: Adds up what is counted here and wherever else the batch's other chips are.
        """
        sure, label = teacher.max(dim=1)
        believed = (sure >= self.thresholds().to(sure.device)[label]) & (valid > 0)
        counted = _count(sure, label, believed=believed, valid=valid, classes=len(self.counts))
        self._learn(*(counted if total is None else total(counted)))
        weight = believed * valid
        if self.balance:
            weight = weight * self._class_weights().to(sure.device)[label]
        return weight

    def take_tally(self) -> Tensor:
        """Return `[2, class]`, cells of each class and those believed, since the last call.

        A cell without data is none, one with some counts by its share of data.
        """
        tally, self._tally = self._tally, torch.zeros_like(self._tally)
        return tally

    def state(self) -> dict[str, Tensor]:
        """Return what a later sitting needs."""
        return {"confidence": self.confidence, "counts": self.counts}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        self.confidence, self.counts = state["confidence"].clone(), state["counts"].clone()

    def _learn(self, seen: Tensor, sums: Tensor, believed: Tensor) -> None:
        moved = self.confidence.lerp(sums / seen.clamp(min=_LITTLE), 1 - _MOMENTUM)
        self.confidence = torch.where(seen > 0, moved, self.confidence)
        self.counts = self.counts.lerp(believed, 1 - _MOMENTUM)
        self._tally += torch.stack([seen, believed])

    def _class_weights(self) -> Tensor:
        counts = self.counts
        if not counts.any():
            return torch.ones_like(counts)
        raw = counts.clamp(min=counts.max() / _CAP**2).rsqrt()
        return raw * counts.sum() / (raw * counts).sum()


def consistency_loss(
    logits: Tensor,
    teacher: Tensor,
    weight: Tensor,
    *,
    kind: Consistency,
    valid: Tensor,
    total: Tensor | None = None,
) -> Tensor:
    """Compare what a network says with what a teacher says of the same cells.

    `pseudo_ce` takes the teacher's class for the truth: Σ w·(−log p_y) / Σ valid, with y the
    class that the teacher finds most probable (Sohn et al. 2020, arXiv:2001.07685, eq. 4).
    `soft_ce` is −Σ_c t_c·log p_c of all its probabilities t, `mse` is Σ_c (p_c − t_c)², each
    weighed and divided alike. The divisor counts all cells with data, believed or not, so the
    term grows as the teacher grows sure.

    Args:
        logits: `[b, class, h, w]` of the network.
        teacher: `[b, class, h, w]`: probabilities; no gradient reaches them.
        weight: `[b, h, w]`: 0 leaves a cell out, whatever it holds.
        kind: How they are compared.
        valid: `[b, h, w]`: share of data in each cell.
        total: Divisor in place of Σ valid, at least 1, for parts of a batch.

    Returns:
        A scalar; an exact 0 with a graph where nothing is believed.
    """
    target, scores = teacher.detach(), logits.float()
    log_p = F.log_softmax(scores, dim=1)
    if kind == "pseudo_ce":
        each = -log_p.gather(1, target.argmax(dim=1, keepdim=True)).squeeze(1)
    elif kind == "soft_ce":
        each = -(target * log_p).sum(dim=1)
    else:
        each = (log_p.exp() - target).square().sum(dim=1)
    counted = torch.where(weight > 0, each * weight, 0.0).sum()
    return counted / (valid.sum() if total is None else total).clamp(min=1)


def semi_supervised_loss(
    student: Tensor,
    teacher: Tensor,
    coords: Tensor,
    labels: Tensor,
    batch: Tensor,
    *,
    gamma: float = 0.0,
    alpha: float | Tensor | None = None,
    consistency: Consistency = "pseudo_ce",
    threshold: float = 0.9,
    weight: float = 1.0,
    valid: Tensor | None = None,
    size: tuple[int, int] | None = None,
) -> Tensor:
    """Return the loss at places plus that of all other pixels, for any training loop.

    Both logits must show the same ground: give teacher and student images of one geometry.

    Args:
        student: `[b, class, h, w]`: logits of the network that learns.
        teacher: `[b, class, h, w]`: logits of the one that teaches; no gradient reaches them.
        coords: `[n, 2]`: (row, col) of labelled places in pixels; an integer is a pixel's centre.
        labels: `[n]`, integers 0..class-1.
        batch: `[n]`, integers: the image of each place.
        gamma: Focusing at places; 0 is cross-entropy.
        alpha: None, a scalar, or `[class]`, at places.
        consistency: How student and teacher are compared; see `consistency_loss`.
        threshold: Least probability at which the teacher is believed.
        weight: Factor of this second term.
        valid: bool `[b, h, w]`: cells with data; None takes all.
        size: `(rows, cols)` of the images in pixels; None where a logit is a pixel.

    Returns:
        A scalar. Without a place, the second term alone; without a believed cell, the first.

    Raises:
        PointsError: If shapes disagree, or a label is no class.
        RecipeError: If an option has a value that it cannot take.

    References:
        Sohn et al. 2020, arXiv:2001.07685 (thresholded pseudo-labels); Tarvainen & Valpola 2017,
        arXiv:1703.01780 (averaged weights as the teacher).
    """
    if student.shape != teacher.shape:
        raise shape_error("student and teacher[b, class, h, w]", student, teacher)
    chosen = sample_logits(student, coords, batch, size=size or tuple(student.shape[-2:]))  # type: ignore[arg-type]  # two of them
    told = torch.softmax(teacher.detach().float(), dim=1)
    known = torch.ones_like(told[:, 0]) if valid is None else valid.float()
    trust = Trust(told.shape[1], threshold=threshold, adaptive=False, balance=False)
    second = consistency_loss(
        student, told, trust.weigh(told, known), kind=consistency, valid=known
    )
    return partial_focal(chosen, labels, gamma=gamma, alpha=alpha) + weight * second


def _count(sure: Tensor, label: Tensor, *, believed: Tensor, valid: Tensor, classes: int) -> Tensor:
    """Return `[3, class]`: cells seen, the sum of their probabilities, cells believed."""
    one_hot = F.one_hot(label, classes).float()  # bincount has no exact order on an accelerator
    known = sure.where(valid > 0, 0)  # a cell without data may hold anything
    rows = torch.stack([valid, valid * known, valid * believed])
    return (rows[..., None] * one_hot).sum(dim=(1, 2, 3)).cpu()
