import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

from landvisor.accuracy.confusion import compute_rates, count_confusion
from landvisor.errors import AssessmentError

IDS = (1, 3, 7)
LABELS = st.integers(0, 60).flatmap(
    lambda n: st.tuples(
        arrays(np.int64, n, elements=st.sampled_from([-1, 1, 3, 7])),
        arrays(np.int64, n, elements=st.sampled_from([-1, 1, 3, 7])),
    )
)

# Congalton (1991), table 1: rows are the map, columns the reference
# (deciduous, conifer, agriculture, shrub).
CONGALTON_MAP = np.array([[65, 4, 22, 24], [6, 81, 5, 8], [0, 11, 85, 19], [4, 7, 3, 90]])


def test_rates_agree_with_congalton_1991_table_1():
    rates = compute_rates(CONGALTON_MAP.T)

    assert rates.oa == 321 / 434
    np.testing.assert_allclose(rates.pa, [65 / 75, 81 / 103, 85 / 115, 90 / 141])
    np.testing.assert_allclose(rates.ua, [65 / 115, 81 / 100, 85 / 115, 90 / 104])
    np.testing.assert_array_equal(np.round(rates.pa * 100), [87, 79, 74, 64])
    np.testing.assert_array_equal(np.round(rates.ua * 100), [57, 81, 74, 87])


@given(LABELS)
def test_rates_agree_with_scikit_learn(labels):
    reference, predicted = labels
    counted = (reference >= 0) & (predicted >= 0)
    rates = count_confusion(reference, predicted, ids=IDS).rates()
    if not counted.any():
        assert np.isnan(rates.oa)
        return
    referee = {
        "ua": precision_score,
        "pa": recall_score,
        "f1": f1_score,
        "iou": jaccard_score,
    }
    for name, function in referee.items():
        expected = function(
            reference[counted], predicted[counted], labels=IDS, average=None, zero_division=0
        )
        np.testing.assert_allclose(np.nan_to_num(getattr(rates, name)), expected)


@given(LABELS, LABELS)
def test_pooling_counts_is_counting_the_joined_places(first, second):
    pooled = count_confusion(*first, ids=IDS) + count_confusion(*second, ids=IDS)
    joined = count_confusion(
        np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1]]), ids=IDS
    )

    np.testing.assert_array_equal(pooled.counts, joined.counts)
    np.testing.assert_array_equal(pooled.unmapped, joined.unmapped)


@given(LABELS, st.randoms(use_true_random=False))
def test_order_of_places_changes_nothing(labels, random):
    order = np.array(random.sample(range(len(labels[0])), len(labels[0])), dtype=int)
    shuffled = count_confusion(labels[0][order], labels[1][order], ids=IDS)

    np.testing.assert_array_equal(shuffled.counts, count_confusion(*labels, ids=IDS).counts)


@given(LABELS)
def test_every_labelled_place_is_counted_once_and_f1_is_never_below_iou(labels):
    confusion = count_confusion(*labels, ids=IDS)
    rates = confusion.rates()

    assert confusion.total + confusion.unmapped.sum() == (labels[0] >= 0).sum()
    assert not np.any(rates.f1 < rates.iou)


def test_class_absent_from_reference_and_map_is_nan_and_out_of_every_mean():
    rates = count_confusion(np.array([1, 1, 3]), np.array([1, 3, 3]), ids=IDS).rates()

    for name in ("ua", "pa", "f1", "iou"):
        assert np.isnan(getattr(rates, name)[2])
    assert rates.mean("iou") == 0.5
    assert rates.mean("f1") == pytest.approx(2 / 3)


def test_class_that_only_the_map_holds_is_left_out_of_means():
    rates = count_confusion(np.array([1, 1]), np.array([1, 7]), ids=IDS).rates()

    assert rates.f1[2] == 0
    assert np.isnan(rates.pa[2])
    assert rates.mean("f1") == pytest.approx(2 / 3)


def test_missing_map_value_at_a_labelled_place_is_counted_as_unmapped():
    confusion = count_confusion(np.array([1, 3, -1]), np.array([255, 3, -1]), ids=IDS)

    np.testing.assert_array_equal(confusion.unmapped, [1, 0, 0])
    assert confusion.total == 1


def test_big_masks_are_counted_in_parts(monkeypatch):
    monkeypatch.setattr("landvisor.accuracy.confusion._CHUNK", 7)
    generator = np.random.default_rng(0)
    reference = generator.choice([0, 1, 3, 7], (9, 11)).astype(np.uint8)
    predicted = generator.choice([0, 1, 3, 7], (9, 11)).astype(np.uint8)
    confusion = count_confusion(reference, predicted, ids=IDS)

    for row, label in enumerate(IDS):
        for col, other in enumerate(IDS):
            assert confusion.counts[row, col] == ((reference == label) & (predicted == other)).sum()


def test_metrics_are_named_by_class_id():
    metrics = count_confusion(np.array([1, 3]), np.array([1, 1]), ids=IDS).metrics()

    assert metrics["oa"] == 0.5
    assert metrics["pa.3"] == 0
    assert metrics["f1.1"] == pytest.approx(2 / 3)
    assert metrics["mean_f1"] == pytest.approx(1 / 3)


def test_counts_of_different_classes_are_not_pooled():
    one = count_confusion(np.array([1]), np.array([1]), ids=(1,))
    with pytest.raises(AssessmentError, match="cannot be pooled"):
        one + count_confusion(np.array([2]), np.array([2]), ids=(2,))


@pytest.mark.parametrize(("shape", "ids", "says"), [((3,), IDS, "one grid"), ((2,), (), "active")])
def test_unusable_reference_is_refused(shape, ids, says):
    with pytest.raises(AssessmentError, match=says):
        count_confusion(np.ones(2, dtype=int), np.ones(shape, dtype=int), ids=ids)
