"""Which places are held out together: spatial folds that never part a feature."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import AssessmentError
from landvisor.geo.places import Places
from landvisor.geo.tiling import Shape

UNITS_PER_FOLD = 4
SMALLEST_BLOCK = 10
_TRIES = 16  # random orders of which the best validation split is taken


@dataclass(frozen=True, eq=False)
class Folds:
    """A split of places into folds.

    Attributes:
        fold: int64 `[n]`: 0 to folds - 1.
        block: int64 `[n]`: the unit (a block, scene or group of scenes) that was dealt as one.
        rule: How the units were made, in words.
    """

    fold: NDArray[np.int64]
    block: NDArray[np.int64]
    rule: str


@dataclass(frozen=True, eq=False)
class _Features:
    """One row per feature: where it is as a whole, and which feature each place is of."""

    scene: NDArray[np.int64]
    centre: NDArray[np.float64]
    label: NDArray[np.int64]
    of_place: NDArray[np.int64]


def assign_folds(
    places: Places,
    *,
    shapes: Sequence[Shape],
    folds: int,
    seed: int,
    scene_groups: Sequence[str] | None = None,
) -> Folds:
    """Deal places to folds by whole spatial units, each class as evenly as units allow.

    Units are scenes where at least twice as many as folds hold places, groups of scenes where
    several scenes share one, and else square blocks within scenes: the largest that give each
    fold about four. A feature goes as a whole to the unit that holds its centre.

    Args:
        places: Labelled places of a collection; `group` is unique over its features.
        shapes: `(rows, cols)` of the scenes that `places.scene` counts.
        folds: At least 2.
        seed: Of the order among equal units.
        scene_groups: Name of each scene's group; an empty one leaves the scene on its own.

    Raises:
        AssessmentError: If there are fewer units than folds.
    """
    if folds < 2:
        raise AssessmentError(f"{folds} folds asked for; a split needs at least 2")
    unit, rule = _make_units(places, shapes=shapes, folds=folds, scene_groups=scene_groups)
    count = _count(unit)
    if count < folds:
        raise AssessmentError(
            f"{folds} folds asked for, but the {len(places)} labelled places make only {rule}; "
            f"ask for at most {count} folds, label places farther apart, or assess with places "
            "of their own"
        )
    order = np.random.default_rng(seed).permutation(count)
    dealt = _deal(_share_classes(unit, places.label), folds=folds, order=order)
    return Folds(fold=dealt[unit], block=unit, rule=rule)


def split_validation(
    places: Places,
    *,
    shapes: Sequence[Shape],
    share: float,
    seed: int,
    scene_groups: Sequence[str] | None = None,
) -> NDArray[np.bool_]:
    """Hold out about `share` of the places by whole units, never all of a class.

    Args:
        places: Labelled places; units are made as by `assign_folds`.
        shapes: `(rows, cols)` of the scenes that `places.scene` counts.
        share: 0 up to, not including, 1.
        seed: Of the choice.
        scene_groups: Name of each scene's group, or None.

    Returns:
        `[n]`: held out; False everywhere where no unit can be spared.
    """
    if not 0 <= share < 1:
        raise AssessmentError(f"a validation share of {share} asked for; it is 0 up to below 1")
    if not share or not len(places):
        return np.zeros(len(places), dtype=bool)
    folds = max(2, round(1 / share))
    unit, _ = _make_units(places, shapes=shapes, folds=folds, scene_groups=scene_groups)
    shares = _share_classes(unit, places.label)
    generator = np.random.default_rng(seed)
    tries = [_hold_out(shares, generator.permutation(len(shares)), share) for _ in range(_TRIES)]
    return min(tries, key=lambda held: _miss(shares[held].sum(axis=0), share))[unit]


def _make_units(
    places: Places,
    *,
    shapes: Sequence[Shape],
    folds: int,
    scene_groups: Sequence[str] | None,
) -> tuple[NDArray[np.int64], str]:
    """Return the unit of each place, numbered from 0, and the rule in words."""
    features = _find_features(places)
    own = scene_groups or [""] * len(shapes)
    keys = np.array([f"group {name}" if name else str(k) for k, name in enumerate(own)])
    unit, scenes = _number(keys[features.scene]), _count(_number(features.scene))
    count = _count(unit)
    if count < scenes:  # a group must stay whole even if that leaves too few units
        return unit[features.of_place], f"{count} units of whole scene groups"
    if count >= 2 * folds:
        return unit[features.of_place], f"{count} whole scenes"
    size, unit = _choose_blocks(features, shapes=shapes, folds=folds)
    rule = f"{_count(unit)} square blocks of at least {size} pixels"
    return unit[features.of_place], rule


def _find_features(places: Places) -> _Features:
    """Reduce places to features; one on several scenes belongs to that of its first place."""
    _, first, of_place = np.unique(places.group, return_index=True, return_inverse=True)
    scene = places.scene[first]
    here = places.scene == scene[of_place]
    number = np.bincount(of_place[here], minlength=len(first))
    sums = [
        np.bincount(of_place[here], weights=places.coords[here, axis], minlength=len(first))
        for axis in (0, 1)
    ]
    return _Features(scene, np.stack(sums, axis=1) / number[:, None], places.label[first], of_place)


def _choose_blocks(
    features: _Features, *, shapes: Sequence[Shape], folds: int
) -> tuple[int, NDArray[np.int64]]:
    """Find the largest blocks that give every fold enough; else those that give the most.

    Blocks down to half that size are taken instead if only they spread every class over two
    units: a class in a single unit can never be trained on and held out at once.
    """
    tried: list[tuple[int, NDArray[np.int64]]] = []
    enough: list[tuple[int, NDArray[np.int64]]] = []
    for size in _list_sizes(shapes):
        if enough and size < enough[0][0] / 2:
            break
        unit = _cut_blocks(features, shapes=shapes, size=size)
        tried.append((size, unit))
        if _count(unit) >= UNITS_PER_FOLD * folds:
            enough.append(tried[-1])
    if not enough:
        return max(tried, key=lambda choice: _count(choice[1]))
    spread = (choice for choice in enough if _spreads_classes(choice[1], features.label))
    return next(spread, enough[0])


def _list_sizes(shapes: Sequence[Shape]) -> Iterator[int]:
    """Yield block sizes from the largest scene's side downwards in steps of the root of two."""
    size = float(max(max(shape) for shape in shapes))
    while size > SMALLEST_BLOCK:
        yield round(size)
        size /= 2**0.5
    yield SMALLEST_BLOCK


def _cut_blocks(features: _Features, *, shapes: Sequence[Shape], size: int) -> NDArray[np.int64]:
    """Number the blocks that hold features; each scene is cut evenly, without slivers."""
    extent = np.array(shapes)[features.scene]
    number = np.maximum(extent // size, 1)
    cell = np.floor((features.centre + 0.5) * number / extent).astype(np.int64)
    cell = np.clip(cell, 0, number - 1)
    most = int(number.max(initial=1))
    return _number((features.scene * most + cell[:, 0]) * most + cell[:, 1])


def _spreads_classes(unit: NDArray[np.int64], label: NDArray[np.int64]) -> bool:
    pairs = np.unique(np.stack([label, unit]), axis=1)
    return bool(np.all(np.unique(pairs[0], return_counts=True)[1] >= 2))


def _share_classes(unit: NDArray[np.int64], label: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return `[unit, class + 1]`: a unit's share of each class's places, and last of all."""
    classes = _number(label)
    size = _count(classes)
    counts = np.bincount(unit * size + classes, minlength=_count(unit) * size).reshape(-1, size)
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


def _number(keys: NDArray[np.int64] | NDArray[np.str_]) -> NDArray[np.int64]:
    return np.asarray(np.unique(keys, return_inverse=True)[1], dtype=np.int64)


def _count(numbers: NDArray[np.int64]) -> int:
    return int(numbers.max(initial=-1)) + 1
