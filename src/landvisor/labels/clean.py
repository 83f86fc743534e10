"""Which images of a collection go, and why: the rest as a collection of its own."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from landvisor.errors import CollectionError
from landvisor.files import check_output, publish_directory
from landvisor.geo.collection import Collection, Item, write_collection
from landvisor.geo.legend import write_legend
from landvisor.geo.mask_values import LEGEND
from landvisor.geo.rasters import Reading
from landvisor.labels.detectors import DETECTORS, Detector, Verdict
from landvisor.labels.looks import Look, read_looks
from landvisor.phrases import say_count
from landvisor.record import write_record

DEFAULT = ("identical_masks",)
UNREADABLE = "unreadable"
REMOVED = "removed.csv"
_TABLE = "collection.csv"
_COLUMNS = ("image", "mask", "split", "group", "detector", "score", "threshold", "reason")


@dataclass(frozen=True)
class Removed:
    """An image that does not belong, as one detector sees it.

    Attributes:
        item: The image, with its mask, split and group.
        detector: A key of `DETECTORS`, or `unreadable`.
        score: What it was judged by; None if it cannot be read.
        threshold: The highest score of an image that belongs.
        reason: What the score means.
    """

    item: Item
    detector: str
    score: float | None
    threshold: float | None
    reason: str


@dataclass(frozen=True)
class Cleaned:
    """What stays and what goes.

    Attributes:
        kept: The collection without the images that go, in the same order.
        removed: By the order of the images, one entry per image and detector.
        detectors: The detectors that looked.
        notes: What a user must know, one sentence each.
    """

    kept: Collection
    removed: tuple[Removed, ...]
    detectors: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Return plain values: counts by detector, and what went."""
        gone = {entry.item.name for entry in self.removed}
        names = [entry.detector for entry in self.removed]
        return {
            "images": len(self.kept) + len(gone),
            "kept": len(self.kept),
            "removed": len(gone),
            "detectors": {name: names.count(name) for name in dict.fromkeys(self.detectors)},
            "unreadable": names.count(UNREADABLE),
            "entries": [dict(zip(_COLUMNS, _row(entry), strict=True)) for entry in self.removed],
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """Say the summary in lines for a terminal."""
        found = self.summary()
        said = [f"{found['removed']:,} of {say_count(found['images'], 'image')} left out"]
        said += [f"{name}: {count}" for name, count in found["detectors"].items()]
        said += [f"unreadable: {found['unreadable']}"] if found["unreadable"] else []
        return [*said, *(f"note: {note}" for note in self.notes)]


def clean_collection(
    collection: Collection,
    *,
    detectors: Sequence[str | Detector] = DEFAULT,
    reading: Reading | None = None,
) -> Cleaned:
    """Find the images that do not belong; nothing is changed or written.

    Images that cannot be read, or whose mask does not fit, go whatever the detectors. Images
    without data stay, since there is nothing to judge.

    Args:
        collection: The images, of all splits.
        detectors: Keys of `DETECTORS`, or functions of the same signature.
        reading: How images are read.

    Raises:
        CollectionError: If a detector is unknown, no image can be read, numbers of bands differ,
            or no image would stay.
    """
    chosen = [_find_detector(detector) for detector in dict.fromkeys(detectors)]
    read = read_looks(collection.items, legend=collection.legend, reading=reading)
    removed, looks = [], []
    for item, found in zip(collection.items, read, strict=True):
        if isinstance(found, Look):
            looks.append((item, found))
        else:
            removed.append(Removed(item, UNREADABLE, None, None, str(found)))
    if not looks:
        raise CollectionError(f"none of {len(read)} images can be read: {removed[0].reason}")
    _check_bands([look for _, look in looks])
    judged = [(item, look) for item, look in looks if look.seen.any()]
    blank = len(looks) - len(judged)
    notes = [f"{say_count(blank, 'image')} without data not judged"] if blank else []
    for name, detector in chosen if judged else ():
        verdict = detector([look for _, look in judged])
        removed += _list_suspects(name, verdict, judged)
        notes += [f"{name} judged no image: {verdict.note}"] if verdict.note else []
    names = tuple(name for name, _ in chosen)
    return _part(collection, removed, detectors=names, notes=tuple(notes))


def write_cleaned(cleaned: Cleaned, out: Path | str, *, overwrite: bool = False) -> None:
    """Write the collection, its legend and `removed.csv` to a folder; images stay in place.

    Raises:
        OutputError: If the folder exists, holds what the collection names, or cannot be written.
    """
    started = datetime.now(UTC)
    items = (*cleaned.kept.items, *(entry.item for entry in cleaned.removed))
    read = replace(cleaned.kept, items=items).sources()
    check_output(out, overwrite=overwrite, kind="folder", inputs=read)
    with publish_directory(out, overwrite=overwrite) as folder:
        write_collection(cleaned.kept, folder / _TABLE)
        if cleaned.kept.legend is not None:
            write_legend(cleaned.kept.legend, folder / LEGEND)
        with (folder / REMOVED).open("w", newline="", encoding="utf-8") as stream:
            table = csv.writer(stream)
            table.writerow(_COLUMNS)
            table.writerows(_row(entry) for entry in cleaned.removed)
        source = {"collection": cleaned.kept.path} if cleaned.kept.path else {}
        recipe = {"detectors": list(cleaned.detectors)}
        write_record(folder, seed=0, recipe=recipe, inputs=source, started=started)


def _find_detector(detector: str | Detector) -> tuple[str, Detector]:
    if callable(detector):
        return getattr(detector, "__name__", "detector"), detector
    if detector not in DETECTORS:
        raise CollectionError(f"detector {detector!r} found; choose among {', '.join(DETECTORS)}")
    return detector, DETECTORS[detector]


def _check_bands(looks: Sequence[Look]) -> None:
    first = looks[0]
    for look in looks:
        if len(look.mean) != len(first.mean):
            raise CollectionError(
                f"scene {look.name!r} has {len(look.mean)} bands and {first.name!r} has "
                f"{len(first.mean)}; need the same everywhere: clean them apart"
            )


def _list_suspects(
    name: str, verdict: Verdict, judged: Sequence[tuple[Item, Look]]
) -> list[Removed]:
    return [
        Removed(judged[i][0], name, float(verdict.score[i]), verdict.threshold, verdict.reasons[i])
        for i in np.flatnonzero(verdict.suspect).tolist()
    ]


def _part(
    collection: Collection,
    removed: list[Removed],
    *,
    detectors: tuple[str, ...],
    notes: tuple[str, ...],
) -> Cleaned:
    gone = {entry.item.name for entry in removed}
    kept = tuple(item for item in collection.items if item.name not in gone)
    if not kept:
        raise CollectionError(f"all {len(collection)} images would go; choose other detectors")
    order = {item.name: position for position, item in enumerate(collection.items)}
    removed.sort(key=lambda entry: order[entry.item.name])
    return Cleaned(replace(collection, items=kept), tuple(removed), detectors, notes)


def _row(entry: Removed) -> list[Any]:
    item = entry.item
    numbers = [None if n is None else round(n, 4) for n in (entry.score, entry.threshold)]
    mask = None if item.mask is None else str(item.mask)
    return [str(item.image), mask, item.split, item.group, entry.detector, *numbers, entry.reason]
