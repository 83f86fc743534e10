"""Which places would an analyst have clicked: points drawn once from a mask."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from landvisor.errors import PointsError
from landvisor.geo.legend import UNLABELLED, Legend
from landvisor.geo.places import Places, make_places

Positions = NDArray[np.int64]

_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class ObjectRule:
    """How `per_object` places its points.

    Attributes:
        placement: `random` on the object, or `interior`: farthest from the object's edge, as
            an oracle would click.
        min_area: Pixels of the smallest object that gets a point.
    """

    placement: Literal["random", "interior"] = "random"
    min_area: int = 1


@dataclass(frozen=True, eq=False)
class Draw:
    """What a strategy may use besides the labels: a number, randomness, the object rule."""

    n: int
    generator: np.random.Generator
    objects: ObjectRule


Strategy = Callable[[NDArray[np.int16], Draw], Positions]


def simulate_places(
    mask: NDArray[np.integer],
    *,
    legend: Legend,
    strategy: str | Strategy,
    n: int = 10,
    seed: int = 0,
    name: str,
    valid: NDArray[np.bool_] | None = None,
    objects: ObjectRule | None = None,
) -> Places:
    """Draw labelled places from a mask, each at a pixel's centre, never one pixel twice.

    Randomness follows from (seed, image name, strategy) alone, so that neither the order of
    the images nor the number of workers changes a point. Draw at the mask's own resolution.

    Args:
        mask: Class ids `[row, col]`; ignored and unknown values are unlabelled.
        legend: Resolves the mask's values.
        strategy: A key of `STRATEGIES`, or a function from labels `[row, col]` (-1 is
            unlabelled) and a `Draw` to flat pixel positions.
        n: Places in all (`random`) or per class (`per_class`), or step in pixels (`grid`);
            `per_object` and `dense` do not use it.
        seed: Of the draw.
        name: The image's name, unique in its collection.
        valid: `[row, col]`: False where the image has no data; no point is drawn there.
        objects: How `per_object` works; its defaults where None.

    Returns:
        Places on scene 0 in row order, each a group of its own that no other image has.
        None at all where the mask has no label.

    Raises:
        PointsError: If the strategy is unknown, `n` is below 1, or the mask does not fit.
    """
    title, function = _find_strategy(strategy)
    if n < 1:
        raise PointsError(f"n={n} points asked for; draw at least 1")
    labels = _resolve(mask, legend=legend, valid=valid)
    draw = Draw(n, derive_generator(seed, name, title), objects or ObjectRule())
    chosen = np.sort(function(labels, draw))
    coords = np.stack(np.unravel_index(chosen, labels.shape), axis=1).astype(np.float64)
    label = labels.ravel()[chosen].astype(np.int64)
    group = number_groups(name, title, len(chosen))
    return make_places(coords, label, source="simulated", group=group)


def derive_generator(seed: int, name: str, purpose: str) -> np.random.Generator:
    """Return randomness that follows from a seed, an image's name and a purpose alone."""
    return np.random.default_rng(_hash(seed, name, purpose))


def number_groups(name: str, purpose: str, count: int) -> NDArray[np.int64]:
    """Number places so that joining the places of many images merges no two groups.

    The numbers follow from the image's name, start far above those of a points table, and fit
    int64: 30 bits of hash above 32 bits of count, below a marker bit.
    """
    prefix = _hash("group", name, purpose) % (1 << 30)
    return ((1 << 62) | (prefix << 32)) + np.arange(count, dtype=np.int64)


def draw_random(labels: NDArray[np.int16], draw: Draw) -> Positions:
    """Draw `n` labelled pixels in all, each as likely as any other."""
    return _pick(np.flatnonzero(labels >= 0), draw)


def draw_per_class(labels: NDArray[np.int16], draw: Draw) -> Positions:
    """Draw `n` pixels of each class, or all that it has: a class present is never lost."""
    picked = [_pick(np.flatnonzero(labels == label), draw) for label in _list_classes(labels)]
    return np.concatenate([np.empty(0, dtype=np.int64), *picked])


def draw_per_object(labels: NDArray[np.int16], draw: Draw) -> Positions:
    """Draw one pixel of each object: pixels of one class that touch, diagonals included."""
    rank = _rank_inside if draw.objects.placement == "interior" else _rank_at_random
    picked = [_pick_objects(labels == label, draw, rank) for label in _list_classes(labels)]
    return np.concatenate([np.empty(0, dtype=np.int64), *picked])


def draw_grid(labels: NDArray[np.int16], draw: Draw) -> Positions:
    """Take every n-th pixel of every n-th row where labelled, from a random first one."""
    row, col = draw.generator.integers(0, draw.n, size=2)
    on_grid = np.zeros(labels.shape, dtype=bool)
    on_grid[row :: draw.n, col :: draw.n] = True
    return np.flatnonzero(on_grid & (labels >= 0))


def draw_dense(labels: NDArray[np.int16], draw: Draw) -> Positions:  # noqa: ARG001 - a Strategy
    """Take every labelled pixel: the upper bound that points are compared with."""
    return np.flatnonzero(labels >= 0)


STRATEGIES: dict[str, Strategy] = {
    "random": draw_random,
    "per_class": draw_per_class,
    "per_object": draw_per_object,
    "grid": draw_grid,
    "dense": draw_dense,
}


def _find_strategy(strategy: str | Strategy) -> tuple[str, Strategy]:
    if callable(strategy):
        return getattr(strategy, "__name__", "strategy"), strategy
    if strategy not in STRATEGIES:
        raise PointsError(f"strategy {strategy!r} found; choose one of {', '.join(STRATEGIES)}")
    return strategy, STRATEGIES[strategy]


def _resolve(
    mask: NDArray[np.integer], *, legend: Legend, valid: NDArray[np.bool_] | None
) -> NDArray[np.int16]:
    values = np.asarray(mask)
    if values.ndim != 2 or values.dtype.kind not in "iu":
        raise PointsError(
            f"a mask of shape {values.shape} and type {values.dtype} found; "
            "give whole-number class ids [row, col]"
        )
    if valid is not None and valid.shape != values.shape:
        raise PointsError(
            f"a mask of {values.shape} and valid pixels of {valid.shape} found; use one grid"
        )
    labels = _resolve_values(values, legend)
    if valid is not None:
        labels[~valid] = UNLABELLED
    return labels


def _resolve_values(values: NDArray[np.integer], legend: Legend) -> NDArray[np.int16]:
    if values.dtype != np.uint8:
        return legend.resolve(values).astype(np.int16)
    table = legend.resolve(np.arange(256)).astype(np.int16)  # spares big masks 8 bytes a pixel
    return np.asarray(table[values])


def _list_classes(labels: NDArray[np.int16]) -> NDArray[np.int64]:
    found = np.flatnonzero(np.bincount(labels.ravel() + 1, minlength=1)) - 1
    return found[found >= 0]


def _pick(candidates: Positions, draw: Draw) -> Positions:
    if candidates.size <= draw.n:
        return candidates
    return draw.generator.choice(candidates, size=draw.n, replace=False, shuffle=False)


def _pick_objects(
    inside: NDArray[np.bool_],
    draw: Draw,
    rank: Callable[[NDArray[np.bool_], Positions, Draw], NDArray[Any]],
) -> Positions:
    """Return per object the pixel of highest rank, the first of equals."""
    objects, _ = ndimage.label(inside, structure=_EIGHT_NEIGHBOURS)
    positions = np.flatnonzero(inside)
    number = objects.ravel()[positions]
    order = np.lexsort((-rank(inside, positions, draw), number))
    _, first, area = np.unique(number[order], return_index=True, return_counts=True)
    return positions[order][first[area >= draw.objects.min_area]]


def _rank_at_random(
    inside: NDArray[np.bool_],  # noqa: ARG001 - signature of a rank
    positions: Positions,
    draw: Draw,
) -> NDArray[np.int64]:
    return draw.generator.permutation(positions.size)


def _rank_inside(
    inside: NDArray[np.bool_],
    positions: Positions,
    draw: Draw,  # noqa: ARG001 - signature of a rank
) -> NDArray[np.float64]:
    # the padding makes the image's edge an edge of the object: nobody saw what lies beyond
    distance = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    return np.asarray(distance.ravel()[positions])


def _hash(*parts: object) -> int:
    text = json.dumps([str(part) for part in parts])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")
