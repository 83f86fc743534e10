"""A picture of test tiles: image, mask, and the maps of the models that `tiles.py` ran.

python benchmarks/gallery.py --data benchmarks/out/dunes-256 --out docs/images/dunes.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from landvisor.geo.collection import open_collection
from landvisor.geo.legend import Legend
from landvisor.geo.rasters import open_scene
from landvisor.report.canvas import figure_to_png
from landvisor.report.composite import stretch_rgb

GREY = 225


def paint(ids: np.ndarray, legend: Legend) -> np.ndarray:
    palette = np.full((256, 3), GREY, dtype=np.uint8)
    for land_class in legend.active:
        palette[land_class.id] = land_class.rgb
    return palette[np.clip(ids, 0, 255)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--models", default="forest,bank,instant,unet,unet-dense")
    parser.add_argument("--tiles", type=int, default=4)
    args = parser.parse_args()
    collection = open_collection(args.data / "collection.csv").select("test")
    assert collection.legend is not None, "the benchmark's collections have legends"
    models = args.models.split(",")
    full = [item for item in collection.items if item.open().read().valid.mean() > 0.95]
    items = full[:: max(1, len(full) // args.tiles)][: args.tiles]
    figure = Figure(figsize=(1.6 * (len(models) + 2), 1.6 * len(items) + 0.3))
    grid = figure.subplots(len(items), len(models) + 2, squeeze=False)
    for row, item in enumerate(items):
        scene = item.open()
        pixels = scene.read()
        pictures = [stretch_rgb(pixels.data, pixels.valid, bands=scene.bands)]
        pictures.append(paint(np.maximum(item.read_mask(scene), 0), collection.legend))
        for name in models:
            found = open_scene(args.data / f"maps-{name}-0" / f"{item.name}.tif").read()
            pictures.append(paint(np.where(found.valid, found.data[0], 0), collection.legend))
        for axes, picture, title in zip(
            grid[row], pictures, ["image", "mask", *models], strict=True
        ):
            axes.imshow(picture, interpolation="nearest")
            axes.set_axis_off()
            if row == 0:
                axes.set_title(title, fontsize=9)
    figure.subplots_adjust(0.005, 0.005, 0.995, 1 - 0.28 / figure.get_figheight(), 0.02, 0.02)
    args.out.write_bytes(figure_to_png(figure, dpi=110))


if __name__ == "__main__":
    main()
