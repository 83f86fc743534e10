"""How far training places stay away from those that are held out, and what that costs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from landvisor.accuracy.folds import Folds
from landvisor.accuracy.variogram import Dependence
from landvisor.errors import AssessmentError
from landvisor.geo.places import Places

LEAST_KEPT = 0.6
"""Share of a fold's training places that a buffer leaves at least."""

LEAST_OF_CLASS = 3
"""Places of each class that a buffer leaves to a fold, where it had so many."""


@dataclass(frozen=True)
class Sight:
    """How far around a pixel a model looks, in pixels, and how that is known."""

    distance: float
    method: str


@dataclass(frozen=True)
class Separation:
    """How far what is held out is from what was learned from.

    Attributes:
        kind: What is held out as one: `blocks`, `scenes`, `groups`, or features at `random`.
        rule: How these units were made, in words.
        folds: How many.
        units: How many units.
        block: Least side of blocks in pixels; None where the units are no blocks.
        dependence: How far labelled places resemble each other.
        sight: How far the model looks.
        asked: What was asked for: "auto", or a distance in pixels.
        wanted: The buffer that was wanted, in pixels.
        taken: The buffer that was kept, in pixels: no training place lies nearer to a place that
            its fold holds out.
        dropped: Share of the training places that the buffer removed, mean over the folds.
        most_dropped: The same of the fold that lost most.
        overlap: Share of the held-out places with a training place nearer than `wanted`.
    """

    kind: Literal["auto", "blocks", "scenes", "groups", "random"]
    rule: str
    folds: int
    units: int
    block: int | None
    dependence: Dependence
    sight: Sight
    asked: Literal["auto"] | float
    wanted: float
    taken: float
    dropped: float
    most_dropped: float
    overlap: float

    @property
    def capped(self) -> bool:
        """Whether less was kept than was wanted, so that enough is left to learn from."""
        return self.taken < self.wanted

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "capped": self.capped}

    @staticmethod
    def from_dict(content: dict[str, Any]) -> Separation:
        """Read what `to_dict` returned."""
        known = {key: value for key, value in content.items() if key != "capped"}
        known["dependence"] = Dependence(**known["dependence"])
        known["sight"] = Sight(**known["sight"])
        return Separation(**known)


def plan_separation(
    places: Places,
    folds: Folds,
    *,
    dependence: Dependence,
    sight: Sight,
    asked: Literal["auto"] | float = "auto",
) -> tuple[Separation, NDArray[np.float64]]:
    """Choose the buffer, and measure how far every place is from each fold.

    `auto` wants the larger of the two distances, and nothing for random folds, which are asked for
    where a buffer is not. At least 60 % of the training places of each fold stay, and three of each
    class; where that takes it, the buffer is smaller than was wanted. One that was asked for in
    pixels is taken as it is.

    Args:
        places: With `scene` numbering planes: places of two planes are infinitely far.
        folds: Of the same places.
        dependence: How far places resemble each other.
        sight: How far the model looks.
        asked: "auto", or a distance in pixels, 0 or more.

    Returns:
        What was chosen, and `[fold, n]`: the distance in pixels of each place to the nearest one
        that the fold holds out.

    Raises:
        AssessmentError: If a buffer in pixels leaves a fold nothing to learn from.

    References:
        Le Rest et al. 2014, Spatial leave-one-out cross-validation for variable selection in the
        presence of spatial autocorrelation, doi:10.1111/geb.12161: buffers. Roberts et al. 2017,
        doi:10.1111/ecog.02881: blocks and buffers of the range.
    """
    distances = measure_distances(places, folds)
    training = [(distance, places.label, folds.fold != k) for k, distance in enumerate(distances)]
    if asked == "auto":
        wanted = 0.0 if folds.kind == "random" else max(dependence.distance, sight.distance)
        taken = min([wanted, *(_most_distance(*part) for part in training)])
    else:
        wanted = taken = float(asked)
    lost = [float((distance[inside] < taken).mean()) for distance, _, inside in training]
    if max(lost) == 1:
        raise AssessmentError(
            f"a buffer of {taken:g} pixels leaves fold {lost.index(1) + 1} no place to learn from; "
            "give --buffer auto or a smaller distance"
        )
    separation = Separation(
        kind=folds.kind,
        rule=folds.rule,
        folds=folds.count,
        units=int(folds.block.max()) + 1,
        block=folds.size,
        dependence=dependence,
        sight=sight,
        asked=asked,
        wanted=wanted,
        taken=taken,
        dropped=float(np.mean(lost)),
        most_dropped=max(lost),
        overlap=_find_overlap(places, folds, distances, wanted=wanted, taken=taken),
    )
    return separation, distances


def measure_distances(
    places: Places, folds: Folds, *, only: int | None = None
) -> NDArray[np.float64]:
    """Return `[fold, n]`: how far each place is from the nearest one that a fold holds out.

    Places of another plane are infinitely far. A fold's own places are at 0.

    Args:
        places: With `scene` numbering planes.
        folds: Of the same places.
        only: One fold alone; all where None.
    """
    wanted = range(folds.count) if only is None else (only,)
    return np.stack([_nearest(places, folds.fold == fold) for fold in wanted])


def _nearest(places: Places, targets: NDArray[np.bool_]) -> NDArray[np.float64]:
    found = np.full(len(places), np.inf)
    for plane in np.unique(places.scene[targets]):
        here = places.scene == plane
        tree = cKDTree(places.coords[here & targets])
        found[here] = tree.query(places.coords[here])[0]
    return found


def _most_distance(
    distance: NDArray[np.float64], label: NDArray[np.int64], training: NDArray[np.bool_]
) -> float:
    """Return the largest buffer that leaves a fold enough places, and enough of each class."""
    limits = [_leave(distance[training], LEAST_KEPT * training.sum())]
    for one in np.unique(label[training]):
        here = training & (label == one)
        limits.append(_leave(distance[here], min(LEAST_OF_CLASS, int(here.sum()))))
    return min(limits)


def _leave(distance: NDArray[np.float64], count: float) -> float:
    """Return the largest buffer that leaves `count` places at its distance or farther."""
    if not len(distance):
        return np.inf
    return float(np.sort(distance)[len(distance) - int(np.ceil(count))])


def _find_overlap(
    places: Places,
    folds: Folds,
    distances: NDArray[np.float64],
    *,
    wanted: float,
    taken: float,
) -> float:
    """Return the share of held-out places that still have a training place within `wanted`."""
    near = np.zeros(len(places), dtype=bool)
    for fold in range(folds.count):
        inside = folds.fold == fold
        kept = ~inside & (distances[fold] >= taken)
        near |= inside & (_nearest(places, kept) < wanted)
    return float(near.mean())
