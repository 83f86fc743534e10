"""Purity is the share of new labels that are right, and says what it was held against."""

import math

import numpy as np
import pytest

from landvisor.geo.legend import legend_from_ids
from landvisor.geo.places import make_places
from landvisor.labels.pixels import make_pixels, overlay
from landvisor.labels.purity import (
    Purity,
    Tally,
    check_against_mask,
    check_against_places,
    count_labels,
    draw_held_out,
    join_tallies,
)

SHAPE = (4, 5)
LEGEND = legend_from_ids([1, 2, 3], {1: "water", 2: "forest", 3: "sand"})


def label_some(grown):
    """Label pixel 0 as water by hand and others `{position: class}` by growth."""
    human = make_pixels(SHAPE, np.array([0]), label=np.array([1]), source="human")
    where = np.array(list(grown), dtype=np.int64)
    return overlay(human, make_pixels(SHAPE, where, label=np.array(list(grown.values())),
                                      source="grown"))  # fmt: skip


def tally(*, before, after, checked, right, pixels=100, held=10):
    counts = [np.bincount(list(c.keys()), list(c.values()), 256).astype(np.int64)
              for c in (before, after, checked, right)]  # fmt: skip
    return Tally(*counts, np.array([pixels]), np.array([held]))


def test_a_mask_checks_every_new_label_on_its_labelled_part():
    truth = np.full(SHAPE, -1)
    truth.ravel()[:6] = [2, 1, 1, 2, 2, 3]  # the point itself is wrong and does not count
    pixels = label_some({1: 1, 2: 2, 3: 2, 4: 2, 7: 1})
    checked, right = check_against_mask(pixels, truth)
    assert (checked[1], checked[2], checked.sum()) == (1, 3, 4)
    assert (right[1], right[2], right.sum()) == (1, 2, 3)


def test_held_out_places_check_the_new_labels_they_lie_on():
    pixels = label_some({1: 1, 6: 2})
    coords = np.array([[0, 1.4], [1.2, 1.0], [3, 3], [0, 0]])
    held = make_places(coords, np.array([1, 1, 2, 1]))
    checked, right = check_against_places(pixels, held)
    assert checked.sum() == 2  # one lies on nothing, one on a point
    assert (checked[1], checked[2], right.sum()) == (1, 1, 1)


def test_whole_features_of_every_class_are_held_out_by_seed_and_name_alone():
    label = np.repeat([1, 2], [100, 20])
    group = np.arange(120) // 2
    places = make_places(np.zeros((120, 2)), label, group=group)
    held = draw_held_out(places, share=0.2, seed=1, name="a")
    assert held[label == 1].sum() == 20
    assert held[label == 2].sum() == 4
    assert all(len(set(held[group == g])) == 1 for g in range(60))
    assert np.array_equal(held, draw_held_out(places, share=0.2, seed=1, name="a"))
    assert not np.array_equal(held, draw_held_out(places, share=0.2, seed=1, name="b"))


def test_what_a_single_point_per_class_leaves_over_is_held_out_now_and_then():
    places = make_places(np.zeros((1, 2)), np.array([1]))
    drawn = [draw_held_out(places, share=0.2, seed=s, name="a").sum() for s in range(400)]
    assert 40 < sum(drawn) < 120


def test_tallies_of_scenes_add_up():
    one = tally(before={1: 2}, after={1: 5}, checked={1: 3}, right={1: 3})
    two = tally(before={2: 1}, after={2: 2}, checked={2: 1}, right={}, held=7)
    both = join_tallies([one, two])
    assert both.before.sum() == 3
    assert both.held.tolist() == [17]
    assert Purity(both, LEGEND, held_out=False).rate == 0.75


def test_purity_against_points_has_wilsons_interval_and_against_a_mask_none():
    found = tally(before={1: 1}, after={1: 12}, checked={1: 10}, right={1: 9})
    low, high = Purity(found, LEGEND, held_out=True).interval
    # Wilson (1927), eq. 2, for 9 of 10 at z = 1.959964
    assert (low, high) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert Purity(found, LEGEND, held_out=False).interval is None


def test_low_purity_is_warned_of_and_unknown_purity_said():
    low = tally(before={1: 1}, after={1: 12}, checked={1: 10}, right={1: 9})
    assert "WARNING: below 95 %" in Purity(low, LEGEND, held_out=False).lines()[-1]
    pure = tally(before={1: 1}, after={1: 12}, checked={1: 10}, right={1: 10})
    assert "WARNING" not in Purity(pure, LEGEND, held_out=False).lines()[-1]
    unknown = Purity(tally(before={1: 1}, after={1: 4}, checked={}, right={}), LEGEND, True)
    assert math.isnan(unknown.rate)
    assert unknown.interval is None
    assert unknown.lines()[-1] == ("purity: unknown, 0 of 10 held-out points lie on new labels")
    nothing = tally(before={1: 1}, after={1: 1}, checked={}, right={})
    assert Purity(nothing, LEGEND, True).lines()[-1] == "purity: nothing new to check"


def test_classes_below_the_least_purity_and_those_unknown_are_named():
    found = tally(
        before={1: 1, 2: 1, 3: 1}, after={1: 9, 2: 9, 3: 9},
        checked={1: 5, 2: 5}, right={1: 5, 2: 4},
    )  # fmt: skip
    assert Purity(found, LEGEND, held_out=True).below(0.9) == (2, 3)
    untouched = tally(before={1: 1}, after={1: 1}, checked={}, right={})
    assert Purity(untouched, LEGEND, held_out=True).below(0.9) == ()


def test_the_summary_counts_pixels_by_class():
    found = tally(before={1: 1}, after={1: 12}, checked={1: 10}, right={1: 9}, pixels=48)
    said = Purity(found, LEGEND, held_out=False).summary()
    assert said["share_of_pixels"] == 0.25
    assert said["classes"][0] == {
        "id": 1, "name": "water", "before": 1, "after": 12, "checked": 10, "purity": 0.9,
    }  # fmt: skip
    assert count_labels(np.array([1, 1, 3]))[[1, 3]].tolist() == [2, 1]
