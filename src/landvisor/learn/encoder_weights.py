"""Where an encoder's pretrained weights come from: a file, the hub's cache, or the hub."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from landvisor.errors import ModelError
from landvisor.recipe import NetSpec

Weights = dict[str, Tensor]

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue in ImageNet (Deng et al. 2009), as torchvision and timm use them."""
_ANSWER_TIME = 5.0  # seconds that the hub has to answer
_DOWNLOAD_TIME = 900.0


@dataclass(frozen=True)
class WeightSource:
    """Weights with the input statistics that they were trained with.

    Attributes:
        weights: The state of a timm classifier, or of its features alone.
        mean: What their encoder subtracts per colour on the 0..1 scale.
        std: What it divides by per colour on the 0..1 scale.
        name: File or repository.
    """

    weights: Weights
    mean: tuple[float, ...]
    std: tuple[float, ...]
    name: str


def find_weights(spec: NetSpec) -> WeightSource | None:
    """Load the weights that a recipe names; None if it wants none.

    Raises:
        ModelError: If they cannot be had or belong to another encoder.
    """
    choice = spec.encoder_weights
    if choice == "none":
        return None
    if choice.endswith(".safetensors") or Path(choice).is_file():
        config = timm.get_pretrained_cfg(spec.encoder)
        mean, std = (config.mean, config.std) if config else (MEAN, STD)
        return WeightSource(_read_weights(choice), mean, std, choice)
    repository = _repository(spec)
    mean, std = _read_statistics(spec.encoder, repository)
    return WeightSource(
        _read_weights(_fetch(repository, "model.safetensors")), mean, std, repository
    )


def match_weights(module: nn.Module, source: WeightSource) -> tuple[Weights, list[str]]:
    """Find the tensors of an encoder among those of its classifier.

    timm flattens names in some of its feature extractors (`stages.0` becomes `stages_0`) and
    prefixes them in others, so names are compared without these differences.

    Returns:
        Tensors by the encoder's names, and the names of those that it has no use for.

    Raises:
        ModelError: If tensors of the encoder are missing.
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
    return tuple(details.get("mean", MEAN)), tuple(details.get("std", STD))


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
            f"encoder weights {str(path)!r} cannot be read ({first_line(error)}); give a "
            "safetensors file with the state of a timm model"
        ) from error


def _plain(key: str) -> str:
    return key.removeprefix("model.").replace("_", ".")


def first_line(error: BaseException) -> str:
    """Return what an error says first, or its type where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]
