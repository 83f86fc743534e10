"""Points drawn from the masks of a whole collection, and what share of its pixels they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyogrio
from numpy.typing import NDArray

from landvisor.errors import CollectionError, PointsError
from landvisor.files import publish_file
from landvisor.geo.collection import Collection, Item
from landvisor.geo.legend import Legend
from landvisor.geo.mask_values import count_values, derive_legend, describe_unknown
from landvisor.geo.places import Places, concatenate
from landvisor.geo.points import Points, places_to_points, write_points
from landvisor.geo.rasters import Reading, open_scene
from landvisor.geo.scene import Scene, scene_from_array
from landvisor.geo.tiling import split_blocks
from landvisor.labels.simulate import ObjectRule, simulate_places

ORACLE = "oracle interior"
_ORACLE_NOTE = (
    "each point lies at the most interior pixel of its object of the mask: an oracle placed it, "
    "no analyst can; say so beside every result, and do not call the points random"
)
_BLOCK = 1024
# Any date will do; a fixed one lets equal points have equal files, and so equal hashes.
_FILE_DATE = "2000-01-01T00:00:00.000Z"


@dataclass(frozen=True)
class SampleFacts:
    """What was drawn from what.

    Attributes:
        legend: The classes, given or derived.
        strategy: A key of `simulate.STRATEGIES`.
        placement: `random`, `grid`, or `oracle interior`.
        seed: Of the draw.
        per_class: Points by class id, for all active classes.
        labelled: Valid labelled pixels of the masks that were drawn from.
        images: Masks that were drawn from.
        notes: What a user must know, one sentence each.
    """

    legend: Legend
    strategy: str
    placement: str
    seed: int
    per_class: dict[int, int]
    labelled: int
    images: int
    notes: tuple[str, ...]

    @property
    def points(self) -> int:
        """Points in all."""
        return sum(self.per_class.values())

    def summary(self) -> dict[str, Any]:
        """Return plain values."""
        names = {c.id: c.name for c in self.legend.active}
        return {
            "points": self.points,
            "labelled_pixels": self.labelled,
            "share": self.points / self.labelled if self.labelled else 0.0,
            "images": self.images,
            "strategy": self.strategy,
            "placement": self.placement,
            "seed": self.seed,
            "classes": [
                {"id": i, "name": names[i], "points": count} for i, count in self.per_class.items()
            ],
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """Say the facts in lines for a terminal."""
        share = 100 * self.points / max(1, self.labelled)
        classes = [f"{c['name']}: {c['points']:,} points" for c in self.summary()["classes"]]
        return [
            *classes,
            f"{self.points:,} of {self.labelled:,} valid labelled pixels, {share:.4f} %, "
            f"on {self.images:,} image{'s' * (self.images != 1)}",
            f"drawn by {self.strategy}, placement {self.placement}, seed {self.seed}",
            *(f"note: {note}" for note in self.notes),
        ]


class Sample(NamedTuple):
    """Points, the scenes that `Places.scene` counts, and how they came about."""

    places: Places
    scenes: tuple[Scene, ...]
    facts: SampleFacts


class _Drawn(NamedTuple):
    """What one mask gave: points, valid labelled pixels, and pixels by mask value."""

    places: Places
    labelled: int
    values: dict[int, int]


def simulate_points(
    mask: NDArray[np.integer] | Path | str,
    *,
    legend: Legend,
    strategy: str = "per_class",
    n: int = 10,
    seed: int = 0,
) -> Points:
    """Draw labelled points from one mask.

    Args:
        mask: Class ids `[row, col]`, or a single-band raster of them.
        legend: The classes; ignored and unknown values are unlabelled.
        strategy: A key of `simulate.STRATEGIES`.
        n: Points in all, per class, or step in pixels; see `simulate_places`.
        seed: Of the draw.

    Returns:
        Points in the mask's CRS, or in its pixels where it has none.

    Raises:
        PointsError: If the strategy is unknown or `n` is below 1.
        SceneError: If the raster cannot be read.
    """
    scene = (
        scene_from_array(mask, name="mask") if isinstance(mask, np.ndarray) else open_scene(mask)
    )
    pixels = scene.read()
    places = simulate_places(
        pixels.data[0].astype(np.int64),
        legend=legend,
        strategy=strategy,
        n=n,
        seed=seed,
        name=scene.name,
        valid=pixels.valid,
    )
    return places_to_points(places, [scene], legend)


def sample_collection(
    collection: Collection,
    *,
    legend: Legend | None = None,
    strategy: str = "random",
    n: int = 10,
    seed: int = 0,
    objects: ObjectRule | None = None,
    reading: Reading | None = None,
) -> Sample:
    """Draw points from every mask of a collection, at the mask's own resolution.

    Points lie neither on no-data of the scene nor on ignored or unknown classes. A scene without
    a mask is left out and told.

    Args:
        collection: The scenes, already reduced to the splits that are used.
        legend: The classes; the collection's by default, else derived from the masks' values.
        strategy: A key of `simulate.STRATEGIES`.
        n: Points per image (`random`), per class and image (`per_class`), or the step in
            pixels (`grid`); `per_object` does not use it.
        seed: With an image's name it fixes the points on it.
        objects: How `per_object` works.
        reading: How scenes are read.

    Raises:
        CollectionError: If no scene has a mask, or a mask does not fit its scene.
        PointsError: If no point can be drawn.
    """
    items = [item for item in collection.items if item.mask is not None]
    if not items:
        raise CollectionError("no scene has a mask to draw from; give one with --mask or import")
    scenes = Collection(tuple(items)).open_scenes(reading)
    rule = objects or ObjectRule()
    classes, notes = _settle_legend(items, scenes, legend or collection.legend)
    drawn = [
        _draw(item, scene, classes, position=i, strategy=strategy, n=n, seed=seed, objects=rule)
        for i, (item, scene) in enumerate(zip(items, scenes, strict=True))
    ]
    places = concatenate([part.places for part in drawn])
    if not len(places):
        raise PointsError(
            f"no point could be drawn from {len(items)} masks: no valid pixel has an active class, "
            "or no object is large enough; check the legend, the no-data value and --min-area"
        )
    values = sum((Counter(part.values) for part in drawn), Counter[int]())
    facts = SampleFacts(
        legend=classes,
        strategy=strategy,
        placement=_placement(strategy, rule),
        seed=seed,
        per_class={i: int((places.label == i).sum()) for i in classes.ids},
        labelled=sum(part.labelled for part in drawn),
        images=len(items),
        notes=(*notes, *describe_unknown(dict(sorted(values.items())), classes)),
    )
    bare = [i.name for i, part in zip(items, drawn, strict=True) if not len(part.places)]
    return Sample(places, scenes, _add_notes(facts, bare, len(collection) - len(items)))


def sample_to_points(sample: Sample) -> Points:
    """Turn a sample into a points table; `strategy` and `placement` say how it was drawn."""
    facts = sample.facts
    points = places_to_points(sample.places, sample.scenes, facts.legend)
    frame = points.frame.assign(strategy=facts.strategy, placement=facts.placement)
    return Points(frame, points.legend, facts.notes)


def write_sample(sample: Sample, out: Path | str, *, overwrite: bool = False) -> None:
    """Publish a sample as a GeoPackage; the same sample gives the same bytes.

    Raises:
        OutputError: If the file exists already or cannot be written.
    """
    with publish_file(out, overwrite=overwrite) as aside, _fixed_date():
        write_points(sample_to_points(sample), aside)


def read_validity(scene: Scene) -> NDArray[np.bool_]:
    """Read which pixels `[row, col]` of a scene hold data, without holding all its bands."""
    valid = np.empty(scene.shape, dtype=bool)
    for block in split_blocks(scene.shape, _BLOCK):
        valid[block.slices] = scene.read(block).valid
    return valid


def _draw(item: Item, scene: Scene, legend: Legend, *, position: int, **how: Any) -> _Drawn:
    mask, valid = item.read_mask(scene), read_validity(scene)
    places = simulate_places(mask, legend=legend, name=item.name, valid=valid, **how)
    labelled = int((valid & (legend.resolve(mask) >= 0)).sum())
    moved = replace(places, scene=np.full(len(places), position))
    return _Drawn(moved, labelled, count_values(mask))


def _settle_legend(
    items: Sequence[Item], scenes: Sequence[Scene], legend: Legend | None
) -> tuple[Legend, tuple[str, ...]]:
    if legend is not None:
        return legend, ()
    values = Counter[int]()
    for item, scene in zip(items, scenes, strict=True):
        values.update(count_values(item.read_mask(scene)))
    return derive_legend(dict(sorted(values.items())))


def _placement(strategy: str, objects: ObjectRule) -> str:
    if strategy == "per_object" and objects.placement == "interior":
        return ORACLE
    return "grid" if strategy == "grid" else "random"


def _add_notes(facts: SampleFacts, bare: Sequence[str], unmasked: int) -> SampleFacts:
    names = {c.id: c.name for c in facts.legend.active}
    lost = [names[i] for i, count in facts.per_class.items() if not count]
    listed = ", ".join(bare[:5]) + (f" and {len(bare) - 5} more" if len(bare) > 5 else "")
    said = (
        (facts.placement == ORACLE, _ORACLE_NOTE),
        (unmasked, f"{unmasked} scenes have no mask and are left out"),
        (bare, f"{len(bare)} images got no point: {listed}"),
        (lost, f"no point has class {', '.join(lost)}"),
    )
    return replace(facts, notes=(*facts.notes, *(text for occurs, text in said if occurs)))


@contextmanager
def _fixed_date() -> Iterator[None]:
    """Keep the time of writing out of a GeoPackage."""
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _FILE_DATE})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})
