"""How labels made from labels lie on disk: a raster of class, source and weight.

The format is that of the contract: a GeoTIFF on the scene's grid without a no-data tag. Band 1 is
the class id, band 2 the source, band 3 the weight of 0 to 255, where 0 means unlabelled.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window as RasterWindow

from landvisor.errors import PointsError
from landvisor.files import writing
from landvisor.geo.collection import same_place
from landvisor.geo.handles import open_quietly
from landvisor.geo.legend import Legend
from landvisor.geo.places import SOURCES
from landvisor.geo.rasters import open_scene
from landvisor.geo.scene import Scene
from landvisor.geo.styles import FACTS_TAG, LEGEND_TAG, legend_tag, read_label_facts
from landvisor.geo.tiling import Window
from landvisor.labels.pixels import LabelledPixels

BANDS = ("class id", "source", "weight")
_TILE = 512
_HASHED = 16  # rows: few to read, yet no two photographs share them


def write_label_raster(
    pixels: LabelledPixels,
    path: Path,
    *,
    scene: Scene,
    legend: Legend,
    facts: dict[str, Any] | None = None,
) -> None:
    """Write labelled pixels as a three-band GeoTIFF, strip by strip.

    Args:
        pixels: Of one scene.
        path: File to write; an existing one is replaced.
        scene: Its grid and CRS are used.
        legend: Kept in a tag, so that the file says what its ids mean.
        facts: Plain values about how the labels came about, kept in a tag with the scene's name
            and, for a picture without CRS, with what tells it from others.

    Raises:
        OutputError: If it cannot be written.
    """
    rows, cols = pixels.shape
    told = {**(facts or {}), "scene": {"name": scene.name, "pixels": _hash_picture(scene)}}
    tiles = {"tiled": True, "blockxsize": _TILE, "blockysize": _TILE}
    profile = {
        "driver": "GTiff", "dtype": "uint8", "count": len(BANDS), "height": rows, "width": cols,
        "compress": "deflate", "zlevel": 1, "interleave": "band", "bigtiff": "if_safer",
        "transform": scene.grid.affine,
        "crs": scene.grid.crs.to_wkt() if scene.georeferenced else None,
        **(tiles if max(rows, cols) > _TILE else {}),
    }  # fmt: skip
    with writing(path), open_quietly(path, "w", **profile) as dataset:
        dataset.update_tags(
            **{LEGEND_TAG: legend_tag(legend), FACTS_TAG: json.dumps(told)},
        )
        for band, name in enumerate(BANDS, 1):
            dataset.set_band_description(band, name)
        for row in range(0, rows, _TILE):
            strip = _burn(pixels, row, min(_TILE, rows - row))
            dataset.write(strip, window=RasterWindow(0, row, cols, strip.shape[1]))


def read_label_raster(path: Path, scene: Scene) -> LabelledPixels:
    """Read labelled pixels; which place each came from is not known.

    Raises:
        PointsError: If the file is not such a raster, not on the scene's grid, or made on another
            picture of that size.
        SceneError: If it cannot be opened or is damaged.
    """
    raster = open_scene(path)
    _check(raster, scene)
    _check_picture(path, scene)
    rows, cols = raster.shape
    parts = []
    for row in range(0, rows, _TILE):
        label, source, weight = raster.read(Window(row, 0, min(_TILE, rows - row), cols)).data
        found = np.flatnonzero(weight)
        parts.append((found + row * cols, *(v.ravel()[found] for v in (label, source, weight))))
    position, label, source, weight = (np.concatenate(part) for part in zip(*parts, strict=True))
    strange = source[~np.isin(source, list(SOURCES.values()))]
    if len(strange):
        raise PointsError(
            f"{str(path)!r} has source {strange[0]} where it has a weight; band 2 holds 1 to 5: "
            "make the labels again with link or grow"
        )
    unknown = np.full(len(position), -1)
    return LabelledPixels(raster.shape, position, label, source, weight, unknown)


def _burn(pixels: LabelledPixels, row: int, rows: int) -> NDArray[np.uint8]:
    cols = pixels.shape[1]
    first, last = np.searchsorted(pixels.position, [row * cols, (row + rows) * cols])
    where = pixels.position[first:last] - row * cols
    strip = np.zeros((len(BANDS), rows * cols), dtype=np.uint8)
    for band, values in enumerate((pixels.label, pixels.source, pixels.weight)):
        strip[band, where] = values[first:last]
    return strip.reshape(len(BANDS), rows, cols)


def _check(raster: Scene, scene: Scene) -> None:
    if len(raster.bands) != len(BANDS) or raster.dtype != np.uint8:
        raise PointsError(
            f"{raster.name!r} has {len(raster.bands)} bands of {raster.dtype}; labels are three "
            "uint8 bands (class, source, weight), as link and grow write them"
        )
    if raster.shape != scene.shape or (
        raster.georeferenced and scene.georeferenced and not same_place(raster.grid, scene.grid)
    ):
        raise PointsError(
            f"labels {raster.name!r} of {raster.shape} pixels are not on the grid of scene "
            f"{scene.name!r} of {scene.shape}; link or grow them on this scene"
        )


def _check_picture(path: Path, scene: Scene) -> None:
    """Refuse what was made on another picture: without a CRS no grid tells one from the other."""
    made_on = (read_label_facts(path) or {}).get("scene", {})
    if made_on.get("pixels") not in (None, _hash_picture(scene)):
        raise PointsError(
            f"labels {path.name!r} were made on {made_on['name']!r}, whose pixels are not those of "
            f"scene {scene.name!r}; link or grow them on this scene"
        )


def _hash_picture(scene: Scene) -> str | None:
    """Hash some rows across the middle of a picture; None where a CRS says where a scene lies."""
    if scene.georeferenced:
        return None
    rows, cols = scene.shape
    height = min(_HASHED, rows)
    data = scene.read(Window((rows - height) // 2, 0, height, cols)).data
    return hashlib.sha256(np.ascontiguousarray(data).tobytes()).hexdigest()[:16]
