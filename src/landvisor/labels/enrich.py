"""What a run learns from besides its points: labels read from rasters, or grown on the way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from landvisor.geo.places import Places, concatenate
from landvisor.labels.extend import Extended, Making, extend_ground
from landvisor.labels.ground import Ground, split_by_scene
from landvisor.labels.grown import thin_pixels
from landvisor.labels.material import Material
from landvisor.labels.pixels import pixels_to_places
from landvisor.recipe import Recipe


def choose_learned(
    material: Material, chosen: NDArray[np.bool_], recipe: Recipe, *, checked: bool = True
) -> tuple[Places, tuple[str, ...]]:
    """Return the places to learn from: those chosen, and labels made from them.

    Links and growth start from the chosen places alone and meet no others, so that nothing of
    what is held out reaches the training. Labels from rasters are left out where the place that
    they belong to is held out.

    Args:
        material: Everything labelled.
        chosen: `[n]`: places of the material that may be learned from.
        recipe: Its `link`, `grow`, `labels.max_grown` and `seed` are used.
        checked: Purity is measured and told, for which all is linked and grown once more.

    Returns:
        Places, the chosen ones first, and what should be said of the others.
    """
    kept, left_out = material.places.take(chosen), material.places.take(~chosen)
    made = material.grown.take(~np.isin(material.grown.group, left_out.group))
    holdout = Making.holdout if checked else 0.0
    making = Making(link=recipe.link, grow=recipe.grow, seed=recipe.seed, holdout=holdout)
    if making.link.area == "none" and not making.grows:
        return concatenate([kept, made]), ()
    grown, notes = _grow(material, kept, making, recipe.labels.max_grown)
    return concatenate([kept, _once(concatenate([made, grown]))]), notes


def _grow(
    material: Material, kept: Places, making: Making, limit: int
) -> tuple[Places, tuple[str, ...]]:
    def deliver(extended: Extended) -> Places:
        made = extended.pixels.take(extended.pixels.made)
        return pixels_to_places(thin_pixels(made, limit), extended.places, scene=extended.position)

    places = split_by_scene(kept, len(material.scenes))
    ground = Ground((), material.scenes, material.legend, places)
    extension = extend_ground(ground, making, deliver=deliver)
    grown = concatenate(extension.delivered)
    said = (f"labels made from labels: {line}" for line in extension.purity.lines()[-2:])
    used = f"{len(grown):,} of the new labels are learned from, at most {limit:,} a class and scene"
    return grown, (*said, used)


def _once(places: Places) -> Places:
    """Keep the first label of each pixel."""
    keys = np.column_stack([places.scene, places.pixels()])
    _, first = np.unique(keys, axis=0, return_index=True)
    return places.take(np.sort(first))
