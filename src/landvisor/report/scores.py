"""What an assessment says, as values that a page can print: `Assessment.to_dict()` read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float]
_UNKNOWN = (np.nan, np.nan)


@dataclass(frozen=True)
class Rate:
    """One rate of 0 to 1 with its interval; NaN where it is unknown."""

    value: float
    interval: Interval = _UNKNOWN

    @property
    def text(self) -> str:
        """The value with two digits, or a dash."""
        return f"{self.value:.2f}" if np.isfinite(self.value) else "–"

    @property
    def interval_text(self) -> str:
        """The interval as "0.71 to 0.82", or nothing where there is none."""
        low, high = self.interval
        return f"{low:.2f} to {high:.2f}" if np.isfinite(low) else ""


@dataclass(frozen=True)
class ClassScores:
    """The rates of one class, and how many places of it were held against the map."""

    name: str
    places: int
    ua: Rate
    pa: Rate
    f1: Rate
    iou: Rate


@dataclass(frozen=True, eq=False)
class Scores:
    """An assessment as a reader meets it.

    Attributes:
        oa: Overall accuracy.
        mean_f1: F1 averaged over the classes of the reference.
        mean_iou: IoU averaged likewise.
        classes: A row per class in legend order.
        counts: int64 `[reference, map]`.
        statement: What the figures are about.
        reference: `drawn, places, blocks, resamples`: how the reference came about.
        level: Share of the interval, such as 0.95.
        notes: What a reader must know besides.
    """

    oa: Rate
    mean_f1: Rate
    mean_iou: Rate
    classes: tuple[ClassScores, ...]
    counts: NDArray[np.int64]
    statement: str
    reference: Mapping[str, Any]
    level: float
    notes: tuple[str, ...]


def read_scores(assessment: Mapping[str, Any]) -> Scores:
    """Read what `Assessment.to_dict` returned."""
    counts = np.array(assessment["counts"], dtype=np.int64)
    return Scores(
        oa=_read_rate(assessment, "oa"),
        mean_f1=_read_rate(assessment, "mean_f1"),
        mean_iou=_read_rate(assessment, "mean_iou"),
        classes=tuple(
            _read_class(assessment, entry, places=int(row.sum()))
            for entry, row in zip(assessment["classes"], counts, strict=True)
        ),
        counts=counts,
        statement=str(assessment["statement"]),
        reference=assessment["reference"],
        level=float(assessment["level"]),
        notes=tuple(assessment["notes"]),
    )


def _read_class(
    assessment: Mapping[str, Any], entry: Mapping[str, Any], *, places: int
) -> ClassScores:
    rates = (_read_rate(assessment, f"{rate}.{entry['id']}") for rate in ("ua", "pa", "f1", "iou"))
    return ClassScores(str(entry["name"]), places, *rates)


def _read_rate(assessment: Mapping[str, Any], name: str) -> Rate:
    low, high = assessment["intervals"].get(name, (None, None))
    return Rate(
        _read_number(assessment["rates"].get(name)), (_read_number(low), _read_number(high))
    )


def _read_number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
