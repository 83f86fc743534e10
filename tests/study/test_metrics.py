"""Rates of counts: worked by hand, and against what `assess` says."""

import numpy as np
import pytest

from landvisor.accuracy.assess import assess_mask
from landvisor.accuracy.confusion import count_confusion
from landvisor.errors import StudyError
from landvisor.geo.legend import LandClass, Legend
from landvisor.study.metrics import check_metric, name_reference, score, score_weighted
from landvisor.study.spec import ScoringSpec

CLASSES = ["sky", "soil", "rock"]
SCORED = ["soil", "rock"]
# rows: reference; columns: map, then unmapped
ONE = [[0, 4, 2, 0], [0, 6, 1, 1], [3, 1, 4, 0]]
TWO = [[0, 0, 0, 0], [0, 5, 0, 0], [0, 0, 0, 0]]
COUNTS = np.array([ONE, TWO])


def rate(how=None, counts=COUNTS, **keys):
    return score(counts, how or ScoringSpec(**keys), classes=CLASSES, scored=SCORED)


def test_the_standard_scoring_pools_labelled_pixels_of_active_classes():
    found = rate()
    # soil: 11 right, 1 mapped as rock, 1 rock mapped as soil; rock: 4 right, 1 + 1 + 3 wrong
    assert found["iou.soil"] == pytest.approx(11 / 13)
    assert found["iou.rock"] == pytest.approx(4 / 9)
    assert found["mean_iou"] == pytest.approx((11 / 13 + 4 / 9) / 2)
    assert found["oa"] == pytest.approx(15 / 20)
    assert found["f1.rock"] == pytest.approx(8 / 13)
    assert found["pa.rock"] == pytest.approx(4 / 8)
    assert found["ua.rock"] == pytest.approx(4 / 5)


def test_pixels_of_other_classes_count_as_errors_where_asked():
    found = rate(count_others=True)
    assert found["iou.soil"] == pytest.approx(11 / 17)
    assert found["iou.rock"] == pytest.approx(4 / 11)
    assert found["oa"] == pytest.approx(15 / 26)


def test_classes_can_be_named_and_ignored_ones_are_among_them():
    found = rate(classes=("sky", "soil", "rock"))
    assert found["iou.sky"] == pytest.approx(0 / 9)
    assert found["mean_iou"] == pytest.approx((0 + 11 / 17 + 4 / 11) / 3)
    with pytest.raises(StudyError, match="'rok'; the nearest valid one is 'rock'"):
        rate(classes=("rok",))


def test_rates_of_each_image_are_averaged_where_asked():
    left_out = rate(per_image=True)
    assert left_out["mean_iou"] == pytest.approx(((6 / 8 + 4 / 9) / 2 + 1.0) / 2)
    assert rate(per_image=True, absent="one")["iou.rock"] == pytest.approx((4 / 9 + 1) / 2)
    assert rate(per_image=True, absent="zero")["iou.rock"] == pytest.approx((4 / 9) / 2)
    assert left_out["iou.rock"] == pytest.approx(4 / 9)


def test_a_class_that_only_the_map_has_is_in_no_mean():
    counts = np.array([[[0, 0, 0, 0], [0, 5, 5, 0], [0, 0, 0, 0]]])
    assert rate(counts=counts)["mean_iou"] == pytest.approx(0.5)
    assert rate(counts=counts, absent="one")["mean_iou"] == pytest.approx(0.25)


def test_the_standard_scoring_says_what_assess_says():
    legend = Legend((
        LandClass(0, "sky", "#000000", ignore=True), LandClass(1, "soil", "#111111"),
        LandClass(2, "rock", "#222222"),
    ))  # fmt: skip
    draw = np.random.default_rng(0).integers
    pairs = [(draw(0, 3, (9, 9)), draw(0, 3, (9, 9))) for _ in range(3)]
    found = assess_mask(pairs, legend=legend, resamples=0).confusion.metrics()
    counts = []
    for mapped, mask in pairs:  # a map's 0 is no data
        part = count_confusion(mask, np.where(mapped == 0, -1, mapped), ids=(0, 1, 2))
        counts.append(np.column_stack([part.counts, part.unmapped]))
    ours = rate(counts=np.array(counts))
    assert ours["mean_iou"] == pytest.approx(found["mean_iou"])
    assert ours["oa"] == pytest.approx(found["oa"])


@pytest.mark.parametrize("per_image", [False, True])
def test_weights_of_one_are_the_score_itself(per_image):
    how = ScoringSpec(per_image=per_image)
    weights = np.array([[1, 1], [2, 0], [0, 3]])
    found = score_weighted(
        COUNTS, weights, metric="mean_iou", scoring=how, classes=CLASSES, scored=SCORED
    )
    first = rate(how, counts=COUNTS[:1])["mean_iou"]
    assert found == pytest.approx([float(rate(how)["mean_iou"]), float(first), 1.0])


def test_references_of_one_name_share_their_counts():
    assert name_reference(ScoringSpec()) == "masks"
    same = name_reference(ScoringSpec(per_image=True, classes=("a",), count_others=True))
    assert same == "masks"
    assert name_reference(ScoringSpec(border=2)) == "masks, border 2 left out"
    linked = {name_reference(ScoringSpec(reference="linked", points={"n": n})) for n in (1, 2)}
    assert len(linked) == 2


@pytest.mark.parametrize("name", ["loss", "val_loss", "train.loss", "total_loss", "loss.road"])
def test_losses_are_no_metrics(name):
    with pytest.raises(StudyError, match="another unit"):
        check_metric(name, said="x")


def test_classes_of_metrics_are_checked_once_they_are_known():
    check_metric("iou.anything", said="x")
    with pytest.raises(StudyError, match="'sol'; the nearest valid one is 'soil'"):
        check_metric("iou.sol", said="x", classes=CLASSES)
