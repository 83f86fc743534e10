"""What `auto` in a recipe comes to: it follows from the preset, the imagery and the weights."""

from __future__ import annotations

from typing import Any

from landvisor.architectures import NETWORKS, PLAIN_NETWORKS
from landvisor.errors import ModelError
from landvisor.learn.encoder_weights import find_weights
from landvisor.learn.encoders import match_bands
from landvisor.recipe import NetSpec, Recipe

_USUAL = (3, 4)

_ALONE: dict[str, Any] = {
    "net.partner": "none", "teacher.source": "none", "fit.members": 1, "predict.tta": "none",
}  # fmt: skip
_TAUGHT = {
    **_ALONE, "net.model": "unet", "net.partner": "instant", "teacher.source": "instant",
}  # fmt: skip
PRESETS: dict[str, dict[str, Any]] = {
    "fast": {**_ALONE, "net.model": "instant"},
    "default": _TAUGHT,
    "best": {**_TAUGHT, "fit.members": 3, "predict.tta": "flips"},
}
"""Values of dotted paths where a recipe says `auto`; docs/benchmarks.md shows what each adds."""


def settle(
    recipe: Recipe, bands: tuple[str, ...], *, dense: bool = False
) -> tuple[Recipe, tuple[str, ...]]:
    """Replace every `auto` by the best that imagery and machine allow; say what is amiss.

    A pretrained encoder needs weights, and bands that these were trained for: red, green and blue
    known by name, or three or four bands, of which the first three are taken for them. Without, the
    model is the filter bank. A network that is named is taken as it is, and taught only if it is
    pretrained.

    Args:
        recipe: All choices.
        bands: Names of the imagery's bands.
        dense: Whole masks are learned from, so nothing is left for a teacher to say.

    Returns:
        The recipe, and sentences on what could not be had.

    Raises:
        ModelError: If weights were named that are not there.
    """
    wanted, model = PRESETS[recipe.preset], recipe.net.model
    notes: tuple[str, ...] = ()
    if model == "auto":
        lacking = _find_lack(recipe.net, bands)
        model = "bank" if lacking else wanted["net.model"]
        notes = (_say(lacking),) if lacking else ()
    if model not in NETWORKS or not _has_weights(recipe.net, model):
        wanted = _ALONE
    elif dense:
        wanted = {**wanted, "net.partner": "none", "teacher.source": "none"}
    wanted = {**wanted, "net.model": model}
    return recipe.with_values({p: v for p, v in wanted.items() if _get(recipe, p) == "auto"}), notes


def _find_lack(spec: NetSpec, bands: tuple[str, ...]) -> str:
    if match_bands(bands)[1] and len(bands) not in _USUAL:
        return f"none of {len(bands)} bands is named red, green and blue"
    return "" if _has_weights(spec) else f"no weights of {spec.encoder!r} are at hand"


def _say(lacking: str) -> str:
    way = "--model and --encoder-weights choose others"
    return f"model: the filter bank alone, since {lacking}; {way}"


def _has_weights(spec: NetSpec, model: str = "") -> bool:
    """Tell whether weights can be had; those that were named and are not there are an error."""
    if model in PLAIN_NETWORKS:
        return False
    try:
        return find_weights(spec) is not None
    except ModelError:
        if spec.encoder_weights != "auto":
            raise
        return False


def _get(recipe: Recipe, path: str) -> Any:
    part, _, name = path.partition(".")
    return getattr(getattr(recipe, part), name)
