"""What a finished map is held against: masks or points, brought onto its grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from landvisor.accuracy.assess import Assessment, assess_mask, assess_places
from landvisor.accuracy.folds import assign_folds
from landvisor.accuracy.frame import Kind
from landvisor.accuracy.record import read_record
from landvisor.accuracy.sampled import assess_sample
from landvisor.accuracy.told import Known, calibrate_map
from landvisor.errors import AssessmentError
from landvisor.geo.class_map import ClassMap
from landvisor.geo.collection import Collection, CollectionSource, as_collection
from landvisor.geo.legend import UNLABELLED, Legend, read_legend
from landvisor.geo.locate import locate
from landvisor.geo.points import Points, read_points
from landvisor.geo.rasters import open_scene
from landvisor.geo.scene import Scene
from landvisor.geo.styles import read_map_legend
from landvisor.geo.vectors import FORMATS, read_table
from landvisor.options import Options

NO_AREA = (
    "The reference is not known to be a probability sample, so no claim on the accuracy of the "
    "whole map or on the area of a class can be made from it."
)
_INTERVAL_FOLDS = 5


def hold_against(
    maps: Path,
    reference: CollectionSource | Points,
    *,
    options: Options,
    border: int = 0,
    seed: int = 0,
    design: Kind | None = None,
    strata: Path | None = None,
) -> Assessment:
    """Hold a map or a folder of maps against whatever reference a user names.

    Args:
        maps: A map file or a bundle.
        reference: `Points` or a file of them, a collection with masks, or one mask raster.
        options: How the reference is read.
        border: Leave out mask pixels this close to a class border.
        seed: Of the bootstrap.
        design: How the places of the reference were drawn from the map; None takes them for a
            probability sample only if their file says how `draw_sample` drew it.
        strata: Raster of the strata of a stratified sample, see `assess_sample`.

    Raises:
        AssessmentError: If maps and reference have nothing in common, or contradict the design.
    """
    if strata is not None and design != "stratified":
        raise AssessmentError(f"strata {str(strata)!r} go with --design stratified; give both")
    found = find_maps(maps)
    given = read_legend(options.legend) if options.legend else None
    legend = map_legend(found[0], given)
    if not isinstance(reference, Points) and not _names_points(reference):
        _check_no_design(design)
        collection = _with_mask(as_collection(reference).select(options.split))
        return assess_against_masks(found, collection, legend=legend, border=border, seed=seed)
    record = None
    if not isinstance(reference, Points):
        path = Path(str(reference))
        record = read_record(path)
        reference = read_points(
            path, class_column=options.class_column, crs=options.crs, legend=legend
        )
    kind = design or (cast(Kind, record.kind) if record else None)
    if kind is None:
        return assess_against_points(found, reference, legend=legend, seed=seed)
    classes = ClassMap(_only(found), legend)
    return assess_sample(classes, reference, kind=kind, strata=strata, record=record)


def _check_no_design(design: Kind | None) -> None:
    if design is not None:
        raise AssessmentError(
            f"--design {design} was given with masks, whose pixels nobody drew at random; give "
            "labelled places, or leave --design out to count all pixels of the masks"
        )


def _only(maps: Sequence[Path]) -> Scene:
    if len(maps) > 1:
        raise AssessmentError(
            f"a sample was drawn from one map, and {len(maps)} were found; name one file, or make "
            "a mosaic with `predict --mosaic` and draw from that"
        )
    return open_scene(maps[0])


def _names_points(reference: CollectionSource) -> bool:
    """Tell a points file from imagery; a CSV with an `image` column is a collection."""
    if not isinstance(reference, Path | str):
        return False
    path = Path(reference)
    if path.suffix.lower() == ".csv":
        return "image" not in read_table(path).columns
    return path.suffix.lower() in FORMATS


def _with_mask(collection: Collection) -> Collection:
    """Take a single raster that came without a mask as the mask itself."""
    item = collection.items[0]
    if len(collection) > 1 or item.mask is not None or not isinstance(item.image, Path):
        return collection
    return replace(collection, items=(replace(item, mask=item.image),))


def find_maps(path: Path) -> list[Path]:
    """List the class rasters of a map bundle, or the one file that was named.

    Raises:
        AssessmentError: If there is none.
    """
    if path.is_file():
        return [path]
    if (path / "map.tif").exists():
        return [path / "map.tif"]
    found = [f for f in sorted(path.glob("*.tif")) if read_map_legend(f) is not None]
    if not found:
        raise AssessmentError(f"{str(path)!r} holds no map; give the --out of `map` or `predict`")
    return found


def map_legend(path: Path, given: Legend | None) -> Legend:
    """Return the legend of a map: the given one, else the one in its file."""
    legend = given or read_map_legend(path)
    if legend is None:
        raise AssessmentError(f"{str(path)!r} carries no class names; give --legend legend.toml")
    return legend


def assess_against_masks(
    maps: Sequence[Path], collection: Collection, *, legend: Legend, border: int, seed: int
) -> Assessment:
    """Assess maps against the masks of the scenes they are named after.

    Raises:
        AssessmentError: If a scene has no map.
    """
    pairs = _read_pairs(maps, collection)
    return assess_mask(pairs, legend=legend, border=border, seed=seed, notes=(NO_AREA,))


def assess_against_points(
    maps: Sequence[Path], points: Points, *, legend: Legend, seed: int = 0
) -> Assessment:
    """Assess maps at labelled places; those of role `assess` alone where there are any.

    Probabilities that lie beside the maps are held against the places as well.

    Raises:
        AssessmentError: If no place has a class of the map.
    """
    scenes = [open_scene(path) for path in maps]
    located = locate(_on_one_map(points) if len(maps) == 1 else points, scenes)
    places = located.assess if len(located.assess) else located.train
    predicted, known = np.full(len(places), UNLABELLED), []
    for position, scene in enumerate(scenes):
        here = places.scene == position
        pixels = places.take(here).pixels()
        values = scene.sample(pixels)
        predicted[here] = np.where(values.valid, values.data[0].astype(np.int64), UNLABELLED)
        known.append(Known(maps[position], pixels, places.label[here], predicted[here]))
    try:
        block = assign_folds(
            places, shapes=[s.shape for s in scenes], folds=_INTERVAL_FOLDS, seed=seed
        ).block
    except AssessmentError:
        block = None
    note = (
        "Places of role 'assess' were used."
        if len(located.assess)
        else "If the model learned from these places, the figures are too good."
    )
    found = assess_places(
        places.label,
        predicted,
        legend=legend,
        statement="at labelled places",
        block=block,
        seed=seed,
        notes=(note, NO_AREA, *located.notes),
    )
    return replace(found, calibration=calibrate_map(known, legend=legend, seed=seed))


def _on_one_map(points: Points) -> Points:
    """Drop the name of the only scene: its map, alone in a bundle, is called `map`."""
    frame = points.frame
    if not points.in_pixels or "scene" not in frame.columns or frame["scene"].nunique() > 1:
        return points
    return replace(points, frame=frame.drop(columns="scene"))


def _read_pairs(
    maps: Sequence[Path], collection: Collection
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    by_name = {path.stem: path for path in maps}
    alone = len(maps) == len(collection) == 1
    for item in collection.items:
        path = maps[0] if alone else by_name.get(item.name)
        if path is None:
            raise AssessmentError(f"scene {item.name!r} has no map among {len(maps)}; predict it")
        scene = open_scene(path)
        yield _map_ids(scene), item.read_mask(scene)


def _map_ids(scene: Scene) -> NDArray[np.int64]:
    pixels = scene.read()
    return np.where(pixels.valid, pixels.data[0].astype(np.int64), UNLABELLED)
