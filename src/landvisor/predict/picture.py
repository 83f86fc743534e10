"""What becomes one map: a scene, or several that share a grid."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from landvisor.errors import RecipeError
from landvisor.geo.collection import Collection
from landvisor.geo.common_grid import find_footprint, mosaic_grid
from landvisor.geo.damage import DamagedBlock, find_damage
from landvisor.geo.mosaic import feather_weights, first_weights, order_scenes, share_weights
from landvisor.geo.scene import Scene
from landvisor.geo.tiling import Window
from landvisor.geo.warp import warp_scene
from landvisor.learn.ensemble import has_members
from landvisor.learn.model import Model
from landvisor.predict.stream import MapRows, predict_rows
from landvisor.recipe import PredictSpec


class Picture(Protocol):
    """What becomes one map."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def grid(self) -> GeoBox:
        """Where the map lies."""

    def predict(self, model: Model, spec: PredictSpec, *, area: Window) -> Iterator[MapRows]:
        """Yield the rows of an area; see `landvisor.predict.stream.predict_rows`."""

    def list_damage(self) -> tuple[DamagedBlock, ...]:
        """List the blocks of its files that were met and found damaged so far."""


@dataclass(frozen=True)
class ScenePicture:
    """One scene on its own grid."""

    scene: Scene

    @property
    def name(self) -> str:
        """The scene's name."""
        return self.scene.name

    @property
    def grid(self) -> GeoBox:
        """The scene's grid."""
        return self.scene.grid

    def predict(self, model: Model, spec: PredictSpec, *, area: Window) -> Iterator[MapRows]:
        """Yield the rows of an area."""
        return predict_rows(model, self.scene, spec, area=area)

    def list_damage(self) -> tuple[DamagedBlock, ...]:
        """List damaged blocks that were met."""
        return find_damage(self.scene)


@dataclass(frozen=True)
class Mosaic:
    """Several scenes on one grid: where they overlap, each has a share or one is seen.

    Attributes:
        scenes: On grids of their own; earlier ones come first.
        grid: Of the mosaic.
        footprints: The part of it that each scene covers.
        feather: Pixels of a scene from its border to where it counts wholly; 0 shows the first
            scene that is valid.
    """

    scenes: tuple[Scene, ...]
    grid: GeoBox
    footprints: tuple[Window, ...]
    feather: float

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"a mosaic of {len(self.scenes)} scenes"

    def predict(self, model: Model, spec: PredictSpec, *, area: Window) -> Iterator[MapRows]:
        """Yield the rows of an area.

        Scenes that the area does not touch are not opened. Memory grows with the scenes that do.
        """
        here = [
            scene
            for scene, footprint in zip(self.scenes, self.footprints, strict=True)
            if footprint.intersect(area)
        ]
        if not here:
            yield from _tell_nothing(len(model.card.legend.ids), area, has_members(model))
            return
        with ExitStack() as stack:
            parts = [
                stack.enter_context(closing(self._predict_one(model, scene, spec, area)))
                for scene in here
            ]
            for rows in zip(*parts, strict=True):
                yield rows[0] if len(rows) == 1 else self._merge(here, rows)

    def list_damage(self) -> tuple[DamagedBlock, ...]:
        """List damaged blocks of all scenes that were met."""
        return tuple(block for scene in self.scenes for block in find_damage(scene))

    def _predict_one(
        self, model: Model, scene: Scene, spec: PredictSpec, area: Window
    ) -> Generator[MapRows]:
        return predict_rows(model, warp_scene(scene, self.grid), spec, area=area)

    def _merge(self, scenes: Sequence[Scene], rows: Sequence[MapRows]) -> MapRows:
        window, valid = rows[0].window, np.stack([part.valid for part in rows])
        if self.feather:
            depth = [
                feather_weights(scene.grid, self.grid, window, width=self.feather)
                for scene in scenes
            ]
            weights = share_weights(np.stack(depth), valid)
        else:
            weights = first_weights(valid)
        mean = _mix([part.probabilities for part in rows], weights)
        known = [part.disagreement for part in rows if part.disagreement is not None]
        spread = _mix(known, weights) if known else None
        return MapRows(window, mean, np.asarray(valid.any(axis=0)), spread)


def _mix(
    parts: Sequence[NDArray[np.float32]], weights: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Return the weighted mean of what scenes say: of pixels that one does not show, no number."""
    mean = np.zeros_like(parts[0])
    for part, weight in zip(parts, weights, strict=True):
        mean += np.where(weight > 0, part, 0) * weight
    return mean


def plan_pictures(
    collection: Collection, scenes: Sequence[Scene], spec: PredictSpec
) -> list[Picture]:
    """Decide what becomes a map each: every scene, or all of them together.

    Args:
        collection: What is known of the scenes, such as how cloudy they are.
        scenes: As the model shall read them.
        spec: `mosaic`, its feather, CRS and resolution.

    Raises:
        CollectionError: If scenes lack what their order needs.
        RecipeError: If the grid of a mosaic is chosen without one.
        SceneError: If they cannot share a grid.
    """
    if spec.mosaic == "none":
        _refuse_grid(spec)
        return [ScenePicture(scene) for scene in scenes]
    by = "first" if spec.mosaic == "feather" else spec.mosaic
    ordered = tuple(scenes[position] for position in order_scenes(collection.items, by=by))
    grid = mosaic_grid(scenes, crs=spec.crs, resolution=spec.resolution)
    footprints = tuple(find_footprint(scene, grid) for scene in ordered)
    feather = spec.feather if spec.mosaic == "feather" else 0.0
    return [Mosaic(ordered, grid, footprints, feather)]


def _refuse_grid(spec: PredictSpec) -> None:
    chosen = {"predict.crs": spec.crs, "predict.resolution": spec.resolution}
    for path, value in chosen.items():
        if value is not None:
            raise RecipeError(
                f"{path} is {value!r} and there is no mosaic: each map lies on its scene's grid; "
                "choose a mosaic, as in --mosaic feather, or leave it out"
            )


def _tell_nothing(classes: int, area: Window, several: bool) -> Iterator[MapRows]:
    """Yield rows without data."""
    for row in range(area.row, area.row + area.rows):
        window = Window(row, area.col, 1, area.cols)
        shares = np.zeros((classes, *window.shape), dtype=np.float32)
        spread = np.zeros(window.shape, dtype=np.float32) if several else None
        yield MapRows(window, shares, np.zeros(window.shape, dtype=bool), spread)
