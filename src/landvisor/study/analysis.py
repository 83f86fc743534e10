"""What a study found: arms, effects, interactions and verdicts, from the database alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import numpy as np

from landvisor.errors import StudyError
from landvisor.study.contrast import say_contrast, weigh_contrast
from landvisor.study.design import Factor, StudyDesign, make_design
from landvisor.study.effects import correct_holm, estimate_effect, find_interval, leave_out
from landvisor.study.measured import Measured, Table, make_table
from landvisor.study.ranking import rank_by_loss, read_losses
from landvisor.study.read import freeze
from landvisor.study.results import (
    Analysis,
    ArmResult,
    Change,
    Effect,
    FactorResult,
    InteractionResult,
    LevelMean,
    Measure,
    Verdict,
)
from landvisor.study.spec import Contrast, HypothesisSpec, StudySpec
from landvisor.study.store import Store
from landvisor.study.verdict import judge

_TOLD = ("landvisor", "torch", "scikit-learn", "numpy", "device", "threads", "machine")


def analyse(store: Store, study: str, variant: str = "", *, partial: bool = False) -> Analysis:
    """Analyse the finished runs of a study.

    Args:
        store: The database; nothing else is read.
        study: Name of the study.
        variant: `` or as in `full`.
        partial: Use what there is where runs are missing, and say so.

    Raises:
        StudyError: If there is no such study, or runs are missing.
    """
    known, spec = store.study(study, variant), store.spec(study, variant)
    members = store.members(study, variant)
    table = make_table(members, partial=partial)
    analyst = _Analyst(store, spec, known["facts"], table)
    changes = _list_changes(store, study, variant, known["frozen_spec"])
    return Analysis(
        study=study,
        variant=variant,
        runs=dict(Counter(member.state for member in members)),
        confidence=spec.analysis.confidence,
        arms=analyst.describe_arms(),
        factors=analyst.describe_factors(),
        interactions=analyst.describe_interactions(),
        verdicts=analyst.judge(known["frozen_spec"]),
        loss_ranking=analyst.rank_losses(),
        changes=changes,
        notes=(*table.notes, *_tell_versions(store, table), *_tell_changes(changes)),
    )


class _Analyst:
    """A table of runs, and what is asked of it."""

    def __init__(self, store: Store, spec: StudySpec, facts: dict[str, Any], table: Table) -> None:
        self.store = store
        self.spec = spec
        self.facts = facts
        self.table = table
        self.design: StudyDesign = make_design(spec)
        self._measured: dict[Measure, Measured] = {}

    def measure(self, measure: Measure) -> Measured:
        """Return what was measured, read once."""
        if measure not in self._measured:
            found = Measured(self.store, self.spec, self.facts, self.table, measure)
            found.resamples = self.spec.analysis.resamples
            self._measured[measure] = found
        return self._measured[measure]

    @property
    def main(self) -> Measure:
        """What effects are told of."""
        how = self.spec.analysis
        return Measure(how.metrics[0], how.scoring, how.split)

    def describe_arms(self) -> tuple[ArmResult, ...]:
        """Describe each arm by each metric and scoring, on val and test."""
        how = self.spec.analysis
        scorings = dict.fromkeys([how.scoring, "standard", *self.spec.scoring])
        measures = [
            Measure(metric, scoring, split)
            for scoring in scorings
            for split in ("val", "test")
            for metric in how.metrics
        ]
        return tuple(
            self._describe_arm(number, arm, measure)
            for measure in measures
            for number, arm in enumerate(self.table.arms)
        )

    def _describe_arm(self, number: int, arm: str, measure: Measure) -> ArmResult:
        values = self.measure(measure).values[number]
        low, high = find_interval(values, confidence=self.spec.analysis.confidence)
        sd = float(values.std(ddof=1)) if len(values) > 1 else None
        return ArmResult(
            arm=arm,
            levels=self.table.levels[arm],
            measure=measure,
            seeds=self.table.seeds,
            values=tuple(values.tolist()),
            mean=float(values.mean()),
            sd=sd,
            low=low,
            high=high,
        )

    def estimate(self, contrast: Contrast, measure: Measure, *, title: str, test: str) -> Effect:
        """Estimate a contrast.

        Raises:
            StudyError: If an arm that it needs has no finished run.
        """
        weights = weigh_contrast(contrast, self.design)
        lacking = next((arm for arm in weights if arm not in self.table.arms), None)
        if lacking is not None:
            raise StudyError(f"{title} needs arm {lacking!r}, which has no finished run; run it")
        return estimate_effect(
            self.measure(measure), weights, title=title, test=test,
            confidence=self.spec.analysis.confidence,
        )  # fmt: skip

    def describe_factors(self) -> tuple[FactorResult, ...]:
        """Hold each level of each factor against its first one."""
        return tuple(self._describe_factor(factor) for factor in self.design.factors)

    def _describe_factor(self, factor: Factor) -> FactorResult:
        first, *others = self._levels(factor)
        effects = [
            self.estimate(
                Contrast(this={factor.name: level}, than={factor.name: first}),
                self.main,
                title=f"{level} - {first}"
                if factor.name == "arm"
                else f"{factor.name}: {level} - {first}",
                test=self.spec.analysis.test,
            )
            for level in others
        ]
        means = tuple(self._mean({factor.name: level}) for level in self._levels(factor))
        return FactorResult(factor.name, self.main, means, self._correct(effects))

    def _levels(self, factor: Factor) -> list[str]:
        """List the levels whose arms all have runs."""
        absent = {arm.name: arm for arm in self.design.arms if arm.name not in self.table.arms}
        gone = {arm.levels[factor.name] for arm in absent.values()}
        whole = [level for level in factor.levels if level not in gone]
        if not whole:
            raise StudyError(f"no level of {factor.name!r} has all its runs; run the study again")
        return whole

    def _mean(self, levels: dict[str, str]) -> LevelMean:
        """Average over the arms of some levels; one factor at a time, others are at their base."""
        fixed = dict(levels)
        if self.design.kind == "one-at-a-time":
            fixed = {f.name: levels.get(f.name, next(iter(f.levels))) for f in self.design.factors}
        chosen = [fixed.items() <= self.table.levels[arm].items() for arm in self.table.arms]
        values = self.measure(self.main).values[np.array(chosen)].mean(axis=0)
        low, high = find_interval(values, confidence=self.spec.analysis.confidence)
        return LevelMean(levels, tuple(values.tolist()), float(values.mean()), low, high)

    def describe_interactions(self) -> tuple[InteractionResult, ...]:
        """Hold each pair of factors of a full design against what each does alone."""
        if self.design.kind != "full":
            return ()
        return tuple(
            self._describe_interaction(*pair) for pair in combinations(self.design.factors, 2)
        )

    def _describe_interaction(self, first: Factor, second: Factor) -> InteractionResult:
        rows, cols = self._levels(first), self._levels(second)
        effects = [
            self.estimate(
                Contrast(
                    this={first.name: row, second.name: col},
                    than={first.name: rows[0], second.name: cols[0]},
                    interaction=True,
                ),
                self.main,
                title=f"{first.name}: {row} - {rows[0]}, at {second.name} {col} - {cols[0]}",
                test=self.spec.analysis.test,
            )
            for row in rows[1:]
            for col in cols[1:]
        ]
        cells = tuple(
            self._mean({first.name: row, second.name: col}) for row in rows for col in cols
        )
        return InteractionResult(
            (first.name, second.name), self.main, cells, self._correct(effects)
        )

    def _correct(self, effects: Sequence[Effect]) -> tuple[Effect, ...]:
        """Correct for the number of effects in a table, where there are several."""
        if self.spec.analysis.correction == "none" or len(effects) <= 1:
            return tuple(effects)
        return correct_holm(effects)

    def judge(self, frozen: dict[str, Any]) -> tuple[Verdict, ...]:
        """Judge all hypotheses; `frozen` is what they were at the first run."""
        claims = self.spec.hypothesis
        effects = self._correct([self._estimate_claim(claim) for claim in claims])
        return tuple(
            judge(claim, effect, confidence=self.spec.analysis.confidence,
                  changed=self._has_changed(claim, frozen))
            for claim, effect in zip(claims, effects, strict=True)
        )  # fmt: skip

    def _estimate_claim(self, claim: HypothesisSpec) -> Effect:
        """Estimate what a hypothesis is about, or say that its runs are not there."""
        measure = Measure(claim.metric, claim.scoring, claim.split)
        title = say_contrast(claim.contrast)
        weights = weigh_contrast(claim.contrast, self.design)
        lacking = next((arm for arm in weights if arm not in self.table.arms), None)
        if lacking is not None:
            note = f"arm {lacking!r} has no finished run"
            return leave_out(title, measure, weights, test=claim.test, note=note)
        return self.estimate(claim.contrast, measure, title=title, test=claim.test)

    def _has_changed(self, claim: HypothesisSpec, frozen: dict[str, Any]) -> bool:
        """Tell whether a claim, its scoring or the rules of the analysis are not as at first."""
        now = freeze(self.spec)
        same = claim.model_dump(mode="json") in frozen["hypothesis"]
        scoring = now["scoring"].get(claim.scoring) == frozen["scoring"].get(claim.scoring)
        return not (same and scoring and now["analysis"] == frozen["analysis"])

    def rank_losses(self) -> Any:
        """Hold the order by loss against that by the metric, where the study asks for it."""
        if self.spec.analysis.loss_ranking == "none":
            return None
        return rank_by_loss(self.measure(self.main), read_losses(self.store, self.table))


def _list_changes(
    store: Store, study: str, variant: str, frozen: dict[str, Any]
) -> tuple[Change, ...]:
    """List what was changed after the first run, each against what was before."""
    found: list[Change] = []
    before = frozen
    for change in store.changes(study, variant):
        after = change["frozen_spec"]
        keys = [key for key in after if after[key] != before.get(key)]
        time = datetime.fromtimestamp(change["time"], UTC).isoformat(timespec="seconds")
        found.append(
            Change(
                change["number"], time, {k: before[k] for k in keys}, {k: after[k] for k in keys}
            )
        )
        before = after
    return tuple(found)


def _tell_changes(changes: Sequence[Change]) -> tuple[str, ...]:
    if not changes:
        return ()
    parts = sorted({key for change in changes for key in change.after})
    return (
        f"changed after the first run, {len(changes)} times, last on {changes[-1].time}: "
        f"{', '.join(parts)}",
    )


def _tell_versions(store: Store, table: Table) -> tuple[str, ...]:
    """Say where runs were computed with different software or devices."""
    seen: dict[str, set[str]] = {}
    for arm in table.arms:
        for seed in table.seeds:
            for name, version in store.versions(table.runs[arm, seed]).items():
                if name in _TOLD:
                    seen.setdefault(name, set()).add(str(version))
    mixed = {name: sorted(found) for name, found in seen.items() if len(found) > 1}
    return tuple(
        f"runs were computed with different {name}: {', '.join(found)}"
        for name, found in mixed.items()
    )
