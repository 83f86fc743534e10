"""Charts of a report: plain values in, a matplotlib Figure out; nothing is shown or saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from landvisor.report.canvas import GRID, INK, PAPER, QUIET, new_figure

_ACCENT, _PALE = "#2c5f8a", "#b9d0e3"
_SHADES = LinearSegmentedColormap.from_list("shades", ["#ffffff", "#b9d0e3", "#1f4d75"])
_DARK = 0.72  # share from which a shade needs light ink


def draw_confusion(counts: NDArray[np.integer], names: Sequence[str]) -> Figure:
    """Draw counts `[reference, map]`, each row shaded by its shares; names in legend order."""
    size = len(names)
    figure, axes = _frame_chart(2.2 + 0.62 * size, 1.7 + 0.5 * size)
    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
    axes.imshow(shares, cmap=_SHADES, vmin=0, vmax=1, aspect="auto")
    for row, col in np.ndindex(counts.shape):
        ink = PAPER if shares[row, col] >= _DARK else INK if counts[row, col] else "#a9afb6"
        weight = "bold" if row == col else "normal"
        text = f"{counts[row, col]:,}".replace(",", "\u202f")
        axes.text(col, row, text, ha="center", va="center", color=ink, size=9, weight=weight)
    axes.set_xticks(range(size), names, rotation=35, ha="left", rotation_mode="anchor")
    axes.set_yticks(range(size), names)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("map", color=QUIET, size=9)
    axes.set_ylabel("reference", color=QUIET, size=9)
    _rule_cells(axes, size)
    return figure


def draw_class_bars(
    rates: NDArray[np.floating],
    intervals: NDArray[np.floating] | None = None,
    *,
    names: Sequence[str],
    colors: Sequence[str],
    label: str = "F1",
) -> Figure:
    """Draw one rate of 0 to 1 per class `[k]` with its interval `[k, 2]`; NaN is unknown."""
    figure, axes = _frame_chart(6.2, 0.9 + 0.36 * len(names))
    places = list(range(len(names)))
    axes.barh(places, np.nan_to_num(rates), color=list(colors), height=0.62, zorder=2)
    if intervals is not None:
        low, high = np.asarray(intervals, dtype=np.float64).T
        axes.hlines(places, low, high, color=INK, lw=1.4, zorder=3)
        axes.plot(low, places, "|", high, places, "|", color=INK, ms=7, mew=1.4, zorder=3)
    edge = rates if intervals is None else np.fmax(rates, np.asarray(intervals)[:, 1])
    for place, rate, end in zip(places, rates, np.nan_to_num(edge), strict=True):
        text = "unknown" if np.isnan(rate) else f"{rate:.2f}"
        axes.text(end + 0.015, place, text, va="center", color=INK, size=9)
    axes.set_xlim(0, 1.09)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1.0])
    axes.set_xlabel(label, color=QUIET, size=9)
    _finish_bars(axes, names)
    return figure


def draw_areas(
    shares: NDArray[np.floating], *, names: Sequence[str], colors: Sequence[str]
) -> Figure:
    """Draw each class's share of the mapped pixels `[k]`, 0 to 1: a count, no area estimate."""
    figure, axes = _frame_chart(6.2, 0.9 + 0.36 * len(names))
    places = list(range(len(names)))
    percent = 100 * np.nan_to_num(shares)
    axes.barh(places, percent, color=list(colors), height=0.62, zorder=2)
    for place, value in zip(places, percent, strict=True):
        axes.text(value, place, f" {value:.1f} %", va="center", color=INK, size=9)
    axes.set_xlim(0, 1.16 * max(percent.max(initial=0.0), 1.0))
    axes.set_xlabel("share of mapped pixels in % (not an area estimate)", color=QUIET, size=9)
    _finish_bars(axes, names)
    return figure


def draw_history(
    metrics: Mapping[str, Sequence[float]],
    *,
    others: Sequence[Mapping[str, Sequence[float]]] = (),
) -> Figure:
    """Draw what was measured in each epoch, one panel a metric, its best epoch marked.

    Args:
        metrics: Values per epoch by name; NaN and None leave a gap. Lowest is best where the name
            holds "loss", else highest.
        others: The same of further trainings, drawn thin behind.
    """
    count = max(len(metrics), 1)
    figure = new_figure(6.2, 0.5 + 1.5 * count)
    panels = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, values) in zip(panels, metrics.items(), strict=False):
        for other in (one[name] for one in others if name in one):
            values_there = np.asarray(other, dtype=np.float64)
            axes.plot(np.arange(1, len(values_there) + 1), values_there, color=_PALE, lw=1)
        _draw_curve(axes, np.asarray(values, dtype=np.float64), name=name)
    panels[-1].set_xlabel("epoch", color=QUIET, size=9)
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.set_layout_engine("constrained")
    return figure


def _frame_chart(width: float, height: float) -> tuple[Figure, Axes]:
    figure = new_figure(width, height)
    figure.set_layout_engine("constrained")
    axes = figure.add_subplot()
    axes.tick_params(length=0, labelsize=9, labelcolor=INK)
    axes.spines[:].set_visible(False)
    return figure, axes


def _rule_cells(axes: Axes, size: int) -> None:
    """Part the cells of a matrix by white lines."""
    edges = np.arange(size + 1) - 0.5
    axes.set_xticks(edges, minor=True)
    axes.set_yticks(edges, minor=True)
    axes.grid(which="minor", color=PAPER, lw=2)
    axes.tick_params(which="minor", length=0)


def _finish_bars(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(axis="x", color=GRID, lw=0.8, zorder=0)
    axes.set_axisbelow(True)


def _draw_curve(axes: Axes, values: NDArray[np.float64], *, name: str) -> None:
    epochs = np.arange(1, len(values) + 1)
    axes.plot(epochs, values, color=_ACCENT, lw=1.8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.grid(axis="y", color=GRID, lw=0.8)
    axes.tick_params(length=0, labelsize=9, labelcolor=INK)
    axes.set_title(name, loc="left", size=9, color=QUIET, pad=3)
    if np.isfinite(values).any():
        best = int(np.nanargmin(values) if "loss" in name else np.nanargmax(values))
        axes.plot(epochs[best], values[best], "o", color=_ACCENT, ms=6, mec=PAPER)
