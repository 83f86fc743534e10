"""Do probabilities mean what they say: the reliability diagram and what uncertainty finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from landvisor.report.canvas import GRID, INK, PAPER, QUIET, new_figure
from landvisor.report.pictures import Picture, make_picture

_ACCENT, _COUNT = "#2c5f8a", "#b9d0e3"
_MEASURES = {
    "entropy": "entropy of the probabilities",
    "margin": "margin of the two best classes",
    "disagreement": "disagreement of the models",
}
_LINES = (("o", "-", "#2c5f8a"), ("s", "--", "#d55e00"), ("^", ":", "#009e73"))


def draw_reliability(bins: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw accuracy over confidence, with intervals, above how many places each bin holds.

    Args:
        bins: Of `Calibration.to_dict`: `low, high, count, confidence, accuracy, interval`.
    """
    figure = new_figure(5.2, 5.4)
    figure.set_layout_engine("constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3.6, 1])
    known = [one for one in bins if one["count"]]
    sure = np.array([one["confidence"] for one in known])
    right = np.array([one["accuracy"] for one in known])
    spans = np.array([one["interval"] for one in known]).reshape(-1, 2).T
    above.plot([0, 1], [0, 1], color=QUIET, lw=1, ls="--")
    above.text(0.04, 0.075, "as sure as right", color=QUIET, size=8, rotation=43)
    above.vlines(sure, *spans, color=_ACCENT, lw=1.6)
    above.plot(sure, right, "o", color=_ACCENT, ms=6.5, mec=PAPER)
    above.set(ylim=(-0.02, 1.02), xlim=(0, 1))
    above.set_ylabel("share that is right", color=QUIET, size=9)
    widths = [one["high"] - one["low"] for one in bins]
    middles = [(one["low"] + one["high"]) / 2 for one in bins]
    counts = [one["count"] for one in bins]
    below.bar(middles, counts, width=0.9 * np.array(widths), color=_COUNT)
    for middle, count in zip(middles, counts, strict=True):
        if count:
            below.text(middle, count, str(count), ha="center", va="bottom", size=8, color=INK)
    below.set_ylim(0, 1.3 * max(counts))
    below.set_yticks([])
    below.set_xlabel("probability of the class that was told", color=QUIET, size=9)
    below.set_ylabel("places", color=QUIET, size=9)
    _finish(above, below)
    return figure


def draw_error_rates(rates: Mapping[str, Sequence[float]]) -> Figure:
    """Draw the share of errors among groups of equally many places, the surest first.

    Args:
        rates: By measure of uncertainty.
    """
    figure = new_figure(5.2, 3.6)
    figure.set_layout_engine("constrained")
    axes = figure.add_subplot()
    groups = max(len(values) for values in rates.values())
    for (name, values), (marker, dash, colour) in zip(rates.items(), _LINES, strict=False):
        places = np.arange(len(values))
        axes.plot(places, values, dash, marker=marker, color=colour, ms=6, mec=PAPER, lw=1.6,
                  label=_MEASURES.get(name, name))  # fmt: skip
    axes.set_ylim(0, max(0.05, 1.12 * max(max(values) for values in rates.values())))
    ends = {0: "\nsurest", groups - 1: "\nleast sure"}
    labels = [f"{k + 1}{ends.get(k, '')}" for k in range(groups)]
    axes.set_xticks(range(groups), labels)
    axes.set_ylabel("share of errors", color=QUIET, size=9)
    axes.set_xlabel(f"places in {groups} equal groups", color=QUIET, size=9)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK, loc="upper left")
    _finish(axes)
    return figure


def picture_calibration(calibration: Mapping[str, Any]) -> list[Picture]:
    """Make the pictures of what `Calibration.to_dict` returned."""
    found = {name: area for name, area in calibration["auroc"].items() if area is not None}
    pictures = [
        make_picture(
            draw_reliability(calibration["bins"]),
            alt=f"Reliability diagram: share of right places over the probability that was told; "
            f"expected calibration error {calibration['ece']:.3f}.",
            caption=f"Reliability at {calibration['places']} places, with 95 % intervals. Expected "
            f"calibration error {calibration['ece']:.3f} in ten bins of equal width, "
            f"{calibration['ece_equal_mass']:.3f} in ten of equally many places; chance alone "
            f"reaches {calibration['ece_chance']:.3f} once in twenty times where probabilities are "
            f"exactly right and places independent. Above the line the model is righter than it "
            "says.",
        )
    ]
    if found:
        said = ", ".join(f"{area:.2f} by {_MEASURES.get(n, n)}" for n, area in found.items())
        pictures.append(
            make_picture(
                draw_error_rates({name: calibration["error_rates"][name] for name in found}),
                alt=f"Share of errors from the surest to the least sure places. AUROC: {said}.",
                caption=f"Does uncertainty find the errors? Chance that an error is less sure than "
                f"a right place (AUROC; 0.5 is guessing): {said}.",
            )
        )
    return pictures


def _finish(*panels: Any) -> None:
    for axes in panels:
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(GRID)
        axes.grid(axis="y", color=GRID, lw=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(length=0, labelsize=9, labelcolor=INK)
