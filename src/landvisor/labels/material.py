"""What a run learns from: scenes, a legend and places that were checked and found usable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from landvisor.errors import PointsError
from landvisor.geo.collection import Collection
from landvisor.geo.legend import Legend, read_legend
from landvisor.geo.locate import Located, Losses, locate
from landvisor.geo.mask_values import add_counts, describe_unknown
from landvisor.geo.places import Places, concatenate, no_places
from landvisor.geo.points import Points, read_points
from landvisor.geo.scene import Scene
from landvisor.geo.validity import suspect_collar
from landvisor.labels.background import ValidAt, draw_background
from landvisor.labels.grown import read_grown
from landvisor.labels.origin import describe_origin
from landvisor.labels.sampling import draw_from_mask
from landvisor.options import Options
from landvisor.phrases import list_few, say_count
from landvisor.recipe import LabelSpec

BACKGROUND = "background"
_HINTED = 3  # scenes whose border is looked at: more of the same would tell nothing new


@dataclass(frozen=True)
class Material:
    """Everything labelled, on the scenes it lies on.

    Attributes:
        scenes: Opened scenes in collection order.
        splits: The split of each scene, or None.
        groups: The group of each scene.
        legend: Active classes are what is learned.
        places: Places to learn from; `Places.scene` counts `scenes`.
        assess: Places that the points file reserves for assessment.
        grown: Labels made from labels, read from rasters: learned from, never scored on.
        losses: What could not be used.
        notes: What was decided, one sentence each.
    """

    scenes: tuple[Scene, ...]
    splits: tuple[str | None, ...]
    groups: tuple[str, ...]
    legend: Legend
    places: Places
    assess: Places
    losses: Losses
    notes: tuple[str, ...]
    grown: Places = field(default_factory=no_places)

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Sizes of the scenes as `(rows, cols)`."""
        return [scene.shape for scene in self.scenes]

    def summary(self) -> str:
        """Say in one line what is learned from."""
        names, label = {c.id: c.name for c in self.legend.classes}, self.places.label
        found, counts = np.unique(label, return_counts=True)
        listed = ", ".join(f"{names[int(i)]} {n}" for i, n in zip(found, counts, strict=True))
        features = len(np.unique(self.places.group))
        of = f" of {features} features" if features < len(label) else ""
        many = f"{len(self.scenes)} scene{'s' * (len(self.scenes) > 1)}"
        return f"{len(label)} labelled places{of} on {many}: {listed}"

    def in_split(self, split: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Tell which places lie on a scene of a split."""
        of_scene = np.array([name == split for name in self.splits])
        return np.asarray(of_scene[self.places.scene])


def gather(
    collection: Collection,
    labels: Path | str | Points | None,
    *,
    spec: LabelSpec,
    options: Options | None = None,
    seed: int = 0,
) -> Material:
    """Open the scenes, read the labels and bring both together.

    Args:
        collection: The scenes, already reduced to the splits that are used.
        labels: A points file, a folder of them, or `Points`; None takes every labelled pixel of
            the collection's masks.
        spec: Background and the rule for polygons.
        options: How files are read.
        seed: Of background places.

    Raises:
        PointsError: If nothing can be learned from the labels.
    """
    how = options or Options()
    scenes = collection.open_scenes(how.reading)
    legend = read_legend(how.legend) if how.legend else collection.legend
    origin: tuple[str, ...] = ()
    if labels is None:
        located, legend = _from_masks(collection, scenes, legend)
    else:
        points = read_labels(labels, legend, how, presence_only=spec.background > 0)
        located, legend = (
            locate(points, scenes, max_per_feature=spec.max_per_feature),
            points.legend,
        )
        origin = (*_describe_bare(located, scenes), *describe_origin(points))
        if spec.background:
            located, legend = _add_background(located, scenes, legend, spec.background, seed)
    grown, said_grown = _read_grown(located.train, scenes, legend, how, spec.max_grown)
    hints = (suspect_collar(scene) for scene in scenes[:_HINTED])
    said = dict.fromkeys(
        [*(note for scene in scenes for note in scene.notes), *filter(None, hints)]
    )
    notes = (*said, *located.notes, *origin, *said_grown)
    return Material(
        scenes=scenes,
        splits=tuple(item.split for item in collection.items),
        groups=tuple(collection.groups()),
        legend=legend,
        places=located.train,
        assess=located.assess,
        losses=located.losses,
        notes=notes,
        grown=grown,
    )


def check_learnable(material: Material) -> None:
    """Refuse labels that no classifier can learn from.

    Raises:
        PointsError: If there are no places or only one class.
    """
    found = np.unique(material.places.label)
    if not len(found):
        raise PointsError("no labelled place is left to learn from; see the notes of `check`")
    if len(found) == 1:
        name = next(c.name for c in material.legend.classes if c.id == found[0])
        raise PointsError(
            f"all places have one class, {name!r}; need at least two: label another class, or add "
            "random negatives with --background 200"
        )


def read_labels(
    labels: Path | str | Points,
    legend: Legend | None,
    how: Options,
    *,
    presence_only: bool = False,
) -> Points:
    """Read points as the options say; those in memory stay as they are."""
    if isinstance(labels, Points):
        return labels
    return read_points(
        labels,
        class_column=how.class_column,
        crs=how.crs,
        legend=legend,
        presence_only=presence_only,
    )


def _describe_bare(located: Located, scenes: Sequence[Scene]) -> tuple[str, ...]:
    found = {*located.train.scene.tolist(), *located.assess.scene.tolist()}
    bare = [scene.name for position, scene in enumerate(scenes) if position not in found]
    if not bare:
        return ()
    return (
        f"{len(bare)} of {len(scenes)} scenes got no point: {list_few(bare)}; where scenes "
        "overlap, points go to the first",
    )


def _read_grown(
    places: Places, scenes: Sequence[Scene], legend: Legend, how: Options, limit: int
) -> tuple[Places, tuple[str, ...]]:
    if how.grown is None:
        return no_places(), ()
    grown = read_grown(how.grown, places, scenes=scenes, legend=legend, limit=limit)
    note = (
        f"{len(grown):,} labels made from labels are learned from, at most {limit:,} a class and "
        "scene; whoever made them saw all points, so the stated accuracy may be a little high"
    )
    bare = [scene.name for i, scene in enumerate(scenes) if i not in grown.scene]
    lacking = f"{len(bare)} of {len(scenes)} scenes got none of them: {list_few(bare)}"
    return grown, (note, lacking) if bare else (note,)


def _from_masks(
    collection: Collection, scenes: Sequence[Scene], legend: Legend | None
) -> tuple[Located, Legend]:
    if legend is None:
        raise PointsError("masks need a legend; put legend.toml beside them or give --legend")
    pairs = zip(collection.items, scenes, strict=True)
    drawn = [draw_from_mask(*pair, legend=legend, strategy="dense") for pair in pairs]
    places = concatenate([
        replace(part.places, scene=np.full(len(part.places), position))
        for position, part in enumerate(drawn)
    ])  # fmt: skip
    nothing = places.take(np.zeros(len(places), dtype=bool))
    note = f"every labelled pixel of {say_count(len(scenes), 'mask')} is used"
    unknown = describe_unknown(add_counts(part.values for part in drawn), legend)
    return Located(places, nothing, Losses(), (note, *unknown)), legend


def _add_background(
    located: Located, scenes: Sequence[Scene], legend: Legend, count: int, seed: int
) -> tuple[Located, Legend]:
    wide = legend if legend.find(BACKGROUND) else legend.with_class(BACKGROUND, color="#b7b7a4")
    found = wide.find(BACKGROUND)
    assert found is not None, "the class was just added"
    parts = [located.train]
    for position, scene in enumerate(scenes):
        drawn = draw_background(
            scene.shape,
            _validity(scene),
            places=located.train.on_scene(position),
            n=count,
            seed=seed,
            name=scene.name,
            label=found.id,
        )
        parts.append(replace(drawn, scene=np.full(len(drawn), position)))
    note = (
        f"{count} random places per scene were taken as {BACKGROUND!r}: they are assumed, not "
        "observed, and some may be presences"
    )
    return replace(located, train=concatenate(parts), notes=(*located.notes, note)), wide


def _validity(scene: Scene) -> ValidAt:
    return lambda rows, cols: scene.valid_at(np.stack([rows, cols], axis=1))
