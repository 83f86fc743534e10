"""Learning curves of a study: each arm's mean over seeds and their range, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from landvisor.report.canvas import ACCENT, GRID, INK, QUIET, SERIES, new_figure, wrap_label

_TOGETHER = 4  # arms in one panel; more of them get a panel each
_COLS = 4


@dataclass(frozen=True, eq=False)
class Curve:
    """What was measured of an arm in each epoch.

    Attributes:
        arm: Its name.
        epochs: `[epoch]`.
        values: `[seed, epoch]`, NaN where a seed's training had ended.
    """

    arm: str
    epochs: NDArray[np.int64]
    values: NDArray[np.float64]

    @property
    def mean(self) -> NDArray[np.float64]:
        """`[epoch]`: over the seeds that were still training."""
        return np.asarray(np.nanmean(self.values, axis=0))

    @property
    def limits(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """`[epoch]` twice: the lowest and the highest seed."""
        return np.nanmin(self.values, axis=0), np.nanmax(self.values, axis=0)


def gather_curve(arm: str, seeds: Sequence[Sequence[tuple[int, float]]]) -> Curve | None:
    """Arrange (epoch, value) of each seed by epoch; None where there is nothing."""
    epochs = sorted({epoch for seed in seeds for epoch, _ in seed})
    if not epochs:
        return None
    place = {epoch: k for k, epoch in enumerate(epochs)}
    values = np.full((len(seeds), len(epochs)), np.nan)
    for row, seed in zip(values, seeds, strict=True):
        for epoch, value in seed:
            row[place[epoch]] = value
    known = ~np.isnan(values).all(axis=1)
    return Curve(arm, np.array(epochs), values[known])


def draw_curves(curves: Sequence[Curve], *, label: str, comparable: bool = True) -> Figure:
    """Draw curves of one quantity.

    Args:
        curves: One per arm.
        label: What is drawn.
        comparable: Heights mean the same in all arms; if not, each gets an axis of its own.
    """
    if comparable and len(curves) <= _TOGETHER:
        return _draw_together(curves, label)
    return _draw_apart(curves, label, comparable=comparable)


def _draw_together(curves: Sequence[Curve], label: str) -> Figure:
    figure = new_figure(7.2, 3.1)
    figure.set_layout_engine("constrained")
    axes = figure.add_subplot()
    for curve, colour in zip(curves, SERIES, strict=False):
        _draw(axes, curve, colour)
    _finish(axes)
    axes.set_xlabel("epoch", color=QUIET, size=9)
    axes.set_ylabel(label, color=QUIET, size=9)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def _draw_apart(curves: Sequence[Curve], label: str, *, comparable: bool) -> Figure:
    rows = math.ceil(len(curves) / _COLS)
    cols = math.ceil(len(curves) / rows)
    figure = new_figure(7.2, 0.4 + 1.3 * rows)
    figure.set_layout_engine("constrained")
    panels = figure.subplots(rows, cols, sharex=True, sharey=comparable, squeeze=False).ravel()
    for axes, curve in zip(panels, curves, strict=False):
        if comparable:
            for other in curves:
                axes.plot(other.epochs, other.mean, color=GRID, lw=0.9)
        _draw(axes, curve, ACCENT)
        _finish(axes)
        axes.set_title(wrap_label(curve.arm, 88 // cols), loc="left", size=7.5, color=INK, pad=3)
    for axes in panels[len(curves) :]:
        axes.set_visible(False)
    figure.supxlabel("epoch", color=QUIET, size=8.5)
    figure.supylabel(label, color=QUIET, size=8.5)
    return figure


def _draw(axes: Axes, curve: Curve, colour: str) -> None:
    low, high = curve.limits
    axes.fill_between(curve.epochs, low, high, color=colour, alpha=0.16, lw=0)
    axes.plot(curve.epochs, curve.mean, color=colour, lw=1.6, label=wrap_label(curve.arm, 30))


def _finish(axes: Axes) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.grid(axis="y", color=GRID, lw=0.8)
    axes.tick_params(length=0, labelsize=8, labelcolor=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
