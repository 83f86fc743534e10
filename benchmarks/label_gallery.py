"""A picture of labels made from labels: what links and each way of growing add on the demo scene.

python benchmarks/label_gallery.py --out docs/images/labels.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from landvisor.demo import make_demo
from landvisor.geo.legend import Legend
from landvisor.geo.places import Places
from landvisor.geo.radiometry import measure_radiometry, robust_scale
from landvisor.geo.scene import Scene, scene_from_array
from landvisor.labels.extend import Making, extend_places
from landvisor.labels.purity import check_against_mask
from landvisor.labels.simulate import simulate_places
from landvisor.recipe import GrowSpec, LinkSpec
from landvisor.report.canvas import INK, figure_to_png, new_figure
from landvisor.report.composite import stretch_rgb

WAYS = {
    "link segment, 12 px": Making(link=LinkSpec(area="segment", distance=12)),
    "grow region": Making(grow=GrowSpec(method="region")),
    "grow superpixel": Making(grow=GrowSpec(method="superpixel")),
    "grow walker": Making(grow=GrowSpec(method="walker")),
}
BANDS = ("blue", "green", "red", "nir")
SIDE = 128


def paint(ids: np.ndarray, legend: Legend, picture: np.ndarray) -> np.ndarray:
    """Lay class colours over a picture in paler grey; ids `[row, col]`, below 0 unlabelled."""
    grey = picture.mean(axis=2, keepdims=True)
    painted = np.broadcast_to(175 + 0.3 * grey, picture.shape).astype(np.uint8)
    for land_class in legend.active:
        painted[ids == land_class.id] = land_class.rgb
    return painted


def show(axes: Axes, picture: np.ndarray, title: str) -> None:
    axes.imshow(picture, interpolation="nearest")
    axes.set_title(title, fontsize=8.5, color=INK)
    axes.set_axis_off()


def dot(axes: Axes, places: Places, legend: Legend) -> None:
    colours = {c.id: np.array(c.rgb) / 255 for c in legend.active}
    rows, cols = places.coords.T
    axes.scatter(
        cols, rows, s=22, c=[colours[int(i)] for i in places.label], edgecolors="white",
        linewidths=0.8,
    )  # fmt: skip


def add(
    axes: Axes, name: str, scene: Scene, places: Places, truth: np.ndarray, legend: Legend
) -> None:
    scale = robust_scale(measure_radiometry([scene], seed=0))
    pixels, _ = extend_places(places, scene, WAYS[name], scale=scale)
    checked, right = check_against_mask(pixels, truth)
    share = 100 * len(pixels) / truth.size
    ids = np.full(truth.size, -1)
    ids[pixels.position] = pixels.label
    picture = stretch_rgb(*scene.read(), bands=scene.bands)
    purity = 100 * right.sum() / max(1, checked.sum())
    show(
        axes,
        paint(ids.reshape(truth.shape), legend, picture),
        f"{name}\n{share:.1f} % labelled, {purity:.1f} % of the new right",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--corner", type=int, nargs=2, default=(392, 224), metavar=("ROW", "COL"))
    parser.add_argument("--n", type=int, default=12, help="points per class")
    args = parser.parse_args()
    demo = make_demo()
    crop = tuple(slice(first, first + SIDE) for first in args.corner)
    scene = scene_from_array(demo.scene_data[:, *crop], name="demo", bands=BANDS)
    truth = np.where(demo.truth[crop] > 0, demo.truth[crop].astype(np.int64), -1)
    places = simulate_places(
        demo.truth[crop], legend=demo.legend, strategy="per_class", n=args.n, seed=0, name="demo"
    )
    picture = stretch_rgb(*scene.read(), bands=scene.bands)
    figure = new_figure(8.4, 6.3)
    grid = figure.subplots(2, 3).ravel()
    show(grid[0], picture, f"image, {len(places)} points\n{args.n} per class")
    dot(grid[0], places, demo.legend)
    show(grid[5], paint(truth, demo.legend, picture), "truth\nof the invented landscape")
    for axes, name in zip(grid[1:5], WAYS, strict=True):
        add(axes, name, scene, places, truth, demo.legend)
    marks = [
        Line2D([], [], marker="s", linestyle="", color=np.array(c.rgb) / 255, label=c.name)
        for c in demo.legend.active
        if (truth == c.id).any()
    ]
    figure.legend(handles=marks, loc="lower center", ncols=7, frameon=False, fontsize=8)
    figure.subplots_adjust(0.01, 0.06, 0.99, 0.93, 0.03, 0.16)
    args.out.write_bytes(figure_to_png(figure, dpi=105))


if __name__ == "__main__":
    main()
