"""Weights of an ensemble are those that make known classes likeliest."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from landvisor.learn.stacking import LEAST, fit_weights


def draw(seed, models=2, places=60):
    generator = np.random.default_rng(seed)
    return generator.uniform(0.01, 1, (models, places)), generator.uniform(0.5, 2, places)


@given(seed=st.integers(0, 10_000))
def test_two_weights_are_those_of_a_search_along_the_line(seed):
    likely, count = draw(seed)
    first, second = fit_weights(likely, count)

    def loss(weight):
        return -(count * np.log(weight * likely[0] + (1 - weight) * likely[1])).sum()

    best = minimize_scalar(loss, bounds=(LEAST, 1 - LEAST), method="bounded").x
    assert first + second == pytest.approx(1)
    assert loss(first) <= loss(best) + 1e-3


@given(seed=st.integers(0, 10_000), models=st.integers(2, 5))
def test_weights_are_shares_of_which_none_is_lost(seed, models):
    weights = fit_weights(*draw(seed, models))
    assert sum(weights) == pytest.approx(1)
    assert min(weights) >= LEAST - 1e-12


def test_equal_models_count_the_same():
    likely, count = draw(3)
    assert fit_weights(likely[[0, 0, 0]], count) == pytest.approx((1 / 3,) * 3)


def test_a_model_that_is_always_surer_gets_all_but_the_least():
    assert fit_weights(np.array([[0.9] * 9, [0.3] * 9]), np.ones(9)) == pytest.approx((0.99, 0.01))


def test_a_class_that_a_model_thinks_impossible_does_not_silence_it():
    likely = np.array([[0.9] * 50 + [0.0], [0.5] * 51])
    assert fit_weights(likely, np.ones(51))[0] > 0.5


def test_a_place_that_counts_twice_is_two_places():
    likely, _ = draw(5, places=20)
    twice = np.concatenate([likely, likely[:, :7]], axis=1)
    count = np.where(np.arange(20) < 7, 2.0, 1.0)
    assert fit_weights(likely, count) == pytest.approx(fit_weights(twice, np.ones(27)), abs=1e-6)
