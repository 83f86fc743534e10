"""Charts of a study's report: plain values in, a matplotlib Figure out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landvisor.report.canvas import ACCENT, GRID, INK, PAPER, QUIET, SERIES, new_figure, wrap_label

_WIDTH = 7.2  # inches of a chart over the whole text
_ROW = 0.3  # inches of a row of a chart
_LETTERS = 38  # of a name before it is broken
_MARKS = ("o", "s", "^", "D", "v", "P", "X")


@dataclass(frozen=True)
class Bar:
    """A row of a chart: an estimate, its interval, and what it was averaged from.

    Attributes:
        label: What the row is about.
        middle: The estimate.
        low: Of its interval; None where there is none.
        high: Likewise.
        values: One per seed.
        smallest: Smallest effect of interest; None draws none.
        strong: Set apart from the other rows.
    """

    label: str
    middle: float
    low: float | None = None
    high: float | None = None
    values: Sequence[float] = ()
    smallest: float | None = None
    strong: bool = False


@dataclass(frozen=True)
class Group:
    """Rows of a chart below a title."""

    title: str
    bars: Sequence[Bar]


def draw_means(bars: Sequence[Bar], *, label: str) -> Figure:
    """Draw the mean of each arm with its interval, and the value of each seed as a ring."""
    lines = [_break(bar.label) for bar in bars]
    figure, axes = _frame(sum(_height(line) for line in lines) + 0.75)
    for place, bar in zip(_places(lines), bars, strict=True):
        _draw_bar(axes, place, bar, colour=ACCENT)
    _limit(axes, bars)
    _label_rows(axes, _places(lines), lines)
    _finish(axes, label)
    return figure


def draw_effects(groups: Sequence[Group], *, label: str, confidence: float) -> Figure:
    """Draw effects with their intervals around no effect, as a forest plot.

    Rows of hypotheses have a grey bar from minus to plus the smallest effect of interest.
    """
    rows: list[tuple[str, Bar | None]] = []
    for group in groups:
        rows += [(group.title, None), *((_break(bar.label), bar) for bar in group.bars)]
    lines = [line for line, _ in rows]
    places = _places(lines)
    figure, axes = _frame(sum(map(_height, lines)) + 0.75)
    axes.axvline(0, color=INK, lw=0.9, zorder=1)
    for place, (_, bar) in zip(places, rows, strict=True):
        if bar is not None:
            _draw_effect(axes, place, bar)
    _label_rows(axes, places, lines)
    for tick, (_, bar) in zip(axes.get_yticklabels(), rows, strict=True):
        tick.set_fontweight("bold" if bar is None else "normal")
    _widen(axes, [bar for _, bar in rows if bar is not None])
    _finish(axes, f"{label}, with intervals of {100 * confidence:g} %")
    return figure


def draw_interaction(
    levels: tuple[Sequence[str], Sequence[str]],
    cells: Sequence[Bar],
    *,
    factors: tuple[str, str],
    label: str,
) -> Figure:
    """Draw a line per level of the second factor over the levels of the first.

    Args:
        levels: Of both factors.
        cells: A mean for each pair, the levels of the second factor running fastest.
        factors: Names of both.
        label: Of what was measured.
    """
    figure, axes = _frame(3.0, width=5.6)
    first, second = levels
    for number, name in enumerate(second):
        line = cells[number :: len(second)]
        shift = 0.08 * (number - (len(second) - 1) / 2)
        colour, mark = SERIES[number % len(SERIES)], _MARKS[number % len(_MARKS)]
        places = np.arange(len(first)) + shift
        axes.plot(
            places, [cell.middle for cell in line], color=colour, marker=mark, lw=1.6, ms=5.5,
            label=name, zorder=3,
        )  # fmt: skip
        for place, cell in zip(places, line, strict=True):
            if cell.low is not None and cell.high is not None:
                axes.vlines(place, cell.low, cell.high, color=colour, lw=1.2, zorder=2)
    axes.set_xticks(range(len(first)), [wrap_label(name, 16) for name in first])
    axes.set_xlim(-0.4, len(first) - 0.6)
    axes.set_xlabel(factors[0], color=QUIET, size=9)
    axes.set_ylabel(label, color=QUIET, size=9)
    axes.grid(axis="y", color=GRID, lw=0.8, zorder=0)
    legend = axes.legend(
        title=factors[1], frameon=False, fontsize=8.5, title_fontsize=8.5,
        loc="center left", bbox_to_anchor=(1.01, 0.5), alignment="left",
    )  # fmt: skip
    legend.get_title().set_color(QUIET)
    return figure


def draw_ranks(
    names: Sequence[str], loss_ranks: Sequence[float], value_ranks: Sequence[float], *, metric: str
) -> Figure:
    """Draw the rank of each arm by its loss on the left and by the metric on the right."""
    figure, axes = _frame(0.9 + 0.32 * len(names), width=5.8)
    for number, (name, loss, value) in enumerate(zip(names, loss_ranks, value_ranks, strict=True)):
        colour = SERIES[number % len(SERIES)]
        axes.plot([0, 1], [loss, value], color=colour, marker="o", ms=5, lw=1.5)
        axes.text(-0.05, loss, f"{name}  {loss:g}", ha="right", va="center", size=8.5, color=INK)
        axes.text(1.05, value, f"{value:g}", ha="left", va="center", size=8.5, color=INK)
    axes.set_xlim(-1.3, 1.3)
    axes.set_ylim(len(names) + 0.6, 0.4)
    axes.set_xticks([0, 1], ["by lowest final\ntraining loss", f"by {metric}"])
    axes.xaxis.tick_top()
    axes.set_yticks([])
    return figure


def _frame(height: float, *, width: float = _WIDTH) -> tuple[Figure, Axes]:
    figure = new_figure(width, height)
    figure.set_layout_engine("constrained")
    axes = figure.add_subplot()
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=8.5, labelcolor=INK)
    axes.set_axisbelow(True)
    return figure, axes


def _break(label: str) -> str:
    return wrap_label(label, _LETTERS) or " "


def _height(line: str) -> float:
    return _ROW + 0.15 * line.count("\n")


def _places(lines: Sequence[str]) -> list[float]:
    """Return where rows are centred, from the top, so that broken names have room."""
    heights = [_height(line) for line in lines]
    return [sum(heights[:k]) + heights[k] / 2 for k in range(len(heights))]


def _draw_bar(axes: Axes, place: float, bar: Bar, *, colour: str, mark: str = "o") -> None:
    if bar.low is not None and bar.high is not None:
        axes.hlines(place, bar.low, bar.high, color=colour, lw=1.6, zorder=2)
        axes.plot([bar.low, bar.high], [place] * 2, "|", color=colour, ms=6, mew=1.4, zorder=2)
    axes.plot(
        list(bar.values), [place] * len(bar.values), "o", ms=4.2, mfc=PAPER, mec=QUIET, mew=0.9,
        zorder=3, ls="",
    )  # fmt: skip
    axes.plot([bar.middle], [place], mark, ms=6.5, color=colour, mec=PAPER, mew=0.8, zorder=4)


def _draw_effect(axes: Axes, place: float, bar: Bar) -> None:
    if bar.smallest:
        axes.barh(place, 2 * bar.smallest, left=-bar.smallest, height=0.8 * _ROW, color=GRID,
                  zorder=0.5)  # fmt: skip
    mark = "D" if bar.strong else "o"
    _draw_bar(axes, place, bar, colour=INK if bar.strong else ACCENT, mark=mark)


def _limit(axes: Axes, bars: Sequence[Bar]) -> None:
    """Show all values, and of very wide intervals the part that a rate can have."""
    ends = _list_ends(bars) or [0.0, 1.0]
    low, high = max(min(ends), 0.0), min(max(ends), 1.0)
    room = 0.04 * max(high - low, 0.02)
    axes.set_xlim(low - room, high + room)


def _list_ends(bars: Sequence[Bar]) -> list[float]:
    """List all numbers of rows that are known."""
    ends = (end for bar in bars for end in (*bar.values, bar.middle, bar.low, bar.high))
    return [end for end in ends if end is not None and np.isfinite(end)]


def _widen(axes: Axes, bars: Sequence[Bar]) -> None:
    ends = _list_ends(bars)
    ends += [sign * b.smallest for b in bars if b.smallest for sign in (-1, 1)]
    low, high = min(0.0, *ends), max(0.0, *ends)
    room = 0.05 * max(high - low, 1e-3)
    axes.set_xlim(low - room, high + room)


def _label_rows(axes: Axes, places: Sequence[float], lines: Sequence[str]) -> None:
    axes.set_yticks(list(places), list(lines))
    for tick in axes.get_yticklabels():
        tick.set_horizontalalignment("right")
    axes.set_ylim(places[-1] + _height(lines[-1]) / 2, 0)


def _finish(axes: Axes, label: str) -> None:
    axes.set_xlabel(label, color=QUIET, size=9)
    axes.grid(axis="x", color=GRID, lw=0.8, zorder=0)
