import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landvisor.accuracy.allocation import (
    ALLOCATIONS,
    allocate,
    expect_error,
    find_shares,
    find_size,
)
from landvisor.errors import AssessmentError

# Olofsson et al. (2014), table 5: share of the map and expected user's accuracy of four strata.
PIXELS = np.array([200_000, 150_000, 3_200_000, 6_450_000])
ACCURACY = np.array([0.7, 0.6, 0.9, 0.95])


def find(allocation, standard_error=0.01):
    shares = find_shares(allocation, PIXELS, ACCURACY)
    n = find_size(standard_error, shares=shares, pixels=PIXELS, accuracy=ACCURACY)
    return n, allocate(n, shares=shares, pixels=PIXELS, minimum=2)


def test_olofsson_sample_size():
    assert find("neyman")[0] == 641


def test_olofsson_equal_and_proportional_allocation():
    shares = {name: find_shares(name, PIXELS, ACCURACY) for name in ("proportional", "equal")}
    proportional = allocate(641, shares=shares["proportional"], pixels=PIXELS, minimum=2)
    assert proportional.tolist() == [13, 10, 205, 413]
    equal = allocate(640, shares=shares["equal"], pixels=PIXELS, minimum=2)
    assert equal.tolist() == [160] * 4


@pytest.mark.parametrize("allocation", ALLOCATIONS)
@pytest.mark.parametrize("standard_error", [0.005, 0.01, 0.03])
def test_the_wanted_standard_error_is_met_and_no_unit_is_wasted(allocation, standard_error):
    _, units = find(allocation, standard_error)
    reached = expect_error(units, pixels=PIXELS, accuracy=ACCURACY)
    assert reached == pytest.approx(standard_error, rel=0.02)


def test_neyman_gives_the_least_error():
    errors = []
    for allocation in ALLOCATIONS:
        shares = find_shares(allocation, PIXELS, ACCURACY)
        units = allocate(500, shares=shares, pixels=PIXELS, minimum=2)
        errors.append(expect_error(units, pixels=PIXELS, accuracy=ACCURACY))
    assert min(errors) == errors[ALLOCATIONS.index("neyman")]


def test_a_small_map_needs_fewer_units():
    shares = np.ones(1)
    sizes = [
        find_size(0.05, shares=shares, pixels=np.array([pixels]), accuracy=np.array([0.5]))
        for pixels in (50, 10**9)
    ]
    assert sizes[1] == 100  # 0.25 / 0.05²
    assert sizes[0] == 34  # 100 / (1 + 100 / 50), Cochran (1977), equation 4.2


@settings(max_examples=60)
@given(
    st.lists(st.integers(1, 10**6), min_size=1, max_size=9),
    st.integers(1, 5),
    st.integers(1, 10**6),
    st.sampled_from(ALLOCATIONS),
    st.randoms(use_true_random=False),
)
def test_units_add_up_within_limits(pixels, minimum, extra, allocation, random):
    sizes = np.array(pixels)
    accuracy = np.array([random.random() for _ in pixels])
    least = np.minimum(sizes, minimum)
    n = min(int(least.sum()) + extra, int(sizes.sum()))
    shares = find_shares(allocation, sizes, accuracy)
    units = allocate(n, shares=shares, pixels=sizes, minimum=minimum)
    assert units.sum() == n
    assert np.all((units >= least) & (units <= sizes))
    free = (units > least) & (units < sizes)
    per_share = units[free] / shares[free]
    slack = 1 / shares[free]
    assert np.all(
        np.abs(per_share[:, None] - per_share) <= np.maximum(slack[:, None], slack) * 1.01
    )


def test_an_unknown_accuracy_counts_as_one_half_and_none_is_perfect():
    shares = find_shares("neyman", np.array([100, 100, 100]), np.array([np.nan, 0.5, 1.0]))
    assert shares[0] == shares[1]
    assert 0 < shares[2] < shares[1] / 4


@pytest.mark.parametrize("n", [3, 10**9])
def test_too_few_or_too_many_units_are_refused(n):
    with pytest.raises(AssessmentError, match="ask for 8 to 10,000,000 with --n"):
        allocate(n, shares=np.full(4, 0.25), pixels=PIXELS, minimum=2)


def test_an_unknown_allocation_is_refused():
    with pytest.raises(AssessmentError, match="choose one of proportional, equal, neyman"):
        find_shares("neymann", PIXELS, ACCURACY)


def test_a_standard_error_of_nothing_is_refused():
    with pytest.raises(AssessmentError, match="must be above 0"):
        find_size(0, shares=np.ones(4) / 4, pixels=PIXELS, accuracy=ACCURACY)
