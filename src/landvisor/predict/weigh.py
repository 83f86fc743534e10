"""How an ensemble gets weights: its members are asked at labelled places."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import ModelError, PointsError
from landvisor.geo.collection import Collection
from landvisor.geo.locate import locate
from landvisor.geo.places import Places
from landvisor.geo.points import Points, read_points
from landvisor.geo.scene import Scene
from landvisor.learn.ensemble import list_members, list_names, reweigh
from landvisor.learn.model import Model
from landvisor.learn.stacking import fit_weights
from landvisor.options import Options
from landvisor.predict.adapt import adapt_scenes
from landvisor.predict.stream import check_fit, predict_rows
from landvisor.recipe import PredictSpec

log = logging.getLogger(__name__)


def weigh_on_places(
    model: Model,
    scenes: Collection,
    points: Path | str | Points,
    *,
    options: Options,
    spec: PredictSpec,
) -> Model:
    """Read points and scenes as `options` say, and weigh the members on them: `weigh_members`."""
    if not isinstance(points, Points):
        points = read_points(
            points,
            class_column=options.class_column,
            crs=options.crs,
            legend=model.card.legend,
        )
    return weigh_members(model, scenes.open_scenes(options.reading), points, spec=spec)


def weigh_members(
    model: Model, scenes: Sequence[Scene], points: Points, *, spec: PredictSpec
) -> Model:
    """Give the members of an ensemble the weights that serve best at labelled places.

    Each member predicts all scenes with places, which takes as long as their map. Places of role
    'assess' are not used.

    Args:
        model: An ensemble; its weights so far play no part.
        scenes: Where the points lie.
        points: Places that no member has learned from: one that has would look too good.
        spec: As the map will be predicted.

    Raises:
        ModelError: If there is one model only, or a scene does not fit.
        PointsError: If no place can be used, or has a class that the members do not know.
    """
    members = list_members(model)
    if len(members) == 1:
        raise ModelError("weights were to be fitted for one model; give a second one")
    places = locate(points, scenes).train
    index = model.card.legend.to_index(places.label)
    if not len(places) or (index < 0).any():
        raise PointsError(
            f"{(index < 0).sum()} of {len(places)} places for weights have a class that the models "
            "do not predict; give at least one place, and only of their classes"
        )
    for scene in scenes:
        check_fit(model, scene)
    seen = adapt_scenes(model, scenes, spec)
    likely = [_ask(member, seen, places, index, spec=spec) for member in members]
    weights = fit_weights(np.stack(likely), places.weight)
    said = ", ".join(f"{n} {w:.2f}" for n, w in zip(list_names(model), weights, strict=True))
    log.info("weights, fitted at %d places: %s", len(places), said)
    return reweigh(model, weights)


def _ask(
    model: Model,
    scenes: Sequence[Scene],
    places: Places,
    index: NDArray[np.int64],
    *,
    spec: PredictSpec,
) -> NDArray[np.float64]:
    """Return `[place]`: the probability of each place's own class."""
    found, pixels = np.zeros(len(places)), places.pixels()
    for position in np.unique(places.scene):
        for rows in predict_rows(model, scenes[position], spec):
            row = pixels[:, 0] - rows.window.row
            here = (places.scene == position) & (row >= 0) & (row < rows.window.rows)
            found[here] = rows.probabilities[index[here], row[here], pixels[here, 1]]
    return found
