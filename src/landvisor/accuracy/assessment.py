"""What an assessment holds, how it is written down, and how it reads in a terminal."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from landvisor.accuracy.bootstrap import Interval
from landvisor.accuracy.buffer import Separation
from landvisor.accuracy.calibration import Calibration
from landvisor.accuracy.confusion import CLASS_RATES, Confusion
from landvisor.accuracy.design import Design
from landvisor.accuracy.design_table import align, lay_out, say_overall
from landvisor.errors import AssessmentError

FORMAT = 1
LEVEL = 0.95
_TITLES = {"oa": "overall accuracy", "mean_f1": "mean F1", "mean_iou": "mean IoU"}


@dataclass(frozen=True)
class Reference:
    """What the map was held against.

    Attributes:
        drawn: How its places came about, such as "convenience points".
        places: Labelled places (or pixels) in all, unmapped ones included.
        blocks: Blocks that were resampled for the interval; 0 where none were given.
        resamples: Draws of the bootstrap.
    """

    drawn: str
    places: int
    blocks: int
    resamples: int


@dataclass(frozen=True, eq=False)
class Assessment:
    """Confusion counts, rates with intervals, and how they came about.

    Attributes:
        confusion: Counts pooled over all images or folds.
        intervals: (low, high) by name of the rate, 95 %; NaN where nothing can be said.
        statement: What the figures are about: "at labelled places, 5 outer spatial folds".
        reference: What the map was held against.
        notes: What a reader must know besides, one sentence each.
        design: How a probability sample was drawn and what it says of the whole map; None where
            the reference is none. With it all rates and intervals are estimates of the map's.
        separation: How far what was held out was from what was learned from, in outer folds.
        calibration: What is known of the probabilities, where there were any.
    """

    confusion: Confusion
    intervals: dict[str, Interval]
    statement: str
    reference: Reference
    notes: tuple[str, ...] = ()
    design: Design | None = None
    separation: Separation | None = None
    calibration: Calibration | None = None

    def rates(self) -> dict[str, float]:
        """Return every rate by name: of the whole map with a design, else of the counts."""
        return self.confusion.metrics() if self.design is None else self.design.rates()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; NaN becomes null."""
        counts = self.confusion
        return {
            "format": FORMAT,
            "statement": self.statement,
            "reference": asdict(self.reference),
            "classes": [
                {"id": i, "name": n} for i, n in zip(counts.ids, counts.names, strict=True)
            ],
            "counts": counts.counts.tolist(),
            "unmapped": counts.unmapped.tolist(),
            "rates": {name: _to_json(value) for name, value in self.rates().items()},
            "intervals": {k: [_to_json(low), _to_json(high)] for k, (low, high) in self._sorted()},
            "level": LEVEL,
            "notes": list(self.notes),
            **self._extras(),
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Assessment:
        """Read what `to_dict` returned; rates are computed anew from the counts.

        Raises:
            AssessmentError: If it is of a newer format or lacks a part.
        """
        if content.get("format", 0) > FORMAT:
            raise AssessmentError(
                f"assessment of format {content['format']} found; this version reads up to "
                f"{FORMAT}; update landvisor"
            )
        try:
            return _parse(content)
        except (KeyError, TypeError, ValueError) as error:
            raise AssessmentError(f"the assessment is damaged ({error!r}); assess again") from error

    def summary(self) -> str:
        """Say it in one line."""
        values = self.rates()
        parts = [
            f"{title} {_format(values[name])}{self._format_interval(name)}"
            for name, title in _TITLES.items()
        ]
        if self.design is not None:
            parts[0] = say_overall(self.design)
        return f"{', '.join(parts)}; {self.statement}; {self.reference.places} labelled"

    def table(self) -> str:
        """Lay out the rates of every class, the summary and the notes for a terminal."""
        head = ["class", "reference", "map", "UA", "PA", "F1", "IoU", "F1, 95 % interval"]
        lines = align([head, *self._rows()]) if self.design is None else lay_out(self.design)
        told = [] if self.calibration is None else [self.calibration.summary()]
        notes = [f"note: {note}" for note in self.notes]
        return "\n".join([*lines, "", self.summary(), *told, *notes])

    def _extras(self) -> dict[str, Any]:
        known = ((n, getattr(self, n)) for n in ("design", "separation", "calibration"))
        return {name: part.to_dict() for name, part in known if part is not None}

    def _rows(self) -> list[list[str]]:
        counts = self.confusion
        totals = zip(counts.counts.sum(axis=1), counts.counts.sum(axis=0), strict=True)
        values = self.rates()
        return [
            [name, str(held), str(mapped)]
            + [_format(values[f"{rate}.{label}"]) for rate in CLASS_RATES]
            + [self._format_interval(f"f1.{label}").strip(" ()")]
            for label, name, (held, mapped) in zip(counts.ids, counts.names, totals, strict=True)
        ]

    def _format_interval(self, name: str) -> str:
        low, high = self.intervals.get(name, (math.nan, math.nan))
        return "" if math.isnan(low) else f" ({low:.3f} to {high:.3f})"

    def _sorted(self) -> list[tuple[str, Interval]]:
        return sorted(self.intervals.items())


def _parse(content: dict[str, Any]) -> Assessment:
    classes = content["classes"]
    size = len(classes)
    confusion = Confusion(
        ids=tuple(int(entry["id"]) for entry in classes),
        names=tuple(str(entry["name"]) for entry in classes),
        counts=np.array(content["counts"], dtype=np.int64).reshape(size, size),
        unmapped=np.array(content["unmapped"], dtype=np.int64).reshape(size),
    )
    intervals = {
        name: (_from_json(low), _from_json(high))
        for name, (low, high) in content["intervals"].items()
    }
    reference = Reference(**content["reference"])
    design = None
    if content.get("design") is not None:
        design = Design.from_dict(content["design"], ids=confusion.ids, names=confusion.names)
    notes = tuple(content["notes"])
    apart, calibration = content.get("separation"), content.get("calibration")
    return Assessment(
        confusion, intervals, content["statement"], reference, notes, design,
        separation=None if apart is None else Separation.from_dict(apart),
        calibration=None if calibration is None else Calibration.from_dict(calibration),
    )  # fmt: skip


def _to_json(value: float) -> float | None:
    return None if math.isnan(value) else value


def _from_json(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _format(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
