"""Which places were held out together, drawn on the scene: folds, blocks and buffer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from landvisor.report.canvas import INK, PAPER, new_figure

# Okabe and Ito (2008), Color universal design: told apart by readers who see fewer colours.
_COLOURS = (
    "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#000000",
)  # fmt: skip
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
_HELD, _LOST = "#d55e00", "#6a1b9a"
_NAMED = 8  # folds that a legend lists
_WIDTH = 11.0  # inches
_LIGHT = 0.45  # how far the scene is faded towards white


@dataclass(frozen=True, eq=False)
class FoldMap:
    """Places of one scene, by fold, in pixels of a picture.

    Attributes:
        rgb: uint8 `[row, col, 3]`: the scene, reduced.
        rows: `[n]`; an integer is a pixel's centre.
        cols: `[n]`.
        fold: `[n]`, from 0.
        cells: (rows, cols) of even blocks that the scene is cut into; None where it is not.
        shown: The fold whose buffer is shown.
        dropped: `[n]`: training places that the buffer of this fold removes.
        buffer: In pixels of the picture.
        told: The buffer in words, as in "60 pixels".
    """

    rgb: NDArray[np.uint8]
    rows: NDArray[np.floating]
    cols: NDArray[np.floating]
    fold: NDArray[np.integer]
    cells: tuple[int, int] | None
    shown: int
    dropped: NDArray[np.bool_]
    buffer: float
    told: str


def draw_folds(folds: FoldMap) -> Figure:
    """Draw all folds on the left and, on the right, what one of them holds out and leaves out."""
    rows, cols = folds.rgb.shape[:2]
    side = 0.488 * _WIDTH * rows / cols
    height = side + 0.95
    figure = new_figure(_WIDTH, height)
    bottom, top = 0.55 / height, side / height
    panels = [figure.add_axes((0.006 + 0.506 * k, bottom, 0.488, top)) for k in range(2)]
    grey = _fade(folds.rgb)
    for axes in panels:
        axes.imshow(grey, interpolation="antialiased")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        _draw_blocks(axes, folds)
    _draw_all(panels[0], folds)
    _draw_one(panels[1], folds)
    titles = ("Folds and blocks", f"Fold {folds.shown + 1} held out, buffer {folds.told}")
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title, loc="left", size=11, color=INK, pad=6, weight="bold")
        axes.set(xlim=(-0.5, cols - 0.5), ylim=(rows - 0.5, -0.5))
    _draw_legends(figure, folds, height=bottom)
    return figure


def _fade(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    grey = rgb.astype(np.float64) @ (0.299, 0.587, 0.114)
    light = grey + _LIGHT * (255 - grey)
    return np.repeat(np.rint(light).astype(np.uint8)[..., None], 3, axis=2)


def _draw_blocks(axes: Axes, folds: FoldMap) -> None:
    if folds.cells is None:
        return
    rows, cols = folds.rgb.shape[:2]
    down = np.arange(folds.cells[0] + 1) * rows / folds.cells[0] - 0.5
    along = np.arange(folds.cells[1] + 1) * cols / folds.cells[1] - 0.5
    axes.hlines(down, -0.5, cols - 0.5, color=PAPER, lw=1.1, alpha=0.9)
    axes.vlines(along, -0.5, rows - 0.5, color=PAPER, lw=1.1, alpha=0.9)


def _size(count: int) -> float:
    return float(np.clip(9_000 / max(count, 1), 8, 34))


def _draw_all(axes: Axes, folds: FoldMap) -> None:
    for fold in np.unique(folds.fold):
        here = folds.fold == fold
        axes.scatter(
            folds.cols[here], folds.rows[here], s=_size(len(folds.fold)), linewidth=0.6,
            color=_COLOURS[fold % len(_COLOURS)], marker=_MARKERS[fold % len(_MARKERS)],
            edgecolor=INK,
        )  # fmt: skip


def _draw_one(axes: Axes, folds: FoldMap) -> None:
    held = folds.fold == folds.shown
    size = _size(len(folds.fold))
    if folds.buffer > 0 and held.any():
        axes.imshow(_shade_zone(folds, held), interpolation="nearest")
    kept = ~held & ~folds.dropped
    axes.scatter(folds.cols[kept], folds.rows[kept], s=0.7 * size, color=INK, linewidth=0)
    lost = folds.dropped & ~held
    axes.scatter(folds.cols[lost], folds.rows[lost], s=size, color=_LOST, marker="x", linewidth=1.2)
    axes.scatter(
        folds.cols[held], folds.rows[held], s=size, color=_HELD, edgecolor=INK, linewidth=0.4
    )


def _shade_zone(folds: FoldMap, held: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return RGBA `[row, col, 4]`: a tint within the buffer of any held-out place."""
    shape = folds.rgb.shape[:2]
    empty = np.ones(shape, dtype=bool)
    rows = np.clip(np.rint(folds.rows[held]).astype(int), 0, shape[0] - 1)
    cols = np.clip(np.rint(folds.cols[held]).astype(int), 0, shape[1] - 1)
    empty[rows, cols] = False
    zone = distance_transform_edt(empty) <= folds.buffer
    tint = np.array([int(_HELD[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    return np.dstack([np.broadcast_to(tint, (*shape, 3)), 0.28 * zone])


def _draw_legends(figure: Figure, folds: FoldMap, *, height: float) -> None:
    found = [int(fold) for fold in np.unique(folds.fold)][:_NAMED]
    left = [
        _handle(_COLOURS[f % len(_COLOURS)], _MARKERS[f % len(_MARKERS)], f"fold {f + 1}")
        for f in found
    ]
    right = [
        _handle(_HELD, "o", "held out"),
        _handle(INK, ".", "learned from"),
        _handle(_LOST, "x", "left out by the buffer"),
    ]
    for handles, place in ((left, 0.004), (right, 0.51)):
        figure.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(place, 0.95 * height),
            frameon=False, ncols=len(handles), fontsize=9, labelcolor=INK, handletextpad=0.1,
            columnspacing=1.0, borderpad=0,
        )  # fmt: skip


def _handle(colour: str, marker: str, label: str) -> Line2D:
    return Line2D([], [], ls="", marker=marker, color=colour, label=label, ms=7)
