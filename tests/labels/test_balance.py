import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landvisor.errors import PointsError, RecipeError
from landvisor.geo.legend import LandClass, Legend
from landvisor.labels.balance import class_weights, prior_factors, resolve_area

LABELS = np.repeat([1, 2, 5], [90, 9, 1])
KINDS = ["none", "inverse", "sqrt_inverse", "median_frequency", "effective"]
LEGEND = Legend(
    (
        LandClass(1, "sand", "#ffee88"),
        LandClass(2, "Grass", "#338833"),
        LandClass(5, "cloud", "#ffffff", ignore=True),
        LandClass(7, "sea", "#3333ff"),
        LandClass(8, "moss", "#226622", merged_into=2),
    )
)


def test_inverse_weights_give_every_class_the_same_sum():
    weights = class_weights(LABELS, (1, 2, 5), kind="inverse", cap=1000)

    np.testing.assert_allclose(weights * [90, 9, 1], 100 / 3)


def test_root_of_inverse_weights_by_hand():
    weights = class_weights(LABELS, (1, 2, 5), kind="sqrt_inverse", cap=1000)

    np.testing.assert_allclose(weights / weights[2], [90**-0.5, 1 / 3, 1])


def test_median_frequency_by_hand():
    """Two images: the first has 6 places of class 1 and 2 of class 2, the second 4 of class 1."""
    labels = np.array([1] * 6 + [2] * 2 + [1] * 4)
    images = np.array([30] * 8 + [10] * 4)
    weights = class_weights(labels, (1, 2), kind="median_frequency", cap=99, images=images)

    frequency = np.array([10 / 12, 2 / 8])  # class 2 is measured where it occurs
    raw = np.median(frequency) / frequency
    np.testing.assert_allclose(weights, raw * 12 / (raw @ [10, 2]))


def test_median_frequency_of_one_image_is_the_inverse():
    median, inverse = (
        class_weights(LABELS, (1, 2, 5), kind=kind, cap=1000)
        for kind in ("median_frequency", "inverse")
    )

    np.testing.assert_allclose(median, inverse)


def test_the_effective_number_by_hand():
    weights = class_weights(np.repeat([1, 2], [2, 1]), (1, 2), kind="effective", cap=1000)

    raw = np.array([1 / 1.99, 1.0])  # (1 - 0.99²) / 0.01 = 1.99 effective places of two
    np.testing.assert_allclose(weights, raw * 3 / (raw @ [2, 1]))


def test_beyond_hundreds_of_places_more_of_them_have_no_effect():
    labels = np.repeat([1, 2], [800, 4000])
    weights = class_weights(labels, (1, 2), kind="effective", cap=1000)

    np.testing.assert_allclose(weights, 1, rtol=1e-3)


def test_no_weights_are_ones():
    np.testing.assert_array_equal(class_weights(LABELS, (1, 2, 5), kind="none", cap=10), 1)


def test_absent_class_weighs_nothing_and_unknown_labels_are_skipped():
    weights = class_weights(np.array([1, 1, 2, -1, 77]), (1, 2, 3), kind="inverse", cap=10)

    np.testing.assert_allclose(weights, [0.75, 1.5, 0])


@given(
    counts=st.lists(st.integers(0, 500), min_size=1, max_size=6).filter(any),
    kind=st.sampled_from(KINDS),
    cap=st.floats(1, 50),
)
def test_mean_over_places_is_one_and_no_ratio_exceeds_the_cap(counts, kind, cap):
    ids = tuple(range(len(counts)))
    labels = np.repeat(ids, counts)
    weights = class_weights(labels, ids, kind=kind, cap=cap)
    present = weights[np.array(counts) > 0]

    assert weights[labels].mean() == pytest.approx(1)
    assert present.max() / present.min() <= cap * (1 + 1e-9)
    np.testing.assert_array_equal(weights[np.array(counts) == 0], 0)


def test_weights_without_any_place_are_refused():
    with pytest.raises(PointsError, match="at least one"):
        class_weights(np.array([-1]), (1, 2), kind="inverse", cap=10)


@pytest.mark.parametrize(("kind", "cap"), [("square", 10), ("inverse", 0.5)])
def test_unknown_kind_and_cap_below_one_are_refused(kind, cap):
    with pytest.raises(RecipeError):
        class_weights(LABELS, (1, 2, 5), kind=kind, cap=cap)


def test_shares_of_the_area_go_by_name_or_id_in_the_legends_order():
    shares = resolve_area({"7": 0.5, " grass": 0.3, "sand": 0.2}, LEGEND)

    np.testing.assert_allclose(shares, [0.2, 0.3, 0.5])


def test_shares_of_the_area_are_made_to_sum_to_one():
    assert resolve_area({"1": 0.33, "2": 0.33, "7": 0.33}, LEGEND).sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("area", "says"),
    [
        ({"sand": 0.5, "grass": 0.4, "lava": 0.1}, "names class 'lava'; the active classes are"),
        ({"sand": 0.5, "grass": 0.4, "cloud": 0.1}, "names class 'cloud'"),
        ({"sand": 0.5, "grass": 0.4, "moss": 0.1}, "names class 'moss'"),
        ({"sand": 0.5, "1": 0.5}, "'sand' twice"),
        ({"sand": 0.5, "grass": 0.5}, "no share for class 'sea'"),
    ],
)
def test_shares_that_do_not_fit_the_legend_are_refused(area, says):
    with pytest.raises(RecipeError, match=says):
        resolve_area(area, LEGEND)


def test_prior_factors_by_hand():
    labels = np.array([1, 1, 1, 2, 2, 7])
    weights = np.array([1.0, 1, 2, 1, 1, 4])  # learned shares 0.4, 0.2, 0.4
    area = np.array([0.8, 0.1, 0.1])
    factors = prior_factors(labels, (1, 2, 7), area=area, weights=weights)

    np.testing.assert_allclose(factors, [2.0, 0.5, 0.25])


def test_a_class_without_a_place_gets_none_of_the_area():
    area = np.array([0.3, 0.3, 0.4])
    factors = prior_factors(np.array([1, 2]), (1, 2, 7), area=area, weights=np.ones(2))

    np.testing.assert_allclose(factors, [1, 1, 0])


@given(
    joint=st.lists(st.floats(0.01, 1), min_size=9, max_size=9),
    area=st.lists(st.floats(0.01, 1), min_size=3, max_size=3),
)
def test_factors_turn_bayes_rule_of_one_prior_into_that_of_another(joint, area):
    """A world of three classes and three values of one feature, whose posterior is exact."""
    met = np.reshape(joint, (3, 3)) / np.sum(joint)  # [class, feature]
    prior, area = met.sum(axis=1), np.array(area) / np.sum(area)
    wanted = met / prior[:, None] * area[:, None]
    factors = prior_factors(np.array([0, 1, 2]), (0, 1, 2), area=area, weights=prior)
    moved = met / met.sum(axis=0) * factors[:, None]

    np.testing.assert_allclose(moved / moved.sum(axis=0), wanted / wanted.sum(axis=0))


def test_an_area_without_any_labelled_class_is_refused():
    with pytest.raises(PointsError, match="area_prior"):
        prior_factors(np.array([1]), (1, 2), area=np.array([0.0, 1.0]), weights=np.ones(1))
