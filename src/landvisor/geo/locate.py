"""Where labelled features lie on the scenes: places in pixels, and what could not be placed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize

from landvisor.errors import PointsError
from landvisor.geo.legend import UNLABELLED
from landvisor.geo.places import SOURCES, Places, map_to_pixels
from landvisor.geo.points import Points, geometry_kinds
from landvisor.geo.scene import Scene, name_crs
from landvisor.phrases import list_few


@dataclass(frozen=True)
class Losses:
    """How many places could not be used, by reason."""

    off_image: int = 0
    on_nodata: int = 0
    ignored: int = 0
    duplicate: int = 0
    conflict: int = 0
    conflict_pixels: int = 0
    for_assessment: int = 0
    weightless: int = 0

    def sentences(self) -> tuple[str, ...]:
        """Say each loss that occurred, with the policy."""
        said = (
            (self.off_image, "{} places lie off the imagery and are not used"),
            (self.on_nodata, "{} places lie on no-data and are not used"),
            (self.ignored, "{} places have an ignored class and are not used"),
            (self.weightless, "{} places have weight 0 and are not used"),
            (self.duplicate, "{} places repeat another one of their pixel and count once"),
            (self.conflict, "{} places in {} pixels meet another class in the same pixel; none of "
             "these is used"),
            (self.for_assessment, "{} places have role 'assess' and are kept from training"),
        )  # fmt: skip
        return tuple(text.format(count, self.conflict_pixels) for count, text in said if count)


@dataclass(frozen=True)
class Located:
    """Usable places, and what was said about the rest.

    Attributes:
        train: Places to learn from.
        assess: Places that the file reserves for assessment.
        losses: What could not be used.
        notes: Rules that were applied and losses, one sentence each.
    """

    train: Places
    assess: Places
    losses: Losses
    notes: tuple[str, ...]


def locate(points: Points, scenes: Sequence[Scene], *, max_per_feature: int = 100) -> Located:
    """Find the pixels that labelled features lie on.

    Points become one place each, at sub-pixel coordinates. A polygon becomes the pixels whose
    centre is inside it (its representative point if there is none), a line the pixels that it
    crosses; of more than `max_per_feature` pixels, evenly spaced ones are taken in scan order.

    Args:
        points: Labelled features in any CRS.
        scenes: Scenes of a collection; a feature goes to the first scene with data under it.
        max_per_feature: Most places of one line or polygon.

    Raises:
        PointsError: If CRSs do not allow it, or no place lies on valid imagery.
    """
    _check_crs(points, scenes)
    candidates, valid = _candidates(points, scenes, max_per_feature)
    off = len(points) - len(np.unique(candidates.index))
    if not len(candidates):
        raise PointsError(_explain_all_off(points, scenes))
    if not valid.any():
        raise PointsError(
            f"all {len(candidates)} places lie on no-data; check the nodata value of the scene"
        )
    kept = candidates.take(valid)
    resolved = points.legend.resolve(kept.label)
    kept = replace(kept, label=resolved).take(resolved != UNLABELLED)
    weighty = kept.weight > 0
    kept = kept.take(weighty)
    unique, duplicates, conflicts, pixels = _one_per_pixel(kept)
    assess = _is_role(points, unique, "assess")
    losses = Losses(
        off_image=off,
        on_nodata=int((~valid).sum()),
        ignored=int((resolved == UNLABELLED).sum()),
        duplicate=duplicates,
        conflict=conflicts,
        conflict_pixels=pixels,
        for_assessment=int(assess.sum()),
        weightless=int((~weighty).sum()),
    )
    notes = (*points.notes, *_rules(points, max_per_feature), *losses.sentences())
    return Located(unique.take(~assess), unique.take(assess), losses, notes)


def _check_crs(points: Points, scenes: Sequence[Scene]) -> None:
    if points.in_pixels:
        _check_names(points, scenes)
        return
    for scene in scenes:
        if scene.georeferenced and points.frame.crs is None:
            raise PointsError(
                f"the points have no CRS but scene {scene.name!r} has {name_crs(scene)}; say which "
                "CRS their coordinates are in with --crs"
            )
        if not scene.georeferenced and points.frame.crs is not None:
            raise PointsError(
                f"the points are in {points.frame.crs.to_string()} but scene {scene.name!r} has no "
                "CRS; give points with scene, row and col, or georeference the image"
            )


def _check_names(points: Points, scenes: Sequence[Scene]) -> None:
    frame = points.frame
    if len(scenes) > 1 and ("scene" not in frame.columns or frame["scene"].isna().any()):
        raise PointsError(
            f"places were given as row and col on {len(scenes)} scenes, but not each names its "
            "scene; fill a column 'scene'"
        )


def _candidates(
    points: Points, scenes: Sequence[Scene], limit: int
) -> tuple[Places, NDArray[np.bool_]]:
    """Place every feature on the first scene with data under it, else on the first at all.

    Returns:
        Places in the order of scenes, and `[n]`: whether there is data under them.
    """
    left = np.ones(len(points), dtype=bool)
    found, missed = [], []
    for position, scene in enumerate(scenes):
        rows = np.flatnonzero(left & _belongs(points, scene, alone=len(scenes) == 1))
        index, coords = _on_scene(points, rows, scene, limit)
        valid = scene.valid_at(np.floor(coords + 0.5).astype(np.int64))
        on_data = np.isin(index, index[valid])
        left[index[on_data]] = False
        part = (np.full(len(index), position), index, coords, valid)
        found.append(tuple(values[on_data] for values in part))
        missed.append(tuple(values[~on_data] for values in part))
    parts = [*found, *_only_first(missed, left)]
    scene_of, index, coords, valid = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return _make(points.frame, scene_of, index, coords), valid


def _only_first(missed: list[Any], left: NDArray[np.bool_]) -> list[Any]:
    """Keep what lies on no data everywhere, counted on the first scene alone."""
    kept, seen = [], ~left
    for part in missed:
        new = ~seen[part[1]]
        kept.append(tuple(values[new] for values in part))
        seen[part[1]] = True
    return kept


def _make(
    frame: Any, scene_of: NDArray[Any], index: NDArray[Any], coords: NDArray[np.float64]
) -> Places:
    sources = frame["source"].map(SOURCES).to_numpy(np.uint8)
    return Places(
        scene=scene_of.astype(np.int64),
        coords=coords.astype(np.float64).reshape(len(index), 2),
        label=frame["class_id"].to_numpy(np.int64)[index],
        weight=frame["weight"].to_numpy(np.float32)[index],
        source=sources[index],
        group=_groups(frame)[index],
        index=index.astype(np.int64),
    )


def _belongs(points: Points, scene: Scene, *, alone: bool) -> NDArray[np.bool_]:
    """Tell which features may lie on a scene by the name they carry, if any."""
    if "scene" not in points.frame.columns:
        return np.ones(len(points), dtype=bool)
    names = points.frame["scene"]
    if names.isna().all() or (alone and not points.in_pixels):
        return np.ones(len(points), dtype=bool)
    known = names.dropna().unique()
    mine = [name for name in known if scene.name in (name, Path(str(name)).stem)]
    return np.asarray(names.isin(mine) | names.isna(), dtype=bool)


def _on_scene(
    points: Points, rows: NDArray[np.int64], scene: Scene, limit: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return feature positions and (row, col) of the places that lie on a scene's grid."""
    if not len(rows):
        return np.zeros(0, np.int64), np.zeros((0, 2))
    if points.in_pixels:
        coords = points.frame[["row", "col"]].to_numpy(np.float64)[rows]
        index = rows
    else:
        index, coords = _project(points, rows, scene, limit)
    inside = _inside(coords, scene.shape)
    return index[inside], coords[inside]


def _project(
    points: Points, rows: NDArray[np.int64], scene: Scene, limit: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    shapes = points.frame.geometry.iloc[rows]
    if scene.georeferenced and points.frame.crs is not None:
        shapes = shapes.to_crs(scene.grid.crs.to_wkt())
    flat = shapely.get_type_id(shapes.values) == 0
    xy = shapely.get_coordinates(shapes.values[flat])
    index, coords = [rows[flat]], [map_to_pixels(scene.grid, xy)]
    for position in np.flatnonzero(~flat):
        pixels = _pixels_of(shapes.values[position], scene.grid, limit)
        index.append(np.full(len(pixels), rows[position]))
        coords.append(pixels)
    return np.concatenate(index), np.concatenate(coords)


def _pixels_of(shape: Any, grid: GeoBox, limit: int) -> NDArray[np.float64]:
    """List the pixels of a line, polygon or multi-point as (row, col)."""
    if shapely.get_dimensions(shape) == 0:
        return map_to_pixels(grid, shapely.get_coordinates(shape))
    corners = map_to_pixels(grid, shapely.get_coordinates(shapely.envelope(shape)))
    first = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    last = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 2, grid.shape)
    if (first >= last).any():
        return np.zeros((0, 2))
    part = grid[first[0] : last[0], first[1] : last[1]]
    is_line = shapely.get_dimensions(shape) == 1
    burnt = rasterize([shape], part.shape, transform=part.affine, all_touched=bool(is_line))
    found = np.argwhere(burnt) + first
    if not len(found):
        return map_to_pixels(grid, shapely.get_coordinates(shape.representative_point()))
    keep = np.linspace(0, len(found) - 1, min(limit, len(found))).round().astype(int)
    return np.asarray(found[keep].astype(np.float64))


def _inside(coords: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    limit = np.asarray(shape) - 0.5
    return np.asarray(((coords >= -0.5) & (coords < limit)).all(axis=1))


def _groups(frame: Any) -> NDArray[np.int64]:
    if "group" not in frame.columns:
        return np.arange(len(frame))
    codes, _ = pd.factorize(frame["group"])
    return np.asarray(np.where(codes < 0, np.arange(len(frame)) + len(frame), codes))


def _one_per_pixel(places: Places) -> tuple[Places, int, int, int]:
    """Keep one place a pixel; a pixel with two classes keeps none."""
    keys = np.column_stack([places.scene, places.pixels()])
    _, first, pixel = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    pixel = pixel.reshape(-1)
    low = np.full(len(first), np.iinfo(np.int64).max)
    high = np.full(len(first), -1)
    np.minimum.at(low, pixel, places.label)
    np.maximum.at(high, pixel, places.label)
    clash = low != high
    keep = np.sort(first[~clash])
    conflicts = int(clash[pixel].sum())
    return places.take(keep), len(places) - conflicts - len(keep), conflicts, int(clash.sum())


def _is_role(points: Points, places: Places, role: str) -> NDArray[np.bool_]:
    return np.asarray(points.frame["role"].to_numpy()[places.index] == role)


def _rules(points: Points, limit: int) -> tuple[str, ...]:
    rules = {
        "polygon": f"a polygon became the pixels whose centre it holds, at most {limit}",
        "line": f"a line became the pixels it crosses, at most {limit}",
    }
    kinds = geometry_kinds(points)
    return tuple(f"{text} evenly spaced" for kind, text in rules.items() if kind in kinds)


def _explain_all_off(points: Points, scenes: Sequence[Scene]) -> str:
    found = f"all {len(points)} features lie off the imagery"
    by_name = points.in_pixels or len(scenes) > 1
    if by_name and "scene" in points.frame.columns:
        names = points.frame["scene"].dropna().astype(str).unique()
        return (
            f"{found}; their scenes are {list_few(names, shown=3)}, these are "
            f"{list_few((scene.name for scene in scenes), shown=3)}: let the names agree, or leave "
            "column 'scene' out for a single image"
        )
    if _would_fit_swapped(points, scenes):
        return f"{found}, but x and y swapped would put them on it; swap lon and lat (or x and y)"
    return (
        f"{found}; they span {_span(points.frame)}, {_describe_extent(points, scenes)}: check that "
        "both belong together and that their CRSs are right"
    )


def _describe_extent(points: Points, scenes: Sequence[Scene]) -> str:
    """Say where the scenes lie, in the CRS of the points where both have one."""
    boxes = [
        gpd.GeoSeries([s.grid.extent.geom], crs=s.grid.crs.to_wkt() if s.georeferenced else None)
        for s in scenes
    ]
    if points.frame.crs is not None:
        boxes = [box.to_crs(points.frame.crs) for box in boxes]
    return f"the imagery {_span(pd.concat(boxes))}"


def _span(shapes: Any) -> str:
    west, south, east, north = (f"{value:.10g}" for value in shapes.total_bounds.round(4))
    where = f" in {shapes.crs.to_string()}" if shapes.crs is not None else ""
    return f"x {west} to {east} and y {south} to {north}{where}"


def _would_fit_swapped(points: Points, scenes: Sequence[Scene]) -> bool:
    swapped = points.frame.set_geometry(
        [shapely.transform(g, lambda xy: xy[:, ::-1]) for g in points.frame.geometry],
        crs=points.frame.crs,
    )
    other = Points(swapped, points.legend)
    rows = np.arange(len(points))
    return any(len(_on_scene(other, rows, scene, 1)[0]) * 2 > len(points) for scene in scenes)
