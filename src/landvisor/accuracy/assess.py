"""How good is this map: counts, intervals and limits at places or on masks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from landvisor.accuracy.assessment import LEVEL, Assessment, Reference
from landvisor.accuracy.bootstrap import Interval, bootstrap_counts, count_blocks
from landvisor.accuracy.confusion import Confusion, count_confusion
from landvisor.errors import AssessmentError
from landvisor.geo.legend import Legend

__all__ = ["Assessment", "Reference", "assess_mask", "assess_places", "find_borders"]

FEW_BLOCKS = 10  # below this the percentile interval is known to be too narrow


def assess_places(
    reference_ids: NDArray[np.integer],
    predicted_ids: NDArray[np.integer],
    *,
    legend: Legend,
    statement: str,
    block: NDArray[np.int64] | None = None,
    resamples: int = 1000,
    seed: int = 0,
    notes: Iterable[str] = (),
) -> Assessment:
    """Assess a map at labelled places that it was not made from.

    Args:
        reference_ids: `[n]`: class ids; ignored and unknown ones are skipped.
        predicted_ids: `[n]`: class ids of the map there; anything else is unmapped.
        legend: Its active classes are scored; merged ones count as what they are merged into.
        statement: What the figures are about; it is printed with them.
        block: `[n]`: spatial block of each place, for the interval; None gives no interval.
        resamples: Draws of the bootstrap.
        seed: Of the bootstrap.
        notes: Sentences to print with the figures.

    Raises:
        AssessmentError: If no place has a class of the legend.
    """
    reference, predicted = legend.resolve(reference_ids), legend.resolve(predicted_ids)
    confusion = count_confusion(reference, predicted, ids=legend.ids, names=legend.names)
    alone = np.zeros(len(reference), dtype=np.int64)
    counts = count_blocks(
        reference, predicted, block=alone if block is None else block, ids=legend.ids
    )
    return _conclude(
        _Evidence(confusion, counts, drawn="labelled places", notes=tuple(notes)),
        statement=statement,
        resamples=0 if block is None else resamples,
        seed=seed,
    )


def assess_mask(
    pairs: Iterable[tuple[NDArray[np.integer], NDArray[np.integer]]],
    *,
    legend: Legend,
    border: int = 0,
    statement: str = "at all labelled pixels of the masks",
    resamples: int = 1000,
    seed: int = 0,
    notes: Iterable[str] = (),
) -> Assessment:
    """Assess maps against masks, counts pooled over all images before any rate is computed.

    Args:
        pairs: (map, mask) class ids `[row, col]` on one grid, an image or a block at a time;
            these are also what the bootstrap resamples.
        legend: Its active classes are scored.
        border: Leave out pixels within so many pixels of a border between two classes of the
            mask, in rows and columns alike; a pair does not see across its own edge.
        statement: What the figures are about.
        resamples: Draws of the bootstrap; 0 gives no interval.
        seed: Of the bootstrap.
        notes: Sentences to print with the figures.

    Raises:
        AssessmentError: If there is no pair, no labelled pixel, or a map and mask differ in shape.
    """
    parts = [_count_pair(*pair, legend=legend, border=border) for pair in pairs]
    if not parts:
        raise AssessmentError("no map with a mask was given; an assessment needs at least one")
    left_out = (f"Pixels within {border} of a class border of the masks were left out.",)
    pooled = sum(parts[1:], parts[0])
    evidence = _Evidence(
        pooled,
        np.stack([part.counts for part in parts if part.total or not pooled.total]),
        drawn=f"all labelled pixels of {len(parts)} masks",
        notes=(*notes, *(left_out if border else ())),
    )
    return _conclude(evidence, statement=statement, resamples=resamples, seed=seed)


def find_borders(labels: NDArray[np.int64], reach: int) -> NDArray[np.bool_]:
    """Mark the pixels with two classes within `reach` rows and columns; below 0 is unlabelled."""
    size = 2 * reach + 1
    highest = ndimage.maximum_filter(labels, size=size, mode="nearest")
    blank = 255  # above every class id, so that unlabelled is never the lowest
    lowest = ndimage.minimum_filter(np.where(labels < 0, blank, labels), size=size, mode="nearest")
    return np.asarray((highest >= 0) & (lowest != highest))


@dataclass(frozen=True, eq=False)
class _Evidence:
    """What was counted: pooled, by block, and how it came about."""

    confusion: Confusion
    by_block: NDArray[np.int64]
    drawn: str
    notes: tuple[str, ...]


def _count_pair(
    mapped: NDArray[np.integer], mask: NDArray[np.integer], *, legend: Legend, border: int
) -> Confusion:
    reference = legend.resolve(mask)
    if border > 0:
        reference = np.where(find_borders(reference, border), -1, reference)
    return count_confusion(reference, legend.resolve(mapped), ids=legend.ids, names=legend.names)


def _conclude(evidence: _Evidence, *, statement: str, resamples: int, seed: int) -> Assessment:
    confusion = evidence.confusion
    places = confusion.total + int(confusion.unmapped.sum())
    if not places:
        raise AssessmentError(
            f"no place of the reference has a class of the legend ({', '.join(confusion.names)}); "
            "give reference labels that share it"
        )
    intervals = bootstrap_counts(
        evidence.by_block, ids=confusion.ids, resamples=resamples, seed=seed, level=LEVEL
    )
    blocks = len(evidence.by_block) if resamples else 0
    reference = Reference(evidence.drawn, places, blocks, resamples)
    notes = (*evidence.notes, *_note_limits(confusion, intervals, reference))
    return Assessment(confusion, intervals, statement, reference, notes)


def _note_limits(
    confusion: Confusion, intervals: dict[str, Interval], reference: Reference
) -> list[str]:
    """Say what the figures cannot say."""
    notes = []
    unmapped = int(confusion.unmapped.sum())
    absent = _name_classes(confusion, confusion.counts.sum(axis=1) == 0)
    if unmapped:
        notes.append(f"{unmapped} reference places have no class in the map and enter no rate.")
    if absent:
        notes.append(f"The reference has no mapped place of {absent}; means leave them out.")
    if reference.resamples:
        notes += _note_intervals(confusion, intervals, reference.blocks)
    return notes


def _note_intervals(confusion: Confusion, intervals: dict[str, Interval], blocks: int) -> list[str]:
    if math.isnan(intervals["oa"][0]):
        return ["Fewer than two blocks hold mapped places, so no interval can be given."]
    notes = []
    unknown = [math.isnan(intervals[f"f1.{label}"][0]) for label in confusion.ids]
    single = _name_classes(confusion, np.array(unknown) & (confusion.counts.sum(axis=1) > 0))
    if single:
        notes.append(f"No interval can be given for {single}: places in one block only.")
    if blocks < FEW_BLOCKS:
        notes.append(f"Intervals rest on {blocks} blocks only and are likely too narrow.")
    if confusion.metrics()["oa"] in (0, 1):
        notes.append(f"All places agree, so the interval is the exact one for {blocks} blocks.")
    return notes


def _name_classes(confusion: Confusion, chosen: NDArray[np.bool_]) -> str:
    return ", ".join(
        name for name, is_chosen in zip(confusion.names, chosen, strict=True) if is_chosen
    )
