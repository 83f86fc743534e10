"""How folders of images and masks, or arrays, become one collection."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from landvisor.errors import CollectionError
from landvisor.files import check_output, publish_directory, write_json
from landvisor.geo.arrays import SUFFIXES, read_stacks, write_stack
from landvisor.geo.collection import Collection, Item, open_collection, write_collection
from landvisor.geo.legend import Legend, read_legend, write_legend
from landvisor.geo.mask_values import (
    LEGEND,
    count_mask_values,
    derive_legend,
    describe_unknown,
    find_legend,
)
from landvisor.geo.pairing import find_files, pair_files
from landvisor.phrases import list_few
from landvisor.record import run_record

TABLE = "collection.csv"
TRAIN, VAL = "train", "val"


@dataclass(frozen=True)
class Splitting:
    """Which split the images get.

    Attributes:
        names: A split per source, in order; empty leaves it to the arrays' names.
        val_share: Share of the training images that becomes `val`, by whole groups.
        seed: Of the choice of groups.
    """

    names: tuple[str, ...] = ()
    val_share: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Imported:
    """What was made.

    Attributes:
        collection: The collection, as it lies on the disk.
        pixels: Pixels of every mask value, by value.
        notes: What was decided or left out, one sentence each.
    """

    collection: Collection
    pixels: dict[int, int]
    notes: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """Return plain values: images, splits, groups, classes and notes."""
        items, legend = self.collection.items, self.collection.legend
        splits = Counter(item.split or "none" for item in items)
        return {
            "collection": str(self.collection.path),
            "images": len(items),
            "masks": sum(item.mask is not None for item in items),
            "splits": dict(splits),
            "groups": len({item.group for item in items if item.group}),
            "classes": [
                {"id": c.id, "name": c.name, "ignore": c.ignore, "pixels": self.pixels.get(c.id, 0)}
                for c in (legend.classes if legend else ())
            ],
            "mask_pixels": sum(self.pixels.values()),
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """Say the summary in lines for a terminal."""
        found = self.summary()
        splits = ", ".join(f"{name} {count}" for name, count in found["splits"].items())
        lines = [
            f"images: {found['images']}, of which {found['masks']} have a mask",
            f"splits: {splits}",
            f"groups: {found['groups'] or 'none given'}",
        ]
        for entry in found["classes"]:
            share = 100 * entry["pixels"] / max(1, found["mask_pixels"])
            ignored = ", ignored" if entry["ignore"] else ""
            lines.append(f"class {entry['id']} {entry['name']}: {share:.2f} % of pixels{ignored}")
        return [*lines, *(f"note: {note}" for note in self.notes)]


def import_collection(
    sources: Sequence[Path | str],
    out: Path | str,
    *,
    masks: Sequence[Path | str] = (),
    legend: Path | None = None,
    splitting: Splitting | None = None,
    overwrite: bool = False,
) -> Imported:
    """Make a folder with `collection.csv` and `legend.toml`.

    Images and masks that are files already are referred to by absolute path, never copied;
    arrays become pictures in the folder.

    Args:
        sources: Folders, globs or files of images, or `.npz` and `.npy` files.
        out: Folder to make.
        masks: Nothing, one for all sources, or one per source: a folder, glob or file.
        legend: A `legend.toml`; else one beside the masks or images; else from the mask values.
        splitting: Which split the images get.
        overwrite: Replace a folder that landvisor made before.

    Raises:
        CollectionError: If images and masks do not fit together or hold no usable classes.
        OutputError: If the folder exists, holds what is read, or cannot be written.
    """
    started, how = datetime.now(UTC), splitting or Splitting()
    read = [*map(_find_existing, [*sources, *masks]), legend]
    check_output(out, overwrite=overwrite, kind="folder", inputs=read)
    mask_of = _per_source(
        list(masks) * (len(sources) if len(masks) == 1 else 1), sources, "--masks"
    )
    split_of = _per_source(how.names, sources, "--splits")
    with publish_directory(out, overwrite=overwrite) as folder:
        items: list[Item] = []
        notes: list[str] = []
        for source, mask, split in zip(sources, mask_of, split_of, strict=True):
            found, said = _import_one(source, mask, split, folder)
            items, notes = [*items, *found], [*notes, *said]
        items = hold_out_groups(items, share=how.val_share, seed=how.seed)
        pixels = count_mask_values(items)
        near = legend or find_legend(_legend_folders(items, sources, folder))
        classes, origin = _settle_legend(near, pixels)
        if classes is not None:
            write_legend(classes, folder / LEGEND)
        write_collection(Collection(tuple(items)), folder / TABLE)
        open_collection(folder / TABLE)  # refuses names that occur twice, before anything is out
        _write_record(folder, [*sources, *masks], seed=how.seed, started=started)
    return Imported(
        open_collection(out),
        pixels,
        tuple(dict.fromkeys([*notes, *describe_shared_groups(items), *origin])),
    )


def hold_out_groups(items: Sequence[Item], *, share: float, seed: int) -> list[Item]:
    """Move about `share` of the training items to split `val`, by whole groups.

    Items of split `train` are training items, or all of them where none has a split. An item
    without a group is one of its own.

    Raises:
        CollectionError: If there is no group to spare.
    """
    unsplit = all(item.split is None for item in items)
    groups = Counter(i.group or i.name for i in items if unsplit or i.split == TRAIN)
    if not share:
        return list(items)
    names, wanted, held, taken = sorted(groups), share * groups.total(), set(), 0
    for position in np.random.default_rng(seed).permutation(len(names)):
        size = groups[names[position]]
        if abs(taken + size - wanted) < abs(taken - wanted):
            held.add(names[position])
            taken += size
    if not held or len(held) == len(groups):
        raise CollectionError(
            f"no validation share of {share} can be held out of {groups.total()} training images "
            f"in {len(groups)} groups; change --val-share or import without it"
        )
    return [_with_split(item, held, unsplit=unsplit) for item in items]


def describe_shared_groups(items: Sequence[Item]) -> tuple[str, ...]:
    """Say which groups lie in more than one split, where scores would look too good."""
    splits: dict[str, set[str]] = {}
    for item in items:
        if item.group:
            splits.setdefault(item.group, set()).add(item.split or "none")
    shared = sorted(group for group, found in splits.items() if len(found) > 1)
    if not shared:
        return ()
    return (f"groups in more than one split, scores may flatter: {list_few(shared)}",)


def _import_one(
    source: Path | str, masks: Path | str | None, split: str | None, folder: Path
) -> tuple[list[Item], list[str]]:
    path = Path(source)
    if path.suffix.lower() not in SUFFIXES:
        return pair_files(find_files(source), find_files(masks) if masks else None, split=split)
    items: list[Item] = []
    notes: list[str] = []
    for stack in read_stacks(path, Path(masks) if masks else None):
        # given splits are for what is labelled; images kept apart as a test set stay apart
        chosen = stack.split if stack.key == "test_set" else split or stack.split
        items += write_stack(stack, folder, stem=path.stem, split=chosen)
        notes += stack.notes
    return items, notes


def _per_source(
    values: Sequence[Path | str], sources: Sequence[Path | str], option: str
) -> list[str | None]:
    if not values:
        return [None] * len(sources)
    if len(values) != len(sources):
        raise CollectionError(
            f"{option} names {len(values)} but there are {len(sources)} sources; need one for each"
        )
    return [str(value) for value in values]


def _find_existing(source: Path | str) -> Path:
    """Return the file or folder itself, or of a pattern the folder that its files lie in."""
    path = Path(source).absolute()
    return next(near for near in (path, *path.parents) if near.exists())


def _with_split(item: Item, held: set[str], *, unsplit: bool) -> Item:
    if not unsplit and item.split != TRAIN:
        return item
    return replace(item, split=VAL if (item.group or item.name) in held else TRAIN)


def _legend_folders(
    items: Sequence[Item], sources: Sequence[Path | str], staging: Path
) -> list[Path]:
    """List where a legend may lie: with the files and one folder up, or beside the arrays."""
    files = [file for i in items for file in (i.mask, i.image) if isinstance(file, Path)]
    outside = dict.fromkeys(f.parent for f in files if not f.is_relative_to(staging))
    arrays = [Path(s).absolute().parent for s in sources if Path(s).suffix.lower() in SUFFIXES]
    return [*(near for folder in outside for near in (folder, folder.parent)), *arrays]


def _settle_legend(
    near: Path | None, pixels: dict[int, int]
) -> tuple[Legend | None, tuple[str, ...]]:
    if near is not None:
        legend = read_legend(near)
        return legend, (f"the legend is {near}", *describe_unknown(pixels, legend))
    return derive_legend(pixels) if pixels else (None, ("there are no masks and no legend",))


def _write_record(
    folder: Path, paths: Sequence[Path | str], *, seed: int, started: datetime
) -> None:
    record = run_record(
        ["landvisor", *sys.argv[1:]],
        seed=seed,
        recipe={},
        inputs={f"source {i + 1}": Path(path) for i, path in enumerate(paths)},
        started=started,
        outputs=folder,
    )
    write_json(folder / "run.json", record)
