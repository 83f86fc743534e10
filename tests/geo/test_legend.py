"""Class ids never change meaning; merges, ignored and unknown classes are resolved."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landvisor.errors import LegendError
from landvisor.geo.legend import (
    UNLABELLED,
    LandClass,
    Legend,
    default_color,
    legend_from_ids,
    legend_from_names,
    read_legend,
    write_legend,
)

LEGEND = Legend(
    (
        LandClass(5, "water", "#0000ff"),
        LandClass(2, "trees", "#00ff00"),
        LandClass(9, "shade", "#000000", ignore=True),
        LandClass(7, "pond", "#0000aa", merged_into=5),
        LandClass(8, "puddle", "#0000bb", merged_into=7),
        LandClass(3, "dusk", "#111111", merged_into=9),
    )
)


def test_only_classes_that_stand_for_themselves_are_active():
    assert LEGEND.ids == (5, 2)
    assert LEGEND.names == ("water", "trees")


def test_merges_are_followed_and_ignored_or_unknown_ids_are_unlabelled():
    labels = np.array([[5, 2, 9, 7], [8, 3, 4, -3]])
    assert LEGEND.resolve(labels).tolist() == [[5, 2, -1, 5], [5, -1, -1, -1]]
    assert LEGEND.resolve(np.array([255, 300, 100_000])).tolist() == [UNLABELLED] * 3


def test_positions_follow_the_order_of_the_legend():
    assert LEGEND.to_index(np.array([2, 5, 9, 7, 255, -1])).tolist() == [1, 0, -1, -1, -1, -1]


def test_small_integer_types_are_resolved_too():
    assert LEGEND.resolve(np.array([5, 255], dtype=np.uint8)).tolist() == [5, UNLABELLED]
    assert LEGEND.resolve(np.array([5, -1], dtype=np.int8)).tolist() == [5, UNLABELLED]


def test_no_data_is_never_a_class():
    assert LEGEND.nodata == 0
    assert legend_from_ids([0, 1]).nodata == 255


def test_text_classes_get_ids_in_sorted_order():
    legend = legend_from_names(["sand", "grass", "sand", "water"])
    assert [(c.id, c.name) for c in legend.classes] == [(1, "grass"), (2, "sand"), (3, "water")]


def test_names_that_differ_in_case_alone_are_one_class():
    legend = legend_from_names(["water", "Water", " water ", "sand"])
    assert len(legend.classes) == 2
    assert legend.find("WATER") is not None


def test_gaps_in_ids_are_kept():
    legend = legend_from_ids([40, 3, 40], {3: "bog"})
    assert [(c.id, c.name) for c in legend.classes] == [(3, "bog"), (40, "class 40")]


def test_a_class_is_added_above_all_ids():
    added = LEGEND.with_class("background")
    assert added.classes[-1].id == 10
    assert added.classes[:-1] == LEGEND.classes


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ((), "without classes"),
        ((LandClass(1, "a", "#000000"), LandClass(1, "b", "#000000")), "the id 1 twice"),
        ((LandClass(1, "a", "#000000"), LandClass(2, "a", "#000000")), "the name 'a' twice"),
        ((LandClass(255, "a", "#000000"),), "ids are 0 to 254"),
        ((LandClass(1, "a", "red"),), "colours are '#rrggbb'"),
        ((LandClass(1, "a", "#000000", merged_into=4),), "which the legend lacks"),
    ],
)
def test_contradictions_are_refused(classes, said):
    with pytest.raises(LegendError, match=said):
        Legend(classes)


def test_a_circle_of_merges_is_refused():
    circle = Legend(
        (LandClass(1, "a", "#000000", merged_into=2), LandClass(2, "b", "#000000", merged_into=1))
    )
    with pytest.raises(LegendError, match="merged into itself"):
        circle.resolve(np.array([1]))


def test_neighbouring_colours_differ():
    colors = [default_color(number) for number in range(30)]
    assert len(set(colors)) == 30


names = st.text(st.characters(codec="utf-8"), min_size=1)


@given(st.lists(names, min_size=1, max_size=4, unique=True), st.data())
def test_a_legend_survives_its_file(tmp_path_factory, found, data):
    ids = data.draw(st.permutations(range(len(found))))
    classes = [
        LandClass(number, name, default_color(number), ignore=data.draw(st.booleans()))
        for number, name in zip(ids, found, strict=True)
    ]
    legend = Legend(tuple(classes))
    path = tmp_path_factory.mktemp("legend") / "legend.toml"
    write_legend(legend, path)
    assert read_legend(path) == legend


def test_a_merged_legend_survives_its_file(tmp_path):
    write_legend(LEGEND, tmp_path / "legend.toml")
    assert read_legend(tmp_path / "legend.toml") == LEGEND


def test_classes_are_merged_by_name_or_id(tmp_path):
    path = tmp_path / "legend.toml"
    path.write_text(
        '[[class]]\nid = 1\nname = "water"\n[[class]]\nid = 2\nname = "pond"\nas = "water"\n'
        '[[class]]\nid = 3\nname = "lake"\nas = 1\n'
    )
    assert read_legend(path).resolve(np.array([1, 2, 3])).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[class]\n", "not TOML"),
        ("x = 1\n", "needs `\\[\\[class\\]\\]`"),
        ('[[class]]\nid = 1\ncolour = "#000000"\n', "unknown key 'colour'"),
        ('[[class]]\nname = "a"\n', "a class without id"),
        ('[[class]]\nid = "1"\n', "an id is a whole number"),
        ("[[class]]\nid = true\n", "an id is a whole number"),
        ('[[class]]\nid = 1\nas = "lava"\n', "which no class is named"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path, text, said):
    path = tmp_path / "legend.toml"
    path.write_text(text)
    with pytest.raises(LegendError, match=said) as caught:
        read_legend(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(LegendError, match="no legend at"):
        read_legend(tmp_path / "none.toml")


def test_classes_are_coloured_as_maps_usually_are_and_no_colour_comes_twice():
    legend = legend_from_names(["forest", "coniferous forest", "water", "quartz"])
    colors = {c.name: c.rgb for c in legend.classes}
    red, green, blue = colors["water"]
    assert blue > red
    red, green, blue = colors["coniferous forest"]
    assert green > max(red, blue)
    assert len(set(colors.values())) == 4
