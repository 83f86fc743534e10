import numpy as np
import pytest

from landvisor.accuracy.bootstrap import bootstrap_blocks, bootstrap_counts, count_blocks
from landvisor.accuracy.confusion import count_confusion

IDS = (1, 2, 5)


def make_labels(blocks, *, seed=0, size=20, right=0.8):
    generator = np.random.default_rng(seed)
    reference = generator.choice(IDS, blocks * size)
    predicted = np.where(
        generator.random(reference.size) < right, reference, generator.choice(IDS, reference.size)
    )
    return reference, predicted, np.repeat(np.arange(blocks), size)


def resample(labels, *, seed=0, resamples=400):
    reference, predicted, block = labels
    return bootstrap_blocks(
        reference, predicted, block=block, ids=IDS, resamples=resamples, seed=seed
    )


@pytest.mark.parametrize("seed", range(5))
def test_interval_contains_the_estimate(seed):
    labels = make_labels(20, seed=seed)
    metrics = count_confusion(*labels[:2], ids=IDS).metrics()
    intervals = resample(labels, seed=seed)

    assert set(intervals) == set(metrics)
    for name, (low, high) in intervals.items():
        assert low <= metrics[name] <= high
        assert low < high


def test_interval_shrinks_with_more_blocks():
    widths = [np.diff(resample(make_labels(blocks))["oa"])[0] for blocks in (8, 32, 128)]

    assert widths[0] > widths[1] > widths[2]


def test_interval_of_overall_accuracy_has_the_width_of_theory():
    # blocks of one place each are a binomial sample: standard error sqrt(p q / n)
    reference = np.ones(400, dtype=int)
    predicted = np.where(np.arange(400) < 300, 1, 2)
    low, high = resample((reference, predicted, np.arange(400)), resamples=4000)["oa"]
    error = 1.96 * np.sqrt(0.75 * 0.25 / 400)

    assert low == pytest.approx(0.75 - error, abs=0.006)
    assert high == pytest.approx(0.75 + error, abs=0.006)


def test_blocks_that_agree_within_widen_the_interval():
    reference, predicted, block = make_labels(20)
    alike = np.sort(reference != predicted)
    predicted = np.where(alike, np.roll(IDS, 1)[np.searchsorted(IDS, reference)], reference)
    by_block = resample((reference, predicted, block))["oa"]
    by_place = resample((reference, predicted, np.arange(len(block))))["oa"]

    assert np.diff(by_block) > 1.5 * np.diff(by_place)


def test_one_block_gives_no_interval_instead_of_one_without_width():
    assert all(np.isnan(interval).all() for interval in resample(make_labels(1)).values())


def test_class_in_one_block_gets_no_interval():
    reference, predicted, block = make_labels(10)
    reference = np.where((reference == 5) & (block > 0), 1, reference)
    reference[0] = 5
    intervals = resample((reference, predicted, block))

    assert np.isnan(intervals["f1.5"]).all()
    assert not np.isnan(intervals["f1.1"]).any()


def test_no_resamples_give_no_interval():
    assert all(np.isnan(pair).all() for pair in resample(make_labels(5), resamples=0).values())


def test_draws_do_not_depend_on_how_many_are_held_at_once(monkeypatch):
    whole = resample(make_labels(6))
    monkeypatch.setattr("landvisor.accuracy.bootstrap._CELLS", 70)

    assert resample(make_labels(6)) == whole


def test_counts_by_block_sum_to_the_confusion():
    reference, predicted, block = make_labels(6)
    predicted[:15] = -1
    counts = count_blocks(reference, predicted, block=block, ids=IDS)
    whole = count_confusion(reference, predicted, ids=IDS)

    np.testing.assert_array_equal(counts.sum(axis=0), whole.counts)


def test_blocks_without_any_labelled_place_are_no_blocks():
    counts = count_blocks(
        np.array([1, -1, 2]), np.array([1, 1, -1]), block=np.array([4, 5, 6]), ids=IDS
    )

    assert counts.shape == (1, 3, 3)
    assert np.isnan(bootstrap_counts(counts, ids=IDS, resamples=9, seed=0)["oa"]).all()
