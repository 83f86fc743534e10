"""What splits share that they should not, and what they should share but do not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.geo.collection import Item
from landvisor.geo.importing import describe_shared_groups
from landvisor.labels.alike import find_alike, make_thumbnails
from landvisor.labels.findings import Finding
from landvisor.labels.looks import Look
from landvisor.phrases import list_few, say_count

_TAIL = 0.05
_WIDER = 2.0


def check_splits(
    items: Sequence[Item], looks: Sequence[Look], bands: Sequence[str]
) -> list[Finding]:
    """Check images of all splits against each other.

    What is found are notes: nothing of it stops a run, but scores on one split do not say what
    they seem to.

    Args:
        items: Images that can be read.
        looks: What they look like, all with the same number of bands.
        bands: Names of the bands.
    """
    found = [Finding("note", text) for text in describe_shared_groups(items)]
    return [*found, *check_leaks(items, looks), *check_ranges(items, looks, bands)]


def check_leaks(items: Sequence[Item], looks: Sequence[Look]) -> list[Finding]:
    """Check for nearly equal images that a split or a fold parts.

    Images without a split, or of one split, may be parted by folds unless they share a group.
    """
    between: list[dict[str, Any]] = []
    within: list[dict[str, Any]] = []
    for first, second, alike in find_alike(make_thumbnails(looks)):
        pair = items[first], items[second]
        row = {
            "images": [item.name for item in pair],
            "splits": [item.split for item in pair],
            "correlation": round(alike, 4),
        }
        if pair[0].split != pair[1].split:
            between.append(row)
        elif pair[0].group is None or pair[0].group != pair[1].group:
            within.append(row)
    said = (
        (between, "of nearly the same images in different splits, so scores flatter"),
        (within, "of nearly the same images without a common group; folds may part them"),
    )
    return [_tell_pairs(rows, text) for rows, text in said if rows]


def check_ranges(
    items: Sequence[Item], looks: Sequence[Look], bands: Sequence[str]
) -> list[Finding]:
    """Check that the values of each band lie and spread alike in all splits.

    A difference is told where a split's median lies outside the 5 to 95 % range of another, or
    where that range is more than twice as wide.
    """
    values = _pool(items, looks)
    levels = {
        split: np.quantile(cells, [_TAIL, 0.5, 1 - _TAIL], axis=1)
        for split, cells in values.items()
    }
    shifted, wider = [], []
    for band, name in enumerate(bands):
        for one, other in permutations(levels, 2):
            (low, center, high), (bottom, _, top) = levels[one][:, band], levels[other][:, band]
            if not bottom <= center <= top:
                shifted.append(f"{name} of {one} ({center:g}, {other} {bottom:g} to {top:g})")
            if high - low > _WIDER * (top - bottom):
                wider.append(f"{name} ({one} {low:g} to {high:g}, {other} {bottom:g} to {top:g})")
    said = (
        (shifted, "medians that lie outside the 5 to 95 % range of another split"),
        (wider, "bands that vary more than twice as much in one split (5 to 95 % range)"),
    )
    return [Finding("note", f"{text}: {list_few(names)}") for names, text in said if names]


def _pool(items: Sequence[Item], looks: Sequence[Look]) -> dict[str, NDArray[np.float32]]:
    """Join the cells `[band, m]` of the images of each split, leaving out splits without data."""
    parts: dict[str, list[NDArray[np.float32]]] = {}
    for item, look in zip(items, looks, strict=True):
        if item.split is not None and look.seen.any():
            parts.setdefault(item.split, []).append(look.mean[:, look.seen])
    return {split: np.concatenate(cells, axis=1) for split, cells in sorted(parts.items())}


def _tell_pairs(rows: Sequence[dict[str, Any]], text: str) -> Finding:
    ranked = sorted(rows, key=lambda row: -row["correlation"])
    shown = (" and ".join(row["images"]) for row in ranked)
    return Finding(
        "note", f"{say_count(len(ranked), 'pair')} {text}: {list_few(shown)}", tuple(ranked)
    )
