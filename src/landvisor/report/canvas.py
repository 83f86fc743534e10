"""What all figures share: paper, ink, and the way out as PNG or `data:` URI."""

from __future__ import annotations

import base64
import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DPI = 150
INK, QUIET, GRID, PAPER = "#22262b", "#5f6770", "#d9dce0", "#ffffff"


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure of a size in inches, apart from any global state."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    return figure


def figure_to_png(figure: Figure, *, dpi: int = DPI) -> bytes:
    """Render a figure as a PNG file's bytes, without a date: equal figures, equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def figure_to_data_uri(figure: Figure, *, dpi: int = DPI) -> str:
    """Render a figure as a `data:` URI, to put it inside a page."""
    return "data:image/png;base64," + base64.b64encode(figure_to_png(figure, dpi=dpi)).decode()
