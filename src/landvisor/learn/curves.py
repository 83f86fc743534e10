"""Where the figures of every epoch go that a user may want to plot."""

from __future__ import annotations

import csv
import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from landvisor.errors import RecipeError
from landvisor.files import publish_file
from landvisor.options import Options

Record = Mapping[str, Any]
"""What `metrics.jsonl` says of an epoch; `fit` names the training that it is of."""


class Curves(Protocol):
    """Is told of each epoch of one training after the other."""

    def start(self, fit: str, records: Sequence[Record]) -> None:
        """Begin a training, of which an earlier sitting may have recorded something."""
        ...

    def add(self, record: Record) -> None:
        """Take the figures of an epoch."""
        ...

    def publish(self, *, overwrite: bool) -> None:
        """Leave everything where the user finds it."""
        ...


class CsvCurves:
    """A table with a row for each epoch, written when all is done.

    Args:
        out: The model file that it is to lie beside: `model.metrics.csv`.
    """

    def __init__(self, out: Path) -> None:
        self.path = curves_path(out)
        self.rows: list[Record] = []

    def start(self, fit: str, records: Sequence[Record]) -> None:
        """Begin with the rows of earlier sittings."""
        self._fit = fit
        self.rows = [row for row in self.rows if row["fit"] != fit]
        self.rows += [{**record, "fit": fit} for record in records]

    def add(self, record: Record) -> None:
        """Add a row."""
        self.rows.append({"fit": self._fit, **record})

    def publish(self, *, overwrite: bool) -> None:
        """Write the table; what an epoch lacks is left empty. No rows, no file."""
        if not self.rows:
            return
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        columns.sort(key=lambda name: name != "fit")
        with (
            publish_file(self.path, overwrite=overwrite) as aside,
            aside.open("w", encoding="utf-8", newline="") as stream,
        ):
            writer = csv.DictWriter(stream, columns)
            writer.writeheader()
            writer.writerows({k: v for k, v in row.items() if _is_known(v)} for row in self.rows)


class TensorBoardCurves:
    """Events for TensorBoard, to be watched while training goes on.

    Args:
        out: The model file that the folder is to lie beside: `model.tensorboard`, with a folder
            for each training.

    Raises:
        RecipeError: If TensorBoard is not installed.
    """

    def __init__(self, out: Path) -> None:
        if not any(importlib.util.find_spec(name) for name in ("tensorboard", "tensorboardX")):
            raise RecipeError(
                "--logger tensorboard needs the package tensorboard, which is not installed; run "
                "pip install tensorboard, or choose csv"
            )
        self.folder = out.with_suffix(".tensorboard")
        self._logger: Any = None

    def start(self, fit: str, records: Sequence[Record]) -> None:
        """Write earlier epochs again: they may have been told to another logger, or twice."""
        from lightning.pytorch.loggers import TensorBoardLogger  # an optional dependency

        self._logger = TensorBoardLogger(
            self.folder, name="", version=fit, default_hp_metric=False, purge_step=0, flush_secs=5
        )
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """Write the figures of an epoch."""
        figures = {k: v for k, v in record.items() if k not in ("fit", "epoch") and _is_known(v)}
        self._logger.log_metrics(figures, step=int(record["epoch"]))

    def publish(self, *, overwrite: bool) -> None:  # noqa: ARG002 - events are only ever added
        """Close the file."""
        if self._logger is not None:
            self._logger.finalize("success")


LOGGERS: dict[str, Callable[[Path], Curves]] = {
    "csv": CsvCurves,
    "tensorboard": TensorBoardCurves,
}
"""By `--logger`; `none` has no entry."""


def make_curves(how: Options, out: Path) -> Curves | None:
    """Make what `--logger` names; None where nothing is logged, as by all but one process.

    Raises:
        OutputError: If the table could not be written later on.
        RecipeError: If TensorBoard is not installed.
    """
    if how.logger == "none" or not how.ranks.leads:
        return None
    if how.logger == "csv":
        how.check_out(curves_path(out), kind="file")
    return LOGGERS[how.logger](out)


def curves_path(out: Path) -> Path:
    """Return where the table of a model file lies."""
    return out.with_suffix(".metrics.csv")


def _is_known(value: Any) -> bool:
    return not (isinstance(value, float) and math.isnan(value))
