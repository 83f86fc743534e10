"""Which places are to be labelled, so that a map's accuracy and areas can be stated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from landvisor.accuracy.allocation import allocate, expect_error, find_shares, find_size
from landvisor.accuracy.design_table import align
from landvisor.accuracy.expected import read_expected
from landvisor.accuracy.frame import Census, Frame, Kind, open_frame, pick_pixels, take_census
from landvisor.accuracy.record import DrawRecord, write_record
from landvisor.errors import AssessmentError
from landvisor.files import publish_file
from landvisor.geo.class_map import open_class_map
from landvisor.geo.legend import Legend
from landvisor.geo.places import make_places
from landvisor.geo.points import Points, places_to_points, write_points
from landvisor.geo.vectors import check_geopackage

_NEARLY = 1e-3  # of a wanted standard error, which whole units may miss
FEW = 50
"""Units of a stratum below which Olofsson et al. (2014), section 5.1.2, expect rough figures."""


@dataclass(frozen=True)
class DrawSpec:
    """What to draw.

    Attributes:
        design: `simple`, or `stratified` by class of the map or by a stratum raster.
        allocation: `proportional`, `equal` or `neyman`; a simple sample knows none.
        n: Units in all; None finds them from `standard_error`.
        standard_error: Wanted of overall accuracy.
        expected_accuracy: Expected accuracy: of all strata, by name of stratum, or a file, see
            `read_expected`. None looks for the assessment in the map's folder.
        minimum: Units that every stratum gets; two give it a variance.
        seed: Of the draw.
        strata: Raster of strata on the map's grid instead of the map's classes.
    """

    design: Kind = "stratified"
    allocation: str = "proportional"
    n: int | None = None
    standard_error: float | None = None
    expected_accuracy: float | Path | Mapping[str, float] | None = None
    minimum: int = 2
    seed: int = 0
    strata: Path | None = None

    def __post_init__(self) -> None:
        if (self.n is None) == (self.standard_error is None):
            raise AssessmentError(
                f"n is {self.n} and standard_error is {self.standard_error}; give one of them, "
                "which says how many places to draw"
            )
        if self.design == "simple" and self.strata is not None:
            raise AssessmentError(
                f"strata {str(self.strata)!r} were given for a simple random sample, which has "
                "none; draw a stratified one"
            )


@dataclass(frozen=True, eq=False)
class Drawn:
    """A drawn sample.

    Attributes:
        points: Places to label, in random order, with an empty `class_name`.
        record: How they were drawn.
        expected_error: Standard error of overall accuracy to expect; NaN where no accuracy was.
        notes: What a user must know, one sentence each.
    """

    points: Points
    record: DrawRecord
    expected_error: float
    notes: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        known = not np.isnan(self.expected_error)
        return {
            "design": self.record.kind,
            "source": self.record.source,
            "allocation": self.record.allocation,
            "seed": self.record.seed,
            "places": len(self.points),
            "expected_standard_error": self.expected_error if known else None,
            "strata": [
                {"name": s.name, "pixels": s.pixels, "area_m2": s.area, "units": units}
                for s, units in zip(self.record.strata, self.record.units, strict=True)
            ],
            "notes": list(self.notes),
        }

    def table(self) -> str:
        """Lay the allocation out for a terminal."""
        total = sum(stratum.pixels for stratum in self.record.strata)
        rows = [["stratum", "pixels", "share", "places"]]
        for stratum, units in zip(self.record.strata, self.record.units, strict=True):
            share = f"{100 * stratum.pixels / total:.2f} %"
            rows.append([stratum.name, f"{stratum.pixels:,}", share, f"{units:,}"])
        rows.append(["total", f"{total:,}", "100.00 %", f"{len(self.points):,}"])
        kind = "simple random" if self.record.kind == "simple" else "stratified random"
        how = f"{kind} sample from {self.record.source}, {self.record.allocation}, seed "
        error = (
            []
            if np.isnan(self.expected_error)
            else [f"standard error of overall accuracy to expect: {self.expected_error:.4f}"]
        )
        notes = [f"note: {note}" for note in self.notes]
        return "\n".join([*align(rows), f"{how}{self.record.seed}", *error, *notes])


def draw_sample(
    source: Path | str,
    spec: DrawSpec,
    *,
    out: Path | str | None = None,
    legend: Legend | None = None,
    overwrite: bool = False,
) -> Drawn:
    """Draw a random sample of a map's pixels, for people to label.

    Every mapped pixel of a stratum has the same chance, and none is drawn twice. The map is read
    strip by strip, twice at most, so that memory does not grow with it.

    Args:
        source: A class raster, or a folder that `map` or `predict` made.
        spec: What to draw.
        out: GeoPackage to write; None writes nothing.
        legend: Instead of the one in the map.
        overwrite: Replace an existing file.

    Raises:
        AssessmentError: If the strata do not fit, or allow no such sample.
        OutputError: If the file cannot be written.
        SceneError: If the map cannot be read.

    References:
        Olofsson et al. (2014), section 5.1, doi:10.1016/j.rse.2014.02.015.
    """
    if out is not None:
        check_geopackage(out)
    frame = open_frame(open_class_map(source, legend), spec.design, spec.strata)
    census = take_census(frame)
    units, allocation, error, notes = _plan(frame, census, spec)
    generator = np.random.default_rng(spec.seed)
    ranks = {
        code: generator.choice(stratum.pixels, size=int(count), replace=False, shuffle=False)
        for (code, stratum), count in zip(census.strata.items(), units, strict=True)
    }
    pixels, codes = pick_pixels(frame, census, {k: np.sort(v) for k, v in ranks.items()})
    order = generator.permutation(len(pixels))  # so that a row tells nothing of its stratum
    record = DrawRecord(
        kind=spec.design,
        source=frame.source,
        strata=tuple(census.strata.values()),
        units=tuple(int(count) for count in units),
        digest=census.digest,
        allocation=allocation,
        seed=spec.seed,
    )
    points = _make_points(frame, census, pixels[order], codes[order])
    drawn = Drawn(points, record, error, (*notes, *_note(record, census)))
    if out is not None:
        with publish_file(out, overwrite=overwrite) as aside:
            write_points(points, aside)
            write_record(record, aside)
    return drawn


def _plan(
    frame: Frame, census: Census, spec: DrawSpec
) -> tuple[NDArray[np.int64], str, float, tuple[str, ...]]:
    """Say how many units each stratum gets, how that was found, and the error to expect."""
    pixels = np.array([stratum.pixels for stratum in census.strata.values()])
    simple = spec.design == "simple"
    needed = spec.standard_error is not None or (spec.allocation == "neyman" and not simple)
    accuracy, said = read_expected(frame, census, spec.expected_accuracy, needed=needed)
    allocation = "proportional" if simple else spec.allocation
    shares = find_shares(allocation, pixels, accuracy)
    how = "equal chances" if simple else f"{allocation} allocation"
    minimum = 1 if simple else spec.minimum
    if spec.standard_error is None:
        assert spec.n is not None, "a spec has either"
        units = allocate(spec.n, shares=shares, pixels=pixels, minimum=minimum)
    else:
        how += f", for a standard error of {spec.standard_error:g}"
        units = _reach_error(
            spec.standard_error, shares=shares, pixels=pixels, accuracy=accuracy, minimum=minimum
        )
    error = expect_error(units, pixels=pixels, accuracy=accuracy) if said else float("nan")
    return units, how, error, said


def _reach_error(
    wanted: float,
    *,
    shares: NDArray[np.float64],
    pixels: NDArray[np.int64],
    accuracy: NDArray[np.float64],
    minimum: int,
) -> NDArray[np.int64]:
    """Allocate as few units as give a wanted standard error, with what the minima take away."""
    n = find_size(wanted, shares=shares, pixels=pixels, accuracy=accuracy)
    n = max(n, int(np.minimum(pixels, minimum).sum()))
    while True:
        n = min(n, int(pixels.sum()))
        units = allocate(n, shares=shares, pixels=pixels, minimum=minimum)
        reached = expect_error(units, pixels=pixels, accuracy=accuracy)
        if reached <= wanted * (1 + _NEARLY) or n == pixels.sum():
            return units
        n += max(1, n // 200)


def _make_points(
    frame: Frame, census: Census, pixels: NDArray[np.int64], codes: NDArray[np.int64]
) -> Points:
    """Make places without a class, at the centres of pixels."""
    legend = frame.classes.legend
    # the class is what people will say: any will do until it is taken out
    blank = make_places(pixels.astype(np.float64), np.full(len(pixels), legend.ids[0]))
    frame_of = places_to_points(blank, [frame.classes.scene], legend).frame
    drawn = {code: int((codes == code).sum()) for code in census.strata}
    chance = {code: drawn[code] / stratum.pixels for code, stratum in census.strata.items()}
    table = frame_of.drop(columns=["class_id"]).assign(
        class_name=pd.array([None] * len(pixels), dtype="string"),
        role="assess",
        stratum=[census.strata[code].name for code in codes.tolist()],
        inclusion_prob=[chance[code] for code in codes.tolist()],
    )
    return Points(table, legend)


def _note(record: DrawRecord, census: Census) -> list[str]:
    notes = []
    pairs = zip(record.strata, record.units, strict=True)
    few = [s.name for s, units in pairs if units < min(FEW, s.pixels)]
    if record.kind == "stratified" and few:
        notes.append(
            f"fewer than {FEW} places in {', '.join(few)}: figures of such strata are rough"
        )
    if census.unstratified:
        notes.append(
            f"{census.unstratified:,} mapped pixels are in no stratum: nothing will be said of them"
        )
    return notes
