"""Labels made from labels, for keeps: linked or grown, checked, and written as rasters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from landvisor.errors import OutputError, RecipeError
from landvisor.files import publish_directory, publish_file, write_json
from landvisor.geo.collection import RASTERS, Collection, CollectionSource, as_collection
from landvisor.geo.mask_values import describe_unknown
from landvisor.geo.points import Points
from landvisor.geo.vectors import FORMATS
from landvisor.labels.extend import (
    Extended,
    Extension,
    Making,
    describe_choices,
    extend_ground,
)
from landvisor.labels.ground import Ground, find_ground
from landvisor.labels.growth import Grower
from landvisor.labels.label_raster import read_label_raster, write_label_raster
from landvisor.labels.pixels import LabelledPixels
from landvisor.labels.purity import Purity
from landvisor.options import Options
from landvisor.recipe import GrowSpec, LinkSpec
from landvisor.record import write_record

FACTS = "labels.json"
_TIFF = (".tif", ".tiff")


@dataclass(frozen=True)
class MadeLabels:
    """Labels of a collection after linking and growing.

    Attributes:
        facts: Plain values: how they were made, counts and purity by class, notes.
        lines: The same for a terminal.
        files: The rasters written, in scene order; none where no output was named.
        pixels: The labels of each scene, where no output was named.
    """

    facts: dict[str, Any]
    lines: tuple[str, ...]
    files: tuple[Path, ...] = ()
    pixels: tuple[LabelledPixels, ...] = ()


def link_points(
    scenes: CollectionSource,
    points: Path | str | Points | None,
    *,
    out: Path | str | None = None,
    spec: LinkSpec | None = None,
    making: Making | None = None,
    options: Options | None = None,
) -> MadeLabels:
    """Link places of one class that lie close together, and label what is between them.

    Args:
        scenes: A file, folder, glob, `collection.csv`, array, `Scene` or `Collection`.
        points: A points file or `Points`; None takes the pixels of sparse masks.
        out: A GeoTIFF for one scene, a folder for several; None keeps the labels in memory.
        spec: How links are made; area "none" is taken as "segment".
        making: How the result is checked; `make_labels` takes one that links and grows.
        options: What surrounds the run.

    Raises:
        LandvisorError: One of its children, in one line, where input or output is at fault.

    Example:
        ``landvisor.link_points("scene.tif", "points.gpkg", out="linked.tif").facts["purity"]``
    """
    chosen = spec or LinkSpec()
    if chosen.area == "none":
        chosen = chosen.model_copy(update={"area": "segment"})
    how = replace(_take_checks(making, others=("link", "grow", "grower", "features")), link=chosen)
    return make_labels(scenes, points, making=how, out=out, options=options)


def grow_points(
    scenes: CollectionSource,
    points: Path | str | Points | None,
    *,
    out: Path | str | None = None,
    spec: GrowSpec | None = None,
    grower: Grower | None = None,
    making: Making | None = None,
    options: Options | None = None,
) -> MadeLabels:
    """Grow labels from places over the pixels around them.

    Args:
        scenes: A file, folder, glob, `collection.csv`, array, `Scene` or `Collection`.
        points: A points file or `Points`; None takes the pixels of sparse masks.
        out: A GeoTIFF for one scene, a folder for several; None keeps the labels in memory.
        spec: How labels grow; method "none" is taken as "region".
        grower: A method of your own, such as `promptable(segmenter)`.
        making: How the result is checked; `make_labels` takes one that links and grows.
        options: What surrounds the run.

    Raises:
        LandvisorError: One of its children, in one line, where input or output is at fault.

    Example:
        ``landvisor.grow_points("scene.tif", "points.gpkg", out="grown.tif").facts["purity"]``
    """
    chosen = spec or GrowSpec()
    if chosen.method == "none":
        chosen = chosen.model_copy(update={"method": "region"})
    checks = _take_checks(making, others=("link", "grow", "grower"))
    how = replace(checks, grow=chosen, grower=grower)
    return make_labels(scenes, points, making=how, out=out, options=options)


def make_labels(
    scenes: CollectionSource,
    points: Path | str | Points | None,
    *,
    making: Making,
    out: Path | str | None = None,
    options: Options | None = None,
) -> MadeLabels:
    """Link and grow labels, measure their purity, and publish them; see `link_points`."""
    how = options or Options()
    whole = as_collection(scenes)
    collection = whole.for_learning(how.split, how.val_split)
    if out is None:
        ground = find_ground(collection, points, options=how)
        kept = extend_ground(ground, making, deliver=lambda extended: extended.pixels)
        pure = tuple(drop_classes(pixels, kept.rejected) for pixels in kept.delivered)
        return _conclude(ground, making, kept, pixels=pure)
    target = Path(out)
    single = _is_file(target, scenes=len(collection))
    read = [*whole.sources(), points, making.sure_map.folder if making.sure_map else None]
    how.check_out(target, kind="file" if single else "folder", read=read)
    ground = find_ground(collection, points, options=how)
    if single:
        with publish_file(target, overwrite=how.overwrite) as aside:
            made = _write(ground, making, lambda _: aside)
        return replace(made, files=(target,))
    started = datetime.now(UTC)
    with publish_directory(target, overwrite=how.overwrite) as folder:
        made = _write(ground, making, lambda position: folder / _file_name(ground, position))
        write_json(folder / FACTS, made.facts)
        write_record(
            folder, seed=making.seed, recipe=describe_choices(making), started=started,
            inputs=_name_inputs(collection, points),
        )  # fmt: skip
    names = [_file_name(ground, position) for position in range(len(ground.scenes))]
    return replace(made, files=tuple(target / name for name in names))


def _take_checks(making: Making | None, *, others: tuple[str, ...]) -> Making:
    """Refuse choices in `making` that are made elsewhere and would be ignored."""
    how, usual = making or Making(), Making()
    idle = [name for name in others if getattr(how, name) != getattr(usual, name)]
    if idle:
        raise RecipeError(
            f"making has {idle[0]!r}, which is not used here; say it with spec or grower, or call "
            "make_labels, which does all that its making says"
        )
    return how


def drop_classes(pixels: LabelledPixels, rejected: tuple[int, ...]) -> LabelledPixels:
    """Take back the linked and grown labels of some classes; their places stay."""
    return pixels.take(~(pixels.made & np.isin(pixels.label, rejected)))


def _write(ground: Ground, making: Making, path_of: Callable[[int], Path]) -> MadeLabels:
    """Write a raster per scene; those with rejected labels are then written once more."""

    def deliver(extended: Extended) -> dict[str, Any]:
        own = Purity(extended.tally, ground.legend, held_out=not ground.has_truth)
        notes = [*ground.notes, *describe_unknown(extended.values, ground.legend)]
        facts = {
            **describe_choices(making), "rejected": [], "purity": own.summary(),
            "kept": own.count_left(()), "notes": notes,
        }  # fmt: skip
        scene = ground.scenes[extended.position]
        write_label_raster(
            extended.pixels, path_of(extended.position), scene=scene, legend=ground.legend,
            facts=facts,
        )  # fmt: skip
        return facts

    extension = extend_ground(ground, making, deliver=deliver)
    for position, facts in enumerate(extension.delivered if extension.rejected else []):
        path, scene = path_of(position), ground.scenes[position]
        kept = drop_classes(read_label_raster(path, scene), extension.rejected)
        rejected = _name_classes(ground, extension.rejected)
        facts = {**facts, "rejected": rejected, "kept": len(kept)}
        write_label_raster(kept, path, scene=scene, legend=ground.legend, facts=facts)
    return _conclude(ground, making, extension)


def _conclude(
    ground: Ground,
    making: Making,
    extension: Extension[Any],
    pixels: tuple[LabelledPixels, ...] = (),
) -> MadeLabels:
    notes = [*ground.notes, *extension.notes]
    facts = {
        **describe_choices(making),
        "links": asdict(extension.links) if making.link.area != "none" else None,
        "rejected": _name_classes(ground, extension.rejected),
        "purity": extension.purity.summary(),
        "kept": extension.purity.count_left(extension.rejected),
        "scenes": [scene.name for scene in ground.scenes],
        "notes": notes,
    }
    links = extension.links.lines() if making.link.area != "none" else []
    lines = [*(f"note: {note}" for note in notes), *links, *extension.purity.lines()]
    if extension.rejected:
        lines.append(
            f"purity under {100 * making.min_purity:g} % or unknown, so taken back: "
            f"{', '.join(facts['rejected'])}; {facts['kept']:,} labelled pixels are left"
        )
    return MadeLabels(facts, tuple(lines), pixels=pixels)


def _is_file(target: Path, *, scenes: int) -> bool:
    """Tell a GeoTIFF to write from a folder to make, and refuse what can be neither."""
    suffix = target.suffix.lower()
    if suffix not in _TIFF and suffix in {*FORMATS, *RASTERS}:
        raise OutputError(
            f"--out {str(target)!r} ends in {suffix!r}, but labels are GeoTIFFs; name a .tif for "
            "one scene, or a folder"
        )
    if suffix in _TIFF and scenes > 1:
        raise OutputError(
            f"{str(target)!r} is one file but there are {scenes} scenes; give a folder"
        )
    return suffix in _TIFF


def _name_inputs(
    collection: Collection, points: Path | str | Points | None
) -> dict[str, Path | str]:
    """Name what a run record hashes: points in memory have no file."""
    masks = {f"mask {item.name}": item.mask for item in collection.items if item.mask is not None}
    given = {"points": points} if isinstance(points, Path | str) else {}
    return {**collection.files(), **masks, **given}


def _file_name(ground: Ground, position: int) -> str:
    return f"{ground.scenes[position].name}.tif"


def _name_classes(ground: Ground, ids: tuple[int, ...]) -> list[str]:
    return [c.name for c in ground.legend.active if c.id in ids]
