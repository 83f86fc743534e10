import numpy as np

from landvisor.report.canvas import figure_to_png
from landvisor.report.charts import draw_areas, draw_class_bars, draw_confusion, draw_history

NAMES, COLORS = ("water", "rock", "reed"), ("#0000ff", "#888888", "#00aa00")


def _texts(axes):
    return [text.get_text() for text in axes.texts]


def test_a_confusion_matrix_shows_counts_and_shades_each_row_by_its_shares():
    counts = np.array([[3, 1, 0], [0, 1200, 0], [0, 0, 0]])
    axes = draw_confusion(counts, NAMES).axes[0]
    assert _texts(axes) == ["3", "1", "0", "0", "1\u202f200", "0", "0", "0", "0"]
    assert np.allclose(axes.images[0].get_array(), [[0.75, 0.25, 0], [0, 1, 0], [0, 0, 0]])
    assert axes.get_xlabel() == "map"
    assert axes.get_ylabel() == "reference"


def test_class_bars_show_rates_intervals_and_what_is_unknown():
    rates = np.array([0.5, np.nan, 0.9])
    intervals = np.array([[0.4, 0.6], [np.nan, np.nan], [0.8, 1.0]])
    figure = draw_class_bars(rates, intervals, names=NAMES, colors=COLORS)
    axes = figure.axes[0]
    assert [bar.get_width() for bar in axes.patches] == [0.5, 0, 0.9]
    assert _texts(axes) == ["0.50", "unknown", "0.90"]
    assert axes.get_xlim()[0] == 0
    assert figure_to_png(figure, dpi=40)


def test_class_bars_do_without_intervals():
    assert len(draw_class_bars(np.ones(3), names=NAMES, colors=COLORS).axes[0].patches) == 3


def test_areas_are_called_a_share_of_mapped_pixels_and_no_estimate():
    axes = draw_areas(np.array([0.2, 0.8, 0.0]), names=NAMES, colors=COLORS).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [20, 80, 0]
    assert axes.get_xlabel() == "share of mapped pixels in % (not an area estimate)"


def test_a_history_has_a_panel_per_metric_and_marks_the_best_epoch():
    figure = draw_history({"loss": [3, 1, 2], "val_f1": [0.1, np.nan, 0.4], "gap": [np.nan] * 3})
    loss, score, gap = figure.axes
    assert tuple(loss.lines[1].get_xdata()) == (2,)
    assert tuple(score.lines[1].get_xdata()) == (3,)
    assert len(gap.lines) == 1
    assert figure_to_png(figure, dpi=40)


def test_a_history_of_nothing_is_an_empty_chart():
    assert draw_history({}).axes
