"""Which networks there are, and which choices of a recipe each can follow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

PLAIN_NETWORKS = ("plain_unet", "one_conv")
"""Networks that know no pretrained encoder: they start from random weights."""
NETWORKS = ("unet", "fpn", "deeplabv3plus", "segformer", *PLAIN_NETWORKS)

_STAGES = {
    "unet": (4, 8, 16),
    "fpn": (8, 16, 32),
    "deeplabv3plus": (16,),
    "segformer": (8, 16, 32),
}


def decoder_strides(model: str, *, widths: Sequence[int]) -> tuple[int, ...]:
    """List the strides of the decoder stages behind a network's own logits, finest first.

    Args:
        model: Any model of a recipe; what is no network has no stages.
        widths: Channels of a plain U-Net's levels, finest first.
    """
    if model == "plain_unet":
        return tuple(2**level for level in range(2, len(widths) - 1))
    return _STAGES.get(model, ())


def check_stages(stages: Sequence[int], *, model: str, widths: Sequence[int]) -> tuple[int, ...]:
    """Return the strides of supervised stages in order, each once.

    Raises:
        ValueError: If the network has no decoder stage of a stride.
    """
    there = decoder_strides(model, widths=widths)
    if set(stages) <= set(there):
        return tuple(sorted(set(stages)))
    if not there:
        raise ValueError(f"{model} has no decoder stage to supervise; leave it empty")
    said = ", ".join(map(str, there))
    raise ValueError(f"the decoder stages of this {model} have the strides {said}; choose of them")


def check_pretraining(value: Any, *, model: str) -> None:
    """Refuse a choice about pretrained weights where none can be used.

    Raises:
        ValueError: If the network starts from random weights in any case.
    """
    if model in PLAIN_NETWORKS and value not in ("auto", "none", {}, None):
        raise ValueError(f"{model} has no pretrained encoder; leave it out, or choose a unet")


def check_plain(value: Any, *, model: str, default: Any) -> None:
    """Refuse a choice about the parts of a plain U-Net where another model has none of them.

    Raises:
        ValueError: If it is not the default.
    """
    if model != "plain_unet" and value != default:
        raise ValueError(f"{model} has no such part; leave it out, or choose a plain_unet")


def check_partner(partner: str, *, model: str) -> None:
    """Refuse an instant model beside what is no network.

    Raises:
        ValueError: If a partner is asked for and the model is no network.
    """
    if partner == "instant" and model not in (*NETWORKS, "auto"):
        raise ValueError(f"{model} is no network; leave it out, or choose a unet")
