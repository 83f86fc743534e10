"""How far labels reach beyond their places: growth over the pixels of one scene."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import ModelError, RecipeError, SceneError
from landvisor.geo.places import Places
from landvisor.geo.radiometry import measure_spread
from landvisor.geo.scene import Scene
from landvisor.geo.tiling import Window, full_window, split_blocks
from landvisor.labels.disc import grow_discs
from landvisor.labels.grow_claims import Claims, limit_claims, no_claims, settle_claims
from landvisor.labels.growth import NOBODY, Block, Grower, Grown
from landvisor.labels.pixels import LabelledPixels, make_pixels, no_pixels
from landvisor.labels.region import grow_regions, region_margin
from landvisor.labels.superpixel import grow_superpixels
from landvisor.labels.walker import grow_walker
from landvisor.parallel import map_ordered
from landvisor.recipe import GrowSpec

METHODS: dict[str, Grower] = {
    "superpixel": grow_superpixels,
    "walker": grow_walker,
    "region": grow_regions,
    "disc": grow_discs,
}
BLOCK = 1024
_RADII_AROUND = 3
_SAMPLE = 128  # pixels a side on which features are measured: quartiles to about one percent


def grow_places(
    places: Places,
    *,
    scene: Scene,
    spec: GrowSpec,
    scale: NDArray[np.float64],
    method: Grower | None = None,
    features: NDArray[np.floating] | None = None,
    block: int = BLOCK,
    workers: int | None = None,
) -> LabelledPixels:
    """Grow labels from the places of a scene over the pixels around them.

    Whatever the method says, no label lies farther than `radius` from its place, on no data, or on
    a pixel that has a place, and none has more than `max_pixels` pixels: the nearest to it count.
    Places on no data or off the scene grow nothing. The order of places changes nothing.

    The scene is worked on in blocks that are anchored at its first pixel and hold places; each
    also sees three radii around it, as far as a place can matter: one grows over a radius, and
    another that contests that pixel lies up to a radius further and grows as far again. With
    `region` the result does not depend on `block`; with `walker` it does in the last digits of
    the probability, with `superpixel` where segments meet a block's edge. Memory for each worker,
    measured in bytes per pixel of a block and its surroundings: 12 per band and 40 for `region`
    (76 per band with `bank`), 16 per band and 20 for `superpixel`, up to 12 per band, 250 and 14
    per class in the block for `walker`, 60 for `disc`.

    Args:
        places: All on this scene.
        scene: Where they lie.
        spec: Method, limits and options.
        scale: `[band]`: robust deviation of each band in native units, above 0.
        method: Any function from a `Block` and the spec to `Grown`; None takes `spec.method`.
        features: `[feature, row, col]` on the scene's grid, such as an encoder's: with `region`
            these are compared, each in its own robust deviations, instead of `spec.features`.
        block: Side of a block in pixels.
        workers: Threads over blocks; None takes all processors.

    Returns:
        New pixels only, source `grown`; `place` counts `places`; weight is `spec.weight` times the
        method's confidence times the place's weight.

    Raises:
        SceneError: If `features` are not on the scene's grid.
        RecipeError: If `features` are given to a method that compares none.
        ModelError: If a caller's method returns something else than a `Grown` of the block.
    """
    grower = method or METHODS.get(spec.method)
    if grower is None or not len(places):
        return no_pixels(scene.shape)
    farthest = float(sum(scene.shape))  # more than that is no limit, and may be no number
    spec = spec.model_copy(update={"radius": min(spec.radius, farthest)})
    seeds = _make_seeds(places)
    given = None if features is None else _measure_features(features, scene, grower)
    task = _Task(scene, seeds, spec, scale, grower, given)
    windows = [w for w in split_blocks(scene.shape, block) if w.holds(seeds.centres).any()]
    claims = settle_claims(map_ordered(task.grow, windows, workers=workers), seeds.label)
    place = seeds.place[claims.seed]
    return make_pixels(
        scene.shape,
        claims.position,
        label=places.label[place],
        source="grown",
        weight=spec.weight * claims.confidence * places.weight[place],
        place=place,
    )


class _Seeds(NamedTuple):
    """Points in row-major order: for each class of a pixel, its heaviest place.

    Attributes:
        centres: `[n, 2]`: (row, col) of whole pixels.
        label: `[n]`: class id.
        place: `[n]`: position of the place.
    """

    centres: NDArray[np.float64]
    label: NDArray[np.int64]
    place: NDArray[np.int64]


class _Features(NamedTuple):
    """A caller's features `[feature, row, col]` with the robust deviation of each."""

    values: NDArray[np.floating]
    scale: NDArray[np.float64]

    def cut(self, window: Window) -> NDArray[np.float32]:
        part = self.values[:, *window.slices] / self.scale[:, None, None].astype(np.float32)
        return np.asarray(part, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class _Task:
    """What is the same for all blocks of a scene."""

    scene: Scene
    seeds: _Seeds
    spec: GrowSpec
    scale: NDArray[np.float64]
    grower: Grower
    features: _Features | None

    def grow(self, window: Window) -> Claims:
        """Claim pixels for the seeds of one block."""
        wide = self._widen(window)
        near = np.flatnonzero(wide.holds(self.seeds.centres))
        points = self.seeds.centres[near].astype(np.int64) - (wide.row, wide.col)
        block, near = self._open(wide, points, near)
        owned = window.holds(self.seeds.centres[near])
        if not owned.any():
            return no_claims()
        grown = _check_grown(self.grower(block, self.spec), block)
        free = (grown.point != NOBODY) & block.valid
        free[tuple(points.T)] = False
        rows, cols = np.nonzero(free)
        point = grown.point[rows, cols]
        mine = owned[point]
        rows, cols, point = rows[mine], cols[mine], point[mine]
        position = (rows + wide.row) * self.scene.shape[1] + cols + wide.col
        away = np.linalg.norm(np.column_stack([rows, cols]) - block.points[point], axis=1)
        claims = Claims(position, near[point], grown.confidence[rows, cols])
        return limit_claims(claims, away, farthest=self.spec.radius, most=self.spec.max_pixels)

    def _widen(self, window: Window) -> Window:
        around = _RADII_AROUND * ceil(self.spec.radius)
        if self.grower is grow_regions and self.features is None:
            around += region_margin(self.spec)
        first = window.row - around, window.col - around
        wide = Window(*first, window.rows + 2 * around, window.cols + 2 * around)
        inside = wide.intersect(full_window(self.scene.shape))
        assert inside is not None, "a block lies on its scene"
        return inside

    def _open(
        self, wide: Window, points: NDArray[np.int64], near: NDArray[np.int64]
    ) -> tuple[Block, NDArray[np.int64]]:
        """Read a window; return it with the numbers of the seeds that lie on its data."""
        found = self.scene.read(wide)
        valid = found.finite
        features = self.features.cut(wide) if self.features else None
        if features is not None:
            valid = valid & np.isfinite(features).all(axis=0)
        kept = valid[tuple(points.T)]
        label = self.seeds.label[near[kept]]
        return Block(found.data, valid, self.scale, points[kept], label, features), near[kept]


def _make_seeds(places: Places) -> _Seeds:
    pixels = places.pixels()
    order = np.lexsort((-places.weight, places.label, pixels[:, 1], pixels[:, 0]))
    keys = np.column_stack([pixels, places.label])[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (np.diff(keys, axis=0) != 0).any(axis=1)
    place = order[first]
    return _Seeds(pixels[place].astype(np.float64), places.label[place], place)


def _measure_features(features: NDArray[np.floating], scene: Scene, grower: Grower) -> _Features:
    """Measure the middle range of each feature on pixels spread evenly over the scene."""
    if features.ndim != 3 or features.shape[1:] != scene.shape:
        raise SceneError(
            f"features of shape {features.shape} were given for scene {scene.name!r}; need "
            f"[feature, row, col] with {scene.shape} pixels"
        )
    name = next((name for name, known in METHODS.items() if known is grower), None)
    if name not in ("region", None):
        raise RecipeError(
            f"features were given, but method {name!r} compares the bands alone; "
            "use 'region' or leave them out"
        )
    rows, cols = (ceil(size / _SAMPLE) for size in scene.shape)
    sample = features[:, ::rows, ::cols].reshape(len(features), -1).astype(np.float64)
    sample = sample[:, np.isfinite(sample).all(axis=0)]
    if not sample.shape[1]:
        return _Features(features, np.ones(len(features)))
    spread = measure_spread(sample, axis=1)
    return _Features(features, np.where(spread > 0, spread, 1.0))


def _check_grown(grown: Grown, block: Block) -> Grown:
    """Refuse what a caller's method returns if it does not fit its block."""
    shapes = [np.shape(getattr(grown, name, ())) for name in Grown._fields]
    if shapes != [block.valid.shape] * len(shapes):
        found = f"{type(grown).__name__} of shapes {shapes}"
        raise _refuse(found, f"a Grown of two arrays of {block.valid.shape}")
    point, confidence = np.asarray(grown.point), np.asarray(grown.confidence)
    last = len(block.points) - 1
    if point.dtype.kind != "i" or point.min() < NOBODY or point.max() > last:
        found = f"points {point.min()} to {point.max()} of type {point.dtype}"
        raise _refuse(found, f"integers from -1 (nobody) to {last}")
    used = confidence[point != NOBODY]
    numeric = used.dtype.kind in "fiu"
    if not numeric or not ((used > 0) & (used <= 1)).all():
        kind = f"{used.min():g} to {used.max():g}" if numeric else f"of type {used.dtype}"
        found = f"confidences {kind}"
        raise _refuse(found, "shares above 0, up to 1")
    return Grown(point, confidence.astype(np.float32))


def _refuse(found: str, needed: str) -> ModelError:
    return ModelError(f"the method of growing returned {found}; need {needed}: mend the method")
