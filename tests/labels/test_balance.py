import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landvisor.errors import PointsError, RecipeError
from landvisor.labels.balance import class_weights

LABELS = np.repeat([1, 2, 5], [90, 9, 1])


def test_inverse_weights_give_every_class_the_same_sum():
    weights = class_weights(LABELS, (1, 2, 5), kind="inverse", cap=1000)

    np.testing.assert_allclose(weights * [90, 9, 1], 100 / 3)


def test_root_of_inverse_weights_by_hand():
    weights = class_weights(LABELS, (1, 2, 5), kind="sqrt_inverse", cap=1000)

    np.testing.assert_allclose(weights / weights[2], [90**-0.5, 1 / 3, 1])


def test_no_weights_are_ones():
    np.testing.assert_array_equal(class_weights(LABELS, (1, 2, 5), kind="none", cap=10), 1)


def test_absent_class_weighs_nothing_and_unknown_labels_are_skipped():
    weights = class_weights(np.array([1, 1, 2, -1, 77]), (1, 2, 3), kind="inverse", cap=10)

    np.testing.assert_allclose(weights, [0.75, 1.5, 0])


@given(
    counts=st.lists(st.integers(0, 500), min_size=1, max_size=6).filter(any),
    kind=st.sampled_from(["none", "inverse", "sqrt_inverse"]),
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
