"""Which places are labelled: points read from any format, with their classes."""

from __future__ import annotations

import hashlib
import uuid
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj import CRS
from pyproj.exceptions import CRSError

from landvisor.errors import PointsError
from landvisor.geo.legend import Legend, legend_from_ids, legend_from_names
from landvisor.geo.places import SOURCES, Places, pixels_to_map
from landvisor.geo.scene import Scene
from landvisor.geo.vectors import FORMATS, read_table, read_vectors
from landvisor.phrases import list_few, say_count

CLASS_COLUMNS = (
    "class_id", "class_name", "classname", "classvalue", "label", "class", "landcover", "c_id",
    "mc_id",
)  # fmt: skip
_PAIRS = {"class_id": "class_name", "classvalue": "classname", "c_id": "c_name", "mc_id": "mc_name"}
_LONLAT = (("lon", "lat"), ("longitude", "latitude"))
_MAX_ID = 254
_ROLES = ("train", "assess")
PRESENCE = "presence"


@dataclass(frozen=True)
class Points:
    """Labelled features with their classes.

    Attributes:
        frame: A GeoDataFrame with `class_id` (int), `class_name`, `weight`, `source`, `role`,
            `geometry`, and `scene, row, col` where places are given in pixels; columns that
            landvisor does not know are kept.
        legend: The classes, given or derived.
        notes: What was decided while reading, one sentence each.
        numbered: Text classes were given ids without a legend: no mask knows these ids.
        matched: (label as the file has it, id of its class), every pair once.
    """

    frame: Any
    legend: Legend
    notes: tuple[str, ...] = ()
    numbered: bool = False
    matched: tuple[tuple[str, int], ...] = ()

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def in_pixels(self) -> bool:
        """Tell whether places are given as row and col of a scene."""
        return {"row", "col"} <= set(self.frame.columns) and self.frame.crs is None


def read_points(
    path: Path | str,
    *,
    class_column: str | None = None,
    crs: str | None = None,
    legend: Legend | None = None,
    presence_only: bool = False,
) -> Points:
    """Read labelled points, lines or polygons.

    Args:
        path: A vector file, a CSV, or a folder of them.
        class_column: Column with the class; found by its name by default.
        crs: CRS of the coordinates where the file does not say.
        legend: The classes; derived from the labels by default. Presences do not use it.
        presence_only: Take a file without a class column as presences of one class.

    Raises:
        PointsError: If there are no points, no class column or no coordinates, or a class that
            the legend lacks.
    """
    frame = _read_frame(Path(path), crs)
    nowhere = frame.geometry.is_empty | frame.geometry.isna()
    frame = frame[~nowhere].reset_index(drop=True)
    if frame.empty:
        raise PointsError(f"{str(path)!r} holds no points; label some places first")
    column = _find_column(frame, class_column)
    if column is None:
        if not presence_only:
            raise PointsError(
                f"{str(path)!r} has columns {_listed(_attributes(frame))} and none of them is a "
                "class; name one with --class-column, or draw random negatives for presence-only "
                "points with --background 200"
            )
        frame = frame.assign(class_name=PRESENCE)
    # nothing says which class of a legend presences are
    known = None if column is None else legend
    frame, found, notes, numbered, matched = _classify(frame, column or "class_name", known)
    if column is None:
        unused = "; the legend is not used" if legend else ""
        notes = (f"no class column: each feature is taken as class {PRESENCE!r}{unused}",)
    if nowhere.any():
        lost = say_count(int(nowhere.sum()), "feature")
        notes = (*notes, f"{lost} without a geometry left out")
    return Points(_with_defaults(frame), found, notes, numbered, matched)


def places_to_points(places: Places, scenes: Sequence[Scene], legend: Legend) -> Points:
    """Turn places back into a table with coordinates.

    Coordinates are in the scenes' CRS where they share one, else in lon/lat; on pictures without
    CRS they are pixel corners' units, and `scene, row, col` say the same in pixel centres.
    """
    scene_crs = {s.grid.crs.to_wkt() if s.georeferenced else None for s in scenes}
    target = next(iter(scene_crs)) if len(scene_crs) == 1 else "EPSG:4326"
    if len(scene_crs) > 1 and None in scene_crs:
        raise PointsError("some scenes have a CRS and some have none; sample them apart")
    x, y = np.zeros(len(places)), np.zeros(len(places))
    for position, scene in enumerate(scenes):
        here = places.scene == position
        x[here], y[here] = _map_coordinates(scene, places.coords[here], target)
    names = {c.id: c.name for c in legend.classes}
    sources = {code: name for name, code in SOURCES.items()}
    scene_names = [scenes[i].name for i in places.scene.tolist()]
    frame = gpd.GeoDataFrame(
        {
            "id": _name_places(scene_names, places.coords),
            "class_id": places.label,
            "class_name": [names[i] for i in places.label.tolist()],
            "weight": places.weight,
            "source": [sources[i] for i in places.source.tolist()],
            "role": "train",
            "group": places.group,
            "scene": scene_names,
            "row": places.coords[:, 0],
            "col": places.coords[:, 1],
        },
        geometry=gpd.points_from_xy(x, y),
        crs=target,
    )
    return Points(frame, legend)


def write_points(points: Points, path: Path) -> None:
    """Write points as a GeoPackage with one layer, `points`."""
    with warnings.catch_warnings():
        # Places on a picture have no CRS; `row` and `col` say where they are.
        warnings.filterwarnings("ignore", message="'crs' was not provided")
        points.frame.to_file(path, layer="points", driver="GPKG", engine="pyogrio", use_arrow=True)


def _name_places(scenes: Sequence[str], coords: np.ndarray[Any, Any]) -> list[str]:
    """Name places by UUIDs of version 5, so that the same place has the same name in every run.

    `uuid.uuid5` gives the same, but an object per place would take longer than all else here.
    """
    space = uuid.NAMESPACE_URL.bytes
    parts = zip(scenes, coords.tolist(), strict=True)
    texts = (f"{scene}/{row}/{col}".encode() for scene, (row, col) in parts)
    digests = (hashlib.sha1(space + t, usedforsecurity=False).hexdigest() for t in texts)
    return [
        f"{d[:8]}-{d[8:12]}-5{d[13:16]}-{'89ab'[int(d[16], 16) % 4]}{d[17:20]}-{d[20:32]}"
        for d in digests
    ]


def _map_coordinates(
    scene: Scene, coords: np.ndarray[Any, Any], target: str | None
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    x, y = pixels_to_map(scene.grid, coords).T
    if target is None or scene.grid.crs.to_wkt() == target:
        return x, y
    moved = gpd.GeoSeries(gpd.points_from_xy(x, y), crs=scene.grid.crs.to_wkt()).to_crs(target)
    return moved.x.to_numpy(), moved.y.to_numpy()


def _read_frame(path: Path, crs: str | None) -> Any:
    if path.is_dir():
        files = sorted(f for f in path.iterdir() if f.suffix.lower() in FORMATS)
        if not files:
            raise PointsError(f"folder {str(path)!r} holds no point file; need {_listed(FORMATS)}")
        frames = [_read_frame(file, crs) for file in files]
        mixed = len({str(frame.crs) for frame in frames}) > 1
        if mixed and any(frame.crs is None for frame in frames):
            raise PointsError(
                f"some files in {str(path)!r} have a CRS and some have none; say theirs with --crs"
            )
        return pd.concat([f.to_crs("EPSG:4326") for f in frames] if mixed else frames)
    frame = _read_csv(path, crs) if path.suffix.lower() == ".csv" else read_vectors(path)
    in_pixels = path.suffix.lower() == ".csv" and {"row", "col"} <= set(frame.columns)
    if crs is not None and frame.crs is None and not in_pixels:
        frame = frame.set_crs(_parse_crs(crs))
    return frame


def _read_csv(path: Path, crs: str | None) -> Any:
    """Read `scene, row, col`, lon and lat, or x and y; numbers may have a decimal comma."""
    table = read_table(path)
    lower = {str(column).strip().lower(): column for column in table.columns}
    if {"row", "col"} <= set(lower):
        table = table.rename(columns={lower[k]: k for k in ("row", "col", "scene") if k in lower})
        table["row"], table["col"] = _numbers(table["row"], path), _numbers(table["col"], path)
        return _put(table, table["col"] + 0.5, table["row"] + 0.5)
    for names in (*_LONLAT, ("x", "y")):
        if set(names) <= set(lower):
            x, y = (_numbers(table[lower[name]], path) for name in names)
            earth = _parse_crs(crs or "EPSG:4326")
            return _put(table, x, y, crs=None if names == ("x", "y") else earth)
    raise PointsError(
        f"{str(path)!r} has columns {_listed(table.columns)}; need lon and lat, x and y with "
        "--crs, or scene, row and col"
    )


def _numbers(column: Any, path: Path) -> Any:
    """Read coordinates; an empty cell is NaN."""
    numbers = pd.to_numeric(column.astype("string").str.replace(",", "."), errors="coerce")
    bad = numbers.isna() & column.notna()
    if bad.any():
        raise PointsError(
            f"{str(path)!r} has {column[bad].iloc[0]!r} in column {column.name!r}; need numbers"
        )
    return numbers.astype(float)


def _put(table: pd.DataFrame, x: Any, y: Any, crs: CRS | None = None) -> Any:
    """Give each row its point, or none where a coordinate is missing."""
    places = gpd.GeoSeries(gpd.points_from_xy(x, y), index=table.index)
    return gpd.GeoDataFrame(table, geometry=places.where((x + y).notna()), crs=crs)


def _parse_crs(text: str) -> CRS:
    try:
        return CRS.from_user_input(text)
    except CRSError as error:
        raise PointsError(f"--crs {text!r} is not a CRS; give for example EPSG:32633") from error


def _find_column(frame: Any, wanted: str | None) -> str | None:
    lower = {str(column).lower(): str(column) for column in reversed(frame.columns)}
    if wanted is not None:
        if wanted not in frame.columns and wanted.lower() not in lower:
            raise PointsError(
                f"no column {wanted!r} among {_listed(_attributes(frame))}; name one of them"
            )
        return wanted if wanted in frame.columns else lower[wanted.lower()]
    return next((lower[name] for name in CLASS_COLUMNS if name in lower), None)


def _classify(
    frame: Any, column: str, legend: Legend | None
) -> tuple[Any, Legend, tuple[str, ...], bool, tuple[tuple[str, int], ...]]:
    """Give every feature a class id of the legend, making a legend where none is given.

    Returns:
        The features, the legend, notes, whether the ids are made up, and what was matched.
    """
    empty = frame[column].isna() | (frame[column].astype(str).str.strip() == "")
    frame = frame[~empty].reset_index(drop=True)
    if frame.empty:
        raise PointsError(f"column {column!r} is empty; give every point a class")
    ids, names, partner = _ids_and_names(frame, column)
    if legend is None and ids is None and len(set(names)) > _MAX_ID:
        raise PointsError(
            f"column {column!r} has {len(set(names))} different values; a legend has at most "
            f"{_MAX_ID} classes: name another column with --class-column"
        )
    found, made_up = legend or _derive_legend(ids, names), legend is None and ids is None
    numbers = (
        np.asarray(ids)
        if ids is not None and legend is None
        else _look_up(names, ids, found, column)
    )
    known = {c.id: c.name for c in found.classes}
    used = f"{column!r}" + (f" with {partner!r}" if partner else "")
    note = f"class column: {used}"
    if empty.any():
        note += f"; {say_count(int(empty.sum()), 'feature')} without a class left out"
    matched = tuple(sorted(set(zip(names, numbers.tolist(), strict=True))))
    notes = (note, *_describe_spellings(matched))
    labels = [known[int(i)] for i in numbers]
    frame = frame.assign(class_id=numbers.astype(np.int64), class_name=labels)
    return frame, found, notes, made_up, matched


def _describe_spellings(matched: Sequence[tuple[str, int]]) -> tuple[str, ...]:
    """Say which spellings of a file became one class."""
    spellings: dict[int, list[str]] = {}
    for name, number in sorted(matched, key=lambda pair: pair[::-1]):
        spellings.setdefault(number, []).append(name)
    merged = [f"({list_few(map(repr, s))})" for s in spellings.values() if len(s) > 1]
    return (f"spellings taken as one class: {list_few(merged)}",) if merged else ()


def _ids_and_names(frame: Any, column: str) -> tuple[list[int] | None, list[str], str | None]:
    """Read whole numbers as ids and text as names; a file's id and name columns go together."""
    lower = {str(name).lower(): str(name) for name in frame.columns}
    pairs = {**_PAIRS, **{name: number for number, name in _PAIRS.items()}}
    partner = lower.get(pairs.get(column.lower(), ""))
    values = _whole_numbers(frame[column])
    texts = frame[column].astype(str).str.strip().tolist()
    if partner is None:
        return values, texts, None
    if values is not None:
        return values, frame[partner].astype(str).str.strip().tolist(), partner
    numbers = _whole_numbers(frame[partner])
    one_to_one = numbers is not None and len(set(zip(numbers, texts, strict=True))) == len(
        set(numbers)
    ) == len(set(texts))
    return (numbers, texts, partner) if one_to_one else (None, texts, None)


def _whole_numbers(column: Any) -> list[int] | None:
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.isna().any() or (numbers % 1 != 0).any():
        return None
    if numbers.min() < 0 or numbers.max() > _MAX_ID:
        return None
    return [int(number) for number in numbers]


def _derive_legend(ids: list[int] | None, names: list[str]) -> Legend:
    if ids is None:
        return legend_from_names(names)
    named = dict(zip(ids, names, strict=True))
    text = any(not name.replace(".", "").isdigit() for name in names)
    unique = len(set(named.values())) == len(named)
    return legend_from_ids(ids, named if text and unique else None)


def _look_up(
    names: list[str], ids: list[int] | None, legend: Legend, column: str
) -> np.ndarray[Any, Any]:
    known = {c.id for c in legend.classes}
    numbers = []
    for position, name in enumerate(names):
        found = legend.find(name)
        number = found.id if found else ids[position] if ids is not None else None
        if number not in known:
            raise PointsError(
                f"column {column!r} has class {name!r}, which the legend lacks; the legend has "
                f"{_listed(c.name for c in legend.classes)}: add it there or rename it"
            )
        numbers.append(number)
    return np.asarray(numbers)


def _with_defaults(frame: Any) -> Any:
    defaults = {"weight": 1.0, "source": "human", "role": "train"}
    missing = {name: value for name, value in defaults.items() if name not in frame.columns}
    frame = frame.assign(**missing)
    frame["weight"] = pd.to_numeric(frame["weight"], errors="coerce").fillna(1.0)
    if (frame["weight"] < 0).any():
        raise PointsError("a negative weight was found; weights are 0 or more")
    for name, known, default in (("source", SOURCES, "human"), ("role", _ROLES, "train")):
        words = frame[name].astype("string").str.strip().str.lower()
        frame[name] = words.where(words.isin(list(known)), default).astype(object)
    return frame


def _attributes(frame: Any) -> list[str]:
    return [str(column) for column in frame.columns if column != frame.geometry.name]


def _listed(values: Any) -> str:
    return ", ".join(repr(str(value)) for value in values) or "(none)"


def geometry_kinds(points: Points) -> set[str]:
    """Say which of point, line and polygon occur."""
    kinds = {0: "point", 1: "line", 2: "polygon"}
    return {kinds[int(d)] for d in shapely.get_dimensions(points.frame.geometry) if d >= 0}
