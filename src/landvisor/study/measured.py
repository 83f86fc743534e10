"""What was measured for each arm and seed, as arrays: values, and counts by image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import StudyError
from landvisor.study.metrics import STANDARD, name_reference, score, score_weighted
from landvisor.study.results import Measure
from landvisor.study.spec import ScoringSpec, StudySpec
from landvisor.study.store import Member, Store
from landvisor.study.tables import DONE

_FEWEST_BLOCKS = 6  # below that the spread between groups says less than that between images


@dataclass(frozen=True)
class Table:
    """Arms and seeds that are all there: a balanced table.

    Attributes:
        arms: Names in the order of the design.
        levels: Level by factor, by name of the arm.
        seeds: That all arms have.
        runs: Hash by (arm, seed).
        notes: What is not there.
    """

    arms: tuple[str, ...]
    levels: dict[str, dict[str, str]]
    seeds: tuple[int, ...]
    runs: dict[tuple[str, int], str]
    notes: tuple[str, ...] = ()


def make_table(members: Sequence[Member], *, partial: bool = False) -> Table:
    """Arrange the finished runs of a study by arm and seed.

    Args:
        members: All runs of the study.
        partial: Leave out seeds that an arm lacks, and arms without any run, and say so.

    Raises:
        StudyError: If runs are missing and `partial` does not allow it, or too few are left.
    """
    arms = list(dict.fromkeys(m.arm for m in members))
    levels = {m.arm: m.levels for m in members}
    done = {(m.arm, m.seed): m.run for m in members if m.state == DONE}
    seeds = list(dict.fromkeys(m.seed for m in members))
    lacking = [m for m in members if m.state != DONE]
    notes: list[str] = []
    if lacking and not partial:
        first = lacking[0]
        why = f" ({first.error})" if first.error else ""
        raise StudyError(
            f"the table is unbalanced: {len(lacking)} of {len(members)} runs are not done, first "
            f"{first.arm!r} with seed {first.seed}, {first.state}{why}; run the study again, with "
            "--retry-failed where runs failed, or analyse what there is with --partial"
        )
    if lacking:
        kept = [arm for arm in arms if any(name == arm for name, _ in done)]
        full = [seed for seed in seeds if all((arm, seed) in done for arm in kept)]
        gone = [arm for arm in arms if arm not in kept]
        notes += [f"arms without a finished run are left out: {', '.join(gone)}"] if gone else []
        notes.append(f"{len(lacking)} of {len(members)} runs are not done; of {len(seeds)} seeds "
                     f"{len(full)} are complete and used")  # fmt: skip
        arms, seeds = kept, full
    notes += _tell_shared(arms, seeds, done)
    if not arms or not seeds:
        raise StudyError("no seed is complete for all arms, so nothing can be compared; run more")
    return Table(tuple(arms), levels, tuple(seeds), done, tuple(notes))


def _tell_shared(
    arms: Sequence[str], seeds: Sequence[int], done: Mapping[tuple[str, int], str]
) -> list[str]:
    """Name the arms that come to the same runs: what they differ in touches none of these data."""
    by_runs: dict[tuple[str, ...], list[str]] = {}
    for arm in arms:
        by_runs.setdefault(tuple(done[arm, seed] for seed in seeds), []).append(arm)
    return [
        f"what differs between {' and '.join(map(repr, same))} changes nothing on these data: they "
        "are the same runs"
        for same in by_runs.values()
        if len(same) > 1 and seeds
    ]


class Measured:
    """One measure of a table.

    Args:
        store: Where it is read from.
        spec: Of the study.
        facts: Of its data.
        table: Arms and seeds.
        measure: What is read.
    """

    def __init__(
        self, store: Store, spec: StudySpec, facts: dict[str, object], table: Table,
        measure: Measure,
    ) -> None:  # fmt: skip
        self.store = store
        self.table = table
        self.measure = measure
        self.scoring = {STANDARD: ScoringSpec(), **spec.scoring}[measure.scoring]
        classes: list[dict[str, object]] = facts["classes"]  # type: ignore[assignment]
        self.classes = [str(c["name"]) for c in classes]
        self.scored = [str(c["name"]) for c in classes if c["scored"]]

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """`[arm, seed]`: the metric, NaN where nothing was counted."""
        key = (self.measure.split, self.measure.scoring, self.measure.metric)
        rows = []
        for arm in self.table.arms:
            found = [self.store.metrics(self.table.runs[arm, s]).get(key) for s in self.table.seeds]
            rows.append([np.nan if value is None else value for value in found])
        return np.array(rows, dtype=np.float64)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """`[arm, seed, image, class, class + 1]`: pixels by reference and map."""
        reference = name_reference(self.scoring)
        split = self.measure.split
        return np.stack([
            np.stack([
                np.stack(list(self.store.counts(
                    self.table.runs[arm, seed], split, reference).values()))
                for seed in self.table.seeds
            ])
            for arm in self.table.arms
        ])  # fmt: skip

    @cached_property
    def units(self) -> tuple[NDArray[np.int64], str]:
        """`[image]`: which unit each image belongs to, and what a unit is: images, or groups."""
        run = self.table.runs[self.table.arms[0], self.table.seeds[0]]
        blocks = self.store.blocks(run, self.measure.split, name_reference(self.scoring))
        names, number = np.unique(list(blocks.values()), return_inverse=True)
        if len(names) == len(number):
            return number, "images"
        if len(names) >= _FEWEST_BLOCKS:
            return number, "groups of images"
        return np.arange(len(number)), f"images, of {len(names)} groups only,"

    def draw(self, *, resamples: int, seed: int = 0) -> NDArray[np.float64]:
        """Compute the metric for resampled units: `[arm, seed, draw]`.

        All arms and seeds see the same draws, so that differences are paired by image.
        """
        unit, _ = self.units
        count = int(unit.max()) + 1
        generator = np.random.default_rng(seed)
        times = generator.multinomial(count, np.full(count, 1 / count), size=resamples)
        weights = times[:, unit].astype(np.float64)
        arms, seeds = self.counts.shape[:2]
        drawn = np.empty((arms, seeds, resamples))
        for arm in range(arms):
            for replicate in range(seeds):
                drawn[arm, replicate] = score_weighted(
                    self.counts[arm, replicate], weights, metric=self.measure.metric,
                    scoring=self.scoring, classes=self.classes, scored=self.scored,
                )  # fmt: skip
        return drawn

    @cached_property
    def drawn(self) -> NDArray[np.float64]:
        """`[arm, seed, draw]`: as `draw` with the draws of the study."""
        return self.draw(resamples=self.resamples)

    resamples = 2000

    def by_unit(self, *, most: int) -> NDArray[np.float64]:
        """Compute the metric within units: `[arm, seed, unit]`, NaN where a unit has none of it.

        Args:
            most: Units beyond that are pooled, in order, to so many.
        """
        unit, _ = self.units
        count = int(unit.max()) + 1
        pooled = unit if count <= most else unit * most // count
        size = int(pooled.max()) + 1
        gathered = np.zeros((*self.counts.shape[:2], size, *self.counts.shape[3:]))
        for number in range(size):
            gathered[:, :, number] = self.counts[:, :, pooled == number].sum(axis=2)
        found = score(
            gathered[:, :, :, None], self.scoring, classes=self.classes, scored=self.scored
        )
        return found[self.measure.metric]
