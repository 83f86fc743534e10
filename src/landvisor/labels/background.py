"""Where is certainly nothing: random negatives for points that mark presence only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from landvisor.errors import PointsError
from landvisor.geo.places import Places, make_places
from landvisor.geo.tiling import Shape
from landvisor.labels.simulate import derive_generator, number_groups

ValidAt = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.bool_]]

_ROUNDS = 20
_STRIPE = 1 << 20


def draw_background(
    shape: Shape,
    valid_at: ValidAt | NDArray[np.bool_],
    *,
    places: Places,
    n: int,
    seed: int,
    name: str,
    label: int,
    min_distance: float = 5.0,
) -> Places:
    """Draw random pixels of a scene that hold data and lie off all presence points.

    Args:
        shape: `(rows, cols)` of the scene.
        valid_at: `[row, col]`, or a function from rows `[m]` and cols `[m]` to booleans `[m]`:
            True where the scene has data.
        places: Presence points of this scene, in its pixel coordinates.
        n: Pixels to draw, none of them twice.
        seed: Of the draw.
        name: The scene's name, unique in its collection.
        label: Class id that the drawn places get.
        min_distance: Least distance in pixels from any presence point.

    Returns:
        Places on scene 0 in row order, each a group of its own; `index` is -1, since no row of
        a points table stands behind them.

    Raises:
        PointsError: If fewer than `n` such pixels exist.
    """
    room = _Room(shape, valid_at, places.coords, min_distance)
    generator = derive_generator(seed, name, "background")
    found = _guess(room, n=n, generator=generator)
    if found.size < n:  # little room: look at every pixel
        free = np.concatenate([room.keep(part) for part in room.stripes()])
        if free.size < n:
            raise PointsError(
                f"{n} background places asked for, but scene {name!r} has {free.size} valid "
                f"pixels at least {min_distance:g} pixels from its points; ask for fewer"
            )
        found = generator.choice(free, size=n, replace=False)
    coords = np.stack(np.unravel_index(np.sort(found), shape), axis=1).astype(np.float64)
    group = number_groups(name, "background", n)
    drawn = make_places(coords, np.full(n, label), source="simulated", group=group)
    return replace(drawn, index=np.full(n, -1, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class _Room:
    """Where background may lie."""

    shape: Shape
    valid_at: ValidAt | NDArray[np.bool_]
    presence: NDArray[np.float64]
    min_distance: float

    @property
    def size(self) -> int:
        return self.shape[0] * self.shape[1]

    def keep(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Keep the flat pixel positions that hold data and are far enough from all points."""
        rows, cols = np.unravel_index(positions, self.shape)
        free = self.valid_at(rows, cols) if callable(self.valid_at) else self.valid_at[rows, cols]
        free = np.asarray(free, dtype=bool)
        if len(self.presence):
            distance, _ = cKDTree(self.presence).query(np.stack([rows, cols], axis=1))
            free = free & (distance >= self.min_distance)
        return positions[free]

    def stripes(self) -> Iterator[NDArray[np.int64]]:
        """Yield all positions, in parts that bound the memory."""
        for start in range(0, self.size, _STRIPE):
            yield np.arange(start, min(start + _STRIPE, self.size))


def _guess(room: _Room, *, n: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Draw pixels and keep the free ones, up to `n`; quick where there is much room."""
    seen = np.empty(0, dtype=np.int64)
    for _ in range(_ROUNDS):
        guessed = generator.integers(0, room.size, size=2 * n)
        seen = np.concatenate([seen, room.keep(guessed)])
        _, first = np.unique(seen, return_index=True)
        seen = seen[np.sort(first)]
        if seen.size >= n:
            return seen[:n]
    return seen
