import numpy as np
import pytest
from scipy.stats import entropy

from landvisor.accuracy.uncertainty import measure_disagreement, measure_entropy, measure_margin

GENERATOR = np.random.default_rng(0)


def test_entropy_is_that_of_scipy_between_0_and_1():
    shares = GENERATOR.dirichlet(np.full(4, 0.5), 30)
    expected = entropy(shares, base=4, axis=1)
    np.testing.assert_allclose(measure_entropy(shares), expected, atol=1e-12)
    assert measure_entropy(np.eye(4)).tolist() == [0] * 4
    assert measure_entropy(np.full((1, 4), 0.25))[0] == pytest.approx(1)


def test_margin_by_hand():
    shares = np.array([[0.5, 0.3, 0.2], [1 / 3, 1 / 3, 1 / 3], [1, 0, 0]])
    np.testing.assert_allclose(measure_margin(shares), [0.8, 1, 0])
    assert measure_margin(np.ones((2, 1))).tolist() == [0, 0]


def test_disagreement_is_the_mutual_information_by_its_definition():
    told = GENERATOR.dirichlet(np.ones(3), (4, 20))
    weights = GENERATOR.dirichlet(np.ones(4))
    joint = weights[:, None, None] * told  # of member and class
    mean = joint.sum(axis=0)
    ratio = joint / (weights[:, None, None] * mean)
    expected = (joint * np.log(ratio)).sum(axis=(0, 2)) / np.log(3)
    np.testing.assert_allclose(measure_disagreement(told, weights), expected, atol=1e-12)


def test_members_that_agree_or_contradict_each_other():
    unsure = np.full((2, 1, 2), 0.5)
    assert measure_disagreement(unsure, (0.5, 0.5))[0] == 0
    opposed = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    assert measure_disagreement(opposed, (0.5, 0.5))[0] == pytest.approx(1)
