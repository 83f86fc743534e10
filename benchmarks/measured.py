"""What has been measured, a line a run, in a table that is kept with the code.

Models and maps stay on the machine that made them. Tables and figures of the documents can be
laid out from these lines alone; of two lines about the same run the later one counts.
"""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, fields
from pathlib import Path

TABLE = Path(__file__).parent / "measured" / "ladder.csv"

Key = tuple[str, str, int, int, str]


@dataclass(frozen=True)
class Run:
    """A model, fitted to the points of one draw and held against all masks of a split.

    Attributes:
        data: Name of the data set.
        rung: Name of the recipe in `ladder.py`.
        points: Per class and image; 0 where it learned from masks.
        seed: Of the draw of points and of training.
        split: Split that was mapped.
        mean_iou: Mean IoU over classes, from counts pooled over the split.
        mean_f1: Mean F1 over classes.
        oa: Overall accuracy.
        inner_mean_iou: Mean IoU without the pixels at borders of classes.
        fit_s: Seconds of fitting, on one core.
        predict_s: Seconds of mapping the split.
    """

    data: str
    rung: str
    points: int
    seed: int
    split: str
    mean_iou: float
    mean_f1: float
    oa: float
    inner_mean_iou: float
    fit_s: float
    predict_s: float

    @property
    def key(self) -> Key:
        """What tells runs apart."""
        return self.data, self.rung, self.points, self.seed, self.split


def read_runs(path: Path = TABLE) -> dict[Key, Run]:
    """Return all runs of a table; none of one that is not there."""
    if not path.exists():
        return {}
    kinds = {"str": str, "int": int, "float": float}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = [Run(**{f.name: kinds[str(f.type)](row[f.name]) for f in fields(Run)}) for row in rows]
    return {run.key: run for run in found}


def keep_run(run: Run, path: Path = TABLE) -> None:
    """Add a run to a table, unless it says the same already."""
    if read_runs(path).get(run.key) == run:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Run)], lineterminator="\n")
        if fresh:
            writer.writeheader()
        writer.writerow(asdict(run))
