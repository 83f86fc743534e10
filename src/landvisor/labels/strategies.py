"""Which pixels of a mask each strategy clicks on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from landvisor.errors import PointsError

Labels = NDArray[np.int16]
Positions = NDArray[np.int64]
Spread = Literal["equal", "proportional", "sqrt"]

_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)
_POWERS = {"equal": 0.0, "proportional": 1.0, "sqrt": 0.5}
_HALVINGS = 100  # of an interval of float64: more would change no digit


@dataclass(frozen=True)
class DrawRule:
    """How a strategy places its points, and how far from perfect they are made.

    Attributes:
        placement: `per_object`: `random` on the object, or `interior`: farthest from the
            object's edge, as an oracle would click.
        min_area: `per_object`: pixels of the smallest object that gets a point.
        cluster_size: `clustered`: points of a cluster, its centre included.
        radius: `clustered`: pixels from a cluster's centre to its farthest point.
        spread: `budget`: share of each class in the clicks, `equal`, `proportional` to its area,
            or to the square root (`sqrt`) of it.
        jitter: Any strategy: radius in pixels of the disc in which a place moves.
        noise: Any strategy: share 0..1 of the places that get a wrong class.

    Raises:
        PointsError: If a value is out of its range.
    """

    placement: Literal["random", "interior"] = "random"
    min_area: int = 1
    cluster_size: int = 5
    radius: float = 20.0
    spread: Spread = "equal"
    jitter: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        for name, found, needed in (
            ("placement", self.placement, ("random", "interior")),
            ("spread", self.spread, tuple(_POWERS)),
        ):
            if found not in needed:
                raise PointsError(f"{name} {found!r} found; choose one of {', '.join(needed)}")
        for name, low in (("min_area", 1), ("cluster_size", 1), ("radius", 0), ("jitter", 0)):
            value = getattr(self, name)
            if not low <= value < np.inf:
                raise PointsError(f"{name} {value!r} found; it is finite and at least {low}")
        if not 0 <= self.noise <= 1:
            raise PointsError(f"noise {self.noise!r} found; it is a share of 0 to 1")


@dataclass(frozen=True, eq=False)
class Draw:
    """What a strategy may use besides the labels: a number, randomness, a rule."""

    n: int
    generator: np.random.Generator
    rule: DrawRule = field(default_factory=DrawRule)


Strategy = Callable[[Labels, Draw], Positions]


def draw_random(labels: Labels, draw: Draw) -> Positions:
    """Draw `n` labelled pixels in all, each as likely as any other."""
    return _pick(np.flatnonzero(labels >= 0), draw.n, draw.generator)


def draw_per_class(labels: Labels, draw: Draw) -> Positions:
    """Draw `n` pixels of each class, or all that it has: a class present is never lost."""
    candidates = (np.flatnonzero(labels == label) for label in _count_classes(labels)[0])
    return _join([_pick(found, draw.n, draw.generator) for found in candidates])


def draw_per_object(labels: Labels, draw: Draw) -> Positions:
    """Draw one pixel of each object: pixels of one class that touch, diagonals included."""
    rank = _rank_inside if draw.rule.placement == "interior" else _rank_at_random
    classes = _count_classes(labels)[0]
    return _join([_pick_objects(labels == label, draw, rank) for label in classes])


def draw_grid(labels: Labels, draw: Draw) -> Positions:
    """Take every n-th pixel of every n-th row where labelled, from a random first one."""
    row, col = draw.generator.integers(0, draw.n, size=2)
    on_grid = np.zeros(labels.shape, dtype=bool)
    on_grid[row :: draw.n, col :: draw.n] = True
    return np.flatnonzero(on_grid & (labels >= 0))


def draw_clustered(labels: Labels, draw: Draw) -> Positions:
    """Draw `n` pixels in all, in clusters as a field visit leaves them.

    A cluster is a random labelled pixel and others at random among those within `radius` of it.
    Where these are too few, more clusters make up for them.
    """
    free = labels >= 0
    candidates = np.flatnonzero(free)
    left = min(draw.n, candidates.size)
    # A centre is drawn itself, so that no more than n of them can be needed.
    centres = draw.generator.choice(candidates, size=left, replace=False)
    clusters = []
    for centre in centres:
        if left and free.flat[centre]:
            cluster = _pick_cluster(free, centre, draw, size=min(left, draw.rule.cluster_size))
            free.flat[cluster] = False
            clusters.append(cluster)
            left -= cluster.size
    return _join(clusters)


def draw_budget(labels: Labels, draw: Draw) -> Positions:
    """Draw `n` pixels in all, spread over the classes present; see `share_budget`."""
    classes, area = _count_classes(labels)
    quotas = share_budget(area, draw.n, spread=draw.rule.spread, generator=draw.generator)
    wanted = zip(classes, quotas, strict=True)
    return _join([_pick(np.flatnonzero(labels == c), n, draw.generator) for c, n in wanted if n])


def draw_dense(labels: Labels, draw: Draw) -> Positions:  # noqa: ARG001 - a Strategy
    """Take every labelled pixel: the upper bound that points are compared with."""
    return np.flatnonzero(labels >= 0)


STRATEGIES: dict[str, Strategy] = {
    "random": draw_random,
    "per_class": draw_per_class,
    "per_object": draw_per_object,
    "grid": draw_grid,
    "clustered": draw_clustered,
    "budget": draw_budget,
    "dense": draw_dense,
}
USES: dict[str, tuple[str, ...]] = {
    "random": ("n",),
    "per_class": ("n",),
    "per_object": ("placement", "min_area"),
    "grid": ("n",),
    "clustered": ("n", "cluster_size", "radius"),
    "budget": ("n", "spread"),
    "dense": (),
}
"""What each strategy reads of `Draw` and `DrawRule`; jitter and noise go with all of them."""


def share_budget(
    area: NDArray[np.int64], n: int, *, spread: Spread, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Spread clicks over classes: at least one each, at most their pixels, `n` in all.

    What a small class cannot take goes to the others. Parts of a click go to the largest
    remainders, and ties are settled at random.

    Args:
        area: `[class]`: pixels of each class, above 0.
        n: Clicks; where there are fewer than classes, the largest shares get one each.
        spread: See `DrawRule`.
        generator: Settles ties.

    Returns:
        int64 `[class]` of sum min(n, pixels).
    """
    total = min(n, int(area.sum()))
    share = area.astype(np.float64) ** _POWERS[spread]
    if total > len(area):
        ideal = _fill(share, area, total)
        quotas = np.floor(ideal).astype(np.int64)
        share = ideal - quotas
    else:
        quotas = np.zeros_like(area)
    shuffled = generator.permutation(len(area))
    largest = shuffled[np.argsort(-share[shuffled], kind="stable")]
    quotas[largest[: total - int(quotas.sum())]] += 1
    return quotas


def _fill(share: NDArray[np.float64], area: NDArray[np.int64], total: int) -> NDArray[np.float64]:
    """Scale shares until they sum to `total` when clipped to one click and to the area."""
    low, high = 0.0, float((area / share).max())
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        enough = np.clip(middle * share, 1, area).sum() > total
        low, high = (low, middle) if enough else (middle, high)
    return np.clip(low * share, 1, area)


def _count_classes(labels: Labels) -> tuple[Positions, NDArray[np.int64]]:
    counts = np.bincount(labels.ravel() + 1, minlength=1)[1:]
    found = np.flatnonzero(counts)
    return found, counts[found]


def _join(parts: list[Positions]) -> Positions:
    return np.concatenate([np.empty(0, dtype=np.int64), *parts])


def _pick(candidates: Positions, n: int, generator: np.random.Generator) -> Positions:
    if candidates.size <= n:
        return candidates
    return generator.choice(candidates, size=n, replace=False, shuffle=False)


def _pick_cluster(free: NDArray[np.bool_], centre: np.int64, draw: Draw, *, size: int) -> Positions:
    """Return a centre and pixels near it that are free."""
    row, col = divmod(int(centre), free.shape[1])
    reach = int(draw.rule.radius)
    top, left = max(0, row - reach), max(0, col - reach)
    window = free[top : row + reach + 1, left : col + reach + 1]
    rows, cols = np.nonzero(window)
    rows, cols = rows + top, cols + left
    squared = (rows - row) ** 2 + (cols - col) ** 2
    near = (squared <= draw.rule.radius**2) & (squared > 0)
    others = rows[near] * free.shape[1] + cols[near]
    return np.append(_pick(others, size - 1, draw.generator), centre)


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
    return positions[order][first[area >= draw.rule.min_area]]


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
