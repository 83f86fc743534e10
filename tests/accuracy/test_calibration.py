import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from landvisor.accuracy.calibration import (
    Calibration,
    bin_places,
    detect_errors,
    expected_error,
    measure_calibration,
    rate_groups,
)


def draw(count=2000, classes=3, *, seed=0, heat=1.0):
    """Draw classes from probabilities, which are then sharpened by `heat`."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 1.5, (count, classes))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    position = (shares.cumsum(axis=1) < generator.random((count, 1))).sum(axis=1)
    told = shares**heat
    return told / told.sum(axis=1, keepdims=True), position


def test_the_expected_error_of_two_bins_by_hand():
    confidence = np.array([0.6, 0.7, 0.9, 1.0])
    right = np.array([True, False, True, True])
    # bin (0.5, 1]: four places, 3 of 4 right, mean confidence 0.8
    assert expected_error(confidence, right, bins=2) == pytest.approx(0.05)
    # (0.5, 0.6], (0.6, 0.7], (0.8, 0.9], (0.9, 1]: one place each
    assert expected_error(confidence, right, bins=10) == pytest.approx((0.4 + 0.7 + 0.1 + 0) / 4)
    # halves by confidence: 0.65 against 1/2, and 0.95 against 1
    mass = expected_error(confidence, right, bins=2, equal_mass=True)
    assert mass == pytest.approx((0.15 + 0.05) / 2)


def test_an_edge_belongs_to_the_bin_below_it():
    bins = bin_places(np.array([0.5, 0.500001, 0.0]), np.array([True, True, False]), bins=2)
    assert [part.count for part in bins] == [2, 1]


@settings(max_examples=50, deadline=None)
@given(count=st.integers(1, 60), bins=st.integers(1, 15), seed=st.integers(0, 999))
def test_the_expected_error_is_that_of_a_plain_loop(count, bins, seed):
    generator = np.random.default_rng(seed)
    confidence = np.round(generator.random(count), 2)
    right = generator.random(count) < 0.5
    total = 0.0
    for k in range(bins):
        inside = [
            (c, r)
            for c, r in zip(confidence, right, strict=True)
            if (k / bins < c <= (k + 1) / bins or (k == 0 and c == 0))
        ]
        if inside:
            gap = np.mean([r for _, r in inside]) - np.mean([c for c, _ in inside])
            total += len(inside) / count * abs(gap)
    assert expected_error(confidence, right, bins=bins) == pytest.approx(total, abs=1e-9)


def test_right_probabilities_are_within_chance_and_sharpened_ones_are_not():
    fair = measure_calibration(*draw(), uncertainty={})
    sharp = measure_calibration(*draw(heat=3.0), uncertainty={})
    assert fair.ece < fair.ece_chance
    assert sharp.ece > 2 * sharp.ece_chance
    assert sharp.confidence > sharp.accuracy + 0.1


def test_chance_makes_as_much_of_it_as_draws_of_fair_places_do():
    """Of fair samples 95 % stay below, within what 80 samples can tell."""
    below = 0
    for seed in range(80):
        shares, position = draw(80, seed=seed)
        found = measure_calibration(shares, position, uncertainty={}, seed=seed)
        below += found.ece <= found.ece_chance
    assert 0.87 <= below / 80 <= 1


def test_scores_agree_with_scikit_learn():
    shares, position = draw(500)
    found = measure_calibration(shares, position, uncertainty={})
    assert found.log_loss == pytest.approx(log_loss(position, shares))
    parts = [brier_score_loss(position == k, shares[:, k]) for k in range(3)]
    assert found.brier == pytest.approx(sum(parts))
    assert found.accuracy == (shares.argmax(axis=1) == position).mean()


@pytest.mark.parametrize("digits", [1, 8])
def test_error_detection_is_the_area_that_scikit_learn_finds(digits):
    generator = np.random.default_rng(0)
    uncertainty = np.round(generator.random(300), digits)  # one digit: many ties
    wrong = generator.random(300) < 0.2 + 0.5 * uncertainty
    assert detect_errors(uncertainty, wrong) == pytest.approx(roc_auc_score(wrong, uncertainty))


def test_error_detection_is_unknown_without_errors_or_without_right_places():
    for wrong in (np.zeros(5, bool), np.ones(5, bool)):
        assert detect_errors(np.arange(5.0), wrong) is None


def test_errors_are_rated_from_the_surest_fifth_on():
    wrong = np.array([False] * 8 + [True] * 2)
    assert rate_groups(np.arange(10.0), wrong) == [0, 0, 0, 0, 1]
    assert rate_groups(np.arange(2.0), wrong[-2:]) == [1, 1]


def test_bins_have_wilsons_interval():
    """Newcombe 1998, table I, method 3: 81/263, 15/148, 0/20 and 1/29."""
    for hits, count, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605),
                                   (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)):  # fmt: skip
        (made,) = bin_places(np.full(count, 0.7), np.arange(count) < hits, bins=1)
        assert made.interval == pytest.approx((low, high), abs=6e-5)


def test_a_calibration_survives_json():
    shares, position = draw(60)
    found = measure_calibration(shares, position, uncertainty={"entropy": 1 - shares.max(axis=1)})
    again = Calibration.from_dict(found.to_dict())
    assert again == found
    assert math.isfinite(again.bins[-1].accuracy)
