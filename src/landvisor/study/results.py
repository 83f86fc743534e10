"""What an analysis says, as plain frozen values that a report renders and JSON holds."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Measure:
    """What was measured.

    Attributes:
        metric: As `mean_iou` or `iou.road`.
        scoring: `standard`, or a scoring of the study.
        split: `val` or `test`.
    """

    metric: str
    scoring: str
    split: str


@dataclass(frozen=True)
class ArmResult:
    """One arm by one measure.

    Attributes:
        arm: Its name.
        levels: Level by factor.
        measure: What was measured.
        seeds: In order.
        values: One per seed.
        mean: Over seeds.
        sd: Over seeds; None of one.
        low: Of the interval of the mean over seeds, on these images; None of one seed.
        high: Likewise.
    """

    arm: str
    levels: dict[str, str]
    measure: Measure
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    mean: float
    sd: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Effect:
    """A contrast between arms, paired by seed and, where the test looks at them, by image.

    Attributes:
        title: What is compared, as in `link.area: disk - none`.
        measure: By what.
        weights: Weight of each arm, summing to 0; arms of weight 0 are left out.
        estimate: The effect, in units of the metric.
        se: Standard error; None where it cannot be had.
        df: Degrees of freedom of the interval.
        low: Of the interval at `confidence`; None where there is none.
        high: Likewise.
        p: Two-sided, of no effect.
        p_corrected: After Holm's correction within its table; None where none was made.
        test: `seeds`, `images`, `seeds_and_images` or `mixed`.
        seeds: That all its arms have.
        per_seed: The contrast for each of them.
        units: Images or groups of images that were resampled or are a random effect; 0 if none.
        notes: What a reader must know, one sentence each.
    """

    title: str
    measure: Measure
    weights: dict[str, float]
    estimate: float
    se: float | None
    df: float | None
    low: float | None
    high: float | None
    p: float | None
    p_corrected: float | None
    test: str
    seeds: tuple[int, ...]
    per_seed: tuple[float, ...]
    units: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LevelMean:
    """A level of a factor, or a pair of levels, averaged over all else.

    Attributes:
        levels: By factor.
        values: One per seed.
        mean: Over seeds.
        low: Of its interval over seeds; None of one seed.
        high: Likewise.
    """

    levels: dict[str, str]
    values: tuple[float, ...]
    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class FactorResult:
    """What a factor does, averaged over the others (full) or with them at their base.

    Attributes:
        factor: Its name.
        measure: By what.
        means: A level each, in order.
        effects: Each other level against the first.
    """

    factor: str
    measure: Measure
    means: tuple[LevelMean, ...]
    effects: tuple[Effect, ...]


@dataclass(frozen=True)
class InteractionResult:
    """How two factors of a full design work together; cells are what a plot needs.

    Attributes:
        factors: The two.
        measure: By what.
        cells: All pairs of levels, those of the second factor running fastest.
        effects: How far the effect of a level of the first factor, against its first level,
            differs between a level of the second and its first.
    """

    factors: tuple[str, str]
    measure: Measure
    cells: tuple[LevelMean, ...]
    effects: tuple[Effect, ...]


@dataclass(frozen=True)
class Verdict:
    """What became of a hypothesis.

    Attributes:
        name: Of the hypothesis.
        text: What it claims.
        direction: `greater`, `less` or `different`.
        smallest: Smallest effect of interest.
        rule: `exceeds_zero` or `exceeds_smallest`.
        effect: What was found.
        verdict: `supported`, `refuted` or `undecided`.
        reason: Why, in one sentence with the numbers.
        detectable: Where undecided, the smallest effect that a test with this standard error finds
            in 8 of 10 studies; else None.
        changed: The hypothesis is not what it was at the first run.
    """

    name: str
    text: str
    direction: str
    smallest: float
    rule: str
    effect: Effect
    verdict: str
    reason: str
    detectable: float | None
    changed: bool


@dataclass(frozen=True)
class RankedArm:
    """An arm by its final training loss and by the metric, ranked from 1, the best."""

    arm: str
    loss: float
    loss_rank: float
    value: float
    value_rank: float


@dataclass(frozen=True)
class LossRanking:
    """Whether the loss ranks arms as the metric does; a description, never a comparison.

    Attributes:
        measure: What the loss is held against.
        arms: In the order of the loss, lowest first.
        rho: Spearman's correlation over arms between low loss and a good value: 1 is the same
            order, -1 the reverse; None of fewer than three arms or where all are equal.
        p: Two-sided, over all permutations; of many arms over 10,000 of them.
        rho_within: Mean of the same correlation over seeds, each on its own; None where unknown.
        sentence: All that in words.
    """

    measure: Measure
    arms: tuple[RankedArm, ...]
    rho: float | None
    p: float | None
    rho_within: float | None
    sentence: str


@dataclass(frozen=True)
class Change:
    """A change of hypotheses or analysis after the first run, at a time in ISO 8601."""

    number: int
    time: str
    before: dict[str, Any]
    after: dict[str, Any]


@dataclass(frozen=True)
class Analysis:
    """All that an analysis says.

    Attributes:
        study: Name.
        variant: `` or as in `full`.
        runs: Runs by state.
        confidence: Of all intervals.
        arms: Each arm by each reported metric on val and test, in the order of the design.
        factors: Of full and one-at-a-time designs, by the first reported metric; a paired design
            has one factor, `arm`.
        interactions: Of full designs with two factors or more.
        verdicts: One per hypothesis.
        loss_ranking: Where the study asks for it.
        changes: Of what was frozen.
        notes: What a reader must know, one sentence each.
    """

    study: str
    variant: str
    runs: dict[str, int]
    confidence: float
    arms: tuple[ArmResult, ...]
    factors: tuple[FactorResult, ...]
    interactions: tuple[InteractionResult, ...]
    verdicts: tuple[Verdict, ...]
    loss_ranking: LossRanking | None
    changes: tuple[Change, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; what is not finite becomes None."""
        plain: dict[str, Any] = _plain(dataclasses.asdict(self))
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
