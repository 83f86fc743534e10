"""Maps of a study's report: where its splits lie, and what arms made of an image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from landvisor.report.canvas import INK, QUIET, SERIES, new_figure, wrap_label

_COLS = 6
_LINE = 105  # letters of a title that are as wide as all panels beside each other
_CLEAR = 0.8  # sum of the differences of red, green and blue from which colours are told apart
_BLANK = 232  # grey of unlabelled and unmapped pixels
_WRONG = {
    "red": "#c41e3a", "magenta": "#e6007e", "blue": "#1f3fff", "orange": "#ff7f00",
    "black": "#101010",
}  # fmt: skip
"""Colours of errors: the one that is farthest from all classes is taken."""
_SPLITS = {"train": SERIES[0], "val": SERIES[5], "test": SERIES[1]}


@dataclass(frozen=True, eq=False)
class Example:
    """A test image and what arms made of it; all arrays have the same rows and columns.

    Attributes:
        name: Of the image.
        rgb: uint8 `[row, col, 3]`.
        mask: uint8 `[row, col]`: class ids; what the legend lacks is unlabelled.
        maps: The same by arm.
        seed: Of the runs that made the maps.
    """

    name: str
    rgb: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    maps: Mapping[str, NDArray[np.uint8]]
    seed: int


@dataclass(frozen=True)
class Footprint:
    """Where an image lies, its sides along the axes."""

    split: str
    left: float
    bottom: float
    right: float
    top: float


def draw_example(
    example: Example,
    arms: Sequence[str],
    *,
    classes: Sequence[tuple[int, str, str]],
    scored: Sequence[int],
) -> Figure:
    """Draw image and reference, and for each arm its map and, below it, its errors.

    Args:
        example: What to draw.
        arms: Whose maps.
        classes: Id, name and colour of each.
        scored: Ids of the classes in the reference whose pixels can be wrong.
    """
    counted = np.isin(example.mask, list(scored))
    colours = {number: colour for number, _, colour in classes}
    wrong = _WRONG[name_wrong([colour for _, _, colour in classes])]
    panels = [("image, mask", _stack(example.rgb, _paint(example.mask, colours)))]
    for arm in arms:
        found = example.maps[arm]
        panels.append((arm, _stack(_paint(found, colours), _mark(example, found, counted, wrong))))
    seen = np.unique([example.mask, *(example.maps[arm] for arm in arms)])
    entries = {name: colour for number, name, colour in classes if number in seen}
    return _lay_out(panels, entries | {"wrong": wrong})


def name_wrong(colours: Sequence[str]) -> str:
    """Name the colour of errors that is farthest from the colours of the classes."""
    known = np.array([to_rgb(colour) for colour in colours])
    far = {name: np.abs(known - to_rgb(c)).sum(axis=1).min() for name, c in _WRONG.items()}
    return next(name for name in far if far[name] >= _CLEAR or far[name] == max(far.values()))


def count_errors(example: Example, arm: str, *, scored: Sequence[int]) -> tuple[int, int]:
    """Return how many pixels of scored classes a map has wrong, and how many there are."""
    counted = np.isin(example.mask, list(scored))
    return int((counted & (example.maps[arm] != example.mask)).sum()), int(counted.sum())


def draw_splits(footprints: Sequence[Footprint], *, unit: str) -> Figure:
    """Draw where the images of each split lie."""
    figure = new_figure(4.6, 4.0)
    figure.set_layout_engine("constrained")
    axes = figure.add_subplot()
    for place in footprints:
        axes.add_patch(Rectangle(
            (place.left, place.bottom), place.right - place.left, place.top - place.bottom,
            facecolor=_SPLITS[place.split], alpha=0.75, edgecolor="white", lw=0.4,
        ))  # fmt: skip
    axes.autoscale_view()
    axes.set_aspect("equal")
    axes.tick_params(length=2, labelsize=7.5, labelcolor=QUIET)
    axes.ticklabel_format(style="plain", useOffset=False)
    axes.locator_params(nbins=4)
    axes.spines[:].set_color("#d9dce0")
    axes.set_xlabel(unit, size=8, color=QUIET)
    here = [name for name in _SPLITS if any(p.split == name for p in footprints)]
    axes.legend(
        handles=[Patch(color=_SPLITS[name], alpha=0.75, label=name) for name in here],
        frameon=False, fontsize=8.5, loc="center left", bbox_to_anchor=(1.01, 0.5),
    )  # fmt: skip
    return figure


def _paint(ids: NDArray[np.uint8], colours: Mapping[int, str]) -> NDArray[np.uint8]:
    palette = np.full((256, 3), _BLANK, dtype=np.uint8)
    for number, colour in colours.items():
        palette[number] = np.rint(255 * np.array(to_rgb(colour))).astype(np.uint8)
    return palette[ids]


def _mark(
    example: Example, found: NDArray[np.uint8], counted: NDArray[np.bool_], wrong: str
) -> NDArray[np.uint8]:
    """Return the image in pale grey with wrong pixels marked; what is not counted is blank."""
    grey = example.rgb.mean(axis=2, keepdims=True)
    shown = np.repeat(120 + 0.4 * grey, 3, axis=2).astype(np.uint8)
    shown[~counted] = _BLANK
    shown[counted & (found != example.mask)] = np.rint(255 * np.array(to_rgb(wrong))).astype(
        np.uint8
    )
    return shown


def _gap(above: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rows = max(1, round(0.03 * above.shape[0]))
    return np.full((rows, above.shape[1], 3), 255, dtype=np.uint8)


def _stack(above: NDArray[np.uint8], below: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.concatenate([above, _gap(above), below])


def _lay_out(panels: Sequence[tuple[str, NDArray[np.uint8]]], entries: Mapping[str, str]) -> Figure:
    rows = math.ceil(len(panels) / _COLS)
    cols = math.ceil(len(panels) / rows)
    shape = panels[0][1].shape
    width = 7.2
    side = width / cols * shape[0] / shape[1]
    titles = [wrap_label(title, _LINE // cols) for title, _ in panels]
    above = 0.1 + 0.13 * max(title.count("\n") + 1 for title in titles)
    figure = new_figure(width, rows * (min(side, 6.0) + above) + 0.3)
    figure.set_layout_engine("constrained", w_pad=0.03, h_pad=0.03)
    axes = figure.subplots(rows, cols, squeeze=False).ravel()
    for panel, title, (_, picture) in zip(axes, titles, panels, strict=False):
        _show(panel, title, picture)
    for panel in axes[len(panels) :]:
        panel.set_visible(False)
    figure.legend(
        handles=[Patch(color=colour, label=name) for name, colour in entries.items()],
        loc="outside lower left", ncols=min(len(entries), 8), frameon=False, fontsize=7.5,
        handlelength=1.0, columnspacing=1.2,
    )  # fmt: skip
    return figure


def _show(axes: Axes, title: str, picture: NDArray[np.uint8]) -> None:
    axes.imshow(picture, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_title(title, loc="left", size=7.5, color=INK, pad=3)
