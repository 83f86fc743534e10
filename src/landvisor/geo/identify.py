"""By what it would be noticed that imagery has changed, without reading all of it."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from landvisor.geo.collection import Collection
from landvisor.geo.rasters import Reading
from landvisor.geo.scene import ArraySource, Scene

_PATIENCE = 10  # seconds for a server to say which version of a file it has


def identify_imagery(
    collection: Collection, scenes: Sequence[Scene], reading: Reading
) -> list[Any]:
    """Return what a reader of the imagery depends on, as plain values.

    Files count by size and time of change, addresses by what the server calls their version,
    arrays by their content; so do no-data and the area of interest.

    Args:
        collection: Where the scenes come from.
        scenes: Of the collection, opened.
        reading: How they were opened.
    """
    area = None if reading.aoi is None else identify_file(reading.aoi)
    files = {role: identify_file(file) for role, file in sorted(collection.files().items())}
    return [files, [_identify_scene(scene) for scene in scenes], repr(reading), area]


def identify_file(file: Path | str) -> dict[str, Any]:
    """Say by what a file would be noticed to have changed, without reading it."""
    address = str(file)
    if address.startswith(("http://", "https://")):
        return {"address": address, **_ask_server(address)}
    path = Path(file)
    if not path.exists():
        return {"address": address}
    status = path.stat()
    return {"path": str(path), "bytes": status.st_size, "changed": status.st_mtime_ns}


def _ask_server(address: str) -> dict[str, Any]:
    request = urllib.request.Request(address, method="HEAD")  # noqa: S310 - checked by the caller
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:  # noqa: S310
            names = ("ETag", "Last-Modified", "Content-Length")
            return {name: answer.headers[name] for name in names}
    except (urllib.error.URLError, TimeoutError):
        return {}  # whether it can be read is found out on reading


def _identify_scene(scene: Scene) -> dict[str, Any]:
    known = {
        "name": scene.name,
        "shape": list(scene.shape),
        "affine": list(scene.grid.affine)[:6],
        "crs": None if scene.grid.crs is None else scene.grid.crs.to_wkt(),
        "bands": list(scene.bands),
        "dtype": str(scene.dtype),
    }
    if isinstance(scene.source, ArraySource):
        parts = (scene.source.data, scene.source.valid)
        digests = [hashlib.sha256(np.ascontiguousarray(part).data).hexdigest() for part in parts]
        known["content"] = digests
    return known
