"""What a map's accuracy and areas are, by places that were drawn at random from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.accuracy.assessment import Assessment, Reference
from landvisor.accuracy.confusion import Confusion
from landvisor.accuracy.design import Design
from landvisor.accuracy.design_table import HOW
from landvisor.accuracy.frame import Census, Frame, Kind, Stratum, open_frame, take_census
from landvisor.accuracy.membership import Membership, find_membership
from landvisor.accuracy.record import DrawRecord
from landvisor.errors import AssessmentError
from landvisor.geo.class_map import ClassMap
from landvisor.geo.locate import Losses, locate
from landvisor.geo.places import Places
from landvisor.geo.points import Points, geometry_kinds
from landvisor.phrases import list_few, say_count

_UNEVEN = 1.02  # largest pixel by smallest, above which a mean pixel is worth a word


@dataclass(frozen=True, eq=False)
class _Units:
    """Labelled units on mapped pixels.

    Attributes:
        reference: `[n]`: class ids.
        mapped: `[n]`: class ids.
        places: Where they are.
        frame: The rows of the points table they came from, in the same order.
    """

    reference: NDArray[np.int64]
    mapped: NDArray[np.int64]
    places: Places
    frame: Any


def assess_sample(
    classes: ClassMap,
    points: Points,
    *,
    kind: Kind,
    strata: Path | None = None,
    record: DrawRecord | None = None,
) -> Assessment:
    """Estimate a map's accuracy and areas from a simple or stratified random sample.

    A point is a unit, on the pixel under it; a polygon or line is one as well, on the pixel under
    a point on it. Units of role `assess` alone are used where there are any.

    Args:
        classes: The map.
        points: Labelled units.
        kind: How they were drawn.
        strata: Raster of the strata that they were drawn from, on the map's grid; else column
            `stratum` of the points says it, and else the strata are the map's classes.
        record: How the points' file says that they were drawn.

    Raises:
        AssessmentError: If the sample does not belong to the map, contradicts its design, or
            leaves a stratum without a unit.
        PointsError: If no unit lies on the map.
    """
    _check_kind(kind, record)
    frame = open_frame(classes, kind, strata)
    census = take_census(frame)
    units, losses, notes = _find_units(points, frame)
    if record is not None:
        _check_on_map(losses, len(points))
    membership = find_membership(
        frame, census, pixels=units.places.pixels(), mapped=units.mapped, table=units.frame,
        record=record if strata is None else None,
    )  # fmt: skip
    design = _count(frame, census, units, membership)
    _check_strata(design, mergeable=record is None and strata is None)
    notes = (
        *_match_labels(points),
        *notes,
        *replace(losses, for_assessment=0).sentences(),
        *membership.notes,
        *_note_record(record, census, design),
        *_note(design, census),
    )
    return _conclude(design, notes)


def _check_kind(kind: Kind, record: DrawRecord | None) -> None:
    if record is not None and record.kind != kind:
        raise AssessmentError(
            f"--design {kind} was given, but the file of the places says that they were drawn as a "
            f"{record.kind} random sample; give --design {record.kind}"
        )


def _check_on_map(losses: Losses, places: int) -> None:
    lost = losses.off_image + losses.on_nodata
    if lost:
        raise AssessmentError(
            f"{lost} of the {places} places of the sample lie off the map or on its no-data, where "
            "none was drawn; hold it against the map that it was drawn from, or draw a new one"
        )


def _find_units(points: Points, frame: Frame) -> tuple[_Units, Losses, tuple[str, ...]]:
    """Put every feature on one pixel and read the map there."""
    scene, legend = frame.classes.scene, frame.classes.legend
    kinds = geometry_kinds(points)
    single, notes = points, list(points.notes)
    if kinds - {"point"} and not points.in_pixels:
        shapes = points.frame.geometry.representative_point()
        single = replace(points, frame=points.frame.set_geometry(shapes))
        notes.append("a polygon or line counts as one unit, at a point on it")
    located = locate(single, [scene])
    assess = len(located.assess) > 0
    places = located.assess if assess else located.train
    found = scene.sample(places.pixels())
    mapped = legend.resolve(np.where(found.valid, found.data[0].astype(np.int64), -1))
    kept = mapped >= 0
    if assess:
        notes.append("Places of role 'assess' were used.")
    else:
        notes.append("If the model learned from these places, the figures are too good.")
    if not kept.any():
        raise AssessmentError(
            "no labelled place lies on a mapped class; hold the sample against the map that it was "
            "drawn from"
        )
    places = places.take(kept)
    losses = replace(located.losses, on_nodata=located.losses.on_nodata + int((~kept).sum()))
    table = points.frame.iloc[places.index].reset_index(drop=True)
    return _Units(places.label, mapped[kept], places, table), losses, tuple(notes)


def _count(frame: Frame, census: Census, units: _Units, membership: Membership) -> Design:
    legend = frame.classes.legend
    size = len(legend.ids)
    reference, mapped = legend.to_index(units.reference), legend.to_index(units.mapped)
    drawn = [membership.strata[position].name for position in membership.stratum.tolist()]
    classes = [legend.names[position] for position in mapped.tolist()]
    codes = (membership.stratum * size + reference) * size + mapped
    cells = len(membership.strata) * size**2
    return Design(
        kind=frame.kind,
        source=membership.source,
        strata=membership.strata,
        counts=np.bincount(codes, minlength=cells).reshape(-1, size, size),
        ids=legend.ids,
        names=legend.names,
        mapped=tuple(int(census.mapped[label]) for label in legend.ids),
        nested=drawn == classes,
    )


def _check_strata(design: Design, *, mergeable: bool) -> None:
    """Refuse strata of which the sample says nothing, or more than there is."""
    pairs = list(zip(design.strata, design.units.tolist(), strict=True))
    empty = [s for s, units in pairs if not units]
    if empty:
        share = 100 * sum(s.pixels for s in empty) / int(design.pixels.sum())
        cure = ", or merge the class into another with `as` in --legend" if mergeable else ""
        raise AssessmentError(
            f"no labelled place lies in {_name(empty)} ({share:.2g} % of the map), so nothing can "
            f"be said of it; label a place there{cure}"
        )
    over = next(((s, units) for s, units in pairs if units > s.pixels), None)
    if over is not None:
        raise AssessmentError(
            f"stratum {over[0].name!r} has {over[1]} labelled places but only {over[0].pixels} "
            "pixels; the strata are not those that the sample was drawn from"
        )


def _match_labels(points: Points) -> list[str]:
    """Print which label of the reference was taken as which class."""
    legend = points.legend
    names = {c.id: c.name for c in legend.classes}
    pairs = []
    for label, number in points.matched:
        target = int(legend.resolve(np.array([number]))[0])
        pairs.append(f"{label!r} as {names.get(target, 'ignored')}")
    return [f"labels of the reference: {list_few(pairs, shown=20)}"] if pairs else []


def _note_record(record: DrawRecord | None, census: Census, design: Design) -> list[str]:
    if record is None:
        return []
    notes = []
    drawn = sum(record.units)
    labelled = int(design.units.sum())
    if labelled < drawn:
        notes.append(
            f"{drawn - labelled} of the {drawn} drawn places have no usable label; those of each "
            "stratum are taken to be like its others"
        )
    if record.digest != census.digest:
        mapped, then = int(census.mapped[:255].sum()), int(design.pixels.sum())
        size = (
            ""
            if mapped == then
            else f", which had {then:,} mapped pixels; this one has {mapped:,}, and the areas are "
            "of the former"
        )
        notes.append(
            "the map is not the one that the sample was drawn from, or it has changed since; the "
            f"strata are those of the draw{size}"
        )
    return notes


def _note(design: Design, census: Census) -> list[str]:
    notes = [HOW]
    pairs = list(zip(design.strata, design.units.tolist(), strict=True))
    single = [s for s, units in pairs if units == 1 and s.pixels > 1]
    if single:
        notes.append(f"{_name(single)} has a single labelled place, which gives no standard error")
    held = design.counts.sum(axis=(0, 2)) > 0
    named = zip(design.names, design.mapped, held, strict=True)
    unseen = [name for name, mapped, there in named if mapped and not there]
    unmapped = [
        name
        for name, mapped, there in zip(design.names, design.mapped, held, strict=True)
        if there and not mapped
    ]
    if unseen:
        notes.append(f"the reference holds no {', '.join(unseen)}, though the map does")
    if unmapped:
        notes.append(f"the map holds no {', '.join(unmapped)}, though the reference does")
    if design.corrected:
        notes.append(
            f"more than 5 % of {list_few(design.corrected)} was drawn, so that the finite "
            "population correction narrows its intervals (Cochran 1977)"
        )
    if census.unstratified:
        notes.append(f"{census.unstratified:,} mapped pixels in no stratum are left out of all")
    if census.unevenness > _UNEVEN:
        notes.append(
            f"pixels differ in size by {100 * (census.unevenness - 1):.0f} % over the map; square "
            "metres take the mean pixel of each stratum: warp to an equal-area CRS for exact ones"
        )
    return notes


def _conclude(design: Design, notes: tuple[str, ...]) -> Assessment:
    total = int(design.units.sum())
    size = len(design.ids)
    pooled = Confusion(
        design.ids, design.names, design.counts.sum(axis=0), np.zeros(size, dtype=np.int64)
    )
    kind = "simple" if design.kind == "simple" else "stratified"
    return Assessment(
        confusion=pooled,
        intervals=design.intervals(),
        statement=f"for the whole map, estimated from a {kind} random sample",
        reference=Reference(f"{kind} random sample", total, 0, 0),
        notes=notes,
        design=design,
    )


def _name(strata: list[Stratum]) -> str:
    names = list_few(repr(stratum.name) for stratum in strata)
    return names if len(strata) == 1 else f"{say_count(len(strata), 'stratum', 'strata')} ({names})"
