"""Where the images of a study lie, so that its splits can be drawn and held apart."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from landvisor.geo.collection import Collection, Item
from landvisor.geo.scene import name_crs

Box = tuple[float, float, float, float]


def find_footprints(collection: Collection, splits: Mapping[str, str]) -> dict[str, Any] | None:
    """Find where all images lie: by their CRS, else by columns `col_off` and `row_off`.

    Args:
        collection: The images, at their own resolution.
        splits: Words of the data by `train`, `val` and `test`.

    Returns:
        `unit`, and `boxes` as [split, left, bottom, right, top]; rows count downwards, so that
        they are negative where offsets are used. None where any image lies nobody knows where.
    """
    roles = {word: role for role, word in splits.items()}
    items = [item for item in collection.items if item.split in roles]
    found = _by_crs(items) or _by_offsets(items, collection.path)
    if found is None:
        return None
    unit, boxes = found
    placed = [[roles[str(i.split)], *box] for i, box in zip(items, boxes, strict=True)]
    return {"unit": unit, "boxes": placed}


def count_shared_groups(collection: Collection, splits: Mapping[str, str]) -> int:
    """Count the groups that have images in more than one split."""
    seen: dict[str, set[str]] = {}
    for item in collection.items:
        if item.group and item.split and item.split in splits.values():
            seen.setdefault(item.group, set()).add(item.split)
    return sum(len(found) > 1 for found in seen.values())


def _by_crs(items: Iterable[Item]) -> tuple[str, list[Box]] | None:
    scenes = [item.open() for item in items]
    names = {name_crs(scene) or "" for scene in scenes}
    if len(names) != 1 or "" in names:
        return None
    boxes = [scene.grid.boundingbox for scene in scenes]
    return f"coordinates of {names.pop()}", [
        (float(b.left), float(b.bottom), float(b.right), float(b.top)) for b in boxes
    ]


def _by_offsets(items: Iterable[Item], path: Path | None) -> tuple[str, list[Box]] | None:
    offsets = _read_offsets(path)
    boxes: list[Box] = []
    for item in items:
        if item.name not in offsets:
            return None
        col, row = offsets[item.name]
        rows, cols = item.open().shape
        boxes.append((col, -(row + rows), col + cols, -row))
    return "pixels of the mosaic", boxes


def _read_offsets(path: Path | None) -> dict[str, tuple[float, float]]:
    """Read (column, row) by the name of the image; nothing where there are no such columns."""
    if path is None:
        return {}
    table = path / "collection.csv" if path.is_dir() else path
    if table.suffix != ".csv" or not table.is_file():
        return {}
    with table.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    try:
        return {Path(r["image"]).stem: (float(r["col_off"]), float(r["row_off"])) for r in rows}
    except (KeyError, TypeError, ValueError):
        return {}
