"""Strategies as counts and distances; that points lie on their class is in test_simulate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.spatial import cKDTree

from landvisor.errors import PointsError
from landvisor.labels.strategies import (
    STRATEGIES,
    USES,
    Draw,
    DrawRule,
    draw_clustered,
    share_budget,
)

AREAS = st.lists(st.integers(1, 300), min_size=1, max_size=6).map(np.array)
LABELS = arrays(
    np.int16,
    array_shapes(min_dims=2, max_dims=2, max_side=20),
    elements=st.sampled_from([-1, 0, 1, 2]),
)


def share(area, n, spread="equal", seed=0):
    generator = np.random.default_rng(seed)
    return share_budget(np.asarray(area), n, spread=spread, generator=generator)


def cluster(labels, n, **rule):
    return draw_clustered(labels, Draw(n, np.random.default_rng(0), DrawRule(**rule)))


@given(AREAS, st.integers(1, 1000), st.sampled_from(["equal", "proportional", "sqrt"]))
def test_a_budget_is_spent_exactly_and_no_class_is_lost(area, n, spread):
    quotas = share(area, n, spread)

    assert quotas.sum() == min(n, area.sum())
    assert np.all(quotas <= area)
    assert quotas.min() >= (1 if n >= len(area) else 0)


@given(AREAS, st.integers(1, 1000), st.sampled_from(["equal", "proportional", "sqrt"]))
def test_a_larger_class_never_gets_fewer_clicks(area, n, spread):
    ordered = np.sort(area)
    steps = np.diff(share(ordered, n, spread))

    assert np.all(steps[np.diff(ordered) > 0] >= (-1 if spread == "equal" else 0))


@pytest.mark.parametrize(
    ("spread", "n", "expected"),
    [
        ("equal", 30, [10, 10, 10]),
        ("proportional", 145, [90, 40, 10 + 5]),
        ("sqrt", 120, [60, 40, 20]),
    ],
)
def test_a_budget_by_hand(spread, n, expected):
    area = [900, 400, 150] if spread == "proportional" else [900, 400, 100]

    np.testing.assert_array_equal(share(area, n, spread), expected)


def test_what_a_small_class_cannot_take_goes_to_the_others():
    np.testing.assert_array_equal(share([2, 500, 500], 30), [2, 14, 14])


def test_a_budget_below_the_classes_goes_to_the_largest_or_to_any():
    np.testing.assert_array_equal(share([5, 50, 7, 60], 2, "proportional"), [0, 1, 0, 1])
    drawn = sum(share([5, 50, 7, 60], 1, "equal", seed) for seed in range(60))
    assert drawn.min() > 0


def test_parts_of_a_click_favour_no_class():
    drawn = np.mean([share([90, 90, 90], 4, "equal", seed) for seed in range(300)], axis=0)

    np.testing.assert_allclose(drawn, 4 / 3, atol=0.12)  # four standard deviations


@settings(deadline=None)
@given(LABELS, st.integers(1, 60), st.integers(1, 9), st.floats(0, 6))
def test_clusters_hold_n_pixels_each_near_others(labels, n, size, radius):
    drawn = cluster(labels, n, cluster_size=size, radius=radius)

    assert len(drawn) == len(np.unique(drawn)) == min(n, (labels >= 0).sum())
    assert np.all(labels.ravel()[drawn] >= 0)


def test_points_of_a_cluster_lie_within_the_radius_of_its_centre():
    drawn = cluster(np.zeros((400, 400), np.int16), 60, cluster_size=6, radius=9.5)
    places = np.stack(np.divmod(drawn, 400), axis=1).reshape(10, 6, 2)
    centres = places[:, -1:]  # a centre is the last of its cluster

    assert np.hypot(*(places - centres).T).max() <= 9.5
    assert np.hypot(*(places - centres).T).max() > 5
    assert cKDTree(centres[:, 0]).query(centres[:, 0], k=2)[0][:, 1].max() > 20


def test_a_cluster_fills_its_disc_evenly():
    labels = np.zeros((41, 41), np.int16)
    hits = np.zeros(labels.shape)
    for seed in range(400):
        rule = DrawRule(cluster_size=10, radius=3)
        drawn = draw_clustered(labels, Draw(10, np.random.default_rng(seed), rule))
        rows, cols = np.divmod(drawn, 41)
        hits[rows - rows[-1] + 20, cols - cols[-1] + 20] += 1
    inside = hits[17:24, 17:24]

    assert hits.sum() == inside.sum() == 4000
    ring = inside[inside > 0]
    assert len(ring) == 29  # pixels of a disc of radius 3
    assert inside[3, 3] == 400
    assert np.sort(ring)[:-1].std() < 3 * np.sqrt(400 * 9 / 28)


def test_every_strategy_says_what_it_uses():
    known = {"n", *(name for name in vars(DrawRule()) if name not in ("jitter", "noise"))}

    assert USES.keys() == STRATEGIES.keys()
    assert {name for names in USES.values() for name in names} == known


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"placement": "middle"}, "choose one of random, interior"),
        ({"spread": "even"}, "choose one of equal"),
        ({"min_area": 0}, "min_area 0 found"),
        ({"cluster_size": 0}, "cluster_size 0"),
        ({"radius": -1}, "radius -1"),
        ({"radius": float("nan")}, "radius nan"),
        ({"jitter": float("inf")}, "jitter inf"),
        ({"noise": 1.5}, "share of 0 to 1"),
    ],
)
def test_values_out_of_range_are_refused(values, says):
    with pytest.raises(PointsError, match=says):
        DrawRule(**values)
