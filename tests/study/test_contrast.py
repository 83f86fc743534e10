"""Weights of arms: like is compared with like."""

import numpy as np
import pytest

from landvisor.errors import StudyError
from landvisor.study.contrast import say_contrast, weigh_contrast
from landvisor.study.spec import Contrast


@pytest.fixture
def crossed(make_study, content):
    factors = {"points.n": [1, 10, 100], "net.model": ["forest", "bank"]}
    content["hypothesis"][0]["contrast"] = {"trend": "points.n"}
    return make_study(content, factors=factors).design


def test_two_settings_are_averaged_over_what_is_not_named(crossed):
    found = weigh_contrast(Contrast(this={"points.n": 10}, than={"points.n": 1}), crossed)
    assert found == {
        "points.n=10, net.model=forest": 0.5, "points.n=10, net.model=bank": 0.5,
        "points.n=1, net.model=forest": -0.5, "points.n=1, net.model=bank": -0.5,
    }  # fmt: skip


def test_an_interaction_is_a_difference_of_differences(crossed):
    contrast = Contrast(
        this={"points.n": 100, "net.model": "bank"},
        than={"points.n": 1, "net.model": "forest"},
        interaction=True,
    )
    assert weigh_contrast(contrast, crossed) == {
        "points.n=100, net.model=bank": 1, "points.n=1, net.model=bank": -1,
        "points.n=100, net.model=forest": -1, "points.n=1, net.model=forest": 1,
    }  # fmt: skip


@pytest.mark.parametrize("scale", ["linear", "log", "rank"])
def test_a_trend_is_the_change_along_the_line_of_least_squares(crossed, scale):
    contrast = Contrast(trend="points.n", scale=scale, where={"net.model": "bank"})
    weights = weigh_contrast(contrast, crossed)
    at = {"linear": [1, 10, 100], "log": np.log([1, 10, 100]), "rank": [0, 1, 2]}[scale]
    values = [0.31, 0.52, 0.58]
    slope = np.polyfit(at, values, 1)[0]
    names = [f"points.n={n}, net.model=bank" for n in (1, 10, 100)]
    found = sum(weights.get(name, 0) * v for name, v in zip(names, values, strict=True))
    assert found == pytest.approx(slope * (at[-1] - at[0]))
    assert sum(weights.values()) == pytest.approx(0, abs=1e-12)
    assert all("bank" in name for name in weights)


def test_one_at_a_time_compares_with_all_else_at_the_base(make_study, content):
    design = make_study(content, design="one-at-a-time").design
    found = weigh_contrast(
        Contrast(this={"net.model": "bank"}, than={"net.model": "forest"}), design
    )
    assert found == {"net.model=bank": 1.0, "base": -1.0}


def test_a_combination_that_a_design_lacks_is_told(make_study, content):
    design = make_study(content, design="one-at-a-time").design
    both = Contrast(this={"net.model": "bank", "points.n": 12}, than={"points.n": 2})
    with pytest.raises(StudyError, match=r"no arm has .*one-at-a-time"):
        weigh_contrast(both, design)


def test_trends_need_numbers(crossed):
    with pytest.raises(StudyError, match="use scale 'rank'"):
        weigh_contrast(Contrast(trend="net.model"), crossed)
    assert weigh_contrast(Contrast(trend="net.model", scale="rank"), crossed)


def test_contrasts_are_said_in_few_words():
    two = Contrast(this={"arm": "a"}, than={"arm": "b"})
    assert say_contrast(two) == "a - b"
    assert say_contrast(Contrast(trend="fit.lr", scale="log")) == "trend of fit.lr (log)"
    nested = {"this": {"points": {"n": 8}}, "than": {"points.n": 2}}
    assert say_contrast(Contrast(**nested)) == "points.n=8 - points.n=2"
    both = {"points": {"n": 8}, "net": {"model": "bank"}}
    words = say_contrast(Contrast(this=both, than=both, interaction=True))
    assert words == "interaction of points.n and net.model"
