"""Charts and maps of a study's report show what they are given."""

import numpy as np
import pytest

from landvisor.report.canvas import figure_to_svg
from landvisor.report.study_curves import draw_curves, gather_curve
from landvisor.report.study_figures import Bar, Group, draw_effects, draw_interaction, draw_means
from landvisor.report.study_maps import (
    Example,
    Footprint,
    count_errors,
    draw_example,
    draw_splits,
    name_wrong,
)

CLASSES = [(1, "soil", "#b5835a"), (2, "road", "#c41e3a")]


def texts(axes):
    return [tick.get_text() for tick in axes.get_yticklabels()]


def test_means_are_drawn_with_seeds_and_wide_intervals_end_at_what_a_rate_can_be():
    axes = draw_means([Bar("a", 0.5, -3.0, 4.0, [0.4, 0.6]), Bar("b", 0.7)], label="IoU").axes[0]
    low, high = axes.get_xlim()
    assert -0.1 < low < 0
    assert 1 < high < 1.1
    assert texts(axes) == ["a", "b"]
    marked = [line.get_xdata() for line in axes.lines]
    assert [0.4, 0.6] in [list(x) for x in marked]


def test_effects_show_zero_the_smallest_of_interest_and_unknown_ones():
    groups = [Group("claims", [Bar("h", 0.3, 0.2, 0.4, smallest=0.5, strong=True)]),
              Group("factor", [Bar("x", float("nan"))])]  # fmt: skip
    axes = draw_effects(groups, label="effect", confidence=0.95).axes[0]
    assert texts(axes) == ["claims", "h", "factor", "x"]
    low, high = axes.get_xlim()
    assert low < -0.5 < 0.5 < high
    assert [patch.get_width() for patch in axes.patches] == [1.0]


def test_an_interaction_has_a_line_per_level_of_the_second_factor():
    cells = [Bar("", value) for value in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)]
    figure = draw_interaction((["a", "b"], ["x", "y", "z"]), cells, factors=("f", "g"), label="m")
    lines = [list(line.get_ydata()) for line in figure.axes[0].lines]
    assert lines == [[0.1, 0.4], [0.2, 0.5], [0.3, 0.6]]


def test_curves_average_the_seeds_that_are_still_training():
    curve = gather_curve("arm", [[(1, 0.2), (2, 0.4)], [(1, 0.4)], []])
    assert curve.mean == pytest.approx([0.3, 0.4])
    assert [list(side) for side in curve.limits] == [[0.2, 0.4], [0.4, 0.4]]
    assert gather_curve("none", [[], []]) is None


def test_losses_get_an_axis_each_and_metrics_one():
    curves = [gather_curve(f"arm {k}", [[(1, k), (2, k + 1)]]) for k in range(1, 4)]
    assert len(draw_curves(curves, label="mean IoU").axes) == 1
    apart = draw_curves(curves, label="loss", comparable=False).axes
    assert [axes.get_ylim()[0] > k for k, axes in enumerate(apart, 0)] == [True] * 3


@pytest.fixture
def example():
    mask = np.array([[1, 1, 2, 255]], dtype=np.uint8)
    found = np.array([[1, 2, 2, 1]], dtype=np.uint8)
    return Example("im", np.full((1, 4, 3), 100, np.uint8), mask, {"a": found, "b": mask}, 0)


def test_errors_are_marked_where_a_scored_pixel_is_wrong(example):
    assert count_errors(example, "a", scored=[1, 2]) == (1, 3)
    assert count_errors(example, "a", scored=[2]) == (0, 1)
    panels = draw_example(example, ["a", "b"], classes=CLASSES, scored=[1, 2]).axes
    below = [panel.images[0].get_array()[2].tolist() for panel in panels[1:]]
    wrong = [0x1F, 0x3F, 0xFF]  # neither like soil nor like road
    assert [colour == wrong for colour in below[0]] == [False, True, False, False]
    assert wrong not in below[1]
    assert below[0][3] == [232, 232, 232]


def test_errors_have_a_colour_that_no_class_has():
    assert name_wrong(["#1f5b34", "#2f6fb0"]) == "red"
    assert name_wrong(["#c41e3a", "#e6007e"]) == "blue"


def test_splits_are_drawn_where_they_lie():
    axes = draw_splits([Footprint("train", 0, 0, 2, 1), Footprint("test", 2, 0, 4, 1)],
                       unit="m").axes[0]  # fmt: skip
    assert [patch.get_x() for patch in axes.patches] == [0, 2]
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["train", "test"]


def test_equal_figures_are_equal_bytes():
    bars = [Bar("a", 0.5, 0.4, 0.6, [0.4, 0.6])]
    first, second = (figure_to_svg(draw_means(bars, label="IoU")) for _ in range(2))
    assert first == second
    assert first.lstrip().startswith(b"<?xml")
