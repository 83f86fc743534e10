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


@dataclass(frozen=True)
class AreaRow:
    """How much of the whole map a class covers in truth, as a sample estimates it.

    Attributes:
        name: Of the class.
        mapped: Share of the mapped pixels.
        share: Estimated share, and its interval.
        amount: Hectares, or pixels where the map has no CRS, with the interval, as text.
    """

    name: str
    mapped: float
    share: Rate
    amount: str


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
        design: `simple` or `stratified` where the reference is a random sample of the map; the
            rates are then estimates of the map's. Else empty.
        areas: Estimated areas by class; none without a design.
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
    design: str = ""
    areas: tuple[AreaRow, ...] = ()


def read_scores(assessment: Mapping[str, Any]) -> Scores:
    """Read what `Assessment.to_dict` returned."""
    counts = np.array(assessment["counts"], dtype=np.int64)
    design = assessment.get("design")
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
        design=str(design["kind"]) if design else "",
        areas=_read_areas(design) if design else (),
    )


def _read_areas(design: Mapping[str, Any]) -> tuple[AreaRow, ...]:
    total = sum(stratum["pixels"] for stratum in design["strata"])
    rows = []
    for entry in design["classes"]:
        share = entry["share"]
        known, unit, factor = entry["m2"], "ha", 1e-4
        if known is None:
            known, unit, factor = entry["pixels"], "pixels", 1.0
        value, low, high = (factor * known[key] for key in ("value", "low", "high"))
        rows.append(
            AreaRow(
                name=str(entry["name"]),
                mapped=entry["mapped_pixels"] / total,
                share=Rate(share["value"], (share["low"], share["high"])),
                amount=f"{value:,.1f} {unit} ({low:,.1f} to {high:,.1f})",
            )
        )
    return tuple(rows)


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
