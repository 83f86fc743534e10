import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from landvisor.errors import PointsError
from landvisor.geo.legend import LandClass, Legend
from landvisor.geo.places import SOURCES, concatenate
from landvisor.labels.simulate import simulate_places
from landvisor.labels.strategies import STRATEGIES, DrawRule

LEGEND = Legend(
    (
        LandClass(1, "sand", "#ffee88"),
        LandClass(2, "grass", "#338833"),
        LandClass(3, "clouds", "#ffffff", ignore=True),
        LandClass(4, "moss", "#226622", merged_into=2),
    )
)
ALONE = Legend((LandClass(1, "sand", "#ffee88"),))
MASKS = arrays(
    np.uint8,
    array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=st.sampled_from([0, 1, 2, 3, 4, 255]),
)


def simulate(mask, strategy, **options):
    given = {"legend": LEGEND, "name": "a", "n": 4} | options
    return simulate_places(mask, strategy=strategy, **given)


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
    rule = DrawRule(placement="interior", min_area=3)
    places = simulate(objects, "per_object", rule=rule)

    np.testing.assert_array_equal(places.coords, [[6, 6], [8, 14]])


def test_interior_placement_keeps_off_the_images_edge():
    rule = DrawRule(placement="interior")
    places = simulate(np.ones((9, 9), dtype=np.uint8), "per_object", rule=rule)

    np.testing.assert_array_equal(places.coords, [[4, 4]])


@pytest.mark.parametrize("strategy", sorted(set(STRATEGIES) - {"dense"}))
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


@settings(deadline=None)
@given(mask=MASKS, strategy=st.sampled_from(sorted(STRATEGIES)), jitter=st.floats(0.01, 9))
def test_jitter_moves_the_same_points_and_keeps_their_class(mask, strategy, jitter):
    still = simulate(mask, strategy)
    moved = simulate(mask, strategy, rule=DrawRule(jitter=jitter))
    rows, cols = moved.pixels().T

    np.testing.assert_array_equal(moved.label, still.label)
    np.testing.assert_array_equal(moved.group, still.group)
    assert np.all(np.hypot(*(moved.coords - still.coords).T) <= jitter * (1 + 1e-12))
    assert np.all((rows >= 0) & (rows < mask.shape[0]) & (cols >= 0) & (cols < mask.shape[1]))


@settings(deadline=None)
@given(mask=MASKS, data=st.data())
def test_jitter_keeps_off_no_data(mask, data):
    valid = data.draw(arrays(np.bool_, mask.shape))
    places = simulate(mask, "dense", valid=valid, rule=DrawRule(jitter=3.0))
    rows, cols = places.pixels().T

    assert valid[rows, cols].all()


@settings(deadline=None)
@given(mask=MASKS, strategy=st.sampled_from(sorted(STRATEGIES)), noise=st.floats(0.01, 1))
def test_noise_changes_classes_and_moves_nothing(mask, strategy, noise):
    right = simulate(mask, strategy)
    wrong = simulate(mask, strategy, rule=DrawRule(noise=noise))

    np.testing.assert_array_equal(wrong.coords, right.coords)
    assert np.isin(wrong.label, LEGEND.ids).all()
    assert abs((wrong.label != right.label).sum() - noise * len(right)) < 1 + 1e-9


@settings(deadline=None)
@given(mask=MASKS, n=st.integers(1, 40), strategy=st.sampled_from(["clustered", "budget"]))
def test_clusters_and_budgets_hold_n_places_in_all(mask, n, strategy):
    labels = simulate(mask, strategy, n=n).label
    present = count_present(mask)

    assert len(labels) == min(n, sum(present.values()))
    if strategy == "budget" and n >= len(present):
        assert set(labels) == set(present)


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@pytest.mark.parametrize("kind", ["no label", "no data", "one pixel", "one class", "a rare class"])
def test_every_strategy_takes_the_least_that_a_mask_can_hold(strategy, kind):
    mask = np.full((16, 16), 255 if kind == "no label" else 1, dtype=np.uint8)
    if kind == "one pixel":
        mask = mask[:1, :1]
    if kind == "a rare class":
        mask[3, 5] = 2
    valid = np.full(mask.shape, kind != "no data")
    label = simulate(mask, strategy, n=8, valid=valid, rule=DrawRule(jitter=1, noise=0.1)).label

    assert (len(label) == 0) == (kind in ("no label", "no data")) or strategy == "grid"
    if kind == "a rare class" and strategy in ("per_class", "per_object", "budget", "dense"):
        assert set(label) == {1, 2}


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_65536_points_in_one_image(strategy):
    mask = np.random.default_rng(0).integers(1, 3, (256, 256)).astype(np.uint8)
    n = 1 if strategy == "grid" else 65_536
    rule = DrawRule(jitter=2.0, noise=0.25)
    places = simulate(mask, strategy, n=n, rule=rule)

    if strategy == "per_object":
        assert 0 < len(places) < 65_536
    else:
        assert len(places) == 65_536
        assert (places.label != simulate(mask, strategy, n=n).label).sum() == 16_384


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
        (np.ones((2, 2), dtype=int), {"legend": ALONE, "rule": DrawRule(noise=0.1)}, "two or more"),
    ],
)
def test_unusable_requests_are_refused(mask, options, says):
    with pytest.raises(PointsError, match=says):
        simulate(mask, **({"strategy": "random"} | options))
