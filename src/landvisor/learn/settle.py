"""What `auto` in a recipe comes to: it follows from the preset, the imagery and the weights."""

from __future__ import annotations

from typing import Any

from landvisor.architectures import NETWORKS, PLAIN_NETWORKS
from landvisor.errors import ModelError
from landvisor.learn.encoder_weights import find_weights
from landvisor.learn.encoders import match_bands
from landvisor.recipe import NetSpec, Recipe

_USUAL = (3, 4)
_FEW = 100  # with 150 places the network still gains: docs/benchmarks.md, the ladder

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
    recipe: Recipe, bands: tuple[str, ...], *, places: int, dense: bool = False
) -> tuple[Recipe, tuple[str, ...]]:
    """Replace every `auto` by the best that imagery and machine allow; say what is amiss.

    A pretrained encoder needs weights, and bands that these were trained for: red, green and blue
    known by name, or three or four bands, of which the first three are taken for them. Without, the
    model is the filter bank. A network that is named is taken as it is, and taught only if it is
    pretrained.

    Args:
        recipe: All choices.
        bands: Names of the imagery's bands.
        places: How many are labelled. With a handful preset `default` stays with the instant model:
            too few are left to choose anything by.
        dense: Whole masks are learned from, so nothing is left for a teacher to say.

    Returns:
        The recipe, and sentences on what could not be had.

    Raises:
        ModelError: If weights were named that are not there.
    """
    wanted = PRESETS[recipe.preset]
    model, notes = _choose_model(recipe, bands, places=places)
    if not _is_pretrained(recipe.net, model):
        wanted = _ALONE
    elif dense:
        wanted = {**wanted, "net.partner": "none", "teacher.source": "none"}
    wanted = {**wanted, "net.model": model}
    return recipe.with_values({p: v for p, v in wanted.items() if _get(recipe, p) == "auto"}), notes


def _choose_model(
    recipe: Recipe, bands: tuple[str, ...], *, places: int
) -> tuple[str, tuple[str, ...]]:
    if recipe.net.model != "auto":
        return recipe.net.model, ()
    lacking = _find_lack(recipe.net, bands)
    if lacking:
        way = "--model and --encoder-weights choose others"
        return "bank", (f"model: the filter bank alone, since {lacking}; {way}",)
    if recipe.preset == "default" and places < _FEW:
        way = "--model unet and --preset best train one"
        return "instant", (f"model: instant, since {places} places are few for a network; {way}",)
    return PRESETS[recipe.preset]["net.model"], ()


def _find_lack(spec: NetSpec, bands: tuple[str, ...]) -> str:
    if match_bands(bands)[1] and len(bands) not in _USUAL:
        return f"none of {len(bands)} bands is named red, green and blue"
    return "" if _has_weights(spec) else f"no weights of {spec.encoder!r} are at hand"


def _is_pretrained(spec: NetSpec, model: str) -> bool:
    """Tell whether a network was chosen that does not start from random weights."""
    if model not in NETWORKS or model in PLAIN_NETWORKS:
        return False
    return spec.model == "auto" or _has_weights(spec)  # `auto` has asked for them


def _has_weights(spec: NetSpec) -> bool:
    """Tell whether weights can be had; those that were named and are not there are an error."""
    try:
        return find_weights(spec) is not None
    except ModelError:
        if spec.encoder_weights != "auto":
            raise
        return False


def _get(recipe: Recipe, path: str) -> Any:
    part, _, name = path.partition(".")
    return getattr(getattr(recipe, part), name)
