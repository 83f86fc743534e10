"""Which encoder reads the imagery, from which weights, and how it takes any bands."""

from __future__ import annotations

import difflib
import logging
from dataclasses import dataclass, replace
from typing import Any

import timm
import torch
from torch import Tensor, nn

from landvisor.errors import ModelError
from landvisor.learn.encoder_weights import (
    MEAN,
    STD,
    Weights,
    WeightSource,
    find_weights,
    first_line,
    match_weights,
)
from landvisor.recipe import NetSpec

log = logging.getLogger(__name__)

_COLOURS = (("red", "r", "b04", "b4"), ("green", "g", "b03", "b3"), ("blue", "b", "b02", "b2"))


@dataclass(frozen=True)
class Encoder:
    """A timm encoder that gives features at several strides.

    Attributes:
        module: Maps `[b, band, h, w]` to a list of features, finest first.
        channels: Channels of each feature.
        strides: Pixels per feature cell, for each feature.
        mean: What it subtracts per band on the 0..1 scale.
        std: What it divides by per band on the 0..1 scale.
        pretrained: Whether its weights come from anywhere.
        notes: What a user should know about the weights, a sentence each.
        picture_range: Whether 8-bit imagery is taken for pictures from 0 to 255, whatever it holds.
    """

    module: nn.Module
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    pretrained: bool
    notes: tuple[str, ...] = ()
    picture_range: bool = True


def load_encoder(spec: NetSpec, bands: tuple[str, ...], *, seed: int = 0) -> Encoder:
    """Build the encoder of a recipe for the given bands.

    Red, green and blue bands (known by name, else the first three) get the pretrained slices of
    the first convolution. Other bands start with zeros there and so change nothing at first.

    Args:
        spec: Names the encoder and its weights: `auto`, `none`, `hf-hub:owner/name`, a timm tag
            such as `ra_in1k`, or a safetensors file of the timm classifier.
        bands: Names of the bands, in order.
        seed: Starts the weights that nothing pretrained fills.

    Raises:
        ModelError: If timm lacks the encoder, or its weights cannot be had or do not fit.
    """
    module = _create(spec, len(bands), seed=seed)
    slots = match_bands(bands)[0]
    encoder = Encoder(
        module=module,
        channels=tuple(module.feature_info.channels()),
        strides=tuple(module.feature_info.reduction()),
        mean=_per_band(spec.encoder_mean or MEAN, slots),
        std=_per_band(spec.encoder_std or STD, slots),
        pretrained=False,
    )
    try:
        source = find_weights(spec)
    except ModelError as error:
        if spec.encoder_weights != "auto":
            raise
        log.warning("the encoder starts from scratch: %s", error)
        return replace(encoder, notes=(f"The encoder was trained from scratch: {error}.",))
    return encoder if source is None else _fill(encoder, source, spec=spec, bands=bands)


def _fill(
    encoder: Encoder, source: WeightSource, *, spec: NetSpec, bands: tuple[str, ...]
) -> Encoder:
    stem = next(name for name, m in encoder.module.named_modules() if isinstance(m, nn.Conv2d))
    slots, notes = match_bands(bands)
    weights, unused = match_weights(encoder.module, source)
    first = weights[f"{stem}.weight"]
    if first.shape[1] == len(bands) != 3:
        slots, notes = tuple(range(len(bands))), ()
    elif first.shape[1] == 3:
        weights[f"{stem}.weight"] = adapt_first(first, slots)
    _load(encoder.module, weights, name=source.name)
    if unused:
        log.debug("weights that the encoder does not use are ignored: %s", ", ".join(unused))
    for note in notes:
        log.info("%s", note)
    mean, std = spec.encoder_mean or source.mean, spec.encoder_std or source.std
    return replace(
        encoder,
        mean=_per_band(mean, slots),
        std=_per_band(std, slots),
        pretrained=True,
        notes=notes,
    )


def match_bands(bands: tuple[str, ...]) -> tuple[tuple[int | None, ...], tuple[str, ...]]:
    """Decide which band gets which pretrained colour.

    Returns:
        For each band 0, 1, 2 for red, green, blue, or None for a band without one; and notes.
        All are None for one or two bands, which share the sum of the colours instead.
    """
    names = [band.strip().casefold() for band in bands]
    found = [next((n for n in known if n in names), None) for known in _COLOURS]
    if None not in found:
        colour = {name: index for index, name in enumerate(found)}
        return tuple(colour.get(name) for name in names), ()
    if len(bands) < 3:
        return (None,) * len(bands), ()
    note = f"No bands are named red, green, blue: {', '.join(bands[:3])} were taken for them."
    return tuple(i if i < 3 else None for i in range(len(bands))), (note,)


def adapt_first(weight: Tensor, slots: tuple[int | None, ...]) -> Tensor:
    """Spread a first convolution over bands.

    Args:
        weight: `[out, 3, h, w]` for red, green, blue.
        slots: As from `match_bands`.

    Returns:
        `[out, bands, h, w]`; bands without a colour are zero, unless none has one: then each
        gets an equal part of the colours' sum.
    """
    if all(slot is None for slot in slots):
        return weight.sum(dim=1, keepdim=True).repeat(1, len(slots), 1, 1) / len(slots)
    spread = weight.new_zeros(weight.shape[0], len(slots), *weight.shape[2:])
    for band, slot in enumerate(slots):
        if slot is not None:
            spread[:, band] = weight[:, slot]
    return spread


def _per_band(values: tuple[float, ...], slots: tuple[int | None, ...]) -> tuple[float, ...]:
    if len(values) == 1:
        return values * len(slots)
    if len(values) == len(slots) != 3:
        return values
    if len(values) != 3:
        raise ModelError(
            f"encoder_mean or encoder_std has {len(values)} values; give 1, 3 (red, green, blue) "
            f"or one for each of the {len(slots)} bands"
        )
    return tuple(sum(values) / 3 if slot is None else values[slot] for slot in slots)


def _create(spec: NetSpec, bands: int, *, seed: int) -> Any:
    check_encoder(spec.encoder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return timm.create_model(
                spec.encoder, features_only=True, in_chans=bands, **spec.encoder_args
            )
        except (TypeError, ValueError, RuntimeError, AttributeError, AssertionError) as error:
            raise ModelError(
                f"timm cannot make features of {spec.encoder!r} with {spec.encoder_args} "
                f"({first_line(error)}); choose another encoder or other encoder_args"
            ) from error


def check_encoder(name: str) -> None:
    """Refuse a name that timm does not know.

    Raises:
        ModelError: With the nearest name that it does know.
    """
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=1, cutoff=0.0)
        raise ModelError(f"timm has no encoder {name!r}; the nearest name is {near[0]!r}")


def _load(module: nn.Module, weights: Weights, *, name: str) -> None:
    state = module.state_dict()
    for key, tensor in weights.items():
        if state[key].shape != tensor.shape:
            raise ModelError(
                f"weights {name!r} hold {key!r} of shape {tuple(tensor.shape)} where the encoder "
                f"needs {tuple(state[key].shape)}; give weights of this very timm encoder"
            )
    module.load_state_dict({**state, **weights})
