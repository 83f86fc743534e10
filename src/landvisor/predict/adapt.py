"""How scenes that differ from the training imagery are found, and brought to its values."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from landvisor.errors import ModelError
from landvisor.geo.matching import describe_shift, group_by_type, match_scenes
from landvisor.geo.radiometry import sample_values
from landvisor.geo.scene import Scene
from landvisor.learn.ensemble import list_members
from landvisor.learn.model import Model
from landvisor.recipe import PredictSpec

log = logging.getLogger(__name__)


def adapt_scenes(model: Model, scenes: Sequence[Scene], spec: PredictSpec) -> list[Scene]:
    """Return scenes as the model shall read them: matched, or as they are if not asked for.

    Imagery far from the training imagery that is not matched is warned of.

    Raises:
        ModelError: If they are to be matched and a card holds no reference, or the members of an
            ensemble were trained on imagery of different values, since all see the same pixels.
        SceneError: If a file is damaged.
    """
    card = model.card
    if not spec.match_histogram:
        shift = find_shift(model, scenes)
        if shift:
            log.warning(
                "the imagery differs much from the training imagery: %s; "
                "if light or sensor are the cause, --match-histogram may help",
                shift,
            )
        return list(scenes)
    _check_references(model)
    dtype = np.dtype(card.dtype)
    return match_scenes(scenes, card.histogram, dtype=dtype, seed=card.recipe.seed)


def find_shift(model: Model, scenes: Sequence[Scene]) -> str | None:
    """Say how scenes differ much from what a model, or a member, was trained on; else None.

    A sample of all scenes of one data type is held against the training imagery; see
    `landvisor.geo.matching.describe_shift`.

    Raises:
        SceneError: If a file is damaged.
    """
    references = dict.fromkeys(member.card.histogram for member in list_members(model))
    for reference in filter(None, references):
        for alike in group_by_type(scenes).values():
            values = sample_values(alike, seed=0)
            if values.size and (shift := describe_shift(values, reference, bands=alike[0].bands)):
                return shift
    return None


def _check_references(model: Model) -> None:
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
