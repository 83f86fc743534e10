import numpy as np
import pytest

from landvisor.accuracy.assess import assess_mask, assess_places, find_borders
from landvisor.errors import AssessmentError
from landvisor.geo.legend import LandClass, Legend

LEGEND = Legend(
    (
        LandClass(1, "sand", "#ffee88"),
        LandClass(2, "grass", "#338833"),
        LandClass(3, "clouds", "#ffffff", ignore=True),
        LandClass(4, "moss", "#226622", merged_into=2),
        LandClass(9, "water", "#2244aa"),
    )
)


def assess(reference, predicted, **options):
    return assess_places(
        np.array(reference), np.array(predicted), legend=LEGEND, statement="in tests", **options
    )


def test_ignored_classes_are_skipped_and_merged_ones_count_as_their_target():
    found = assess([1, 3, 4, 2, 200], [1, 1, 2, 1, 1])

    np.testing.assert_array_equal(found.confusion.counts, [[1, 0, 0], [1, 1, 0], [0, 0, 0]])
    assert found.reference.places == 3


def test_places_without_a_map_value_are_noted():
    found = assess([1, 2, 2], [1, 0, 3])

    assert any("2 reference places have no class in the map" in note for note in found.notes)
    assert found.confusion.total == 1


def test_classes_without_reference_are_named():
    found = assess([1, 2], [1, 9])

    assert any("no mapped place of water" in note for note in found.notes)


def test_without_blocks_there_is_no_interval():
    found = assess([1, 2], [1, 2])

    assert np.isnan(found.intervals["oa"]).all()
    assert found.reference.resamples == 0


def test_one_block_is_noted_instead_of_an_interval_without_width():
    found = assess([1, 2, 1], [1, 2, 2], block=np.zeros(3, dtype=int))

    assert np.isnan(found.intervals["oa"]).all()
    assert any("no interval" in note for note in found.notes)


def test_limits_of_the_bootstrap_are_noted():
    block = np.arange(6) // 2
    found = assess([1, 1, 1, 1, 2, 2], [1, 1, 1, 1, 2, 2], block=block, resamples=50)

    assert any("3 blocks only" in note for note in found.notes)
    assert any("exact one for 3 blocks" in note for note in found.notes)
    low, high = found.intervals["oa"]
    assert low == pytest.approx(0.025 ** (1 / 3))  # Clopper and Pearson's bound for 3 of 3
    assert high == 1
    assert any("for grass" in note for note in found.notes)


def test_no_labelled_place_is_refused():
    with pytest.raises(AssessmentError, match="sand, grass, water"):
        assess([3, 77], [1, 1])
    with pytest.raises(AssessmentError, match="at least one"):
        assess_mask([], legend=LEGEND)


def test_masks_are_pooled_before_any_rate():
    first = np.full((10, 10), 1), np.full((10, 10), 1)
    second = np.full((1, 10), 1), np.full((1, 10), 2)
    found = assess_mask([first, second], legend=LEGEND)

    assert found.confusion.metrics()["oa"] == 100 / 110
    assert found.reference.blocks == 2
    assert found.reference.places == 110


def test_border_pixels_of_the_mask_are_left_out():
    mask = np.ones((6, 10), dtype=np.uint8)
    mask[:, 5:] = 2
    found = assess_mask([(np.ones_like(mask), mask)], legend=LEGEND, border=2)

    np.testing.assert_array_equal(found.confusion.counts[:, 0], [18, 18, 0])
    assert any("within 2 of a class border" in note for note in found.notes)


def test_borders_reach_across_rows_and_columns_by_definition():
    generator = np.random.default_rng(1)
    labels = generator.choice([-1, 1, 1, 1, 1, 1, 1, 1, 2], (14, 17))
    expected = np.zeros(labels.shape, dtype=bool)
    for row, col in np.ndindex(labels.shape):
        near = labels[max(row - 1, 0) : row + 2, max(col - 1, 0) : col + 2]
        expected[row, col] = len(np.unique(near[near >= 0])) > 1

    np.testing.assert_array_equal(find_borders(labels, 1), expected)


def test_unlabelled_pixels_make_no_border():
    labels = np.ones((5, 8), dtype=np.int64)
    labels[:, 4:] = -1

    assert not find_borders(labels, 2).any()
