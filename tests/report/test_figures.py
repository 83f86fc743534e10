import io

import numpy as np
from PIL import Image

from landvisor.report.canvas import figure_to_data_uri, figure_to_png
from landvisor.report.composite import NO_DATA_GREY
from landvisor.report.figures import draw_map, draw_overview, draw_scene, draw_uncertainty


def test_a_scene_is_shown_with_one_mark_per_place_of_an_active_class(rgb, marks, legend):
    axes = draw_scene(rgb, marks, legend=legend).axes[0]
    offsets = np.concatenate([c.get_offsets() for c in axes.collections])
    assert sorted(map(tuple, offsets.tolist())) == [(3.0, 5.0), (20.0, 6.5)]
    assert axes.get_xlim() == (-0.5, 29.5)
    assert axes.get_ylim() == (19.5, -0.5)


def test_a_picture_fills_its_figure_in_its_own_proportions(rgb):
    figure = draw_scene(rgb)
    assert figure.get_figwidth() / figure.get_figheight() == 1.5
    assert figure.axes[0].get_position().bounds == (0, 0, 1, 1)


def test_a_map_has_the_colours_of_its_legend_and_grey_where_no_data(classes, legend):
    shown = draw_map(classes, legend).axes[0].images[0].get_array()
    assert (shown[:4] == NO_DATA_GREY).all()
    assert tuple(shown[10, 0]) == (0, 0, 255)
    assert tuple(shown[10, 29]) == (255, 136, 0)


def test_uncertainty_is_scaled_from_0_to_1_and_masked_where_no_data(uncertainty):
    axes, bar = draw_uncertainty(uncertainty).axes
    image = axes.images[0]
    assert image.get_clim() == (0, 1)
    assert image.get_array().mask[:4].all()
    assert not image.get_array().mask[4:].any()
    assert [t.get_text() for t in bar.get_xticklabels()] == ["0 sure", "0.5", "1 unsure"]


def test_an_overview_shows_image_map_uncertainty_and_a_legend(
    rgb, classes, uncertainty, legend, marks
):
    figure = draw_overview(rgb, classes, uncertainty=uncertainty, legend=legend, marks=marks)
    titles = [axes.get_title(loc="left") for axes in figure.axes[:3]]
    assert titles == ["Image and labelled places", "Map", "Uncertainty"]
    assert [t.get_text() for t in figure.legends[0].get_texts()] == list(legend.names)


def test_equal_figures_become_equal_png_bytes(classes, legend):
    first, second = (figure_to_png(draw_map(classes, legend), dpi=50) for _ in range(2))
    assert first == second
    assert Image.open(io.BytesIO(first)).size == (260, 173)
    assert figure_to_data_uri(draw_map(classes, legend)).startswith("data:image/png;base64,iVBOR")
