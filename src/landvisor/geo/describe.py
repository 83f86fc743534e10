"""What is in a raster, a points file, a collection or a folder of maps: plain values and lines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from landvisor.errors import OutputError, SceneError
from landvisor.files import RECORD
from landvisor.geo.collection import RASTERS, open_collection
from landvisor.geo.legend import Legend
from landvisor.geo.points import PRESENCE, Points, geometry_kinds, read_points
from landvisor.geo.rasters import open_scene
from landvisor.geo.scene import Scene, name_crs
from landvisor.geo.scene_list import LIST
from landvisor.geo.stac_read import is_stac
from landvisor.geo.styles import read_label_facts, read_map_legend
from landvisor.geo.survey import survey_scene
from landvisor.geo.vectors import FORMATS
from landvisor.remote import as_place, hide_query, is_remote

_LOOKED_AT = 100  # scenes of a collection that are opened, evenly spaced over it
_TOLD = ("source", "role", "strategy", "placement")
Description = dict[str, Any]


def find_kind(path: Path | str) -> str:
    """Say what a path is: `raster`, `points`, `collection`, `model` or `map`.

    Raises:
        SceneError: If there is nothing there.
    """
    file = Path(hide_query(path))
    if any(sign in str(path) for sign in "*?[") and not file.exists():
        return "collection"
    if not (file.exists() or is_remote(path) or str(path).startswith("/vsi")):
        raise SceneError(f"no such file: {str(path)!r}; give a raster, points, collection or model")
    if file.is_dir():
        return _kind_of_folder(file)
    suffix = file.suffix.lower()
    if suffix == ".safetensors":
        return "model"
    if suffix == LIST or is_stac(as_place(path)):
        return "collection"
    if suffix == ".csv":
        return "collection" if _has_images(file) else "points"
    return "points" if suffix in FORMATS else "raster"


def describe_path(path: Path | str) -> Description:
    """Describe anything but a model file.

    Raises:
        LandvisorError: One of its children, if it cannot be read.
    """
    kinds = {
        "raster": describe_raster,
        "points": describe_points,
        "collection": describe_collection,
        "map": describe_map,
    }
    return kinds[find_kind(path)](path)


def describe_raster(path: Path | str) -> Description:
    """Describe a raster or picture; values are measured on evenly spaced blocks."""
    scene, labels = open_scene(path), read_label_facts(path)
    if labels is not None:
        return _describe_labels(path, scene, labels)
    found, legend = survey_scene(scene), _map_legend(scene, Path(path))
    limits = zip(scene.bands, found.low.tolist(), found.high.tolist(), strict=True)
    return {
        "path": str(path),
        "kind": "raster",
        **_describe_grid(scene),
        "dtype": str(scene.dtype),
        "valid_percent": round(100 * found.valid / found.pixels, 2),
        "measured_on": "all pixels" if found.whole else f"{found.pixels:,} pixels in blocks",
        "classes": _describe_legend(legend),
        "bands": [{"name": name, "low": low, "high": high} for name, low, high in limits],
        # a map's palette is its legend, which is shown above
        "notes": [] if legend else list(scene.notes),
    }


def describe_points(path: Path | str) -> Description:
    """Describe labelled features and their classes."""
    points = read_points(path, presence_only=True)
    frame = points.frame
    bare = set(frame["class_name"]) == {PRESENCE}
    counts = frame["class_id"].value_counts()
    return {
        "path": str(path),
        "kind": "points",
        "features": len(points),
        "geometry": sorted(geometry_kinds(points)),
        "crs": str(frame.crs) if frame.crs is not None else None,
        "bounds": [float(value) for value in frame.total_bounds],
        "classes": [
            {"id": c.id, "name": c.name, "features": int(counts.get(c.id, 0))}
            for c in points.legend.classes
        ],
        **_tell_columns(points),
        "columns_with_defaults": [str(column) for column in frame.columns if column != "geometry"],
        "notes": ["no class column: presence-only points need --background"]
        if bare
        else list(points.notes),
    }


def describe_collection(path: Path | str) -> Description:
    """Describe an ordered set of scenes; at most 100 of them are opened."""
    collection = open_collection(path)
    items = collection.items
    chosen = np.unique(np.linspace(0, len(items) - 1, _LOOKED_AT).round().astype(int))
    scenes = [items[position].open() for position in chosen]
    notes = (
        [f"sizes and bands are those of {len(scenes)} scenes"] if len(chosen) < len(items) else []
    )
    return {
        "path": str(path),
        "kind": "collection",
        "scenes": len(items),
        "with_mask": sum(item.mask is not None for item in items),
        "splits": dict(Counter(item.split or "none" for item in items)),
        "groups": len({item.group for item in items if item.group}),
        "sizes": sorted({f"{rows} × {cols}" for rows, cols in (s.shape for s in scenes)}),
        "crs": sorted({name_crs(scene) or "none" for scene in scenes}),
        "dtype": sorted({str(scene.dtype) for scene in scenes}),
        "bands": list(scenes[0].bands),
        "classes": _describe_legend(collection.legend),
        "notes": notes,
    }


def describe_map(path: Path | str) -> Description:
    """Describe a folder that `map`, `predict` or another verb made, from its records.

    Raises:
        OutputError: If a record is damaged.
    """
    folder = Path(path)
    record = _read_json(folder / RECORD)
    stated = folder / "assessment.json"
    files = sorted(file for file in folder.iterdir() if file.is_file())
    return {
        "path": str(path),
        "kind": "map",
        "command": " ".join(map(str, record.get("command", []))),
        "finished": record.get("finished"),
        "seconds": record.get("seconds"),
        "seed": record.get("seed"),
        "landvisor": record.get("versions", {}).get("landvisor"),
        "inputs": {role: found.get("path") for role, found in record.get("inputs", {}).items()},
        "files": {file.name: file.stat().st_size for file in files},
        "accuracy": _describe_accuracy(_read_json(stated)) if stated.exists() else None,
    }


def format_description(content: Description) -> list[str]:
    """Lay out a description in lines for a terminal; empty entries are left out."""
    return [
        line
        for key, value in content.items()
        if value not in (None, [], {}, "")
        for line in _format_entry(key.replace("_", " "), value)
    ]


def _kind_of_folder(folder: Path) -> str:
    if (folder / "collection.csv").exists():
        return "collection"
    if (folder / RECORD).exists():
        return "map"
    suffixes = {file.suffix.lower() for file in folder.iterdir()}
    return "points" if suffixes & set(FORMATS) and not suffixes & RASTERS else "collection"


def _has_images(file: Path) -> bool:
    with file.open(encoding="utf-8-sig", errors="replace") as stream:
        return "image" in [name.strip() for name in stream.readline().split(",")]


def _describe_grid(scene: Scene) -> Description:
    rows, cols = scene.shape
    affine = scene.grid.affine
    placed = scene.georeferenced
    return {
        "rows": rows,
        "cols": cols,
        "crs": name_crs(scene),
        "pixel_size": [abs(affine.a), abs(affine.e)] if placed else None,
        "bounds": [float(v) for v in scene.grid.boundingbox.bbox] if placed else None,
    }


def _describe_labels(path: Path | str, scene: Scene, facts: Description) -> Description:
    """Describe a raster of linked or grown labels by what it says of itself."""
    purity = facts.get("purity", {})
    return {
        "path": str(path),
        "kind": "labels",
        **_describe_grid(scene),
        **{name: facts.get(name) for name in ("link", "grow", "rejected", "kept")},
        **{name: value for name, value in purity.items() if name != "classes"},
        "classes": purity.get("classes", []),
        "notes": facts.get("notes", []),
    }


def _tell_columns(points: Points) -> Description:
    """Count sources and roles, and repeat how simulated points were placed."""
    present = [name for name in _TOLD if name in points.frame.columns]
    return {
        name: {str(k): int(v) for k, v in points.frame[name].value_counts().items()}
        for name in present
    }


def _map_legend(scene: Scene, path: Path) -> Legend | None:
    one_byte = len(scene.bands) == 1 and scene.dtype == np.uint8
    return read_map_legend(path) if one_byte else None


def _describe_legend(legend: Legend | None) -> list[Description]:
    return [
        {"id": c.id, "name": c.name, **({"ignore": True} if c.ignore else {})}
        for c in (legend.classes if legend else ())
    ]


def _describe_accuracy(content: Description) -> Description:
    rates, intervals = content.get("rates", {}), content.get("intervals", {})
    named = [name for name in ("oa", "mean_f1", "mean_iou") if rates.get(name) is not None]
    return {
        "statement": content.get("statement"),
        **{name: {"value": rates[name], "interval": intervals.get(name)} for name in named},
    }


def _read_json(file: Path) -> Description:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"{str(file)!r} is missing or damaged; make the folder again") from error
    if not isinstance(content, dict):
        raise OutputError(f"{str(file)!r} is not a record of landvisor; make the folder again")
    return content


def _format_entry(key: str, value: Any) -> list[str]:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [f"{key}:", *(f"  {_format_row(row)}" for row in value)]
    if isinstance(value, dict) and len(value) > 3:
        return [f"{key}:", *(f"  {name}: {_format_value(part)}" for name, part in value.items())]
    if key == "notes":
        return [f"note: {note}" for note in value]
    return [f"{key}: {_format_value(value)}"]


def _format_row(row: Description) -> str:
    return ", ".join(
        _format_value(part) if name in ("id", "name") else f"{name} {_format_value(part)}"
        for name, part in row.items()
        if part is not None
    )


def _format_value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_format_value(part)}" for name, part in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_format_value(part) for part in value)
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1 else f"{round(value, 4):.12g}"
    return str(value)
