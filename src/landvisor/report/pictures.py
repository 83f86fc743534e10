"""An image of a page: its bytes, what it shows in words, and its caption."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.figure import Figure

from landvisor.report.canvas import figure_to_data_uri


@dataclass(frozen=True)
class Picture:
    """An image of the page, what it shows in words, and its caption."""

    uri: str
    alt: str
    caption: str


def make_picture(figure: Figure, *, alt: str, caption: str) -> Picture:
    """Render a figure for a page."""
    return Picture(figure_to_data_uri(figure), alt, caption)
