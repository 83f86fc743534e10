"""What the report of a study is made of: plain values that were read from its database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from landvisor.report.study_maps import Example

Plain = Mapping[str, Any]
DONE = "done"


@dataclass(frozen=True)
class StudyRun:
    """A run of a study.

    Attributes:
        run: Its hash.
        fit: Hash of all that its model follows from; runs may share one.
        position: Of its arm in the design.
        arm: Name of the arm.
        seed: Of the replicate.
        levels: Level by factor.
        state: `missing`, `running`, `done` or `failed`.
        error: Why it failed, in one line.
        choices: `recipe`, `data`, `points` and what else it was told.
        facts: What is known of its labels, model and training; empty unless done.
        versions: Software, device and threads.
        curves: (training, epoch, name, value) of each figure of each epoch.
        fit_seconds: Of the fit, whichever run did it.
        predict_seconds: Of the maps.
    """

    run: str
    fit: str
    position: int
    arm: str
    seed: int
    levels: Mapping[str, str]
    state: str
    error: str | None
    choices: Plain
    facts: Plain
    versions: Mapping[str, str | None]
    curves: Sequence[tuple[str, int, str, float]] = field(repr=False, default=())
    fit_seconds: float | None = None
    predict_seconds: float | None = None


@dataclass(frozen=True, eq=False)
class StudyPage:
    """Everything that the report of a study shows.

    Attributes:
        study: Its name.
        variant: `` or as in `full`.
        spec: The study as it was last run, defaults filled in.
        facts: Of its data: classes, splits, bands, image size, ...
        analysis: What `Analysis.to_dict` returned.
        runs: All of them, by seed and arm.
        titles: Words for each metric by its name, as `IoU of road` for `iou.road`.
        frozen: SHA-256 of hypotheses and analysis at the first run.
        first_run: When that was, in ISO 8601.
        last_run: When the last run ended, or nothing.
        pixels: Pixels of the masks by split and class, as they were counted for scores.
        scored: Runs of all studies of the database that were scored on a test split.
        study_file: The study in TOML.
        examples: Test images and what arms made of them.
    """

    study: str
    variant: str
    spec: Plain
    facts: Plain
    analysis: Plain
    runs: tuple[StudyRun, ...]
    titles: Mapping[str, str]
    frozen: str
    first_run: str
    last_run: str
    pixels: Mapping[str, Mapping[str, int]]
    scored: int
    study_file: str
    examples: tuple[Example, ...] = ()

    @property
    def done(self) -> tuple[StudyRun, ...]:
        """The runs that ended well."""
        return tuple(run for run in self.runs if run.state == DONE)

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of all arms in the order of the design."""
        by_position = sorted({(run.position, run.arm) for run in self.runs})
        return tuple(arm for _, arm in by_position)

    @property
    def analysed(self) -> tuple[str, ...]:
        """Names of the arms that the analysis is of, in the order of the design."""
        return tuple(dict.fromkeys(arm["arm"] for arm in self.analysis["arms"]))

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that the analysis is of."""
        return tuple(self.analysis["arms"][0]["seeds"])

    @property
    def main(self) -> Plain:
        """What effects are told of: metric, scoring and split."""
        how = self.spec["analysis"]
        return {"metric": how["metrics"][0], "scoring": how["scoring"], "split": how["split"]}

    def runs_of(self, arm: str) -> list[StudyRun]:
        """List the finished runs of an arm that the analysis is of, by seed."""
        return [run for run in self.done if run.arm == arm and run.seed in self.seeds]

    def of_each_arm(self) -> dict[str, StudyRun]:
        """Return one run of each arm, of the first seed, whatever became of it."""
        first: dict[str, StudyRun] = {}
        for run in self.runs:
            first.setdefault(run.arm, run)
        return {arm: first[arm] for arm in self.arms}

    def say_measure(self, measure: Plain, *, split: bool = True) -> str:
        """Say a measure in words, as in `mean IoU on test, scoring border`."""
        said = self.titles[measure["metric"]]
        said += f" on {measure['split']}" if split else ""
        other = measure["scoring"] != "standard"
        return f"{said}, scoring “{measure['scoring']}”" if other else said
