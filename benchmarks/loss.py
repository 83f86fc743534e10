"""Time the partial loss, forward and backward, against dense ways to write it.

Run `python benchmarks/loss.py`; it prints a markdown table. Where the machine is shared, add
`--threads 1`: small kernels wait long for a second thread that has other work. All ways get the
same logits, a leaf in float32 that requires its gradient, so each pays for a dense gradient: of
an indexed tensor it is a map of zeros with few numbers in it. That fill has a row of its own,
and so has the loss without it, as where a network's head is applied at the places alone.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from landvisor.learn.losses import PartialFocalLoss, partial_focal, sample_logits

IGNORE = 255
WARM_UP = 2  # the first repeats pay for memory and threads
OURS = "partial_focal, given places"


@dataclass(frozen=True)
class Case:
    """The same labelled places as coordinates and as a raster.

    Attributes:
        logits: `[b, classes, h, w]`, a leaf.
        coords: `[n, 2]`.
        batch: `[n]`.
        labels: `[n]`.
        target: `[b, h, w]`, `IGNORE` where unlabelled.
        mask: `[b, h, w]`, 1.0 where labelled.
    """

    logits: Tensor
    coords: Tensor
    batch: Tensor
    labels: Tensor
    target: Tensor
    mask: Tensor


def make_case(*, batch: int, classes: int, side: int, points: int, seed: int = 0) -> Case:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, classes, side, side, generator=generator, requires_grad=True)
    cells = torch.cat(
        [torch.randperm(side * side, generator=generator)[:points] for _ in range(batch)]
    )
    image = torch.arange(batch).repeat_interleave(points)
    row, col = cells // side, cells % side
    labels = torch.randint(classes, (len(image),), generator=generator)
    target = torch.full((batch, side, side), IGNORE)
    target[image, row, col] = labels
    coords = torch.stack([row, col], dim=1).float()
    mask = (target != IGNORE).float()
    return Case(logits, coords, image, labels, target, mask)


def sparse(case: Case) -> Tensor:
    size = case.logits.shape[2], case.logits.shape[3]
    rows = sample_logits(case.logits, case.coords, case.batch, size=size)
    return partial_focal(rows, case.labels)


def sparse_rows(case: Case) -> Tensor:
    size = case.logits.shape[2], case.logits.shape[3]
    rows = sample_logits(case.logits.detach(), case.coords, case.batch, size=size)
    return partial_focal(rows.requires_grad_(), case.labels)


def module(case: Case) -> Tensor:
    return PartialFocalLoss(ignore_index=IGNORE)(case.logits, case.target)


def dense_masked(case: Case) -> Tensor:
    labels = torch.where(case.mask > 0, case.target, 0)
    log_p = torch.log_softmax(case.logits, dim=1).gather(1, labels[:, None])[:, 0]
    focal = (1 - log_p.exp()) ** 2 * -log_p
    return (focal * case.mask).sum() / case.mask.sum()


def cross_entropy(case: Case) -> Tensor:
    return F.cross_entropy(case.logits, case.target, ignore_index=IGNORE)


def only_zero_gradient(case: Case) -> Tensor:
    return case.logits.view(-1)[0] * 1.0


WAYS: dict[str, Callable[[Case], Tensor]] = {
    OURS: sparse,
    "the same, gradient up to the places' logits": sparse_rows,
    "PartialFocalLoss, given a raster": module,
    "dense Σ(focal·MASK)/ΣMASK": dense_masked,
    "F.cross_entropy(ignore_index)": cross_entropy,
    "one logit (its dense zero gradient alone)": only_zero_gradient,
}


def time_once(way: Callable[[Case], Tensor], case: Case) -> tuple[float, float]:
    """Return milliseconds of forward alone and of forward and backward."""
    case.logits.grad = None
    start = time.perf_counter()
    loss = way(case)
    forward = time.perf_counter()
    loss.backward()
    return 1e3 * (forward - start), 1e3 * (time.perf_counter() - start)


def measure(case: Case, *, repeats: int) -> dict[str, list[tuple[float, float]]]:
    """Time all ways in turn, over and over, so that a busy machine slows all alike.

    The order is shuffled each time: what a way pays for memory depends on what was freed before.
    """
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    order = random.Random(0)
    for _ in range(repeats):
        for name in order.sample(list(WAYS), len(WAYS)):
            times[name].append(time_once(WAYS[name], case))
    return {name: taken[WARM_UP:] for name, taken in times.items()}


def print_table(times: dict[str, list[tuple[float, float]]]) -> None:
    print(
        "| way | forward, ms | forward + backward, ms | times ours, fwd | times ours, fwd + bwd |"
    )
    print("|---|--:|--:|--:|--:|")
    for name, taken in times.items():
        middle = [statistics.median(column) for column in zip(*taken, strict=True)]
        ratio = [
            statistics.median(
                theirs[at] / ours[at] for theirs, ours in zip(taken, times[OURS], strict=True)
            )
            for at in (0, 1)
        ]
        print(f"| {name} | {middle[0]:.2f} | {middle[1]:.2f} | {ratio[0]:.1f} | {ratio[1]:.1f} |")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time the partial loss against dense ones.")
    defaults = {"batch": 8, "classes": 6, "side": 512, "points": 100, "repeats": 23}
    for name, value in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args()


def main() -> None:
    chosen = read_options()
    torch.set_num_threads(chosen.threads)
    case = make_case(
        batch=chosen.batch, classes=chosen.classes, side=chosen.side, points=chosen.points
    )
    print(
        f"{'×'.join(map(str, case.logits.shape))}, {chosen.points} places per image, float32, "
        f"{chosen.threads} CPU threads, torch {torch.__version__}\n"
    )
    print_table(measure(case, repeats=chosen.repeats))


if __name__ == "__main__":
    main()
