"""What is wrong with imagery and labels, or should be known of them, before a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import LandvisorError
from landvisor.geo.collection import Collection
from landvisor.geo.legend import Legend, read_legend
from landvisor.geo.locate import locate
from landvisor.geo.mask_values import count_values, describe_unknown
from landvisor.geo.places import Places
from landvisor.geo.points import read_points
from landvisor.geo.scene import Scene, name_crs
from landvisor.geo.survey import Survey, join_surveys, survey_scenes
from landvisor.options import Options

Level = Literal["ok", "note", "problem"]
T = TypeVar("T")
FEW = 5
_UNEVEN = 20
_BLACK_SHARE = 0.01
_SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """One thing that was found; a `problem` would stop `map`."""

    level: Level
    text: str


@dataclass(frozen=True)
class Checked:
    """What was found, and what could be opened on the way.

    Attributes:
        findings: In the order of the checks.
        scenes: Scenes that could be opened.
        groups: The group of each of these scenes.
        legend: The classes; None without labels.
        places: Usable places; None where points were not given or could not be used.
    """

    findings: tuple[Finding, ...]
    scenes: tuple[Scene, ...]
    groups: tuple[str, ...]
    legend: Legend | None = None
    places: Places | None = None


def check_inputs(
    collection: Collection,
    points: Path | str | None,
    *,
    options: Options | None = None,
    background: int = 0,
) -> Checked:
    """Check scenes, points and masks; nothing that a user gave makes this raise.

    Args:
        collection: The scenes.
        points: A points file, a folder of them, or None.
        options: How files are read.
        background: Random negatives per scene that the run will draw.
    """
    how = options or Options()
    found: list[Finding] = []
    opened = [_attempt(item.open, how.reading, found=found) for item in collection.items]
    kept = [i for i, scene in enumerate(opened) if scene is not None]
    scenes = tuple(scene for scene in opened if scene is not None)
    groups = tuple(np.array(collection.groups())[kept].tolist())
    legend = _attempt(read_legend, how.legend, found=found) if how.legend else collection.legend
    found += check_scenes(scenes)
    found += check_masks(collection, opened, legend, needed=points is None)
    places = None
    if points is not None and scenes:
        said, legend, places = check_points(
            points, scenes, legend=legend, options=how, background=background
        )
        found += said
    return Checked(tuple(found), scenes, groups, legend, places)


def check_scenes(scenes: Sequence[Scene]) -> list[Finding]:
    """Check sizes, bands, values and no-data of scenes."""
    found: list[Finding] = []
    if not scenes:
        return [Finding("problem", "no scene can be opened")]
    found += _check_kinship(scenes)
    found += [Finding("note", note) for note in dict.fromkeys(n for s in scenes for n in s.notes)]
    surveys = _attempt(survey_scenes, scenes, found=found)
    if surveys is not None and len({len(scene.bands) for scene in scenes}) == 1:
        found += _check_values(scenes, surveys)
    return found


def check_masks(
    collection: Collection,
    scenes: Sequence[Scene | None],
    legend: Legend | None,
    *,
    needed: bool,
) -> list[Finding]:
    """Check the masks of a collection.

    Args:
        collection: The scenes with their masks.
        scenes: The same scenes opened, None where one could not be.
        legend: Its classes, or None.
        needed: The masks are the labels, so that a wrong one is a problem.
    """
    pairs = [(i, s) for i, s in zip(collection.items, scenes, strict=True) if i.mask and s]
    if not pairs:
        return []
    found: list[Finding] = []
    pixels: dict[int, int] = {}
    for item, scene in pairs:
        mask = _attempt(item.read_mask, scene, found=found, level="problem" if needed else "note")
        for value, count in count_values(mask).items() if mask is not None else ():
            pixels[value] = pixels.get(value, 0) + count
    if legend is None:
        text = f"masks hold the values {_list(map(str, sorted(pixels)))} but there is no legend"
        return [*found, Finding("problem" if needed else "note", f"{text}; give --legend")]
    total = max(1, sum(pixels.values()))
    shares = (f"{c.name} {100 * pixels.get(c.id, 0) / total:.2f} %" for c in legend.classes)
    found.append(Finding("ok", f"{len(pairs)} masks: {', '.join(shares)} of pixels"))
    return found + [Finding("note", text) for text in describe_unknown(pixels, legend)]


def check_points(
    points: Path | str,
    scenes: Sequence[Scene],
    *,
    legend: Legend | None = None,
    options: Options | None = None,
    background: int = 0,
) -> tuple[list[Finding], Legend | None, Places | None]:
    """Check labelled points on scenes.

    Returns:
        Findings, the classes, and the places that are usable for training (None if none is).
    """
    how = options or Options()
    found: list[Finding] = []
    try:
        read = read_points(
            points, class_column=how.class_column, crs=how.crs, legend=legend,
            presence_only=background > 0,
        )  # fmt: skip
        found += [Finding("ok", f"{len(read)} features; {note}") for note in read.notes]
        located = locate(read, scenes)
    except LandvisorError as error:
        return [*found, Finding("problem", str(error))], legend, None
    found += [Finding("note", note) for note in located.notes if note not in read.notes]
    found += check_classes(located.train.label, read.legend, background=background)
    return found, read.legend, located.train


def check_classes(
    label: NDArray[np.int64], legend: Legend, *, background: int = 0
) -> list[Finding]:
    """Check how places are shared among classes.

    Args:
        label: Class id of each usable place `[n]`.
        legend: The classes.
        background: Random negatives per scene, which make a second class.
    """
    counts = {c.name: int((label == c.id).sum()) for c in legend.active}
    present = {name: count for name, count in counts.items() if count}
    listed = ", ".join(f"{name} {count}" for name, count in present.items())
    found = [Finding("ok", f"{len(label)} usable places: {listed or 'none'}")]
    if not present:
        return [*found, Finding("problem", "no place is left to learn from; see the notes")]
    if len(present) == 1 and not background:
        hint = "label another class, or draw random negatives with --background 200"
        found.append(Finding("problem", f"all places have one class; need two: {hint}"))
    few = [f"{name} {count}" for name, count in present.items() if count < FEW]
    absent = [name for name, count in counts.items() if not count]
    most, least = max(present.values()), min(present.values())
    said = (
        (few, f"fewer than {FEW} places: {_list(few)}; label more, or merge classes in the legend"),
        (absent, f"classes of the legend without a place, never predicted right: {_list(absent)}"),
        (most > _UNEVEN * least, f"the largest class has {most / least:.0f} times the smallest"),
    )
    return found + [Finding("note", text) for occurs, text in said if occurs]


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
    why = f"classes in one spatial unit only, so no fold can test them: {_list(alone)}"
    return [Finding("ok", text), Finding("note", f"{why}; label them elsewhere too")]


def _check_kinship(scenes: Sequence[Scene]) -> list[Finding]:
    """Say size, bands, type and CRS, and where scenes differ in them."""
    first = scenes[0]
    shapes = sorted({scene.shape for scene in scenes})
    size = " to ".join(f"{r} × {c}" for r, c in dict.fromkeys((shapes[0], shapes[-1])))
    name = first.name if len(scenes) == 1 else f"{len(scenes)} scenes"
    found = [
        Finding(
            "ok",
            f"{name}: {size} pixels (rows × columns), {_describe_bands(first)}, "
            f"{first.dtype}, {_crs(first)}",
        )
    ]
    kinds: tuple[tuple[Level, str, Callable[[Scene], object]], ...] = (
        ("problem", "numbers of bands", lambda scene: len(scene.bands)),
        ("note", "band names", lambda scene: tuple(map(str.casefold, scene.bands))),
        ("note", "data types", lambda scene: scene.dtype),
        ("note", "CRSs", _crs),
    )
    for level, what, value in kinds:
        others = [scene for scene in scenes if value(scene) != value(first)]
        if others:
            example = f"{first.name} has {value(first)}, {others[0].name} has {value(others[0])}"
            found.append(Finding(level, f"scenes differ in {what}: {example}"))
    return found


def _check_values(scenes: Sequence[Scene], surveys: Sequence[Survey]) -> list[Finding]:
    whole = join_surveys(surveys)
    about = "" if whole.whole else "about "
    share = f"{about}{100 * whole.valid / whole.pixels:.1f} % of pixels hold data"
    if not whole.valid:
        return [Finding("problem", f"{share}; check the no-data value and the area of interest")]
    found = [Finding("ok", share), Finding("ok", f"values: {_ranges(scenes[0], whole)}")]
    bare = [s.name for s, survey in zip(scenes, surveys, strict=True) if not survey.valid]
    dead = [name for name, same in zip(scenes[0].bands, whole.constant, strict=True) if same]
    partly = _find_dead(scenes, surveys, set(dead))
    black = whole.black / whole.valid
    lossy = " --nodata-tolerance 6" if scenes[0].dtype == np.uint8 else ""
    said = (
        (bare, f"scenes without data: {_list(bare)}"),
        (dead, f"bands with one value only, which tell nothing: {_list(dead)}"),
        (partly, f"scenes where a band has one value only: {_list(partly)}"),
        (whole.infinite, f"{whole.infinite} pixels are infinite; declare them as no-data"),
        (black >= _BLACK_SHARE, f"{about}{100 * black:.1f} % of valid pixels lie in black "
         f"areas; if that is no-data, say --nodata 0{lossy}"),
    )  # fmt: skip
    return found + [Finding("note", text) for occurs, text in said if occurs]


def _find_dead(scenes: Sequence[Scene], surveys: Sequence[Survey], known: set[str]) -> list[str]:
    """Name the bands that have one value in single scenes, scene by scene."""
    named = []
    for scene, survey in zip(scenes, surveys, strict=True):
        bands = [b for b, same in zip(scene.bands, survey.constant, strict=True) if same]
        named += [f"{scene.name} ({', '.join(bands)})"] if set(bands) - known else []
    return named


def _ranges(scene: Scene, survey: Survey) -> str:
    limits = zip(scene.bands, survey.low, survey.high, strict=True)
    return ", ".join(f"{name} {low:g} to {high:g}" for name, low, high in limits)


def _describe_bands(scene: Scene) -> str:
    many = len(scene.bands)
    return f"{many} band{'s' * (many != 1)} ({', '.join(scene.bands)})"


def _crs(scene: Scene) -> str:
    return name_crs(scene) or "no CRS"


def _list(names: Sequence[str] | map[str]) -> str:
    every = list(names)
    more = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return ", ".join(every[:_SHOWN]) + more


def _attempt(
    function: Callable[..., T], *given: object, found: list[Finding], level: Level = "problem"
) -> T | None:
    """Call a function; what it refuses becomes a finding."""
    try:
        return function(*given)
    except LandvisorError as error:
        found.append(Finding(level, str(error)))
        return None
