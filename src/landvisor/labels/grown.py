"""Which labels made from labels a run may learn from: rasters that link, grow and others wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from landvisor.errors import PointsError
from landvisor.geo.legend import Legend
from landvisor.geo.places import Places, concatenate, make_places
from landvisor.geo.scene import Scene
from landvisor.labels.label_raster import read_label_raster
from landvisor.labels.pixels import SURE, LabelledPixels
from landvisor.labels.simulate import number_groups


def read_grown(
    path: Path, places: Places, *, scenes: Sequence[Scene], legend: Legend, limit: int
) -> Places:
    """Read linked, grown and pseudo labels as places to learn from, never to score on.

    Pixels of human and simulated labels are left out: the points themselves say them better.

    Args:
        path: A label raster of the only scene, or a folder with `<scene>.tif`.
        places: The points of the run. A grown label gets the group of the nearest one of its
            class on its scene, so that it is left out wherever that point is held out.
        scenes: The scenes that `Places.scene` counts.
        legend: Labels of other classes are left out.
        limit: Most labels per class and scene, evenly spaced in scan order.

    Raises:
        PointsError: If no raster fits a scene, or none holds a label of the legend.
    """
    parts = []
    for position, scene in enumerate(scenes):
        raster = _find_raster(path, scene, alone=len(scenes) == 1)
        if raster is not None:
            pixels = _resolve(read_label_raster(raster, scene), legend)
            parts.append(_place(thin_pixels(pixels, limit), places, scene, position))
    if not parts:
        names = ", ".join(f"{scene.name}.tif" for scene in scenes[:3])
        raise PointsError(f"{str(path)!r} holds none of {names}; give what link or grow made")
    found = concatenate(parts)
    if not len(found):
        raise PointsError(f"{str(path)!r} holds no linked or grown label of the legend's classes")
    return found


def thin_pixels(pixels: LabelledPixels, limit: int) -> LabelledPixels:
    """Keep at most `limit` pixels a class, evenly spaced in scan order."""
    chosen = [np.zeros(0, dtype=np.int64)]
    for label in np.unique(pixels.label):
        found = np.flatnonzero(pixels.label == label)
        steps = np.linspace(0, len(found) - 1, min(limit, len(found)))
        chosen.append(found[steps.round().astype(np.int64)])
    return pixels.take(np.sort(np.concatenate(chosen)))


def _find_raster(path: Path, scene: Scene, *, alone: bool) -> Path | None:
    if not path.exists():
        raise PointsError(f"no labels at {str(path)!r}; give a raster or folder that link made")
    if path.is_dir():
        raster = path / f"{scene.name}.tif"
        return raster if raster.exists() else None
    if not alone:
        raise PointsError(f"{str(path)!r} is one raster for several scenes; give a folder")
    return path


def _resolve(pixels: LabelledPixels, legend: Legend) -> LabelledPixels:
    label = legend.resolve(pixels.label)
    grown = pixels.made & (label >= 0)
    return replace(pixels.take(grown), label=label[grown].astype(np.uint8))


def _place(pixels: LabelledPixels, places: Places, scene: Scene, position: int) -> Places:
    here = places.on_scene(position)
    coords = pixels.coords().astype(np.float64)
    group, index = number_groups(scene.name, "grown", len(pixels)), np.full(len(pixels), -1)
    for label in np.unique(pixels.label):
        same, mine = np.flatnonzero(here.label == label), pixels.label == label
        if len(same):
            _, nearest = cKDTree(here.coords[same]).query(coords[mine])
            group[mine], index[mine] = here.group[same[nearest]], here.index[same[nearest]]
    found = make_places(coords, pixels.label.astype(np.int64), scene=position, group=group)
    weight = (pixels.weight / np.float32(SURE)).astype(np.float32)
    return replace(found, weight=weight, source=pixels.source, index=index)
