"""What is wrong with imagery and labels, or should be known of them, before a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import LandvisorError, PointsError
from landvisor.files import publish_file
from landvisor.geo.collection import Collection, Item
from landvisor.geo.legend import Legend, read_legend
from landvisor.geo.places import Places
from landvisor.geo.points import Points, write_points
from landvisor.geo.rasters import Reading
from landvisor.geo.scene import Scene
from landvisor.geo.vectors import check_geopackage
from landvisor.labels.check_images import check_masks, check_scenes
from landvisor.labels.check_points import check_points, suspect_points
from landvisor.labels.check_splits import check_splits
from landvisor.labels.findings import Finding, attempt
from landvisor.labels.looks import Look, look_at
from landvisor.labels.suspects import Suspect
from landvisor.options import Options
from landvisor.parallel import map_ordered
from landvisor.phrases import list_few


@dataclass(frozen=True)
class Checked:
    """What was found, and what could be opened on the way.

    Attributes:
        findings: In the order of the checks.
        scenes: Scenes that could be read.
        groups: The group of each of these scenes.
        legend: The classes; None without labels.
        places: Usable places; None where points were not given or could not be used.
        points: The points as read; None where they were not given or could not be.
        suspects: Features that look like another class, the surest first.
    """

    findings: tuple[Finding, ...]
    scenes: tuple[Scene, ...]
    groups: tuple[str, ...]
    legend: Legend | None = None
    places: Places | None = None
    points: Points | None = None
    suspects: tuple[Suspect, ...] = ()


@dataclass(frozen=True, eq=False)
class _Opened:
    """An item that could be read."""

    item: Item
    scene: Scene
    look: Look


def check_inputs(
    collection: Collection,
    points: Path | str | None,
    *,
    options: Options | None = None,
    background: int = 0,
    distance: float = 2.0,
    held_out: Sequence[Item] = (),
) -> Checked:
    """Check scenes, points and masks; nothing that a user gave makes this raise.

    Args:
        collection: The scenes.
        points: A points file, a folder of them, or None.
        options: How files are read.
        background: Random negatives per scene that the run will draw.
        distance: Pixels within which places of different classes are told.
        held_out: Scenes of other splits: they are held against these for leaks and for values
            that differ, and their labels are not looked at.
    """
    how = options or Options()
    found: list[Finding] = []
    legend = attempt(read_legend, how.legend, found=found) if how.legend else collection.legend
    opened = _open(collection.items, how.reading, found)
    beside = _open(held_out, how.reading, [])
    scenes = tuple(part.scene for part in opened)
    looks = [part.look for part in opened]
    found += check_scenes(scenes, looks)
    found += check_masks(
        [part.item for part in opened], scenes, looks, legend=legend, needed=points is None
    )
    found += _check_splits([*opened, *beside])
    groups = _name_groups(collection, opened)
    if points is None or not scenes:
        return Checked(tuple(found), scenes, groups, legend)
    labelled = check_points(
        points, scenes, legend=legend, options=how, background=background, distance=distance
    )
    return Checked(
        (*found, *labelled.findings), scenes, groups, labelled.legend, labelled.places,
        labelled.points, labelled.suspects,
    )  # fmt: skip


def write_suspects(checked: Checked, out: Path | str, *, overwrite: bool = False) -> None:
    """Write the features that look like another class as a GeoPackage, the surest first.

    Raises:
        OutputError: If the file is no `.gpkg`, exists already or cannot be written.
        PointsError: If there are no points to choose from.
    """
    if checked.points is None or checked.legend is None:
        raise PointsError("the points could not be read, so no suspects are written; see above")
    check_geopackage(out)
    found = suspect_points(checked.points, checked.suspects, checked.legend)
    with publish_file(out, overwrite=overwrite) as aside:
        write_points(found, aside)


def check_units(label: NDArray[np.int64], unit: NDArray[np.int64], legend: Legend) -> list[Finding]:
    """Check that each class lies in at least two spatial units, one to test the other.

    Args:
        label: Class id of each place `[n]`.
        unit: Spatial unit (block, scene or group) of each place `[n]`.
        legend: The classes.
    """
    alone = [c.name for c in legend.active if len(np.unique(unit[label == c.id])) == 1]
    units = len(np.unique(unit))
    text = f"accuracy can be estimated by spatial folds: the places lie in {units} units"
    if not alone:
        return [Finding("ok", text)]
    why = f"classes in one spatial unit only, so no fold can test them: {list_few(alone)}"
    return [Finding("ok", text), Finding("note", f"{why}; label them elsewhere too")]


def _open(items: Sequence[Item], reading: Reading, found: list[Finding]) -> list[_Opened]:
    """Open and look at scenes; what cannot be read becomes a problem."""

    def try_one(item: Item) -> _Opened | LandvisorError:
        try:
            scene = item.open(reading)
            return _Opened(item, scene, look_at(scene))
        except LandvisorError as error:
            return error

    read = map_ordered(try_one, items)
    found += [Finding("problem", str(e)) for e in read if isinstance(e, LandvisorError)]
    return [part for part in read if isinstance(part, _Opened)]


def _check_splits(opened: Sequence[_Opened]) -> list[Finding]:
    if len({len(part.scene.bands) for part in opened}) != 1:
        return []
    items, looks = [part.item for part in opened], [part.look for part in opened]
    return check_splits(items, looks, opened[0].scene.bands)


def _name_groups(collection: Collection, opened: Sequence[_Opened]) -> tuple[str, ...]:
    names = dict(zip((i.name for i in collection.items), collection.groups(), strict=True))
    return tuple(names[part.item.name] for part in opened)
