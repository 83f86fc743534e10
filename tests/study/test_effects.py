"""Effects and their intervals, against scipy, statsmodels and numbers worked by hand."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from landvisor.study.effects import correct_holm, estimate_effect, find_detectable, find_interval
from landvisor.study.measured import Measured, Table
from landvisor.study.mixed import fit_mixed
from landvisor.study.results import Measure
from landvisor.study.spec import ScoringSpec

MEASURE = Measure("oa", "standard", "test")


class Given(Measured):
    """Counts that a test gives: `[arm, seed, image, class, class + 1]`."""

    def __init__(self, counts, blocks=None):
        arms, seeds, images = counts.shape[:3]
        names = tuple(f"arm {k}" for k in range(arms))
        self.table = Table(names, {n: {} for n in names}, tuple(range(seeds)), {})
        self.measure = MEASURE
        self.scoring = ScoringSpec()
        self.classes = self.scored = ["a", "b"]
        self._counts = counts
        self._blocks = np.arange(images) if blocks is None else np.asarray(blocks)

    @cached_property
    def counts(self):
        return self._counts

    @cached_property
    def units(self):
        return self._blocks, "images"

    @cached_property
    def values(self):
        pooled = self._counts.sum(axis=2)[..., :2]
        return np.trace(pooled, axis1=-2, axis2=-1) / pooled.sum(axis=(-2, -1))

    def values_by_image(self):
        return self._counts[..., 0, 0] / self._counts[..., :2].sum(axis=(-2, -1))


def give(right, total=1000):
    """Make counts of which so many of `total` are right, `[arm, seed, image]`."""
    right = np.rint(np.asarray(right)).astype(int)
    counts = np.zeros((*right.shape, 2, 3), dtype=np.int64)
    counts[..., 0, 0], counts[..., 0, 1] = right, total - right
    return Given(counts)


def draw(arms=2, seeds=4, images=12, *, shift=0.0, seed=0):
    generator = np.random.default_rng(seed)
    base = 700 + generator.normal(0, 60, images)[None, None]
    base = base + generator.normal(0, 10, (1, seeds, 1)) + generator.normal(0, 8, (arms, seeds, 1))
    base = base + generator.normal(0, 15, (arms, 1, images)) + generator.normal(0, 5, base.shape)
    base = np.broadcast_to(base, (arms, seeds, images)).copy()
    base[1] += shift
    return give(base)


def ask(measured, test, weights=None, confidence=0.95):
    return estimate_effect(
        measured, weights or {"arm 1": 1.0, "arm 0": -1.0}, title="t", test=test,
        confidence=confidence,
    )  # fmt: skip


def test_seeds_are_paired_as_scipy_does():
    measured = draw(shift=20)
    found = ask(measured, "seeds")
    expected = stats.ttest_rel(measured.values[1], measured.values[0])
    interval = expected.confidence_interval(0.95)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.df == 3
    assert found.per_seed == pytest.approx(measured.values[1] - measured.values[0])


def test_images_are_paired_by_the_same_draws():
    """The images differ by far more than the arms do; their difference is alike on all."""
    base = np.array([100, 300, 500, 700, 900, 950])
    measured = give(np.stack([[base, base], [base + 20, base + 20]]))
    found = ask(measured, "images")
    assert found.estimate == pytest.approx(0.02)
    assert found.se == pytest.approx(0, abs=1e-12)


def test_the_bootstrap_of_images_is_the_standard_error_of_a_mean():
    """Images of one size make overall accuracy a mean, whose error has a formula."""
    measured = draw(seeds=2, images=30, shift=10)
    measured.resamples = 20_000
    found = ask(measured, "images")
    each = (measured.counts[1, :, :, 0, 0] - measured.counts[0, :, :, 0, 0]).mean(axis=0) / 1000
    assert found.se == pytest.approx(stats.sem(each), rel=0.02)
    assert found.df == 29
    assert found.units == 30


def test_units_are_groups_where_they_are_given():
    right = np.repeat(draw(images=6).counts[..., 0, 0], 3, axis=2)
    alone, grouped = give(right), give(right)
    grouped._blocks = np.repeat(np.arange(6), 3)
    assert ask(grouped, "images").units == 6
    assert ask(grouped, "images").se > 1.4 * ask(alone, "images").se


def test_both_sources_of_chance_add_up():
    measured = draw(shift=20)
    parts = [ask(measured, test) for test in ("seeds", "images")]
    both = ask(measured, "seeds_and_images")
    variances = [part.se**2 for part in parts]
    assert both.se == pytest.approx(np.sqrt(sum(variances)))
    below = sum(v**2 / part.df for v, part in zip(variances, parts, strict=True))
    assert both.df == pytest.approx(sum(variances) ** 2 / below)
    assert both.low < parts[0].low


def test_intervals_hold_the_truth_as_often_as_they_say():
    """200 studies of two arms that are alike: 95 % intervals leave out 0 in about 5 % of them."""
    missed = {"seeds_and_images": 0, "images": 0}
    for seed in range(200):
        measured = draw(seeds=3, images=15, seed=seed)
        measured.resamples = 200
        for test in missed:
            found = ask(measured, test)
            missed[test] += not found.low <= 0 <= found.high
    assert 2 <= missed["seeds_and_images"] <= 20
    # images alone speak of the three trainings that there were
    assert missed["images"] > 24


def test_one_seed_gives_no_interval_unless_images_are_asked():
    measured = draw(seeds=1)
    assert ask(measured, "seeds").low is None
    assert ask(measured, "seeds_and_images").p is None
    assert ask(measured, "images").low is not None
    assert "one seed" in ask(measured, "seeds").notes[0]


def test_values_that_do_not_vary_are_told():
    found = ask(give(np.full((2, 3, 4), 500)), "seeds")
    assert (found.low, found.high, found.p) == (0, 0, 1)
    assert "no width" in found.notes[0]


def test_holm_is_what_statsmodels_says():
    base = ask(draw(), "seeds")
    values = [0.01, 0.04, 0.03, None, 0.005, 0.9]
    found = correct_holm([replace(base, p=p) for p in values])
    known = [p for p in values if p is not None]
    expected = iter(multipletests(known, method="holm")[1])
    assert [e.p_corrected for e in found] == [
        None if p is None else pytest.approx(next(expected)) for p in values
    ]


def test_the_detectable_effect_is_found_eight_times_in_ten():
    """(t of 0.975 + t of 0.8) standard errors: with many degrees of freedom 2.80 of them."""
    effect = replace(ask(draw(), "seeds"), se=0.01, df=1e6)
    assert find_detectable(effect, confidence=0.95) == pytest.approx(0.02802, abs=1e-5)
    few = find_detectable(replace(effect, df=2), confidence=0.95)
    assert few == pytest.approx(0.01 * (4.302653 + 1.060660), rel=1e-5)
    assert find_detectable(replace(effect, se=None), confidence=0.95) is None


def test_the_interval_of_a_mean_is_that_of_t():
    low, high = find_interval([0.1, 0.2, 0.3], confidence=0.95)
    assert (low, high) == pytest.approx(
        (0.2 - 4.302653 * 0.1 / 3**0.5, 0.2 + 4.302653 * 0.1 / 3**0.5)
    )
    assert find_interval([0.1], confidence=0.95) == (None, None)


@dataclass
class Squares:
    """Mean squares of a balanced table of values `[arm, seed, unit]`."""

    values: np.ndarray

    def __post_init__(self):
        v = self.values
        self.arms, self.seeds, self.units = v.shape
        arm, seed, unit = (v.mean(axis=axes, keepdims=True) for axes in ((1, 2), (0, 2), (0, 1)))
        run, pair = v.mean(axis=2, keepdims=True), v.mean(axis=1, keepdims=True)
        both, whole = v.mean(axis=0, keepdims=True), v.mean()
        free = (self.arms - 1) * (self.seeds - 1)
        self.run = self.units * ((run - arm - seed + whole) ** 2).sum() / free
        free = (self.arms - 1) * (self.units - 1)
        self.pair = self.seeds * ((pair - arm - unit + whole) ** 2).sum() / free
        rest = v - run - pair - both + arm + seed + unit - whole
        self.rest = (rest**2).sum() / ((self.arms - 1) * (self.seeds - 1) * (self.units - 1))


def test_the_mixed_model_is_the_analysis_of_variance_of_a_balanced_table():
    """Where all variances are above 0, REML gives those of the expected mean squares."""
    measured = draw(arms=3, seeds=5, images=8, seed=3)
    values = measured.counts[..., 0, 0] / 1000
    # an interaction of seed and unit has no term of its own; take it out of the values
    both = values.mean(axis=0, keepdims=True)
    both = both - both.mean(axis=1, keepdims=True) - both.mean(axis=2, keepdims=True) + both.mean()
    table = give((values - both) * 1000)
    found = fit_mixed(table, np.array([-1.0, 1, 0]))
    squares = Squares(table.values_by_image()[:2])
    assert found.df == 4
    run = (squares.run - squares.rest) / squares.units
    pair = (squares.pair - squares.rest) / squares.seeds
    assert min(run, pair) > 0
    expected = np.sqrt(
        2 * (run / squares.seeds + pair / squares.units
             + squares.rest / (squares.seeds * squares.units))
    )  # fmt: skip
    assert found.se == pytest.approx(expected, rel=0.05)
    assert found.estimate == pytest.approx(measured.values[1].mean() - measured.values[0].mean(),
                                           abs=1e-3)  # fmt: skip


def test_the_mixed_model_needs_images_and_seeds():
    found = ask(draw(seeds=1), "mixed")
    assert found.low is None
    assert "too few for a mixed model" in found.notes[0]


def test_the_mixed_test_tells_what_its_metric_is():
    found = ask(draw(shift=60), "mixed")
    assert found.low > 0
    assert "within images" in found.notes[0]
