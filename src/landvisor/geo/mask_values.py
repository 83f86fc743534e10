"""Which values masks hold, and which legend they make or lack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import CollectionError
from landvisor.geo.collection import Item
from landvisor.geo.legend import Legend, legend_from_ids
from landvisor.phrases import list_few, say_count

LEGEND = "legend.toml"
_MAX_ID = 254
_MANY = 64  # more classes than this are rarely meant: JPEG noise, or object numbers


def count_mask_values(items: Sequence[Item]) -> dict[int, int]:
    """Count the pixels of every value in the masks; their own no-data is -1.

    Raises:
        CollectionError: If a mask is not on its image's grid.
    """
    counts: Counter[int] = Counter()
    for item in items:
        if item.mask is not None:
            counts.update(count_values(item.read_mask(item.open())))
    return dict(sorted(counts.items()))


def count_values(labels: NDArray[np.integer]) -> dict[int, int]:
    """Count the pixels of every value of an array of whole numbers."""
    if not labels.size:
        return {}
    low, high = int(labels.min()), int(labels.max())
    if high - low > 1 << 16:
        values, counts = np.unique(labels, return_counts=True)
        return dict(zip(values.tolist(), counts.tolist(), strict=True))
    above = labels if low == 0 else labels.astype(np.int64) - low  # int16 would overflow
    counts = np.bincount(above.ravel())
    return {low + int(i): int(counts[i]) for i in np.flatnonzero(counts)}


def add_counts(parts: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """Add up the counts of several masks, in the order of the values."""
    together = sum((Counter(part) for part in parts), Counter[int]())
    return dict(sorted(together.items()))


def derive_legend(pixels: dict[int, int]) -> tuple[Legend, tuple[str, ...]]:
    """Make a legend of the values that masks hold, and say what the user should know of it.

    Raises:
        CollectionError: If fewer than two values can be classes.
    """
    ids = [value for value in pixels if 0 <= value <= _MAX_ID]
    listed = ", ".join(map(str, ids[:12])) + (", …" if len(ids) > 12 else "")
    if len(ids) < 2:
        raise CollectionError(
            f"the masks hold the values {', '.join(map(str, pixels))}; need at least two class ids "
            "of 0 to 254 (255 and no-data are unlabelled): write the masks with other ids"
        )
    notes = [f"the legend is derived from the mask values {listed}; name the classes in a {LEGEND}"]
    if 0 in ids:
        notes.append(
            f"value 0 became a class; if it means unlabelled, say ignore = true in the {LEGEND}"
        )
    if len(ids) > _MANY:
        notes.append(f"{len(ids)} classes are many: lossy JPEG masks or object numbers look so")
    return legend_from_ids(ids), tuple(notes)


def describe_unknown(pixels: Mapping[int, int], legend: Legend) -> tuple[str, ...]:
    """Say how many pixels have values that the legend lacks; they are unlabelled."""
    known = {c.id for c in legend.classes}
    lost = {value: count for value, count in pixels.items() if value not in known and value >= 0}
    if not lost:
        return ()
    said = (f"{value} ({say_count(count, 'pixel')})" for value, count in lost.items())
    return (f"mask values that the legend lacks count as unlabelled: {list_few(said, shown=8)}",)


def find_legend(folders: Sequence[Path]) -> Path | None:
    """Find the first `legend.toml` in some folders."""
    files = (folder / LEGEND for folder in dict.fromkeys(folders))
    return next((file for file in files if file.is_file()), None)
