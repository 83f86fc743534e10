"""Estimates from random samples: the published examples, a census, and 2,000 draws from a map."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from landvisor.accuracy.area import estimate_accuracy, estimate_overall, estimate_shares
from landvisor.accuracy.confusion import CLASS_RATES, compute_rates
from landvisor.accuracy.ratio import Z

NAMES = ("oa", *CLASS_RATES, "share")

# Olofsson et al. (2014), tables 8 and 9: units by map class (rows) and reference class.
OLOFSSON = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
OLOFSSON_PIXELS = np.array([200_000, 150_000, 3_200_000, 6_450_000])

# Stehman (2014), table 2: 40 units in four strata that are not the map's classes.
STEHMAN_STRATA = "A" * 10 + "B" * 10 + "C" * 10 + "D" * 10
STEHMAN_MAP = "A" * 7 + "B" * 3 + "A" + "B" * 11 + "C" * 6 + "BB" + "D" * 10
STEHMAN_REFERENCE = "AAAAACBABCABBBBBAABBCCCCCDDBBADDDDDDDCCB"
STEHMAN_PIXELS = np.array([40_000, 30_000, 20_000, 10_000])


def by_map_class(table):
    """Make strata of map classes: `[map, reference]` becomes `[stratum, reference, map]`."""
    counts = np.zeros((len(table), *np.shape(table)), dtype=np.int64)
    for k, row in enumerate(table):
        counts[k, :, k] = row
    return counts


@pytest.fixture(scope="module")
def olofsson():
    return estimate_accuracy(by_map_class(OLOFSSON), OLOFSSON_PIXELS, nested=True)


@pytest.fixture(scope="module")
def stehman():
    counts = np.zeros((4, 4, 4), dtype=np.int64)
    for unit in zip(STEHMAN_STRATA, STEHMAN_REFERENCE, STEHMAN_MAP, strict=True):
        counts[tuple("ABCD".index(letter) for letter in unit)] += 1
    return estimate_accuracy(counts, STEHMAN_PIXELS)


def test_olofsson_overall_accuracy(olofsson):
    assert round(olofsson.oa.value[0], 2) == 0.95
    assert round(Z * olofsson.oa.se[0], 2) == 0.02


def test_olofsson_users_and_producers_accuracy(olofsson):
    np.testing.assert_array_equal(olofsson.ua.value.round(2), [0.88, 0.73, 0.93, 0.96])
    np.testing.assert_array_equal((Z * olofsson.ua.se).round(2), [0.07, 0.10, 0.04, 0.02])
    np.testing.assert_array_equal(olofsson.pa.value.round(2), [0.75, 0.85, 0.93, 0.96])
    # printed as 0.21, 0.23, 0.03, 0.01; the second and last contradict the paper's equation 7
    np.testing.assert_array_equal((Z * olofsson.pa.se).round(2), [0.21, 0.25, 0.03, 0.02])


def test_olofsson_areas(olofsson):
    hectares = olofsson.share.scaled(OLOFSSON_PIXELS.sum() * 0.09)  # pixels of 30 m
    np.testing.assert_array_equal(hectares.value.round(), [21_158, 11_686, 285_770, 581_386])
    np.testing.assert_array_equal((Z * hectares.se).round(), [6_158, 3_756, 15_510, 16_282])
    pixels = olofsson.share.scaled(OLOFSSON_PIXELS.sum())
    assert round(pixels.value[0]) == 235_086
    assert round(Z * pixels.se[0]) == 68_418


def test_olofsson_matrix_of_area_shares(olofsson):
    printed = [
        [0.0176, 0, 0.0013, 0.0011],
        [0, 0.0110, 0.0016, 0.0024],
        [0.0019, 0, 0.2967, 0.0213],
        [0.0040, 0.0020, 0.0179, 0.6212],
    ]
    np.testing.assert_array_equal(olofsson.matrix.T.round(4), printed)


def test_stehman_printed_digits(stehman):
    """Pages 4932 to 4936 of the paper."""
    share, oa, ua, pa = stehman.share, stehman.oa, stehman.ua, stehman.pa
    assert [round(v, 2) for v in (share.value[0], share.value[2], oa.value[0])] == [0.35, 0.2, 0.63]
    assert [round(v, 3) for v in (ua.value[1], pa.value[1])] == [0.574, 0.794]
    assert round(stehman.matrix[2, 1], 2) == 0.08  # map B, reference C
    assert [round(v, 3) for v in (share.se[0], share.se[2], oa.se[0])] == [0.082, 0.064, 0.085]
    assert [round(v, 3) for v in (ua.se[1], pa.se[1])] == [0.125, 0.117]


def test_stehman_as_other_software_has_it(stehman):
    """Values of R's mapac, which the tests of EnMAP-Box hold too."""
    expected = {
        "ua": ([0.7419355, 0.5744681, 0.5, 0.7], [0.1645627, 0.1248023, 0.2151657, 0.1527525]),
        "pa": ([0.6571429, 0.7941176, 0.3, 0.6363636],
               [0.1477318, 0.1165671, 0.1504438, 0.1623242]),
        "share": ([0.35, 0.34, 0.2, 0.11], [0.08225975, 0.07586538, 0.06429101, 0.03073181]),
        "oa": ([0.63], [0.08465617]),
    }  # fmt: skip
    for name, (values, errors) in expected.items():
        np.testing.assert_allclose(getattr(stehman, name).value, values, rtol=1e-6)
        np.testing.assert_allclose(getattr(stehman, name).se, errors, rtol=1e-6)
    np.testing.assert_allclose(
        stehman.f1.value, [0.6969697, 0.6666667, 0.375, 0.6666667], rtol=1e-6
    )
    # mapac's error of F1 takes UA and PA for independent (0.110 for the first); it is larger


def draw(table, units, *, draws=2000, seed=0):
    """Draw samples without replacement from a map of known errors `[map, reference]` pixels."""
    generator = np.random.default_rng(seed)
    size = len(table)
    counts = np.zeros((draws, size, size, size), dtype=np.int64)
    for k, row in enumerate(table):
        counts[:, k, :, k] = generator.multivariate_hypergeometric(
            row, units, size=draws, method="marginals"
        )
    return counts


# Pixels by map class (rows) and reference: a map with a rare class and one that it confuses often.
KNOWN = 400 * np.array(
    [
        [98, 0, 1, 1, 0],
        [2, 243, 16, 9, 0],
        [1, 8, 85, 6, 0],
        [1, 15, 35, 439, 10],
        [2, 0, 3, 10, 45],
    ]
)


@pytest.mark.parametrize("units", [50, 100])
def test_intervals_of_accuracy_and_area_hold_the_truth_as_often_as_they_say(units):
    counts = draw(KNOWN, units)
    pixels, total = KNOWN.sum(axis=1), KNOWN.sum()
    found = (
        (estimate_overall(counts, pixels), np.trace(KNOWN) / total),
        (estimate_shares(counts, weights=pixels, pixels=pixels), KNOWN.sum(axis=0) / total),
    )
    for estimates, truth in found:
        held = ((estimates.low <= truth) & (truth <= estimates.high)).mean(axis=0)
        assert np.all((held >= 0.93) & (held <= 0.97)), held


def test_estimates_and_their_standard_errors_are_right_on_average():
    found = estimate_accuracy(draw(KNOWN, 400, draws=800), KNOWN.sum(axis=1), nested=True)
    truth = compute_rates(KNOWN.T)
    for name in ("ua", "pa", "f1", "iou"):
        estimates = getattr(found, name)
        spread = estimates.value.std(axis=0)
        bias = estimates.value.mean(axis=0) - getattr(truth, name)
        assert np.all(np.abs(bias) < 0.25 * spread), name
        np.testing.assert_allclose(estimates.se.mean(axis=0), spread, rtol=0.1, err_msg=name)


def test_a_stratum_without_an_error_never_gives_an_interval_without_width():
    found = estimate_accuracy(by_map_class(np.diag([30, 40, 50])), np.full(3, 10_000), nested=True)
    for name in ("oa", "ua", "pa", "f1", "iou"):
        estimates = getattr(found, name)
        np.testing.assert_array_equal(estimates.value, 1)
        np.testing.assert_array_equal(estimates.high, 1)
        assert np.all(estimates.low < 0.97), name
    np.testing.assert_allclose(found.ua.low, [n / (n + Z**2) for n in (30, 40, 50)])  # Wilson
    assert np.all(found.share.low < found.share.value)
    assert np.all(found.share.high > found.share.value)


def test_a_class_that_was_never_met_has_an_upper_bound():
    counts = by_map_class([[50, 0, 0], [1, 49, 0], [0, 0, 0]])[:2]
    found = estimate_accuracy(counts, [1000, 2000])
    assert found.share.value[2] == 0
    assert 0 < found.share.high[2] < 0.1
    assert np.isnan(found.ua.value[2])
    assert np.isnan(found.pa.low[2])


def test_a_single_unit_has_no_standard_error_but_an_interval():
    found = estimate_accuracy(by_map_class([[1, 0], [3, 47]]), [100, 1000])
    assert np.isnan(found.oa.se[0])
    assert 0 < found.oa.low[0] < found.oa.value[0] < found.oa.high[0] <= 1


def test_square_metres_weigh_strata_by_their_size_on_the_ground():
    counts, pixels = by_map_class([[50, 0], [0, 50]]), np.array([1000, 1000])
    found = estimate_shares(counts, weights=np.array([3000.0, 1000.0]), pixels=pixels)
    np.testing.assert_allclose(found.value, [0.75, 0.25])


COUNTS = hnp.arrays(np.int64, (3, 4, 4), elements=st.integers(0, 9)).map(
    lambda counts: counts + np.eye(4, dtype=np.int64)[0]  # no stratum is empty
)
PIXELS = hnp.arrays(np.int64, 3, elements=st.integers(10_000, 10**7))


@settings(max_examples=20)
@given(COUNTS)
def test_a_census_has_the_plain_rates_and_no_error(counts):
    found, plain = estimate_accuracy(counts, counts.sum(axis=(1, 2))), compute_rates(counts.sum(0))
    for name in ("oa", *CLASS_RATES):
        estimates, truth = getattr(found, name), getattr(plain, name)
        for values in (estimates.value, estimates.low, estimates.high):
            np.testing.assert_allclose(values, np.atleast_1d(truth), atol=1e-9)
        assert np.all(estimates.se[~np.isnan(estimates.se)] == 0)


@settings(max_examples=20)
@given(COUNTS, st.integers(100, 10_000))
def test_proportional_allocation_gives_the_plain_rates(counts, step):
    found = estimate_accuracy(counts, step * counts.sum(axis=(1, 2)))
    plain = compute_rates(counts.sum(axis=0))
    for name in ("oa", *CLASS_RATES):
        np.testing.assert_allclose(
            getattr(found, name).value, np.atleast_1d(getattr(plain, name)), atol=1e-12
        )


@settings(max_examples=20)
@given(COUNTS, PIXELS)
def test_estimates_are_consistent_with_each_other(counts, pixels):
    found = estimate_accuracy(counts, pixels)
    np.testing.assert_allclose(found.matrix.sum(), 1)
    np.testing.assert_allclose(found.share.value.sum(), 1)
    np.testing.assert_allclose(found.matrix.sum(axis=1), found.share.value)
    np.testing.assert_allclose(np.trace(found.matrix), found.oa.value[0])
    known = ~np.isnan(found.f1.value)
    assert np.all(found.f1.value[known] >= found.iou.value[known] - 1e-12)
    for name in NAMES:
        e = getattr(found, name)
        ok = ~np.isnan(e.value)
        assert np.all((e.low[ok] >= 0) & (e.high[ok] <= 1))
        assert np.all((e.low[ok] <= e.value[ok]) & (e.value[ok] <= e.high[ok]))
        assert np.all(e.high[ok] - e.low[ok] > 1e-6), name


@settings(max_examples=20)
@given(COUNTS, PIXELS, st.permutations(range(3)))
def test_the_order_of_strata_and_the_size_of_pixels_do_not_matter(counts, pixels, order):
    found = estimate_accuracy(counts, pixels)
    other = estimate_accuracy(counts[list(order)], 10 * pixels[list(order)])
    for name in NAMES:
        for part in ("value", "se", "low", "high"):
            np.testing.assert_allclose(
                getattr(getattr(found, name), part), getattr(getattr(other, name), part), atol=1e-9
            )


@settings(max_examples=20)
@given(COUNTS, PIXELS)
def test_shares_of_the_area_of_two_classes_are_complementary(counts, pixels):
    two = np.stack([counts[:, 0].sum(axis=1), counts[:, 1:].sum(axis=(1, 2))], axis=1)
    table = np.zeros((3, 2, 2), dtype=np.int64)
    table[:, :, 0] = two
    share = estimate_accuracy(table, pixels).share
    np.testing.assert_allclose(share.low[0], 1 - share.high[1], atol=1e-9)
    np.testing.assert_allclose(share.se[0], share.se[1], atol=1e-12)
