"""Pictures of a report: plain values in, a matplotlib Figure out; nothing is shown or saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from landvisor.geo.legend import Legend
from landvisor.report.canvas import INK, PAPER, new_figure
from landvisor.report.composite import NO_DATA_GREY

# Classes differ in shape as well as in colour, for readers who see fewer colours.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "h", "*")
_GLYPHS = "●■▲◆▼✚✖⬟⬢★"
_UNSURE = "cividis"  # Nuñez et al. (2018), doi:10.1371/journal.pone.0199239: even and safe
_LONG_SIDE = 5.2  # inches of a picture's longer side


@dataclass(frozen=True)
class Marks:
    """Labelled places on a picture.

    Attributes:
        rows: Pixels of the picture `[n]`; an integer is a pixel's centre.
        cols: Likewise `[n]`.
        labels: Class ids `[n]`.
    """

    rows: NDArray[np.floating]
    cols: NDArray[np.floating]
    labels: NDArray[np.integer]


def draw_scene(
    rgb: NDArray[np.uint8], marks: Marks | None = None, *, legend: Legend | None = None
) -> Figure:
    """Draw a picture uint8 `[row, col, 3]` with the labelled places on it."""
    figure, axes = _frame_picture(rgb.shape)
    _show_scene(axes, rgb, marks=marks, legend=legend)
    return figure


def draw_map(classes: NDArray[np.uint8], legend: Legend) -> Figure:
    """Draw class ids `[row, col]` in the legend's colours; what it lacks is no data."""
    figure, axes = _frame_picture(classes.shape)
    _show_map(axes, classes, legend=legend)
    return figure


def draw_uncertainty(uncertainty: NDArray[np.floating]) -> Figure:
    """Draw uncertainty `[row, col]` of 0 to 1 with its scale; NaN is no data."""
    figure, axes = _frame_picture(uncertainty.shape, below=0.5)
    image = _show_uncertainty(axes, uncertainty)
    place = axes.get_position()
    bar = figure.add_axes((place.x0, 0.55 * place.y0, place.width, 0.22 * place.y0))
    _draw_scale(bar, image)
    return figure


def draw_overview(
    rgb: NDArray[np.uint8],
    classes: NDArray[np.uint8],
    *,
    uncertainty: NDArray[np.floating],
    legend: Legend,
    marks: Marks | None = None,
) -> Figure:
    """Draw scene with places, map and uncertainty side by side, with one legend for all."""
    rows, cols = classes.shape
    width = 15.0
    side = 0.32 * width * rows / cols
    figure = new_figure(width, side + 1.05)
    bottom, top = 0.6 / (side + 1.05), side / (side + 1.05)
    panels = [figure.add_axes((0.006 + 0.334 * k, bottom, 0.32, top)) for k in range(3)]
    _show_scene(panels[0], rgb, marks=marks, legend=legend)
    _show_map(panels[1], classes, legend=legend)
    image = _show_uncertainty(panels[2], uncertainty)
    for axes, title in zip(
        panels, ("Image and labelled places", "Map", "Uncertainty"), strict=True
    ):
        axes.set_title(title, loc="left", size=13, color=INK, pad=8, weight="bold")
    place = panels[2].get_position()
    bar = figure.add_axes((place.x0, 0.62 * bottom, place.width, 0.15 * bottom))
    _draw_scale(bar, image)
    _draw_legend(figure, legend, height=bottom)
    return figure


def mark_glyph(position: int) -> str:
    """Return the character that looks like the mark of a legend's active class."""
    return _GLYPHS[position % len(_GLYPHS)]


def _frame_picture(shape: tuple[int, ...], *, below: float = 0.0) -> tuple[Figure, Axes]:
    """Make axes that a picture fills to the edge, with room for a scale below it."""
    rows, cols = shape[:2]
    scale = _LONG_SIDE / max(rows, cols)
    height = rows * scale + below
    figure = new_figure(cols * scale, height)
    return figure, figure.add_axes((0, below / height, 1, rows * scale / height))


def _show_scene(
    axes: Axes, rgb: NDArray[np.uint8], *, marks: Marks | None, legend: Legend | None
) -> None:
    axes.imshow(rgb, interpolation="antialiased")
    _clear_axes(axes)
    if marks is None or legend is None:
        return
    size = float(np.clip(9_000 / max(len(marks.labels), 1), 9, 34))
    for position, land_class in enumerate(legend.active):
        here = marks.labels == land_class.id
        axes.scatter(
            marks.cols[here],
            marks.rows[here],
            s=size * (1.7 if MARKERS[position % len(MARKERS)] in "PX*" else 1.0),
            color=land_class.color,
            marker=MARKERS[position % len(MARKERS)],
            edgecolor=PAPER,
            linewidth=0.7,
            path_effects=[withStroke(linewidth=1.7, foreground=INK)],
        )
    axes.set(xlim=(-0.5, rgb.shape[1] - 0.5), ylim=(rgb.shape[0] - 0.5, -0.5))


def _show_map(axes: Axes, classes: NDArray[np.uint8], *, legend: Legend) -> None:
    palette = np.full((256, 3), NO_DATA_GREY, dtype=np.uint8)
    for land_class in legend.active:
        palette[land_class.id] = land_class.rgb
    axes.imshow(palette[classes], interpolation="antialiased")
    _clear_axes(axes)


def _show_uncertainty(axes: Axes, uncertainty: NDArray[np.floating]) -> Any:
    axes.set_facecolor("#" + 3 * f"{NO_DATA_GREY:02x}")
    shown = np.ma.masked_invalid(uncertainty)
    image = axes.imshow(shown, cmap=_UNSURE, vmin=0, vmax=1, interpolation="nearest")
    _clear_axes(axes)
    return image


def _clear_axes(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _draw_scale(bar: Axes, image: Any) -> None:
    scale = image.figure.colorbar(image, cax=bar, orientation="horizontal")
    scale.outline.set_visible(False)
    scale.set_ticks([0, 0.5, 1], labels=["0 sure", "0.5", "1 unsure"])
    bar.tick_params(length=0, labelsize=9, labelcolor=INK, pad=3)
    bar.get_xticklabels()[0].set_horizontalalignment("left")
    bar.get_xticklabels()[-1].set_horizontalalignment("right")


def _draw_legend(figure: Figure, legend: Legend, *, height: float) -> None:
    handles = [
        Line2D(
            [],
            [],
            ls="",
            marker=MARKERS[k % len(MARKERS)],
            color=c.color,
            label=c.name,
            ms=9,
            markeredgecolor=PAPER,
            markeredgewidth=0.6,
        )
        for k, c in enumerate(legend.active)
    ]
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.004, 0.92 * height), frameon=False,
        ncols=min(len(handles), 10), fontsize=11, labelcolor=INK, handletextpad=0.2,
        columnspacing=1.4, borderpad=0,
    )  # fmt: skip
