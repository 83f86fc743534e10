"""Which labelled scenes links and growth start from: places, or the pixels of sparse masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import PointsError
from landvisor.geo.collection import Collection, Item
from landvisor.geo.legend import Legend, read_legend
from landvisor.geo.mask_values import count_values
from landvisor.geo.places import Places, make_places
from landvisor.geo.points import Points
from landvisor.geo.scene import Scene
from landvisor.labels.material import gather, read_labels
from landvisor.labels.sampling import read_validity, read_values
from landvisor.labels.simulate import number_groups, resolve_mask
from landvisor.options import Options
from landvisor.phrases import list_few, say_count
from landvisor.recipe import LabelSpec

_SPARSE = 0.5  # beyond it most of a scene is labelled; linking it all would take minutes


class Labelled(NamedTuple):
    """What is labelled on one scene.

    Attributes:
        places: To start from.
        truth: `[row, col]`: classes of its mask to check against, below 0 unlabelled; None where
            the mask says no more than the places.
        values: Pixels of its mask by value; empty where it was not read.
    """

    places: Places
    truth: NDArray[np.int16] | None = None
    values: Mapping[int, int] = MappingProxyType({})


@dataclass(frozen=True)
class Ground:
    """Labelled scenes to start from.

    Attributes:
        items: What each scene is opened from.
        scenes: The scenes, opened.
        legend: The classes.
        places: The places of each scene; None where the masks are the labels.
        notes: What was decided, one sentence each.
        has_truth: Masks of all scenes say more than the labels that are started from.
    """

    items: tuple[Item, ...]
    scenes: tuple[Scene, ...]
    legend: Legend
    places: tuple[Places, ...] | None
    notes: tuple[str, ...] = ()
    has_truth: bool = False

    def read(self, position: int) -> Labelled:
        """Read what is labelled on one scene, counting it as scene `position`.

        Raises:
            PointsError: If masks are the labels and this one labels most of its scene.
        """
        if self.places is not None and not self.has_truth:
            return Labelled(self.places[position])
        values, known = read_values(self.items[position].open_mask(self.scenes[position]))
        truth = resolve_mask(values, legend=self.legend, valid=known)
        counts = count_values(values[known])
        if self.places is not None:
            return Labelled(self.places[position], truth, counts)
        return Labelled(self._place(truth, position), None, counts)

    def _place(self, ids: NDArray[np.int16], position: int) -> Places:
        scene, name = self.scenes[position], self.items[position].name
        valid = read_validity(scene)
        coords = np.argwhere((ids >= 0) & valid)
        share = len(coords) / max(1, int(valid.sum()))
        if share > _SPARSE:
            raise PointsError(
                f"the mask of scene {name!r} labels {100 * share:.0f} % of its pixels, which "
                "leaves little to link or grow; draw points from it with sample, or use another"
            )
        group = number_groups(name, "mask", len(coords))
        label = ids[coords[:, 0], coords[:, 1]].astype(np.int64)
        return make_places(coords.astype(np.float64), label, scene=position, group=group)


def find_ground(
    collection: Collection, labels: Path | str | Points | None, *, options: Options | None = None
) -> Ground:
    """Open scenes and find the labels to start from.

    Args:
        collection: The scenes, already reduced to the splits that are used.
        labels: Points, or None: every labelled pixel of the masks is a label.
        options: How files are read.

    Raises:
        PointsError: If there are no labels, or no legend says what the masks' values mean.
    """
    how = options or Options()
    legend = read_legend(how.legend) if how.legend else collection.legend
    masked = tuple(item for item in collection.items if item.mask is not None)
    if labels is not None:
        return _find_places(collection, labels, legend, how, masked=len(masked))
    if not masked:
        raise PointsError("no labels to start from; give points, or a collection with masks")
    if legend is None:
        raise PointsError("masks need a legend; put legend.toml beside them or give --legend")
    note = f"labels are those of {say_count(len(masked), 'mask')}"
    bare = len(collection) - len(masked)
    if bare:
        note += f"; {say_count(bare, 'scene')} without a mask left out"
    return Ground(masked, Collection(masked).open_scenes(how.reading), legend, None, (note,))


def _find_places(
    collection: Collection,
    labels: Path | str | Points,
    legend: Legend | None,
    how: Options,
    *,
    masked: int,
) -> Ground:
    points, count = read_labels(labels, legend, how), len(collection)
    has_truth = masked == count
    if has_truth and points.numbered:
        raise PointsError(
            f"the points have text classes and no legend, so that {_list_ids(points.legend)} by "
            "the alphabet alone, and the masks may mean others; give --legend, with the ids that "
            "the masks use, or leave the masks out"
        )
    material = gather(collection, points, spec=LabelSpec(), options=how)
    notes = material.notes
    if masked and not has_truth:
        notes += (
            f"{say_count(count - masked, 'scene')} of {count} without a mask: purity is measured "
            "against held-out points, not against masks",
        )
    places = split_by_scene(material.places, count)
    return Ground(collection.items, material.scenes, material.legend, places, notes, has_truth)


def _list_ids(legend: Legend) -> str:
    return list_few((f"{c.name!r} is {c.id}" for c in legend.active), shown=3)


def split_by_scene(places: Places, count: int) -> tuple[Places, ...]:
    """Part places by scene; their order within a scene stays."""
    order = np.argsort(places.scene, kind="stable")
    ends = np.searchsorted(places.scene[order], np.arange(count + 1))
    return tuple(places.take(order[a:b]) for a, b in pairwise(ends))
