"""What is held out as one: blocks, scenes, groups of scenes or single features of the places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import AssessmentError
from landvisor.geo.places import Places
from landvisor.geo.tiling import Shape

HoldOut = Literal["auto", "blocks", "scenes", "groups", "random"]

UNITS_PER_FOLD = 4
SMALLEST_BLOCK = 10
BLOCK_PER_DISTANCE = 4
"""Distances that a block's side should have: a strip of one distance along each side that borders
on another fold is then a quarter of a block."""

_MOST_PER_FOLD = 16  # blocks: more would be shreds, and their intervals no better


@dataclass(frozen=True, eq=False)
class Units:
    """What is held out as one.

    Attributes:
        unit: int64 `[n]`: number of each place's unit, from 0.
        kind: What the units are.
        rule: How they were made, in words.
        size: Least side of the blocks in pixels; None where the units are no blocks.
    """

    unit: NDArray[np.int64]
    kind: HoldOut
    rule: str
    size: int | None = None

    @property
    def count(self) -> int:
        """How many units there are."""
        return count_numbers(self.unit)


@dataclass(frozen=True, eq=False)
class _Features:
    """One row per feature: where it is as a whole, and which feature each place is of."""

    scene: NDArray[np.int64]
    centre: NDArray[np.float64]
    label: NDArray[np.int64]
    of_place: NDArray[np.int64]


def make_units(
    places: Places,
    *,
    shapes: Sequence[Shape],
    folds: int,
    scene_groups: Sequence[str] | None = None,
    hold_out: HoldOut = "auto",
    distance: float = 0.0,
) -> Units:
    """Put places together that are held out as one; a feature is never parted.

    `auto` takes groups of scenes where several scenes share one, whole scenes where at least twice
    as many as folds hold places, and else blocks. `random` takes single features.

    Args:
        places: Labelled places of a collection; `group` is unique over its features.
        shapes: `(rows, cols)` of the scenes that `places.scene` counts.
        folds: Blocks are as large as leaves four to each.
        scene_groups: Name of each scene's group; an empty one leaves the scene on its own.
        hold_out: What a unit is.
        distance: How far places resemble each other, in pixels. Blocks need no more than four
            times that; 0 makes them as large as can be.

    Raises:
        AssessmentError: If scenes or groups are asked for and there are not two of them.
    """
    features = _find_features(places)
    names = list(scene_groups or [""] * len(shapes))
    if hold_out in ("auto", "groups", "scenes"):
        found = _take_scenes(features, names, folds=folds, hold_out=hold_out)
        if found is not None:
            return found
    if hold_out == "random":
        count = len(features.label)
        return Units(features.of_place, "random", f"{count} single features at random")
    size, unit = _choose_blocks(features, shapes=shapes, folds=folds, distance=distance)
    rule = f"{count_numbers(unit)} square blocks of at least {size} pixels"
    return Units(unit[features.of_place], "blocks", rule, size)


def cut_scene(shape: Shape, size: int) -> Shape:
    """Return into how many (rows, cols) of even blocks of at least `size` a scene is cut."""
    return max(shape[0] // size, 1), max(shape[1] // size, 1)


def number_keys(keys: NDArray[np.int64] | NDArray[np.str_]) -> NDArray[np.int64]:
    """Number the distinct values of an array from 0."""
    return np.asarray(np.unique(keys, return_inverse=True)[1], dtype=np.int64)


def count_numbers(numbers: NDArray[np.int64]) -> int:
    """Return how many values there are of an array that `number_keys` numbered."""
    return int(numbers.max(initial=-1)) + 1


def _take_scenes(
    features: _Features, names: Sequence[str], *, folds: int, hold_out: HoldOut
) -> Units | None:
    """Make units of scenes or groups; None where `auto` finds too few for the folds."""
    named = [""] * len(names) if hold_out == "scenes" else names
    keys = np.array([f"group {name}" if name else str(k) for k, name in enumerate(named)])
    unit, scenes = number_keys(keys[features.scene]), count_numbers(number_keys(features.scene))
    count = count_numbers(unit)
    if hold_out != "auto":
        _check_scenes(count, scenes, names, hold_out)
    if hold_out == "groups" or count < scenes:  # a group must stay whole even if units are few
        rule = f"{count} units of whole scene groups"
        return Units(unit[features.of_place], "groups", rule)
    if hold_out == "scenes" or count >= 2 * folds:
        return Units(unit[features.of_place], "scenes", f"{count} whole scenes")
    return None


def _check_scenes(count: int, scenes: int, names: Sequence[str], hold_out: HoldOut) -> None:
    if hold_out == "groups" and not any(names):
        raise AssessmentError(
            "hold-out by groups was asked for, but no scene names a group; fill the column 'group' "
            "of collection.csv, or hold out blocks or scenes"
        )
    if count < 2:
        raise AssessmentError(
            f"hold-out by {hold_out} was asked for, but the labelled places lie on {scenes} "
            f"scene{'s' * (scenes > 1)} that make{'s' * (scenes == 1)} one unit; at least 2 are "
            "needed: add some, or hold out blocks"
        )


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
    features: _Features, *, shapes: Sequence[Shape], folds: int, distance: float
) -> tuple[int, NDArray[np.int64]]:
    """Find blocks that give every fold enough; else those that give the most.

    They are the largest ones, or those of four distances where these are smaller and make no
    shreds. Blocks down to half of that are taken instead if only they spread every class over two
    units: a class in a single unit can never be trained on and held out at once.
    """
    tried: list[tuple[int, NDArray[np.int64]]] = []
    enough: list[tuple[int, NDArray[np.int64]]] = []
    for size in _list_sizes(shapes):
        unit = _cut_blocks(features, shapes=shapes, size=size)
        tried.append((size, unit))
        if count_numbers(unit) >= UNITS_PER_FOLD * folds:
            enough.append(tried[-1])
    if not enough:
        return max(tried, key=lambda choice: count_numbers(choice[1]))
    fitting = _drop_shreds(enough, folds=folds, distance=distance)
    near = (choice for choice in fitting if choice[0] >= fitting[0][0] / 2)
    return next((c for c in near if _spreads_classes(c[1], features.label)), fitting[0])


def _drop_shreds(
    enough: list[tuple[int, NDArray[np.int64]]], *, folds: int, distance: float
) -> list[tuple[int, NDArray[np.int64]]]:
    """Leave out blocks, listed from the largest on, that are larger than the distance asks for."""
    if not distance:
        return enough
    wanted, most = BLOCK_PER_DISTANCE * distance, _MOST_PER_FOLD * folds
    large = [k for k, (size, unit) in enumerate(enough)
             if size >= wanted and count_numbers(unit) <= most]  # fmt: skip
    return enough[large[-1] :] if large else enough


def _list_sizes(shapes: Sequence[Shape]) -> Iterator[int]:
    """Yield block sizes from the largest scene's side downwards in steps of the root of two."""
    size = float(max(max(shape) for shape in shapes))
    while size > SMALLEST_BLOCK:
        yield round(size)
        size /= 2**0.5
    yield SMALLEST_BLOCK


def _cut_blocks(features: _Features, *, shapes: Sequence[Shape], size: int) -> NDArray[np.int64]:
    """Number the blocks that hold features; each scene is cut evenly, without slivers."""
    number = np.array([cut_scene(shape, size) for shape in shapes])[features.scene]
    extent = np.array(shapes)[features.scene]
    cell = np.floor((features.centre + 0.5) * number / extent).astype(np.int64)
    cell = np.clip(cell, 0, number - 1)
    most = int(number.max(initial=1))
    return number_keys((features.scene * most + cell[:, 0]) * most + cell[:, 1])


def _spreads_classes(unit: NDArray[np.int64], label: NDArray[np.int64]) -> bool:
    pairs = np.unique(np.stack([label, unit]), axis=1)
    return bool(np.all(np.unique(pairs[0], return_counts=True)[1] >= 2))
