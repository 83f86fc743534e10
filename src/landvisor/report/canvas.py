"""What all figures share: paper, ink, and the way out as PNG or `data:` URI."""

from __future__ import annotations

import base64
import io
import textwrap

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DPI = 150
INK, QUIET, GRID, PAPER = "#22262b", "#5f6770", "#d9dce0", "#ffffff"
ACCENT = "#2c5f8a"
# Okabe & Ito (2008), "Color universal design": told apart by readers who see fewer colours
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure of a size in inches, apart from any global state."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    return figure


def wrap_label(label: str, letters: int) -> str:
    """Break a label into lines at blanks and after signs of equality; no word is cut."""
    spaced = label.replace("=", "= ")
    return textwrap.fill(spaced, letters, break_long_words=False).replace("= ", "=")


def figure_to_png(figure: Figure, *, dpi: int = DPI) -> bytes:
    """Render a figure as a PNG file's bytes, without a date: equal figures, equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def figure_to_svg(figure: Figure) -> bytes:
    """Render a figure as an SVG file's bytes, letters as outlines; equal figures, equal bytes."""
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "landvisor", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def figure_to_data_uri(figure: Figure, *, dpi: int = DPI) -> str:
    """Render a figure as a `data:` URI, to put it inside a page."""
    return "data:image/png;base64," + base64.b64encode(figure_to_png(figure, dpi=dpi)).decode()
