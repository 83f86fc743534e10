"""Points drawn from the masks of a whole collection, and what share of its pixels they are."""

from __future__ import annotations

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
from landvisor.geo.legend import UNLABELLED, Legend
from landvisor.geo.mask_values import add_counts, count_values, derive_legend, describe_unknown
from landvisor.geo.places import Places, concatenate
from landvisor.geo.points import Points, places_to_points, write_points
from landvisor.geo.rasters import Reading, open_scene
from landvisor.geo.scene import Scene, scene_from_array
from landvisor.geo.tiling import split_blocks
from landvisor.geo.vectors import check_geopackage
from landvisor.labels.origin import ORACLE, name_placement, note_origin
from landvisor.labels.simulate import draw_places, resolve_mask, simulate_places
from landvisor.labels.strategies import USES, DrawRule
from landvisor.parallel import map_ordered
from landvisor.phrases import list_few, say_count

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
        strategy: A key of `strategies.STRATEGIES`.
        placement: `random`, `grid`, `clustered`, or `oracle interior`.
        n: How many places, or how far apart; see `sample_collection`.
        rule: The strategy's options, jitter and noise.
        seed: Of the draw.
        per_class: Points by class id, for all active classes.
        labelled: Valid labelled pixels of the masks that were drawn from.
        images: Masks that were drawn from.
        notes: What a user must know, one sentence each.
    """

    legend: Legend
    strategy: str
    placement: str
    n: int
    rule: DrawRule
    seed: int
    per_class: dict[int, int]
    labelled: int
    images: int
    notes: tuple[str, ...]

    @property
    def points(self) -> int:
        """Points in all."""
        return sum(self.per_class.values())

    @property
    def options(self) -> dict[str, Any]:
        """What the strategy was told, and jitter and noise where there are any."""
        known = {"n": self.n, **vars(self.rule)}
        spoiling = [name for name in ("jitter", "noise") if known[name]]
        return {name: known[name] for name in (*USES[self.strategy], *spoiling)}

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
            "options": self.options,
            "seed": self.seed,
            "classes": [
                {"id": i, "name": names[i], "points": count} for i, count in self.per_class.items()
            ],
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """Say the facts in lines for a terminal."""
        share = 100 * self.points / max(1, self.labelled)
        classes = [
            f"{c['name']}: {say_count(c['points'], 'point')}" for c in self.summary()["classes"]
        ]
        listed = ", ".join(f"{name} {value}" for name, value in self.options.items())
        told = f" ({listed})" if listed else ""
        return [
            *classes,
            f"{self.points:,} of {self.labelled:,} valid labelled pixels, {share:.4f} %, "
            f"on {say_count(self.images, 'image')}",
            f"drawn by {self.strategy}{told}, placement {self.placement}, seed {self.seed}",
            *(f"note: {note}" for note in self.notes),
        ]


class Sample(NamedTuple):
    """Points, the scenes that `Places.scene` counts, and how they came about."""

    places: Places
    scenes: tuple[Scene, ...]
    facts: SampleFacts


class Drawn(NamedTuple):
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
    rule: DrawRule | None = None,
) -> Points:
    """Draw labelled points from one mask.

    Args:
        mask: Class ids `[row, col]`, or a single-band raster of them.
        legend: The classes; ignored and unknown values are unlabelled.
        strategy: A key of `strategies.STRATEGIES`.
        n: Points in all, per class, or step in pixels; see `simulate_places`.
        seed: Of the draw.
        rule: The strategy's options, jitter and noise; the defaults where None.

    Returns:
        Points in the mask's CRS, or in its pixels where it has none; `strategy` and `placement`
        say how they were drawn. They name no scene, as a mask has not the name of its image.

    Raises:
        PointsError: If the strategy is unknown or `n` is below 1.
        SceneError: If the raster cannot be read.
    """
    scene = (
        scene_from_array(mask, name="mask") if isinstance(mask, np.ndarray) else open_scene(mask)
    )
    values, known = read_values(scene)
    places = simulate_places(
        values,
        legend=legend,
        strategy=strategy,
        n=n,
        seed=seed,
        name=scene.name,
        valid=known,
        rule=rule,
    )
    frame = places_to_points(places, [scene], legend).frame.drop(columns="scene")
    return Points(note_origin(frame, strategy, rule or DrawRule()), legend)


def sample_collection(
    collection: Collection,
    *,
    legend: Legend | None = None,
    strategy: str = "random",
    n: int = 10,
    seed: int = 0,
    rule: DrawRule | None = None,
    reading: Reading | None = None,
    workers: int | None = None,
) -> Sample:
    """Draw points from every mask of a collection, at the mask's own resolution.

    Points lie neither on no-data of the scene nor on ignored or unknown classes. A scene without
    a mask is left out and told.

    Args:
        collection: The scenes, already reduced to the splits that are used.
        legend: The classes; the collection's by default, else derived from the masks' values.
        strategy: A key of `strategies.STRATEGIES`.
        n: Points per image (`random`, `clustered`, `budget`), per class and image (`per_class`),
            or the step in pixels (`grid`); `per_object` does not use it.
        seed: With an image's name it fixes the points on it.
        rule: The strategy's options, jitter and noise; the defaults where None.
        reading: How scenes are read.
        workers: Threads that draw; they change no point. See `parallel.count_workers`.

    Raises:
        CollectionError: If no scene has a mask, or a mask does not fit its scene.
        PointsError: If no point can be drawn.
    """
    items = [item for item in collection.items if item.mask is not None]
    if not items:
        raise CollectionError("no scene has a mask to draw from; give one with --mask or import")
    scenes = Collection(tuple(items)).open_scenes(reading)
    how = rule or DrawRule()
    known = legend or collection.legend
    classes, notes = (known, ()) if known else _derive_legend(items, scenes, workers)

    def draw(pair: tuple[Item, Scene]) -> Drawn:
        return draw_from_mask(*pair, legend=classes, strategy=strategy, n=n, seed=seed, rule=how)

    drawn = map_ordered(draw, zip(items, scenes, strict=True), workers=workers)
    places = concatenate(
        [replace(d.places, scene=np.full(len(d.places), i)) for i, d in enumerate(drawn)]
    )
    if not len(places):
        raise PointsError(_explain_none(strategy, n, masks=len(items)))
    values = add_counts(part.values for part in drawn)
    facts = SampleFacts(
        legend=classes,
        strategy=strategy,
        placement=name_placement(strategy, how),
        n=n,
        rule=how,
        seed=seed,
        per_class={i: int((places.label == i).sum()) for i in classes.ids},
        labelled=sum(part.labelled for part in drawn),
        images=len(items),
        notes=(*notes, *describe_unknown(values, classes)),
    )
    bare = [i.name for i, part in zip(items, drawn, strict=True) if not len(part.places)]
    notes = (*facts.notes, *_note(facts, bare, unmasked=len(collection) - len(items)))
    return Sample(places, scenes, replace(facts, notes=notes))


def sample_to_points(sample: Sample) -> Points:
    """Turn a sample into a points table; `strategy` and `placement` say how it was drawn."""
    facts = sample.facts
    points = places_to_points(sample.places, sample.scenes, facts.legend)
    frame = note_origin(points.frame, facts.strategy, facts.rule)
    return Points(frame, points.legend, facts.notes)


def write_sample(sample: Sample, out: Path | str, *, overwrite: bool = False) -> None:
    """Publish a sample as a GeoPackage; the same sample gives the same bytes.

    Raises:
        OutputError: If the file is no `.gpkg`, exists already or cannot be written.
    """
    check_geopackage(out)
    with publish_file(out, overwrite=overwrite) as aside, _fixed_date():
        write_points(sample_to_points(sample), aside)


def draw_from_mask(
    item: Item,
    scene: Scene,
    *,
    legend: Legend,
    strategy: str,
    n: int = 1,
    seed: int = 0,
    rule: DrawRule | None = None,
) -> Drawn:
    """Draw places from the mask of one scene, on its data alone; see `sample_collection`."""
    values, known = read_values(item.open_mask(scene))
    valid = known & read_validity(scene)
    labels = resolve_mask(values, legend=legend, valid=valid)
    places = draw_places(
        labels, legend=legend, strategy=strategy, n=n, seed=seed, name=item.name, valid=valid,
        rule=rule,
    )  # fmt: skip
    return Drawn(places, int(np.count_nonzero(labels >= 0)), _count_known(values, known))


def read_values(mask: Scene) -> tuple[NDArray[np.integer], NDArray[np.bool_]]:
    """Read a mask's values `[row, col]` as whole numbers, and where they mean something."""
    data, known = mask.read()
    values = data[0]
    if values.dtype.kind in "iu":
        return values, known
    return np.where(known, values, UNLABELLED).astype(np.int64), known


def read_validity(scene: Scene) -> NDArray[np.bool_]:
    """Read which pixels `[row, col]` of a scene hold data, without holding all its bands."""
    valid = np.empty(scene.shape, dtype=bool)
    for block in split_blocks(scene.shape, _BLOCK):
        valid[block.slices] = scene.read_valid(block)
    return valid


def _count_known(values: NDArray[np.integer], known: NDArray[np.bool_]) -> dict[int, int]:
    return count_values(values if known.all() else values[known])


def _derive_legend(
    items: Sequence[Item], scenes: Sequence[Scene], workers: int | None
) -> tuple[Legend, tuple[str, ...]]:
    def count(pair: tuple[Item, Scene]) -> dict[int, int]:
        item, scene = pair
        return _count_known(*read_values(item.open_mask(scene)))

    counted = map_ordered(count, zip(items, scenes, strict=True), workers=workers)
    return derive_legend(add_counts(counted))


def _explain_none(strategy: str, n: int, *, masks: int) -> str:
    """Say why no point could be drawn, and what to do."""
    why = {
        "grid": (f"the grid's step of {say_count(n, 'pixel')} meets no labelled one", "lower --n"),
        "per_object": ("no object is large enough", "lower --min-area"),
    }
    reason, cure = why.get(strategy, ("no valid pixel has an active class", ""))
    hint = f"{cure}, or check" if cure else "check"
    return (
        f"no point could be drawn from {say_count(masks, 'mask')}: {reason}; {hint} the legend and "
        "the no-data value"
    )


def _note(facts: SampleFacts, bare: Sequence[str], *, unmasked: int) -> tuple[str, ...]:
    names = {c.id: c.name for c in facts.legend.active}
    lost = [names[i] for i, count in facts.per_class.items() if not count]
    jitter, noise = facts.rule.jitter, facts.rule.noise
    said = (
        (facts.placement == ORACLE, _ORACLE_NOTE),
        (jitter, f"each point was moved at random by up to {jitter:g} pixels and keeps the class "
         "of the pixel where it was drawn"),
        (noise, f"{noise:.0%} of the points of an image were given another class at random"),
        (unmasked, f"{say_count(unmasked, 'scene')} without a mask left out"),
        (bare, f"{say_count(len(bare), 'image')} got no point: {list_few(bare)}"),
        (lost, f"no point has class {', '.join(lost)}"),
    )  # fmt: skip
    return tuple(text for occurs, text in said if occurs)


@contextmanager
def _fixed_date() -> Iterator[None]:
    """Keep the time of writing out of a GeoPackage."""
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _FILE_DATE})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})
