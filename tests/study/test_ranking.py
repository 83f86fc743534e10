"""Whether the loss ranks arms as a metric does."""

from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from landvisor.study.ranking import rank_by_loss
from landvisor.study.results import Measure


class Given:
    def __init__(self, values):
        self.values = np.array(values, dtype=float)
        self.measure = Measure("mean_iou", "standard", "test")
        names = tuple(f"arm {k}" for k in range(len(values)))
        self.table = type("T", (), {"arms": names})()


def test_the_correlation_and_its_p_are_those_of_all_permutations():
    losses = np.array([[0.3, 0.4], [0.13, 0.14], [0.02, 0.03], [0.003, 0.004], [5e-4, 1e-3]])
    values = [[0.5, 0.52], [0.55, 0.5], [0.51, 0.5], [0.48, 0.47], [0.6, 0.58]]
    found = rank_by_loss(Given(values), losses)
    means = np.mean(values, axis=1)
    expected = stats.spearmanr(-losses.mean(axis=1), means).statistic
    assert found.rho == pytest.approx(expected)
    ranks = stats.rankdata(-losses.mean(axis=1))
    drawn = [
        stats.spearmanr(ranks, order).statistic for order in permutations(stats.rankdata(means))
    ]
    assert found.p == pytest.approx(np.mean(np.abs(drawn) >= abs(expected) - 1e-9))
    assert found.arms[0].arm == "arm 4"
    assert found.arms[0].value_rank == 1
    assert "'arm 4'" in found.sentence


def test_the_same_order_is_one_and_the_reverse_is_minus_one():
    losses = np.array([[3.0], [2.0], [1.0]])
    assert rank_by_loss(Given([[1], [2], [3]]), losses).rho == pytest.approx(1)
    assert rank_by_loss(Given([[3], [2], [1]]), losses).rho == pytest.approx(-1)
    assert rank_by_loss(Given([[3], [2], [1]]), losses).p == pytest.approx(2 / 6)


def test_arms_without_a_loss_are_left_out():
    found = rank_by_loss(Given([[1], [2], [3]]), np.array([[1.0], [np.nan], [2.0]]))
    assert found.rho is None
    assert [arm.arm for arm in found.arms] == ["arm 0", "arm 2"]
    assert "too few" in found.sentence


def test_many_arms_are_permuted_at_random_but_always_alike():
    generator = np.random.default_rng(0)
    losses, values = generator.random((9, 2)), generator.random((9, 2))
    first, second = (rank_by_loss(Given(values), losses) for _ in range(2))
    assert first.p == second.p
    expected = stats.spearmanr(-losses.mean(axis=1), values.mean(axis=1))
    assert first.p == pytest.approx(expected.pvalue, abs=0.05)
