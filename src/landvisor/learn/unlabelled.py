"""Which imagery without any label a network sees besides, where it has a teacher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from landvisor.architectures import NETWORKS
from landvisor.errors import CollectionError, RecipeError
from landvisor.geo.collection import TEST, open_collection
from landvisor.geo.scene import Scene
from landvisor.options import Options
from landvisor.recipe import Recipe


def open_unlabelled(
    options: Options, scenes: Sequence[Scene], *, recipe: Recipe
) -> tuple[Scene, ...]:
    """Open the scenes that a run was given without labels, but for those of split `test`.

    Args:
        options: What names them, and how files are read.
        scenes: Those that are learned from: their bands and data type are needed.
        recipe: All choices, the model settled.

    Raises:
        RecipeError: If scenes were given, and nothing would see them.
        CollectionError: If none is found, or one does not fit.
    """
    if options.unlabelled is None:
        return ()
    _check_use(recipe)
    found = open_collection(options.unlabelled)
    items = tuple(item for item in found.items if item.split != TEST)
    if not items:
        raise CollectionError(
            f"all {len(found)} scenes of --unlabelled have split {TEST!r}, which no training may "
            "see; give others"
        )
    opened = replace(found, items=items).open_scenes(options.reading)
    for scene in opened:
        _check_fit(scene, scenes[0])
    return opened


def _check_use(recipe: Recipe) -> None:
    teacher = recipe.teacher
    if recipe.net.model not in NETWORKS:
        raise RecipeError(
            f"--unlabelled is for networks, and the model is {recipe.net.model!r}; name one with "
            f"--model {NETWORKS[0]} or leave it out"
        )
    if not teacher.teaches or not teacher.unlabelled:
        raise RecipeError(
            f"--unlabelled was given with teacher.source {teacher.source!r}, teacher.weight "
            f"{teacher.factor:g} and teacher.unlabelled {teacher.unlabelled:g}, so nothing would "
            "see it; as in --set teacher.source=average --set teacher.unlabelled=0.25"
        )


def _check_fit(scene: Scene, model: Scene) -> None:
    named = sorted(scene.bands) == sorted(model.bands)
    if len(scene.bands) != len(model.bands) or (named and scene.bands != model.bands):
        raise CollectionError(
            f"unlabelled scene {scene.name!r} has the bands {', '.join(scene.bands)} and training "
            f"reads {', '.join(model.bands)}; give scenes with the same bands in the same order"
        )
    if scene.dtype != model.dtype:
        raise CollectionError(
            f"unlabelled scene {scene.name!r} holds {scene.dtype} and {model.name!r} "
            f"{model.dtype}; give scenes with values in the same units"
        )
