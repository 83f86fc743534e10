"""Which encoder reads the imagery, from which weights, and how it takes any bands."""

from __future__ import annotations

import difflib
import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import timm
import torch
from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from landvisor.errors import ModelError
from landvisor.recipe import NetSpec

log = logging.getLogger(__name__)

Weights = dict[str, Tensor]

_ANSWER_TIME = 5.0  # seconds that the hub has to answer
_DOWNLOAD_TIME = 900.0
_COLOURS = (("red", "r", "b04", "b4"), ("green", "g", "b03", "b3"), ("blue", "b", "b02", "b2"))
# Deng et al. 2009's ImageNet, as torchvision and timm standardise it
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


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
    """

    module: nn.Module
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    pretrained: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Source:
    """Weights with the input statistics that they were trained with."""

    weights: Weights
    mean: tuple[float, ...]
    std: tuple[float, ...]
    name: str


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
        mean=_per_band(spec.encoder_mean or _MEAN, slots),
        std=_per_band(spec.encoder_std or _STD, slots),
        pretrained=False,
    )
    try:
        source = _find_weights(spec)
    except ModelError as error:
        if spec.encoder_weights != "auto":
            raise
        log.warning("the encoder starts from scratch: %s", error)
        return replace(encoder, notes=(f"The encoder was trained from scratch: {error}.",))
    return encoder if source is None else _fill(encoder, spec, source, bands)


def _fill(encoder: Encoder, spec: NetSpec, source: _Source, bands: tuple[str, ...]) -> Encoder:
    stem = next(name for name, m in encoder.module.named_modules() if isinstance(m, nn.Conv2d))
    slots, notes = match_bands(bands)
    weights, unused = _match_keys(encoder.module, source)
    first = weights[f"{stem}.weight"]
    if first.shape[1] == len(bands) != 3:
        slots, notes = tuple(range(len(bands))), ()
    elif first.shape[1] == 3:
        weights[f"{stem}.weight"] = adapt_first(first, slots)
    _load(encoder.module, weights, source.name)
    if unused:
        notes += (f"Weights that the encoder does not use were ignored: {', '.join(unused)}.",)
    for note in notes:
        log.info(note)
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
                f"({_first_line(error)}); choose another encoder or other encoder_args"
            ) from error


def check_encoder(name: str) -> None:
    """Refuse a name that timm does not know.

    Raises:
        ModelError: With the nearest name that it does know.
    """
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=1, cutoff=0.0)
        raise ModelError(f"timm has no encoder {name!r}; the nearest name is {near[0]!r}")


def _find_weights(spec: NetSpec) -> _Source | None:
    choice = spec.encoder_weights
    if choice == "none":
        return None
    if choice.endswith(".safetensors") or Path(choice).is_file():
        config = timm.get_pretrained_cfg(spec.encoder)
        mean, std = (config.mean, config.std) if config else (_MEAN, _STD)
        return _Source(_read_weights(choice), mean, std, choice)
    repository = _repository(spec)
    mean, std = _read_statistics(spec.encoder, repository)
    return _Source(_read_weights(_fetch(repository, "model.safetensors")), mean, std, repository)


def _repository(spec: NetSpec) -> str:
    choice = spec.encoder_weights
    if "/" in choice or choice.startswith("hf-hub:"):
        return choice.removeprefix("hf-hub:")
    tagged = spec.encoder if choice == "auto" else f"{spec.encoder}.{choice}"
    tags = [name.split(".", 1)[1] for name in timm.list_pretrained(f"{spec.encoder}.*")]
    config = timm.get_pretrained_cfg(tagged) if choice in ("auto", *tags) else None
    if config is None or not config.hf_hub_id:
        raise ModelError(
            f"timm knows no weights {choice!r} for {spec.encoder!r}; choose 'none', a safetensors "
            f"file or one of {tags}"
        )
    return str(config.hf_hub_id)


def _read_statistics(encoder: str, repository: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    config = json.loads(_fetch(repository, "config.json").read_text(encoding="utf-8"))
    architecture = config.get("architecture", encoder)
    if architecture != encoder:
        raise ModelError(
            f"{repository!r} holds weights of {architecture!r}, not of {encoder!r}; name the "
            "encoder they belong to"
        )
    details = config.get("pretrained_cfg", config)
    return tuple(details.get("mean", _MEAN)), tuple(details.get("std", _STD))


def _fetch(repository: str, name: str) -> Path:
    try:
        return Path(hf_hub_download(repository, name, local_files_only=True))
    except (OSError, ValueError):
        return _download(repository, name)


def _download(repository: str, name: str) -> Path:
    # asked once before the client is: it would go on trying for half a minute
    failure = _attempt(_ANSWER_TIME, _ask, repository, name)
    if not isinstance(failure, BaseException):
        path = _attempt(_DOWNLOAD_TIME, hf_hub_download, repository, name)
        if isinstance(path, str):
            return Path(path)
        failure = path
    raise ModelError(
        f"{name} of {repository!r} is neither in the cache nor to be had from the hub "
        f"({type(failure).__name__}); give a safetensors file, or 'none'"
    ) from failure


def _ask(repository: str, name: str) -> None:
    get_hf_file_metadata(hf_hub_url(repository, name), timeout=_ANSWER_TIME)


def _attempt(seconds: float, call: Callable[..., Any], *args: str) -> Any:
    # in a thread, because neither name resolution nor a dead proxy heeds the client's own limit
    pool = ThreadPoolExecutor(1)
    answer = pool.submit(call, *args)
    pool.shutdown(wait=False)
    try:
        return answer.exception(timeout=seconds) or answer.result()
    except TimeoutError as error:
        return error


def _read_weights(path: Path | str) -> Weights:
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"encoder weights {str(path)!r} cannot be read ({_first_line(error)}); give a "
            "safetensors file with the state of a timm model"
        ) from error


def _match_keys(module: nn.Module, source: _Source) -> tuple[Weights, list[str]]:
    """Find the tensors of an encoder among those of its classifier.

    timm flattens names in some of its feature extractors (`stages.0` becomes `stages_0`) and
    prefixes them in others, so names are compared without these differences.
    """
    stored = {_plain(key): key for key in source.weights}
    wanted = {key: _plain(key) for key in module.state_dict()}
    counters = {key for key in wanted if key.endswith("num_batches_tracked")}
    missing = [k for k, plain in wanted.items() if plain not in stored and k not in counters]
    if missing:
        raise ModelError(
            f"weights {source.name!r} lack {len(missing)} of {len(wanted)} tensors of the encoder, "
            f"{missing[0]!r} first; give weights of this very timm encoder"
        )
    used = set(wanted.values())
    unused = sorted(key for plain, key in stored.items() if plain not in used)
    found = {k: source.weights[stored[plain]] for k, plain in wanted.items() if plain in stored}
    return found, unused


def _plain(key: str) -> str:
    return key.removeprefix("model.").replace("_", ".")


def _load(module: nn.Module, weights: Weights, name: str) -> None:
    state = module.state_dict()
    for key, tensor in weights.items():
        if state[key].shape != tensor.shape:
            raise ModelError(
                f"weights {name!r} hold {key!r} of shape {tuple(tensor.shape)} where the encoder "
                f"needs {tuple(state[key].shape)}; give weights of this very timm encoder"
            )
    module.load_state_dict({**state, **weights})


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
