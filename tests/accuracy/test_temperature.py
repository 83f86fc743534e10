import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landvisor.accuracy.temperature import (
    LEAST_FEATURES,
    LIMITS,
    apply_temperature,
    fit_temperature,
)


def draw(count, *, seed=0, heat=1.0):
    """Draw classes from probabilities; what is told of them is that at a temperature."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 1.5, (count, 4))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    position = (shares.cumsum(axis=1) < generator.random((count, 1))).sum(axis=1)
    return apply_temperature(shares, heat), position


@pytest.mark.parametrize("known", [0.5, 1.0, 1.7, 2.5])
def test_a_known_temperature_is_found(known):
    sharpened, position = draw(20_000, heat=1 / known)
    assert fit_temperature(sharpened, position) == pytest.approx(known, rel=0.06)


def test_the_temperature_found_is_the_likeliest_of_all():
    shares, position = draw(400)
    sharp = apply_temperature(shares, 0.4)
    found = fit_temperature(sharp, position)

    def miss(heat):
        told = apply_temperature(sharp, heat)
        return -np.log(told[np.arange(400), position]).mean()

    grid = np.linspace(*LIMITS, 300)
    assert miss(found) <= min(map(miss, grid)) + 1e-5


def test_places_count_by_their_weight():
    shares, position = draw(200)
    half = np.arange(200) < 100
    weight = np.where(half, 1.0, 1e-9)
    twins = np.arange(200) % 100  # a place of each half makes a feature
    assert fit_temperature(shares, position, weight=weight, group=twins) == pytest.approx(
        fit_temperature(shares[half], position[half]), rel=1e-3
    )


def test_a_feature_counts_as_one_place_however_many_it_became():
    shares, position = draw(100, heat=0.3)
    group = np.arange(100)
    often = np.concatenate([np.repeat(group[:1], 500), group[1:]])
    found = fit_temperature(shares[often], position[often], group=often)
    assert found == pytest.approx(fit_temperature(shares, position), rel=1e-4)
    assert found != 1


def test_few_features_leave_probabilities_alone():
    shares, position = draw(LEAST_FEATURES - 1, heat=0.3)
    assert fit_temperature(shares, position) == 1
    many, places = draw(500, heat=0.3)
    assert fit_temperature(many, places, group=np.arange(500) % (LEAST_FEATURES - 1)) == 1
    assert fit_temperature(many, places) != 1


def test_what_chance_explains_leaves_probabilities_alone():
    """Right probabilities get a temperature once in twenty times."""
    moved = sum(fit_temperature(*draw(60, seed=seed)) != 1 for seed in range(200))
    assert 2 <= moved <= 22


def test_a_limit_holds_where_all_places_are_right():
    shares = np.tile([0.4, 0.35, 0.25], (50, 1))
    assert fit_temperature(shares, np.zeros(50, int)) == pytest.approx(LIMITS[0], rel=1e-3)
    assert fit_temperature(shares[:, ::-1], np.zeros(50, int)) == pytest.approx(LIMITS[1], rel=1e-3)


@settings(max_examples=60, deadline=None)
@given(heat=st.floats(*LIMITS), seed=st.integers(0, 999))
def test_tempered_shares_sum_to_one_in_the_same_order(heat, seed):
    shares = np.random.default_rng(seed).dirichlet(np.full(5, 0.3), 20)
    told = apply_temperature(shares, heat)
    np.testing.assert_allclose(told.sum(axis=1), 1, rtol=1e-5)
    assert (told.argmax(axis=1) == shares.argmax(axis=1)).all()
    order = np.argsort(shares, axis=1)
    assert (np.diff(np.take_along_axis(told, order, axis=1), axis=1) >= 0).all()


def test_a_temperature_of_one_changes_nothing():
    shares = draw(10)[0].astype(np.float32)
    assert apply_temperature(shares, 1.0) is shares


def test_softmax_of_logits_by_hand():
    logits = np.array([[2.0, 0.0, -1.0]])
    shares = np.exp(logits) / np.exp(logits).sum()
    halved = np.exp(logits / 2) / np.exp(logits / 2).sum()
    np.testing.assert_allclose(apply_temperature(shares, 2.0), halved, rtol=1e-6)
