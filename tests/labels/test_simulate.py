import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from landvisor.errors import PointsError
from landvisor.geo.legend import LandClass, Legend
from landvisor.geo.places import SOURCES, concatenate
from landvisor.labels.simulate import STRATEGIES, ObjectRule, simulate_places

LEGEND = Legend(
    (
        LandClass(1, "sand", "#ffee88"),
        LandClass(2, "grass", "#338833"),
        LandClass(3, "clouds", "#ffffff", ignore=True),
        LandClass(4, "moss", "#226622", merged_into=2),
    )
)
MASKS = arrays(
    np.uint8,
    array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=st.sampled_from([0, 1, 2, 3, 4, 255]),
)


def simulate(mask, strategy, **options):
    return simulate_places(
        mask, legend=LEGEND, strategy=strategy, **({"name": "a", "n": 4} | options)
    )


def count_present(mask):
    labels = LEGEND.resolve(mask)
    return {label: int((labels == label).sum()) for label in np.unique(labels[labels >= 0])}


@settings(deadline=None)
@given(mask=MASKS, strategy=st.sampled_from(sorted(STRATEGIES)), seed=st.integers(0, 9))
def test_places_are_distinct_pixel_centres_of_the_masks_class(mask, strategy, seed):
    places = simulate(mask, strategy, seed=seed)
    rows, cols = places.pixels().T

    np.testing.assert_array_equal(places.coords, places.pixels())
    np.testing.assert_array_equal(places.label, LEGEND.resolve(mask)[rows, cols])
    assert np.isin(places.label, LEGEND.ids).all()
    assert len(np.unique(places.coords, axis=0)) == len(places)
    assert np.all(places.source == SOURCES["simulated"])


@settings(deadline=None)
@given(mask=MASKS, n=st.integers(1, 9))
def test_per_class_draws_n_of_each_class_or_all_and_loses_none(mask, n):
    labels, counts = np.unique(simulate(mask, "per_class", n=n).label, return_counts=True)
    expected = {label: min(n, count) for label, count in count_present(mask).items()}

    assert dict(zip(labels, counts, strict=True)) == expected


@settings(deadline=None)
@given(mask=MASKS, n=st.integers(1, 30))
def test_random_draws_n_in_all_or_every_labelled_pixel(mask, n):
    labelled = sum(count_present(mask).values())

    assert len(simulate(mask, "random", n=n)) == min(n, labelled)
    assert len(simulate(mask, "dense")) == labelled


@settings(deadline=None)
@given(mask=MASKS, n=st.integers(1, 5))
def test_grid_points_are_n_pixels_apart(mask, n):
    places = simulate(mask, "grid", n=n)

    assert not len(places) or not np.any((places.coords - places.coords[0]) % n)
    if n == 1:
        assert len(places) == len(simulate(mask, "dense"))


@settings(deadline=None)
@given(mask=MASKS, strategy=st.sampled_from(sorted(STRATEGIES)), data=st.data())
def test_no_point_lies_where_the_image_has_no_data(mask, strategy, data):
    valid = data.draw(arrays(np.bool_, mask.shape))
    rows, cols = simulate(mask, strategy, valid=valid).pixels().T

    assert valid[rows, cols].all()


def test_random_draws_every_pixel_equally_often():
    mask = np.ones((4, 5), dtype=np.uint8)
    hits = np.zeros(mask.shape)
    for seed in range(500):
        rows, cols = simulate(mask, "random", n=4, seed=seed).pixels().T
        hits[rows, cols] += 1

    assert np.all(np.abs(hits - 100) < 45)  # five standard deviations of binomial(500, 0.2)


@pytest.fixture
def objects():
    """Two touching diagonals make one object, then a square, a dot, and a merged pair."""
    mask = np.zeros((12, 20), dtype=np.uint8)
    mask[0, 0] = mask[1, 1] = 1
    mask[3:10, 3:10] = 1
    mask[5, 15] = 1
    mask[8:10, 14] = 2
    mask[8:10, 15] = 4
    return mask


def test_per_object_draws_one_point_of_each_object(objects):
    places = simulate(objects, "per_object")
    labels, counts = np.unique(places.label, return_counts=True)

    np.testing.assert_array_equal(labels, [1, 2])
    np.testing.assert_array_equal(counts, [3, 1])


def test_random_placement_moves_over_the_object(objects):
    found = {
        tuple(row)
        for seed in range(40)
        for row in simulate(objects, "per_object", seed=seed).coords
        if 3 <= row[0] < 10 and 3 <= row[1] < 10
    }

    assert len(found) > 20


def test_interior_placement_takes_the_middle_of_the_object(objects):
    rule = ObjectRule(placement="interior", min_area=3)
    places = simulate(objects, "per_object", objects=rule)

    np.testing.assert_array_equal(places.coords, [[6, 6], [8, 14]])


def test_interior_placement_keeps_off_the_images_edge():
    rule = ObjectRule(placement="interior")
    places = simulate(np.ones((9, 9), dtype=np.uint8), "per_object", objects=rule)

    np.testing.assert_array_equal(places.coords, [[4, 4]])


@pytest.mark.parametrize("strategy", ["random", "per_class", "per_object", "grid"])
def test_points_follow_from_seed_and_name_whatever_was_drawn_before(strategy):
    mask = np.random.default_rng(0).integers(0, 3, (40, 40)).astype(np.uint8)
    forward = {name: simulate(mask, strategy, name=name).coords for name in "abc"}
    backward = {name: simulate(mask, strategy, name=name).coords for name in "cba"}

    for name in "abc":
        np.testing.assert_array_equal(forward[name], backward[name])
    moved = [simulate(mask, strategy, seed=seed).coords.tolist() for seed in range(4)]
    assert any(coords != moved[0] for coords in moved)


def test_joined_places_of_two_images_share_no_group():
    mask = np.ones((5, 5), dtype=np.uint8)
    joined = concatenate([simulate(mask, "dense", name=name) for name in "ab"])

    assert len(np.unique(joined.group)) == len(joined) == 50


def test_wide_types_and_bytes_give_the_same_points():
    mask = np.random.default_rng(0).choice([0, 1, 2, 4, 255], (20, 20))
    wide = simulate(np.where(mask == 0, -9999, mask), "random")

    np.testing.assert_array_equal(wide.coords, simulate(mask.astype(np.uint8), "random").coords)


def test_a_function_is_accepted_as_strategy():
    places = simulate(np.ones((3, 3), dtype=np.uint8), lambda labels, draw: np.arange(draw.n))

    np.testing.assert_array_equal(places.coords, [[0, 0], [0, 1], [0, 2], [1, 0]])


@pytest.mark.parametrize(
    ("mask", "options", "says"),
    [
        (np.ones((2, 2), dtype=int), {"strategy": "best"}, "per_class"),
        (np.ones((2, 2), dtype=int), {"n": 0}, "at least 1"),
        (np.ones((2, 2)), {}, "whole-number"),
        (np.ones((2, 2, 1), dtype=int), {}, "whole-number"),
        (np.ones((2, 2), dtype=int), {"valid": np.ones((3, 2), dtype=bool)}, "one grid"),
    ],
)
def test_unusable_requests_are_refused(mask, options, says):
    with pytest.raises(PointsError, match=says):
        simulate(mask, **({"strategy": "random"} | options))
