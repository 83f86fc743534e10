"""Which places are held out together: spatial folds that never part a feature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landvisor.accuracy.units import (
    SMALLEST_BLOCK,
    UNITS_PER_FOLD,
    HoldOut,
    count_numbers,
    make_units,
    number_keys,
)
from landvisor.errors import AssessmentError
from landvisor.geo.places import Places
from landvisor.geo.tiling import Shape

__all__ = ["SMALLEST_BLOCK", "UNITS_PER_FOLD", "Folds", "assign_folds", "split_validation"]

USUAL_FOLDS = 5
"""Folds where nobody said how many, and units are not scenes or groups that were asked for."""

_TRIES = 16  # random orders of which the best validation split is taken


@dataclass(frozen=True, eq=False)
class Folds:
    """A split of places into folds.

    Attributes:
        fold: int64 `[n]`: 0 to folds - 1.
        block: int64 `[n]`: the unit (a block, scene or group of scenes) that was dealt as one.
        rule: How the units were made, in words.
        kind: What the units are: `blocks`, `scenes`, `groups`, or single features at `random`.
        size: Least side of the blocks in pixels; None where the units are no blocks.
    """

    fold: NDArray[np.int64]
    block: NDArray[np.int64]
    rule: str
    kind: HoldOut = "blocks"
    size: int | None = None

    @property
    def count(self) -> int:
        """How many folds there are."""
        return count_numbers(self.fold)


def assign_folds(
    places: Places,
    *,
    shapes: Sequence[Shape],
    folds: int | None,
    seed: int,
    scene_groups: Sequence[str] | None = None,
    hold_out: HoldOut = "auto",
    distance: float = 0.0,
) -> Folds:
    """Deal places to folds by whole units, each class as evenly as units allow.

    A feature goes as a whole to the unit that holds its centre; see
    `landvisor.accuracy.units.make_units`.

    Args:
        places: Labelled places of a collection; `group` is unique over its features.
        shapes: `(rows, cols)` of the scenes that `places.scene` counts.
        folds: At least 2; None is 5, or one for each scene or group that is held out by name.
        seed: Of the order among equal units.
        scene_groups: Name of each scene's group; an empty one leaves the scene on its own.
        hold_out: What a unit is.
        distance: How far places resemble each other, in pixels; blocks follow it where they can.

    Raises:
        AssessmentError: If there are fewer units than folds.
    """
    if folds is not None and folds < 2:
        raise AssessmentError(f"{folds} folds asked for; a split needs at least 2")
    units = make_units(
        places,
        shapes=shapes,
        folds=folds or USUAL_FOLDS,
        scene_groups=scene_groups,
        hold_out=hold_out,
        distance=distance,
    )
    count = units.count
    wanted = folds or (count if hold_out in ("scenes", "groups") else USUAL_FOLDS)
    if count < wanted:
        raise AssessmentError(
            f"{wanted} folds asked for, but the {len(places)} labelled places make only "
            f"{units.rule}; ask for at most {count} folds, label places farther apart, or assess "
            "with places of their own"
        )
    order = np.random.default_rng(seed).permutation(count)
    dealt = _deal(_share_classes(units.unit, places.label), folds=wanted, order=order)
    return Folds(dealt[units.unit], units.unit, units.rule, units.kind, units.size)


def split_validation(
    places: Places,
    *,
    shapes: Sequence[Shape],
    share: float,
    seed: int,
    scene_groups: Sequence[str] | None = None,
    hold_out: HoldOut = "auto",
) -> NDArray[np.bool_]:
    """Hold out about `share` of the places by whole units, never all of a class.

    Args:
        places: Labelled places; units are made as by `assign_folds`.
        shapes: `(rows, cols)` of the scenes that `places.scene` counts.
        share: 0 up to, not including, 1.
        seed: Of the choice.
        scene_groups: Name of each scene's group, or None.
        hold_out: What a unit is; where places lie on one scene or group only, blocks.

    Returns:
        `[n]`: held out; False everywhere where no unit can be spared.
    """
    if not 0 <= share < 1:
        raise AssessmentError(f"a validation share of {share} asked for; it is 0 up to below 1")
    if not share or not len(places):
        return np.zeros(len(places), dtype=bool)
    try:
        units = make_units(
            places,
            shapes=shapes,
            folds=max(2, round(1 / share)),
            scene_groups=scene_groups,
            hold_out=hold_out,
        ).unit
    except AssessmentError:
        return split_validation(places, shapes=shapes, share=share, seed=seed, hold_out="blocks")
    shares = _share_classes(units, places.label)
    generator = np.random.default_rng(seed)
    tries = [_hold_out(shares, generator.permutation(len(shares)), share) for _ in range(_TRIES)]
    return min(tries, key=lambda held: _miss(shares[held].sum(axis=0), share))[units]


def _share_classes(unit: NDArray[np.int64], label: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return `[unit, class + 1]`: a unit's share of each class's places, and last of all."""
    classes = number_keys(label)
    size = count_numbers(classes)
    counts = np.bincount(unit * size + classes, minlength=count_numbers(unit) * size).reshape(
        -1, size
    )
    counts = np.column_stack([counts, counts.sum(axis=1)])
    return np.asarray(counts / counts.sum(axis=0))


def _deal(
    shares: NDArray[np.float64], *, folds: int, order: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Give units, largest first, each to the fold that has least of what the unit brings.

    That is the greedy step on the squared deviation of the folds' shares from even ones; an
    empty fold always has least, so that none stays empty.
    """
    ranked = order[np.argsort(-shares[order].max(axis=1), kind="stable")]
    held = np.zeros((folds, shares.shape[1]))
    dealt = np.empty(len(shares), dtype=np.int64)
    for unit in ranked:
        dealt[unit] = np.argmin(held @ shares[unit])
        held[dealt[unit]] += shares[unit]
    return dealt


def _hold_out(
    shares: NDArray[np.float64], order: NDArray[np.int64], share: float
) -> NDArray[np.bool_]:
    """Take units in order while that brings every class nearer to `share`."""
    held, taken = np.zeros(shares.shape[1]), np.zeros(len(shares), dtype=bool)
    for unit in order:
        new = held + shares[unit]
        if _leaves_all(new) and _miss(new, share) < _miss(held, share):
            held, taken[unit] = new, True
    if not taken.any():  # every unit is larger than the share: take the smallest up to one half
        spare = [unit for unit in order if _leaves_all(shares[unit]) and shares[unit, -1] <= 0.5]
        taken[sorted(spare, key=lambda unit: float(shares[unit, -1]))[:1]] = True
    return taken


def _leaves_all(held: NDArray[np.float64]) -> bool:
    return bool(np.all(held < 1 - 1e-9))


def _miss(held: NDArray[np.float64], share: float) -> float:
    return float(((held - share) ** 2).sum())
