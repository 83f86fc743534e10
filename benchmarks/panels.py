"""What the figures of several benchmarks look like: panels side by side, one per data set."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landvisor.report.canvas import GRID, INK, QUIET, figure_to_png, new_figure


def make_panels(count: int, *, margin: float) -> tuple[Figure, list[Axes]]:
    """Return a figure and its panels, with so many inches for the legend."""
    figure = new_figure(3.1 * count + margin, 3.4)
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


def dress(axes: Axes, *, title: str, xlabel: str) -> None:
    """Give a panel its title, a logarithmic x axis and a quiet grid."""
    axes.set_xscale("log")
    axes.set_title(title, fontsize=9, color=INK, loc="left")
    axes.set_xlabel(xlabel, fontsize=8, color=QUIET)
    axes.grid(color=GRID, lw=0.6)
    axes.tick_params(which="both", labelsize=8, labelcolor=INK, length=0)
    axes.spines[:].set_visible(False)


def finish(figure: Figure, panels: list[Axes], *, ylabel: str) -> bytes:
    """Label the first panel's y axis, add one legend for all and return a PNG."""
    panels[0].set_ylabel(ylabel, fontsize=8, color=QUIET)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center",
                  fontsize=8, frameon=False)  # fmt: skip
    figure.set_layout_engine("constrained")
    return figure_to_png(figure)
