"""Which optimiser changes the weights, and how fast at each step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from landvisor.recipe import FitSpec

# Smith & Topin 2018, arXiv:1708.07120, with the cosine flanks and the divisors of fastai
_WARM_UP, _START, _END = 0.25, 1 / 25, 1e-4

Groups = list[dict[str, Any]]

# fused: one pass over each weight in place of ten
OPTIMISERS: dict[str, Callable[[Groups, float], Optimizer]] = {
    "adam": lambda groups, lr: Adam(groups, lr=lr, fused=True),
    "adamw": lambda groups, lr: AdamW(groups, lr=lr, fused=True),
    "sgd": lambda groups, lr: SGD(groups, lr=lr, momentum=0.9, nesterov=True, fused=True),
}
"""By `fit.optimizer`. Decay is a part of the gradient in all but `adamw`, as in torch."""


def make_optimiser(network: nn.Module, spec: FitSpec, *, encoder_factor: float) -> Optimizer:
    """Make the optimiser of a recipe; each of its groups has its largest rate as `peak`.

    Args:
        network: Parameters whose names begin with `encoder.` have rates of their own.
        spec: Names the optimiser, its rate and its decay.
        encoder_factor: Rate of the encoder relative to the rest.
    """
    groups: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, parameter in network.named_parameters():
        # norms and biases are no directions that decay could shorten
        key = name.startswith("encoder."), parameter.ndim > 1
        groups.setdefault(key, []).append(parameter)
    return OPTIMISERS[spec.optimizer](
        [
            {
                "params": parameters,
                "peak": spec.lr * (encoder_factor if encoder else 1.0),
                "weight_decay": spec.weight_decay if decays else 0.0,
            }
            for (encoder, decays), parameters in groups.items()
        ],
        spec.lr,
    )


def set_rate(optimiser: Optimizer, rate: float) -> None:
    """Set the rates of all groups relative to their peaks."""
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * rate


def clip_gradients(parameters: Iterable[Tensor], limit: float) -> None:
    """Scale all gradients so that their common norm is at most a limit; 0 leaves them."""
    if limit:
        nn.utils.clip_grad_norm_(parameters, limit)


def rate_at(share: float, schedule: str) -> float:
    """Return the learning rate relative to its peak after a share 0..1 of all steps.

    What `plateau` does depends on scores, not on the share: see `has_stalled`.
    """
    return SCHEDULES[schedule](share)


def _one_cycle(share: float) -> float:
    if share < _WARM_UP:
        return _descend(1 - share / _WARM_UP, high=1.0, low=_START)
    return _descend((share - _WARM_UP) / (1 - _WARM_UP), high=1.0, low=_END)


def _cosine(share: float) -> float:
    return _descend(share, high=1.0, low=_END)


def _stay(_: float) -> float:
    return 1.0


SCHEDULES: dict[str, Callable[[float], float]] = {
    "onecycle": _one_cycle,
    "cosine": _cosine,
    "plateau": _stay,
    "none": _stay,
}
"""By `fit.schedule`."""


def has_stalled(epoch: int, *, best: int, drops: list[int], patience: int) -> bool:
    """Tell whether a rate that waits for gains falls now.

    Args:
        epoch: Epochs that are done.
        best: The best of them so far.
        drops: Those after which the rate fell already.
        patience: How long neither a gain nor a fall may have happened.
    """
    return epoch - max(best, *drops[-1:], 0) >= patience


def fallen_rate(epoch: int, *, drops: Iterable[int], factor: float) -> float:
    """Return what is left of the rate in epoch 0, 1, …, after it fell at the end of some."""
    return factor ** sum(drop <= epoch for drop in drops)


def _descend(share: float, *, high: float, low: float) -> float:
    return low + (high - low) * (1 + math.cos(math.pi * share)) / 2
