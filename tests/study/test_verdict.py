"""The rules of verdicts, one line of the manual each."""

from dataclasses import replace

import pytest

from landvisor.study.results import Effect, Measure
from landvisor.study.spec import Contrast, HypothesisSpec
from landvisor.study.verdict import judge

EFFECT = Effect(
    title="a - b", measure=Measure("mean_iou", "standard", "test"), weights={"a": 1, "b": -1},
    estimate=0.0, se=0.01, df=4.0, low=None, high=None, p=0.01, p_corrected=None, test="seeds",
    seeds=(0, 1), per_seed=(0.0, 0.0), units=0,
)  # fmt: skip


def decide(low, high, *, direction="greater", rule="exceeds_zero", smallest=0.02, **changes):
    claim = HypothesisSpec(
        name="h", text="t", contrast=Contrast(), direction=direction, smallest=smallest, rule=rule
    )
    effect = replace(EFFECT, estimate=(low + high) / 2, low=low, high=high, **changes)
    return judge(claim, effect, confidence=0.95)


@pytest.mark.parametrize(("low", "high", "direction", "rule", "expected"), [
    (0.01, 0.05, "greater", "exceeds_zero", "supported"),
    (0.01, 0.05, "greater", "exceeds_smallest", "undecided"),
    (0.03, 0.05, "greater", "exceeds_smallest", "supported"),
    (-0.01, 0.05, "greater", "exceeds_zero", "undecided"),
    (-0.01, 0.01, "greater", "exceeds_zero", "refuted"),
    (0.005, 0.01, "greater", "exceeds_zero", "refuted"),  # real, but too small to matter
    (-0.05, -0.01, "less", "exceeds_zero", "supported"),
    (-0.05, 0.01, "less", "exceeds_zero", "undecided"),
    (-0.01, 0.05, "less", "exceeds_zero", "refuted"),
    (-0.05, -0.03, "less", "exceeds_smallest", "supported"),
    (-0.05, -0.01, "different", "exceeds_zero", "supported"),
    (0.01, 0.05, "different", "exceeds_zero", "supported"),
    (-0.01, 0.05, "different", "exceeds_zero", "undecided"),
    (-0.01, 0.015, "different", "exceeds_zero", "refuted"),
    (0.01, 0.05, "different", "exceeds_smallest", "undecided"),
    (-0.05, -0.03, "different", "exceeds_smallest", "supported"),
])  # fmt: skip
def test_rules_are_followed(low, high, direction, rule, expected):
    found = decide(low, high, direction=direction, rule=rule)
    assert found.verdict == expected
    assert (found.detectable is not None) == (expected == "undecided")
    assert f"{low:.4f} to {high:.4f}" in found.reason


def test_without_a_smallest_effect_the_sign_decides():
    assert decide(-0.05, -0.01, smallest=0).verdict == "refuted"
    assert decide(0.001, 0.01, smallest=0).verdict == "supported"


def test_a_correction_can_take_support_away():
    found = decide(0.01, 0.05, p_corrected=0.06)
    assert found.verdict == "undecided"
    assert "corrected" in found.reason
    assert decide(0.01, 0.05, p_corrected=0.04).verdict == "supported"


def test_no_interval_decides_nothing():
    claim = HypothesisSpec(name="h", text="t", contrast=Contrast(), smallest=0)
    found = judge(claim, replace(EFFECT, notes=("one seed",)), confidence=0.95)
    assert found.verdict == "undecided"
    assert "one seed" in found.reason
