"""What a catalogue learns about a map and its model: a STAC item with the MLM extension."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from landvisor.architectures import PLAIN_NETWORKS
from landvisor.files import write_json
from landvisor.geo.legend import Legend

_EXTENSIONS = "https://stac-extensions.github.io"
_COG = "image/tiff; application=geotiff; profile=cloud-optimized"
# Straight edges of a projected grid are curves in longitude and latitude.
_POINTS_PER_EDGE = 8


class ModelFacts(Protocol):
    """What an item says about a model; a `Card` has all of it."""

    @property
    def kind(self) -> str:
        """Which predictor it is."""

    @property
    def bands(self) -> tuple[str, ...]:
        """The bands it reads."""

    @property
    def dtype(self) -> str:
        """The type of the imagery it was trained on."""

    @property
    def recipe(self) -> Any:
        """The choices it was made with."""


def write_stac_item(folder: Path, *, grid: GeoBox, legend: Legend, card: ModelFacts) -> Path:
    """Write `stac-item.json` for the map bundle in a folder.

    Args:
        folder: The bundle; assets are named relative to it, present or not.
        grid: Where the map lies; without a CRS the geometry is null.
        legend: The classes of the map.
        card: What is known of the model.

    References:
        STAC item specification 1.1.0; Machine Learning Model extension 1.4.0; Classification
        extension 2.0.0; GeoJSON (RFC 7946): longitude first, outer ring counterclockwise.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    ring = _ring(grid)
    item: dict[str, Any] = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [
            f"{_EXTENSIONS}/mlm/v1.4.0/schema.json",
            f"{_EXTENSIONS}/classification/v2.0.0/schema.json",
            f"{_EXTENSIONS}/projection/v2.0.0/schema.json",
        ],
        "id": f"landvisor-{card.recipe.digest()}",
        "geometry": None if ring is None else {"type": "Polygon", "coordinates": [ring]},
        "properties": {"datetime": now, **_projection(grid), **_model(card, legend)},
        "links": [],
        "assets": _assets(card, legend),
    }
    if ring is not None:
        item["bbox"] = [*np.min(ring, axis=0).tolist(), *np.max(ring, axis=0).tolist()]
    path = folder / "stac-item.json"
    write_json(path, item)
    return path


def _ring(grid: GeoBox) -> list[list[float]] | None:
    if grid.crs is None:
        return None
    rows, cols = grid.shape
    corners = np.array([(0, 0), (0, rows), (cols, rows), (cols, 0), (0, 0)], dtype=float)
    steps = np.arange(_POINTS_PER_EDGE)[:, None] / _POINTS_PER_EDGE
    edges = [start + steps * (end - start) for start, end in pairwise(corners)]
    col, row = np.concatenate(edges).T
    a, b, c, d, e, f = tuple(grid.affine)[:6]
    x, y = a * col + b * row + c, d * col + e * row + f
    lonlat = Transformer.from_crs(grid.crs.to_wkt(), "OGC:CRS84", always_xy=True)
    points = np.column_stack(lonlat.transform(x, y)).round(7).tolist()
    # The walk is counterclockwise on a north-up grid; a mirrored one turns it round.
    ring = points if grid.affine.determinant < 0 else points[::-1]
    return [*ring, ring[0]]


def _projection(grid: GeoBox) -> dict[str, Any]:
    if grid.crs is None:
        return {"proj:shape": list(grid.shape)}
    code = grid.crs.to_epsg()
    return {
        "proj:code": None if code is None else f"EPSG:{code}",
        **({"proj:wkt2": grid.crs.to_wkt()} if code is None else {}),
        "proj:shape": list(grid.shape),
        "proj:transform": list(tuple(grid.affine)[:6]),
    }


def _model(card: ModelFacts, legend: Legend) -> dict[str, Any]:
    net, side = card.recipe.net, card.recipe.predict.window
    name = "ensemble" if card.kind == "ensemble" else net.model
    bare = ("bank", "forest", "ensemble", *PLAIN_NETWORKS)
    pretrained = net.encoder_weights != "none" and name not in bare
    planes = ["batch", "channel", "height", "width"]
    return {
        "mlm:name": f"landvisor-{name}",
        "mlm:architecture": f"{name} ({net.encoder})" if pretrained else name,
        "mlm:framework": "PyTorch" if card.kind == "network" else "landvisor",
        "mlm:tasks": ["semantic-segmentation"],
        "mlm:input": [
            {
                "name": "imagery in native units",
                "bands": list(card.bands),
                "input": {
                    "shape": [-1, len(card.bands), side, side],
                    "dim_order": planes,
                    "data_type": card.dtype,
                },
            }
        ],
        "mlm:output": [
            {
                "name": "class probabilities",
                "tasks": ["semantic-segmentation"],
                "result": {
                    "shape": [-1, len(legend.ids), side, side],
                    "dim_order": planes,
                    "data_type": "float32",
                },
                "classification:classes": _classes(legend),
            }
        ],
    }


def _classes(legend: Legend) -> list[dict[str, Any]]:
    # `name` admits letters, digits, - and _ only; the class's own name is the title.
    return [
        {
            "value": c.id,
            "name": "".join(p if p.isascii() and p.isalnum() else "_" for p in c.name),
            "title": c.name,
            "color_hint": c.color[1:].upper(),
        }
        for c in legend.active
    ]


def _assets(card: ModelFacts, legend: Legend) -> dict[str, Any]:
    def raster(name: str, title: str, roles: list[str]) -> dict[str, Any]:
        return {"href": f"./{name}.tif", "type": _COG, "title": title, "roles": roles}

    return {
        "map": {
            **raster("map", "Land cover classes", ["data"]),
            "classification:classes": _classes(legend),
        },
        "probabilities": raster("probabilities", "Class probabilities", ["data"]),
        "uncertainty": raster(
            "uncertainty",
            "Entropy, margin and disagreement" if card.kind == "ensemble" else "Entropy and margin",
            ["data", "metadata"],
        ),
        "model": {
            "href": "./model.safetensors",
            "type": "application/octet-stream",
            "title": "Model weights and card",
            "roles": ["mlm:model", "mlm:weights"],
            "mlm:artifact_type": "safetensors",
            "bands": [{"name": band} for band in card.bands],
        },
    }
