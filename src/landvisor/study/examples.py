"""What is kept of a run to look at: an image, its mask and its map as small pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from landvisor.geo.handles import open_quietly
from landvisor.geo.legend import Legend
from landvisor.geo.scene import Scene
from landvisor.geo.thumbnail import read_thumbnail, shrink_step
from landvisor.report.composite import stretch_rgb

SIDE = 512
"""Pixels of the longer side at most."""
NOTHING = 255
"""Value of unlabelled and unmapped pixels, in masks and maps."""
_GREY = (232, 232, 232, 255)


def draw_example(
    name: str,
    scene: Scene,
    ids: NDArray[np.int64],
    truth: NDArray[np.int64],
    *,
    legend: Legend,
) -> dict[str, bytes]:
    """Draw an image, what its mask says and what its map says, by name of the file.

    Args:
        name: Of the image.
        scene: As it was seen.
        ids: Of the map, `[row, col]`; below 0 is unmapped.
        truth: Of the mask, `[row, col]`; below 0 is unlabelled.
        legend: Colours of the pictures' palettes; a pixel's value is its class id.
    """
    step = shrink_step(scene.shape, SIDE)
    small = read_thumbnail(scene, size=SIDE)
    image = stretch_rgb(small.data, small.valid, bands=scene.bands)
    palette = {c.id: (*c.rgb, 255) for c in legend.classes} | {NOTHING: _GREY}
    return {
        f"{name}.image.png": _encode(np.moveaxis(image, -1, 0)),
        f"{name}.mask.png": _encode(_codes(truth[::step, ::step]), palette),
        f"{name}.map.png": _encode(_codes(ids[::step, ::step]), palette),
    }


def _codes(ids: NDArray[np.int64]) -> NDArray[np.uint8]:
    return np.where(ids < 0, NOTHING, ids)[None].astype(np.uint8)


def _encode(data: NDArray[np.uint8], palette: dict[int, Any] | None = None) -> bytes:
    count, rows, cols = data.shape
    profile = {"driver": "PNG", "dtype": "uint8", "count": count, "height": rows, "width": cols}
    with MemoryFile(ext=".png") as memory:
        with open_quietly(memory.name, "w", **profile) as target:
            target.write(data)
            if palette is not None:
                target.write_colormap(1, palette)
        return bytes(memory.read())
