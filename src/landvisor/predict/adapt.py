"""How scenes that differ from the training imagery are found, and brought to its values."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from landvisor.errors import ModelError
from landvisor.geo.matching import Quantiles, describe_shift, match_scene
from landvisor.geo.radiometry import sample_values
from landvisor.geo.scene import Scene
from landvisor.learn.ensemble import list_members
from landvisor.learn.model import Model
from landvisor.recipe import PredictSpec

log = logging.getLogger(__name__)

_BLOCKS = 16
"""Of 256 pixels a side: what is looked at of a scene before a warning."""


def adapt_scene(model: Model, scene: Scene, spec: PredictSpec) -> Scene:
    """Return the scene as the model shall read it: matched where the spec asks for it.

    Raises:
        ModelError: As `check_matching` does.
        SceneError: If the file is damaged.
    """
    if not spec.match_histogram:
        return scene
    check_matching(model)
    card = model.card
    dtype = np.dtype(card.dtype)
    return match_scene(scene, card.histogram, dtype=dtype, seed=card.recipe.seed)


def check_matching(model: Model) -> None:
    """Refuse a model that no scene can be matched to.

    Raises:
        ModelError: If a card holds no reference, or the members of an ensemble were trained on
            imagery whose values differ, since all of them see the same pixels.
    """
    members = list_members(model)
    if not all(member.card.histogram for member in members):
        raise ModelError(
            "the model's card holds no histogram to match; fit it again, or predict without "
            "predict.match_histogram"
        )
    for member in members[1:]:
        card = member.card
        shift = describe_shift(np.array(card.histogram), model.card.histogram, bands=card.bands)
        if shift or card.dtype != model.card.dtype:
            raise ModelError(
                "the models were trained on imagery of different values, so no scene matches all; "
                "predict without predict.match_histogram, or with one of them"
            )


def warn_of_shift(model: Model, scenes: Sequence[Scene]) -> None:
    """Say in one line if scenes differ much from what a model, or a member, was trained on.

    A sample of each scene is held against the training imagery; see
    `landvisor.geo.matching.describe_shift`.

    Raises:
        SceneError: If a file is damaged.
    """
    references = dict.fromkeys(member.card.histogram for member in list_members(model))
    found = [(scene.name, _find_shift(scene, [*filter(None, references)])) for scene in scenes]
    far = [(name, shift) for name, shift in found if shift]
    if far:
        log.warning(
            "%d of %d scenes differ much from the training imagery (%s: %s); try --match-histogram",
            len(far),
            len(scenes),
            *far[0],
        )


def _find_shift(scene: Scene, references: Sequence[Quantiles]) -> str | None:
    values = sample_values([scene], seed=0, blocks=_BLOCKS) if references else np.empty((0, 0))
    if not values.size:
        return None
    shifts = (describe_shift(values, reference, bands=scene.bands) for reference in references)
    return next(filter(None, shifts), None)
