"""Which labelled scenes links and growth start from: places, or the pixels of sparse masks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import PointsError
from landvisor.geo.collection import Collection, Item
from landvisor.geo.legend import Legend, read_legend
from landvisor.geo.places import Places, make_places
from landvisor.geo.points import Points
from landvisor.geo.scene import Scene
from landvisor.labels.material import gather
from landvisor.labels.sampling import read_values
from landvisor.labels.simulate import number_groups, resolve_mask
from landvisor.options import Options
from landvisor.recipe import LabelSpec


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

    def read_places(self, position: int) -> Places:
        """Return the places of one scene, counting it as scene `position`."""
        if self.places is not None:
            return self.places[position]
        ids = self.read_truth(position)
        coords = np.argwhere(ids >= 0)
        coords = coords[self.scenes[position].valid_at(coords)]
        group = number_groups(self.items[position].name, "mask", len(coords))
        label = ids[coords[:, 0], coords[:, 1]].astype(np.int64)
        return make_places(coords.astype(np.float64), label, scene=position, group=group)

    def read_truth(self, position: int) -> NDArray[np.int16]:
        """Return the classes `[row, col]` that a scene's mask has; below 0 is unlabelled."""
        values, known = read_values(self.items[position].open_mask(self.scenes[position]))
        return resolve_mask(values, legend=self.legend, valid=known)


def find_ground(
    collection: Collection, labels: Path | str | Points | None, *, options: Options | None = None
) -> Ground:
    """Open scenes and find the labels to start from.

    Args:
        collection: The scenes, already reduced to the splits that are used.
        labels: Points, or None: every labelled pixel of the masks is a label.
        options: How files are read.

    Raises:
        PointsError: If there are no labels or no legend for the masks.
    """
    how = options or Options()
    if labels is not None:
        material = gather(collection, labels, spec=LabelSpec(), options=how)
        places = split_by_scene(material.places, len(material.scenes))
        return Ground(
            collection.items, material.scenes, material.legend, places, material.notes,
            has_truth=all(item.mask is not None for item in collection.items),
        )  # fmt: skip
    items = tuple(item for item in collection.items if item.mask is not None)
    legend = read_legend(how.legend) if how.legend else collection.legend
    if not items:
        raise PointsError("no labels to start from; give points, or a collection with masks")
    if legend is None:
        raise PointsError("masks need a legend; put legend.toml beside them or give --legend")
    scenes = Collection(items).open_scenes(how.reading)
    return Ground(items, scenes, legend, None, (f"labels are those of {len(items)} masks",))


def split_by_scene(places: Places, count: int) -> tuple[Places, ...]:
    """Part places by scene; their order within a scene stays."""
    order = np.argsort(places.scene, kind="stable")
    ends = np.searchsorted(places.scene[order], np.arange(count + 1))
    return tuple(places.take(order[a:b]) for a, b in pairwise(ends))
