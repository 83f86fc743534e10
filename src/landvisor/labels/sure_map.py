"""Which pixels finished maps are sure of, as labels to learn from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import PointsError
from landvisor.geo.bundle import MapFiles, map_files
from landvisor.geo.coding import ONE
from landvisor.geo.collection import same_place
from landvisor.geo.legend import Legend
from landvisor.geo.rasters import open_scene
from landvisor.geo.scene import Scene
from landvisor.geo.styles import read_map_legend
from landvisor.geo.tiling import Window
from landvisor.labels.pixels import LabelledPixels, make_pixels

_ROWS = 512


@dataclass(frozen=True)
class SureMap:
    """Finished maps, of which the sure pixels are taken for labels.

    Attributes:
        folder: What `map` or `predict` made, with the probabilities.
        threshold: Least probability of a pixel's class, above 0.
    """

    folder: Path
    threshold: float = 0.95

    def read(self, scene: Scene, *, legend: Legend, alone: bool) -> LabelledPixels:
        """Label the pixels of a scene that its map is sure of; the probability is their weight.

        Args:
            scene: What was mapped.
            legend: Classes are those of the same name; pixels of others are left out.
            alone: No other scene is asked for, so that a map without its name is this scene's.

        Raises:
            PointsError: If the folder holds no map of this scene with a class of the legend.
            SceneError: If a file is damaged.
        """
        files = self._find(scene, alone=alone)
        told = open_scene(files.probabilities)
        ids = _match_classes(files, legend, bands=len(told.bands))
        if told.shape != scene.shape or (
            told.georeferenced and scene.georeferenced and not same_place(told.grid, scene.grid)
        ):
            raise PointsError(
                f"map {files.probabilities.name!r} of {told.shape} pixels is not on the grid of "
                f"scene {scene.name!r} of {scene.shape}; give the map of this scene"
            )
        rows, cols = scene.shape
        parts = [
            _find_sure(told, Window(row, 0, min(_ROWS, rows - row), cols), self.threshold, ids=ids)
            for row in range(0, rows, _ROWS)
        ]
        position, label, sure = (np.concatenate(part) for part in zip(*parts, strict=True))
        return make_pixels(scene.shape, position, label=label, source="pseudo", weight=sure)

    def describe(self) -> dict[str, Any]:
        """Return plain values."""
        return {"folder": self.folder.name, "threshold": self.threshold}

    def _find(self, scene: Scene, *, alone: bool) -> MapFiles:
        named, single = map_files(self.folder, scene.name), map_files(self.folder)
        files = single if alone and single.probabilities.exists() else named
        if not files.probabilities.exists():
            raise PointsError(
                f"{str(self.folder)!r} holds no {files.probabilities.name}; give the folder that "
                f"map or predict made of scene {scene.name!r}"
            )
        return files


def _match_classes(files: MapFiles, legend: Legend, *, bands: int) -> NDArray[np.int64]:
    """Return the class id of each band of probabilities, `[band]`; -1 is no class of the legend."""
    own = read_map_legend(files.classes)
    if own is None or len(own.ids) != bands:
        raise PointsError(
            f"{files.classes.name!r} does not say which classes the {bands} bands of "
            f"{files.probabilities.name!r} are; map the scene again"
        )
    active = {c.name: c.id for c in legend.active}
    ids = np.array([active.get(name, -1) for name in own.names])
    if (ids < 0).all():
        raise PointsError(
            f"no class of {files.classes.name!r} ({', '.join(own.names)}) is one of the points' "
            f"({', '.join(active)}); give --legend with the names that the map uses"
        )
    return ids


def _find_sure(
    told: Scene, window: Window, threshold: float, *, ids: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    codes, valid = told.read(window)
    label, sure = ids[codes.argmax(axis=0)], codes.max(axis=0) / ONE
    found = valid & (sure >= threshold) & (label >= 0)
    row, col = np.nonzero(found)
    return (row + window.row) * told.shape[1] + col, label[found], sure[found]
